"""Complexity experts of MoCE-IR (arXiv 2411.18466): experts of growing width and reach, and their routers.

Every image is routed alone, and only the experts that some image of the batch chose are run.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.depthwise import full_precision
from ..layers.host import in_graph
from ..layers.layer_norm import LayerNorm2d
from ..layers.layout import channels_last, feature_map
from ..layers.nafnet import Pointwise
from ..layers.zero_gradient import with_zero_gradients

KERNEL = 7
"""Side of the depthwise convolution of keys and values."""


def circular_convolution(q: Tensor, k: Tensor, patch: int) -> Tensor:
    """Circular convolution of q with k within patches that do not overlap, channel by channel.

    Args:
        q: (B, C, H, W).
        k: (B, C, H, W).
        patch: side of the patches in pixels; right and bottom are padded with zeros to a multiple of it.

    Returns:
        (B, C, H, W), in float32 at least.
    """
    batch, channels, height, width = q.shape
    padding = (0, -width % patch, 0, -height % patch)
    dtype = torch.promote_types(q.dtype, torch.float32)

    def spectrum(x: Tensor) -> Tensor:
        padded = F.pad(x.to(dtype), padding) if torch.compiler.is_exporting() or any(padding) else x.to(dtype)
        cut = padded.reshape(batch, channels, padded.shape[2] // patch, patch, padded.shape[3] // patch, patch)
        transformed: Tensor = torch.fft.rfft2(cut.transpose(3, 4).contiguous())
        return transformed

    convolved: Tensor = torch.fft.irfft2(spectrum(q) * spectrum(k), s=(patch, patch)).transpose(3, 4)
    whole = convolved.reshape(batch, channels, height + padding[3], width + padding[1])
    return whole[:, :, :height, :width]


class PatchConvolution(nn.Module):
    """Queries convolved with keys within patches, normalised, times values: (B, r, H, W) -> the same.

    Keys ``q``, ``q_dwconv``, ``kv``, ``kv_dwconv``, ``norm``, ``proj_out``.
    """

    def __init__(self, channels: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.q = Pointwise(channels, channels, bias=False)
        self.q_dwconv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.kv = Pointwise(channels, 2 * channels, bias=False)
        self.kv_dwconv = nn.Conv2d(2 * channels, 2 * channels, KERNEL, padding=KERNEL // 2, groups=2 * channels)
        self.norm = LayerNorm2d(channels)
        self.proj_out = Pointwise(channels, channels)

    def forward(self, u: Tensor) -> Tensor:
        k, v = self.kv_dwconv(self.kv(u)).chunk(2, dim=1)
        convolved = circular_convolution(self.q_dwconv(self.q(u)), k, self.patch)
        mixed: Tensor = self.proj_out(self.norm(convolved) * v)
        return mixed


class Expert(nn.Module):
    """a + proj.2(body(proj.0(a)) * silu(proj.1(s))), both (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.ModuleList(
            (
                Pointwise(channels, width, bias=False),
                Pointwise(channels, width, bias=False),
                Pointwise(width, channels, bias=False),
            )
        )
        self.body = PatchConvolution(width, patch)

    def forward(self, a: Tensor, s: Tensor) -> Tensor:
        enter, gate, leave = self.proj
        adapted: Tensor = a + leave(self.body(enter(a)) * F.silu(gate(s)))
        return adapted


def squared_variation(x: Tensor) -> Tensor:
    """Squared coefficient of variation of x (n,): unbiased deviation over mean."""
    return (x.std() / (x.mean() + 1e-8)).square()


class Router(nn.Module):
    """Chooses experts for every image from its features and its frequency embedding.

    In training noise of standard deviation 1 / n is added to the logits (the published code adds it in evaluation too),
    and `balance` holds the balance loss of the batch, without its weight.

    Keys ``gate.2`` and ``freq_gate``, both without bias, and the buffer ``complexity`` (n,): parameters of each expert
    over those of the largest.

    Args:
        channels: of the features.
        embedding: numbers of the frequency embedding.
        complexity: as above.
        top_k: experts for each image.
        complexity_bias: weigh the importance in the balance loss by the complexity: large experts are to be rare.
    """

    complexity: Tensor

    def __init__(self, channels: int, embedding: int, complexity: Tensor, *, top_k: int, complexity_bias: bool) -> None:
        super().__init__()
        self.top_k = top_k
        self.complexity_bias = complexity_bias
        self.balance: Tensor | None = None
        count = len(complexity)
        self.register_buffer("complexity", complexity)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, count, bias=False))
        self.freq_gate = nn.Linear(embedding, count, bias=False)

    def forward(self, a: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) and (B, E) -> shares (B, k) and indices (B, k) of the chosen experts, the likeliest first.

        In float32 at least under autocast too: near a tie, rounding would choose another expert.
        """
        with full_precision(a.device.type):
            linear = self.gate[2]
            assert isinstance(linear, nn.Linear)
            weight = linear.weight
            dtype = torch.promote_types(weight.dtype, torch.float32)
            pooled = a.mean(dim=(2, 3), dtype=dtype)
            logits = F.linear(pooled, weight.to(dtype)) + F.linear(embedding.to(dtype), self.freq_gate.weight.to(dtype))
        noisy = logits
        if self.training:
            deviation = 1 / logits.shape[1]
            noisy = logits + torch.randn_like(logits) * deviation
            self.balance = self.balance_loss(logits, noisy, deviation)
        shares, indices = noisy.softmax(dim=1).topk(self.top_k, dim=1)
        return shares, indices

    def balance_loss(self, logits: Tensor, noisy: Tensor, deviation: float) -> Tensor:
        """How unevenly a batch uses the experts: half the squared variation of importance plus half that of load.

        Args:
            logits: (B, n) without noise.
            noisy: (B, n) with the noise that chose the experts.
            deviation: of that noise.
        """
        importance = logits.softmax(dim=1).sum(dim=0)
        if self.complexity_bias:
            importance = importance * self.complexity
        threshold = noisy.topk(self.top_k, dim=1).values[:, -1:]
        load = 1 - torch.special.ndtr((threshold - logits) / deviation)
        return 0.5 * squared_variation(importance) + 0.5 * squared_variation(load.mean(dim=0))

    def __getstate__(self) -> dict[str, Any]:
        # The loss of the last batch holds its graph, which can be neither copied nor saved.
        return {**self.__dict__, "balance": None}


class Adapter(nn.Module):
    """The mixture: project(sum of share * expert(a, s) over the experts chosen for each image).

    Expert i of n has width C / 2^(n - 1 - i) and patches of 2^(i + 2) pixels.

    Keys ``experts.<i>.0``, ``proj_out``, ``routing``.

    Attributes:
        fixed_expert: an expert that takes every image, whatever the router says: to count what each costs.
    """

    def __init__(self, channels: int, embedding: int, *, experts: int, top_k: int, complexity_bias: bool) -> None:
        super().__init__()
        self.fixed_expert: int | None = None
        widths = [channels >> (experts - 1 - i) for i in range(experts)]
        self.experts = nn.ModuleList(nn.ModuleList([Expert(channels, width, 4 << i)]) for i, width in enumerate(widths))
        self.proj_out = Pointwise(channels, channels, bias=False)
        sizes = torch.tensor([float(sum(p.numel() for p in e.parameters())) for e in self.experts], device="cpu")
        complexity = (sizes / sizes.max()).to(self.proj_out.weight.device)
        self.routing = Router(channels, embedding, complexity, top_k=top_k, complexity_bias=complexity_bias)

    def forward(self, a: Tensor, embedding: Tensor, s: Tensor) -> Tensor:
        """a, s (B, C, H, W) and the embedding (B, E) -> (B, C, H, W).

        The host reads which experts were chosen, and runs no other. Within a graph it cannot: there every expert takes
        every image, and those that were not chosen count with a share of zero.
        """
        shares, indices = self.routing(a, embedding)
        shares = shares.to(a.dtype)
        if torch.compiler.is_exporting():
            return self._run_all(a, s, shares, indices)
        fixed = self.fixed_expert
        chosen = [[fixed]] * a.shape[0] if fixed is not None else None if in_graph() else indices.tolist()
        mixed: Tensor | None = None
        unread: list[nn.Parameter] = []
        for index, (expert,) in enumerate(pair.children() for pair in self.experts):
            images = [image for image in range(a.shape[0]) if chosen is None or index in chosen[image]]
            if not images:
                unread += expert.parameters()
                continue
            # An expert that was fixed has the share of the likeliest.
            share = shares[:, 0] if fixed is not None else (shares * (indices == index)).sum(dim=1)
            part = self._run(expert, a, s, share[:, None, None, None], images)
            mixed = part if mixed is None else mixed + part
        assert mixed is not None
        return with_zero_gradients(self.proj_out(mixed), unread)

    def _run_all(self, a: Tensor, s: Tensor, shares: Tensor, indices: Tensor) -> Tensor:
        """The same with every expert run on every image, those not chosen with a share of zero: what is run depends on
        no value then, for files that other programs run."""
        parts = []
        for index, (expert,) in enumerate(pair.children() for pair in self.experts):
            share = torch.where(indices == index, shares, 0).sum(dim=1)
            parts.append(expert(a, s) * share[:, None, None, None])
        mixed: Tensor = self.proj_out(torch.stack(parts).sum(dim=0))
        return mixed

    @staticmethod
    def _run(expert: nn.Module, a: Tensor, s: Tensor, share: Tensor, images: list[int]) -> Tensor:
        """share * expert(a, s) of some images; zero for the others. Images are picked one by one: a list of their
        numbers would have to be copied to the device."""
        if len(images) == a.shape[0]:
            all_of_them: Tensor = expert(a, s) * share
            return all_of_them
        features, sources, shares = (
            torch.cat([batch[image : image + 1] for image in images])
            for batch in (channels_last(a), channels_last(s), share)
        )
        weighted = channels_last(expert(feature_map(features), feature_map(sources)) * shares)
        nothing = torch.zeros_like(channels_last(a)[:1], dtype=weighted.dtype)
        places = {image: place for place, image in enumerate(images)}
        rows = [places.get(image) for image in range(a.shape[0])]
        return feature_map(torch.cat([nothing if row is None else weighted[row : row + 1] for row in rows]))
