"""AnyIR, efficient spatial-frequency degradation adaptation (Ren et al., arXiv 2504.14249): network, card, key map.

Feature maps are (B, C, H, W) in channels-last memory throughout: every 1x1 convolution is a matrix product over pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..card import HALVED_THREE_TIMES, ModelCard, PublishedFigure, Tiling, Variant
from ..layers.layer_norm import LayerNorm2d
from ..layers.layout import channels_last, feature_map, product
from ..layers.restormer import GDFN, NORMALIZE_EPS, Downsample, OverlapPatchEmbed, Upsample
from ..registry import register

CARD = ModelCard(
    name="anyir",
    title="AnyIR",
    variants={
        "paper": Variant(parameters=5_736_376, macs_256_g=34.29, note="the published network"),
        "tiny": Variant(
            arguments={"channels": 12, "blocks": (1, 1, 2, 2), "refinement_blocks": 1},
            parameters=425_626,
            macs_256_g=2.50,
            note="the same mechanisms at a laptop's size",
        ),
    },
    paper="Ren et al., Any Image Restoration via Efficient Spatial-Frequency Degradation Adaptation, arXiv 2504.14249 "
    "(first version: arXiv 2407.13372)",
    url="https://arxiv.org/abs/2504.14249",
    year=2025,
    code_licence="none stated: https://github.com/Amazingren/AnyIR has no licence file",
    weights_licence="the paper's own weights were not released",
    size=HALVED_THREE_TIMES,
    tiling=Tiling(
        allowed=False,
        tile=512,
        loss_db=0.07,
        note="it takes means over the whole image: tiles of 256, 512 and 768 pixels changed the PSNR of photographs of "
        "1024x768 by up to 0.29, 0.07 and 0.06 dB (tiny, float32)",
    ),
    published=(
        PublishedFigure(
            variant="paper",
            parameters_m=5.69,
            macs_g=26.4,
            input_size="1x3x224x224",
            source="arXiv 2504.14249",
            note="derived: 84 % fewer parameters and 80 % fewer FLOPs than PromptIR's 35.59 M and 132.2 G",
        ),
    ),
)

STATISTICS_EPS = 1e-6
"""Added to the variance under the root of GatedDA's standard deviation."""

GROUP_BYTES = 16 * 2**20
"""Size up to which a feed-forward's hidden tensor is made at once; allocating more costs more than computing it."""


def precise(x: Tensor) -> Tensor:
    """`x` in float32, or in float64 if it has that: what sums over pixels are taken in."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """1x1 convolution as a matrix product over pixels: (B, C, H, W), (C', C, 1, 1), (C',) -> (B, C', H, W)."""
    return feature_map(product(channels_last(x), weight.flatten(1), bias))


def project(x: Tensor, weight: Tensor, kernel: Tensor) -> Tensor:
    """1x1 convolution with `weight`, then 3x3 depthwise with `kernel`; some rows of both give those channels only."""
    projected: Tensor = F.conv2d(pointwise(x, weight), kernel, padding=1, groups=kernel.shape[0])
    return projected


def channel_attention(queries_keys: Tensor, values: Tensor, temperature: Tensor) -> Tensor:
    """`transposed_attention` with queries and keys in one tensor, which makes their lengths quicker to take.

    Args:
        queries_keys: (B, 2C, H, W) in channels-last memory, the queries first.
        values: (B, C, H, W), likewise.
        temperature: (heads, 1, 1).

    Returns:
        (B, C, H, W) in channels-last memory.
    """
    batch, channels, height, width = values.shape
    heads = temperature.shape[0]
    qk = channels_last(queries_keys).reshape(batch, height * width, 2 * heads, channels // heads)
    v = channels_last(values).reshape(batch, height * width, heads, channels // heads).transpose(1, 2)
    # A sum of squares over the rows of a matrix is vectorised, `vector_norm` over them is not.
    lengths = precise(qk).square().sum(dim=1).clamp_min(NORMALIZE_EPS**2).sqrt()
    q, k = qk.transpose(1, 2).chunk(2, dim=1)
    q_length, k_length = lengths.chunk(2, dim=1)
    cosine = (q.transpose(2, 3) @ k) / (q_length[..., :, None] * k_length[..., None, :])
    attention = torch.softmax(cosine * temperature, dim=-1)
    mixed = v @ attention.to(v.dtype).transpose(2, 3)
    return feature_map(mixed.transpose(1, 2).reshape(batch, height, width, channels))


class GatedDA(nn.Module):
    """Gated degradation adaptation: convolutional gating, one part of it scaled by statistics of the degraded features.

    Keys ``tau``, ``norm`` (a batch norm), ``W_exp``, ``W_depth``, ``W_gate``, ``W_proj``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        depth = round(8 * channels / 3) - 2 * channels
        self.tau = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.norm = nn.BatchNorm2d(channels)
        self.W_exp = nn.Conv2d(channels, 2 * channels + depth, 1, bias=False)
        self.W_depth = nn.Conv2d(depth, depth, 7, padding=3, groups=depth, bias=False)
        self.W_gate = nn.Conv2d(channels + depth, channels, 1, bias=False)
        self.W_proj = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, g: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        mean, variance = self._statistics(g)
        scale, shift = self._batch_norm(mean, variance, g.shape[2] * g.shape[3])
        # b = scale * g + shift is never formed: its mean, deviation and products with W_exp follow from those of g.
        deviation = torch.sqrt(variance * scale.square() + STATISTICS_EPS)
        t = self.tau.flatten() * torch.sigmoid(mean * scale + shift + deviation)
        gamma, beta, alpha = self._expand(g, scale, shift)
        alpha = self.W_depth(alpha) * (1 + t[:, : alpha.shape[1], None, None]).to(alpha.dtype)
        w_beta, w_alpha = self.W_gate.weight.tensor_split([self.channels], dim=1)
        gate = pointwise(beta, w_beta).add_(pointwise(alpha, w_alpha))
        return pointwise(torch.addcmul(g, gamma.sigmoid_(), gate), self.W_proj.weight)

    def _expand(self, g: Tensor, scale: Tensor, shift: Tensor) -> list[Tensor]:
        """W_exp(scale * g + shift) in its three parts, each in memory of its own: gamma, beta, alpha."""
        weight = self.W_exp.weight[:, :, 0, 0]
        ends = [self.channels, 2 * self.channels]
        weights = (weight * scale).to(weight.dtype)[:, :, None, None].tensor_split(ends)
        biases = (weight * shift).sum(dim=1).to(weight.dtype).tensor_split(ends)
        return [pointwise(g, w, bias) for w, bias in zip(weights, biases, strict=True)]

    @staticmethod
    def _statistics(g: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and (biased) variance of each channel of each image over space, both (B, C) in float32 at least."""
        rows = precise(channels_last(g).flatten(1, 2))
        mean = rows.mean(dim=1)
        return mean, (rows - mean[:, None]).square().mean(dim=1)

    def _batch_norm(self, mean: Tensor, variance: Tensor, area: int) -> tuple[Tensor, Tensor]:
        """What the batch norm multiplies and adds, (C,) each, given the images' statistics; training updates it."""
        norm = self.norm
        if norm.training:
            count = mean.shape[0] * area
            centre = mean.mean(dim=0)
            spread = variance.mean(dim=0) + (mean - centre).square().mean(dim=0)
            self._update_running_statistics(centre.detach(), spread.detach() * (count / max(count - 1, 1)))
        else:
            centre, spread = self._running_statistics()
        scale = norm.weight * torch.rsqrt(spread + norm.eps)
        return scale, norm.bias - centre * scale

    def _running_statistics(self) -> tuple[Tensor, Tensor]:
        mean, variance = self.norm.running_mean, self.norm.running_var
        assert mean is not None
        assert variance is not None
        return mean, variance

    @torch.no_grad()
    def _update_running_statistics(self, mean: Tensor, variance: Tensor) -> None:
        momentum = self.norm.momentum
        assert momentum is not None
        assert self.norm.num_batches_tracked is not None
        for running, now in zip(self._running_statistics(), (mean, variance), strict=True):
            running.lerp_(now, momentum)
        self.norm.num_batches_tracked.add_(1)


class Mix(nn.Module):
    """Even channels through channel attention, odd ones through `GatedDA`, then spatial-frequency fusion of the two.

    Keys ``temperature``, ``lam``, ``qkv``, ``qkv_dwconv``, ``gatedcnn``, ``project_out``.

    Args:
        channels: C, even.
        heads: of the attention over C / 2 channels.
        literal_fourier: add the two branches in the Fourier domain, as the paper writes it, instead of directly.
    """

    def __init__(self, channels: int, heads: int, *, literal_fourier: bool = False) -> None:
        super().__init__()
        half = channels // 2
        self.literal_fourier = literal_fourier
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.lam = nn.Parameter(torch.tensor(0.5))
        self.qkv = nn.Conv2d(half, 3 * half, 1, bias=False)
        self.qkv_dwconv = nn.Conv2d(3 * half, 3 * half, 3, padding=1, groups=3 * half, bias=False)
        self.gatedcnn = GatedDA(half)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        # One copy each: slices of a few channels would keep every later step from being vectorised.
        even, odd = (feature_map(channels_last(x)[..., parity::2].contiguous()) for parity in (0, 1))
        attended = self._attend(even)
        gate = self.gatedcnn(odd)
        return pointwise(self._fuse(attended, gate), self.project_out.weight)

    def _attend(self, x: Tensor) -> Tensor:
        """MDTA without its output projection."""
        split = 2 * x.shape[1]
        queries_keys, values = self._project(x, slice(split)), self._project(x, slice(split, None))
        return channel_attention(queries_keys, values, self.temperature)

    def _project(self, x: Tensor, rows: slice) -> Tensor:
        return project(x, self.qkv.weight[rows], self.qkv_dwconv.weight[rows])

    def _fuse(self, attended: Tensor, gate: Tensor) -> Tensor:
        """Two (B, C / 2, H, W) -> (B, C, H, W): lam * S + (1 - lam) * F."""
        spatial = torch.cat([attended + torch.sigmoid(gate), gate + torch.sigmoid(attended)], dim=1)
        if self.literal_fourier:
            spectrum = torch.fft.rfft2(precise(attended)) + torch.fft.rfft2(precise(gate))
            frequency = torch.fft.irfft2(spectrum, s=attended.shape[-2:]).to(attended.dtype)
        else:
            frequency = attended + gate  # the Fourier transform is linear
        frequency = channels_last(frequency)
        doubled = feature_map(torch.stack((frequency, frequency), dim=-1).flatten(-2))
        return torch.lerp(doubled, spatial, self.lam.to(spatial.dtype))


class GroupedGDFN(GDFN):
    """GDFN whose hidden channels are computed in groups: the same numbers and work, a fraction of the memory."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        hidden = self.project_out.in_channels
        whole = torch.compiler.is_exporting()  # a file for other programs, which takes any size
        groups = 1 if whole else self._groups(hidden * x.shape[0] * x.shape[2] * x.shape[3] * 4)
        size = hidden // groups
        restored: Tensor | None = None
        for start in range(0, hidden, size):
            gate = self._hidden(x, slice(start, start + size))
            value = self._hidden(x, slice(hidden + start, hidden + start + size))
            part = pointwise(F.gelu(gate) * value, self.project_out.weight[:, start : start + size])
            restored = part if restored is None else restored.add_(part)
        assert restored is not None
        return restored

    def _groups(self, hidden_bytes: int) -> int:
        hidden = self.project_out.in_channels
        fitting = [n for n in (1, 2, 4) if hidden % n == 0]
        return next((n for n in fitting if hidden_bytes <= n * GROUP_BYTES), fitting[-1])

    def _hidden(self, x: Tensor, rows: slice) -> Tensor:
        return project(x, self.project_in.weight[rows], self.dwconv.weight[rows])


class Block(nn.Module):
    """Degradation adaptation block: x + Mix(norm1(x)), then x + GDFN(norm2(x)).

    Keys ``norm1.body``, ``attn``, ``norm2.body``, ``ffn``.
    """

    def __init__(self, channels: int, heads: int, expansion: float, *, literal_fourier: bool = False) -> None:
        super().__init__()
        self.norm1 = LayerNorm2d(channels)
        self.attn = Mix(channels, heads, literal_fourier=literal_fourier)
        self.norm2 = LayerNorm2d(channels)
        self.ffn = GroupedGDFN(channels, expansion)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        mixed: Tensor = x + self.attn(self.norm1(x))
        restored: Tensor = mixed + self.ffn(self.norm2(mixed))
        return restored


@register(CARD)
class AnyIR(nn.Module):
    """AnyIR: (B, 3, H, W) in [0, 1] -> the same shape; H and W multiples of 8.

    Args:
        channels: width of the first level, even; it doubles at each of the three levels below.
        blocks: number of blocks at the four levels, the lowest last; the decoder has as many as the encoder.
        refinement_blocks: blocks at full size after the decoder.
        heads: attention heads at the four levels.
        expansion: hidden width of the feed-forward over its width.
        literal_fourier: fuse in the Fourier domain, as the paper writes it; the default is the same sum without it.
    """

    def __init__(
        self,
        channels: int = 28,
        blocks: Sequence[int] = (3, 5, 5, 7),
        refinement_blocks: int = 4,
        heads: Sequence[int] = (1, 2, 4, 8),
        expansion: float = 2.0,
        literal_fourier: bool = False,
    ) -> None:
        super().__init__()
        w1, w2, w3, w4 = (channels * 2**level for level in range(4))

        def stage(width: int, level: int, count: int) -> nn.Sequential:
            return nn.Sequential(
                *[Block(width, heads[level], expansion, literal_fourier=literal_fourier) for _ in range(count)]
            )

        self.patch_embed = OverlapPatchEmbed(3, w1)
        self.encoder_level1 = stage(w1, 0, blocks[0])
        self.down1_2 = Downsample(w1)
        self.encoder_level2 = stage(w2, 1, blocks[1])
        self.down2_3 = Downsample(w2)
        self.encoder_level3 = stage(w3, 2, blocks[2])
        self.down3_4 = Downsample(w3)
        self.latent = stage(w4, 3, blocks[3])
        self.up4_3 = Upsample(w3)
        self.reduce_chan_level3 = nn.Conv2d(w2 + w3, w3, 1, bias=False)
        self.reduce_dim_level3 = nn.Conv2d(w4, w3, 1, bias=False)
        self.decoder_level3 = stage(w3, 2, blocks[2])
        self.up3_2 = Upsample(w3)
        self.reduce_chan_level2 = nn.Conv2d(2 * w2, w2, 1, bias=False)
        self.decoder_level2 = stage(w2, 1, blocks[1])
        self.up2_1 = Upsample(w2)
        self.decoder_level1 = stage(w2, 0, blocks[0])
        self.refinement = stage(w2, 0, refinement_blocks)
        self.output = nn.Conv2d(w2, 3, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 3, H, W)."""
        image = x.contiguous(memory_format=torch.channels_last)
        level1 = self.encoder_level1(self.patch_embed(image))
        level2 = self.encoder_level2(self.down1_2(level1))
        level3 = self.encoder_level3(self.down2_3(level2))
        lowest = self.latent(self.down3_4(level3))
        # The paper's network narrows before it enlarges.
        larger = self.up4_3(self.reduce_dim_level3(lowest))
        decoded = self.decoder_level3(self.reduce_chan_level3(torch.cat([larger, level3], dim=1)))
        decoded = self.decoder_level2(self.reduce_chan_level2(torch.cat([self.up3_2(decoded), level2], dim=1)))
        decoded = self.decoder_level1(torch.cat([self.up2_1(decoded), level1], dim=1))
        restored: Tensor = self.output(self.refinement(decoded))
        return restored + x
