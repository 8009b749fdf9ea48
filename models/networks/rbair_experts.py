"""MoCE, RBaIR's mixture of convolutional experts.

The expert outputs are accumulated, each through its own columns of the fusing convolution, and never concatenated.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.depthwise import depthwise, dilated_by_phases, full_precision
from ..layers.layer_norm import LayerNorm2d
from ..layers.layout import add_product, add_product_, length_of, pixel_rows, planes
from ..layers.restormer import gelu
from ..layers.row_strips import rows_of_strip, strips_pay

GATE_WIDTH = 12
"""Hidden width of the gate that weights the experts."""
EXPERTS = 6


class ConvExpert(nn.Module):
    """x + 1x1(gelu(depthwise(x))), (B, C, H, W) -> (B, C, H, W).

    Keys ``body.0.weight`` and ``body.2.weight``; the dilated expert's start with ``op``.
    """

    def __init__(self, channels: int, kernel: tuple[int, int], *, dilation: int = 1) -> None:
        super().__init__()
        padding = (kernel[0] // 2 * dilation, kernel[1] // 2 * dilation)
        depthwise = nn.Conv2d(
            channels, channels, kernel, padding=padding, dilation=dilation, groups=channels, bias=False
        )
        pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self._leaf = "body" if dilation == 1 else "op"
        self.add_module(self._leaf, nn.Sequential(depthwise, nn.GELU(), pointwise))

    @property
    def depthwise(self) -> nn.Conv2d:
        conv = self.get_submodule(self._leaf + ".0")
        assert isinstance(conv, nn.Conv2d)
        return conv

    @property
    def matrix(self) -> Tensor:
        """Weight of the 1x1 convolution, (C out, C in)."""
        return self.get_parameter(self._leaf + ".2.weight").flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = gelu(depthwise(x, self.depthwise))
        matrix = self.matrix.t().expand(x.shape[0], -1, -1)
        return planes(torch.baddbmm(pixel_rows(x), pixel_rows(hidden), matrix), x.shape[2], x.shape[3])


def real_where_real(spectrum: Tensor, width: int) -> Tensor:
    """The spectrum of real images of that width (rfft2), with rounding taken off the frequencies that are real.

    Constant and alternating parts have no phase but 0 and pi. At sizes other than powers of two they come out with an
    imaginary part of rounding size, whose sign would choose between pi and -pi, and with it between two images.
    Overwrites the spectrum.
    """
    height = spectrum.shape[-2]
    imaginary = torch.view_as_real(spectrum)[..., 1]
    for row in [0] if height % 2 else [0, height // 2]:
        for column in [0] if width % 2 else [0, width // 2]:
            imaginary[..., row, column] = 0
    return spectrum


class FourierExpert(nn.Module):
    """x plus a filter of magnitude and phase of its spectrum, (B, C, H, W) -> (B, C, H, W).

    Computed in float32 at least: sums over an image leave the range of half precision. The result has that dtype.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.processmag = self._branch(channels)
        self.processpha = self._branch(channels)

    @staticmethod
    def _branch(channels: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(channels, channels, 1), nn.LeakyReLU(0.1), nn.Conv2d(channels, channels, 1))

    @staticmethod
    def _apply_branch(values: Tensor, branch: nn.Sequential) -> Tensor:
        """1x1, LeakyReLU, 1x1 as matrix products on (B, C, frequencies): transforms leave planes, not channels-last."""
        first, second = (branch.get_submodule(name) for name in ("0", "2"))
        for layer in (first, second):
            weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
            matrix = weight.to(values.dtype).flatten(1).expand(values.shape[0], -1, -1)
            values = torch.baddbmm(bias.to(values.dtype)[:, None], matrix, values)
            if layer is first:
                values = F.leaky_relu_(values, 0.1)
        return values

    def filtered(self, x: Tensor) -> Tensor:
        """The expert without its residual, (B, C, H, W) in float32 or float64 -> the same shape in NCHW memory."""
        if torch.compiler.is_exporting():
            return self._filtered_plainly(x)
        spectrum = real_where_real(torch.fft.rfft2(x.contiguous()), x.shape[-1])
        if torch.is_grad_enabled():
            magnitude = self._apply_branch(spectrum.abs().flatten(2), self.processmag)
            phase = self._apply_branch(spectrum.angle().flatten(2), self.processpha)
            # torch.polar would do, but its gradient is wrong where the filtered "magnitude" is negative.
            spectrum = torch.complex(magnitude * phase.cos(), magnitude * phase.sin()).view_as(spectrum)
        else:
            self._filter_(spectrum)
        filtered: Tensor = torch.fft.irfft2(spectrum, s=x.shape[-2:])
        return filtered

    def _filtered_plainly(self, x: Tensor) -> Tensor:
        """`filtered` of batches of any size without conditions, for files that other programs run."""
        width = x.shape[-1]
        # Whole transforms only: runtimes get the lengths of halved ones wrong.
        spectrum = torch.view_as_real(torch.fft.fft2(x))[..., : width // 2 + 1, :]
        row, column = (torch.arange(spectrum.shape[axis], device=x.device) for axis in (-3, -2))
        own_rows, own_columns = (
            (place == 0) | (2 * place == length_of(axis, x)) for place, axis in ((row, -2), (column, -1))
        )
        is_real = own_rows[:, None] & own_columns
        real, imaginary = spectrum[..., 0], spectrum[..., 1].masked_fill(is_real, 0)
        magnitude = self._apply_branch(torch.sqrt(real.square() + imaginary.square()).flatten(2), self.processmag)
        # Of negative real numbers torch gives pi, the arcus tangent of ONNX files -pi.
        phase = torch.where(is_real, torch.where(real < 0, torch.pi, 0.0), torch.atan2(imaginary, real))
        phase = self._apply_branch(phase.flatten(2), self.processpha)
        parts = torch.stack((magnitude * phase.cos(), magnitude * phase.sin()), dim=-1).view(spectrum.shape)
        # Every column but those that mirror themselves stands for its mirror image too; the image is the real part.
        parts = parts * torch.where(own_columns, 1, 2)[:, None]
        parts = F.pad(parts, (0, 0, 0, width - parts.shape[-2]))
        restored: Tensor = torch.view_as_real(torch.fft.ifft2(torch.view_as_complex(parts)))[..., 0]
        return restored

    def _filter_(self, spectrum: Tensor) -> None:
        """The same filter in place, on some rows of the spectrum at a time so that they stay in the cache."""
        channels, width = spectrum.shape[1], spectrum.shape[3]
        rows = rows_of_strip(width, 2 * channels)
        for image in torch.split(spectrum, 1):
            for part in torch.split(image, rows, dim=2):
                real, imaginary = part.real.reshape(1, channels, -1), part.imag.reshape(1, channels, -1)
                magnitude = self._apply_branch(torch.hypot(real, imaginary), self.processmag)
                phase = self._apply_branch(torch.atan2(imaginary, real), self.processpha)
                part.real.copy_((magnitude * phase.cos()).view(part.shape))
                part.imag.copy_((magnitude * phase.sin()).view(part.shape))

    def forward(self, x: Tensor) -> Tensor:
        with full_precision(x.device.type):
            x = x.to(torch.promote_types(x.dtype, torch.float32))
            return x + self.filtered(x)


class ExpertGate(nn.Module):
    """Softmax weights of the experts from the global average, (B, C, H, W) -> (B, 6)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(channels, GATE_WIDTH),
            nn.GELU(),
            nn.Linear(GATE_WIDTH, EXPERTS),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(self.body(x), dim=-1)


class Experts(nn.Module):
    """Six experts, weighted per image and fused by a 1x1 convolution, (B, C, H, W) -> (B, C, H, W).

    The experts' keys start with ``Op``, as in published checkpoints.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        experts = nn.ModuleList(
            [
                ConvExpert(channels, (3, 3)),
                ConvExpert(channels, (21, 21)),
                ConvExpert(channels, (9, 9), dilation=8),
                ConvExpert(channels, (21, 1)),
                ConvExpert(channels, (1, 21)),
                FourierExpert(channels),
            ]
        )
        self.add_module("Op", experts)
        self.weight = ExpertGate(channels)
        self.out_ = nn.Conv2d(EXPERTS * channels, channels, 1, bias=False)

    @property
    def experts(self) -> nn.ModuleList:
        """Five of convolutions, then the Fourier one."""
        experts = self.get_submodule("Op")
        assert isinstance(experts, nn.ModuleList)
        return experts

    def matrices(self, x: Tensor) -> Tensor:
        """What maps each expert's output to the fused one, (B, 6, C in, C out).

        `out_` of the weighted concatenation is a sum: each expert takes its own columns of `out_`, scaled by its
        weight.
        """
        weights: Tensor = self.weight(x)
        columns = self.out_.weight.flatten(1).t()
        return weights[:, :, None, None] * columns.reshape(EXPERTS, -1, columns.shape[1])

    def forward(self, x: Tensor) -> Tensor:
        matrices = self.matrices(x)
        fused: Tensor | None = None
        for index, expert in enumerate(self.experts):
            output = pixel_rows(expert(x)).to(x.dtype)
            matrix = matrices[:, index].to(x.dtype)
            fused = torch.bmm(output, matrix) if fused is None else torch.baddbmm(fused, output, matrix)
        assert fused is not None
        return planes(fused, x.shape[2], x.shape[3])


class MoCE(nn.Module):
    """Mixture of convolutional experts, (B, C, H, W) -> (B, C, H, W): x + out_(experts(gelu(proj_conv(norm(x)))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(channels)
        self.proj_conv = nn.Conv2d(channels, channels, 1, bias=False)
        self.layers = nn.ModuleList([Experts(channels)])
        self.out_ = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = gelu(self.proj_conv(self.norm(x)))
        if strips_pay(x, x.shape[1]):
            return self._in_strips(x, h)
        restored: Tensor = x + self.out_(self.layers[0](h))
        return restored

    def _in_strips(self, x: Tensor, h: Tensor) -> Tensor:
        """x + out_(experts(h)), a strip of rows at a time; only for inference.

        Everything behind an expert's gelu is linear, so its 1x1 convolution, gate weight, columns of `out_` and the
        last 1x1 convolution are one (C, C) matrix, and so are the residuals of all experts together.
        """
        mixture = self.layers[0]
        assert isinstance(mixture, Experts)
        matrices = mixture.matrices(h) @ self.out_.weight.flatten(1).t()
        out = torch.empty_like(x, memory_format=torch.channels_last)
        images = (torch.split(t.permute(0, 2, 3, 1).contiguous(), 1) for t in (x, h, out))
        for index, (image, hidden, restored) in enumerate(zip(*images, strict=True)):
            self._restore_image(mixture, matrices[index], image, hidden, restored)
        return out

    @staticmethod
    def _restore_image(mixture: Experts, matrices: Tensor, image: Tensor, h: Tensor, restored: Tensor) -> None:
        """One image of `_in_strips`: (1, H, W, C) `image` and `h` give `restored`; matrices (6, C in, C out)."""
        _, height, width, channels = image.shape
        fourier = mixture.experts[5]
        assert isinstance(fourier, FourierExpert)
        local = [expert for expert in mixture.experts if isinstance(expert, ConvExpert)]
        folded = [(expert.matrix.t() @ matrix).t() for expert, matrix in zip(local, matrices[:5], strict=True)]
        residual = matrices.sum(dim=0).t()
        frequencies = fourier.filtered(h.permute(0, 3, 1, 2)).view(channels, height, width)
        margin = max(expert.depthwise.kernel_size[0] // 2 for expert in local)
        padded = F.pad(h, (0, 0, 0, 0, margin, margin))
        dilated = {
            expert: dilated_by_phases(h.permute(0, 3, 1, 2), expert.depthwise).permute(0, 2, 3, 1)
            for expert in local
            if expert.depthwise.dilation != (1, 1)
        }
        rows = rows_of_strip(width, channels)
        for first in range(0, height, rows):
            end = min(first + rows, height)
            total = add_product(image[:, first:end].view(-1, channels), h[:, first:end].view(-1, channels), residual)
            add_product_(total, frequencies[:, first:end].reshape(channels, -1).t(), matrices[5].t())
            for expert, matrix in zip(local, folded, strict=True):
                conv = expert.depthwise
                if expert in dilated:
                    window = dilated[expert][:, first:end]
                else:
                    reach, side = conv.kernel_size[0] // 2, conv.kernel_size[1] // 2
                    strip = padded[:, first + margin - reach : end + margin + reach].permute(0, 3, 1, 2)
                    window = F.conv2d(strip, conv.weight, padding=(0, side), groups=channels).permute(0, 2, 3, 1)
                add_product_(total, F.gelu(window.reshape(-1, channels)), matrix)
            restored[:, first:end].view(-1, channels).copy_(total)
