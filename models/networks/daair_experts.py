"""The mixture of low-rank experts in DaAIR (arXiv 2405.15475): router, experts, degradation-aware learner, controller.

No code was ever published; what the paper leaves open, and is decided here, is marked (ours).

Routing without branches: the experts of a router lie in stacked tensors, and every image takes the weights of its own
expert out of them by its index. So one specialised expert runs per image, whatever the batch, and nothing waits for the
indices to reach the host: the same code serves the meta device, ``torch.compile`` and, since every parameter always has
a gradient (zero where no image came by), distributed training.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.layout import add_product, pixel_rows

PROJECTION_STD = 0.01
"""Standard deviation of what a projection r -> C makes of unit inputs at the start (ours): 1 % of the features."""


class ExpertWeights(NamedTuple):
    """Weights of the experts that run: shared by all images, or with a leading dimension B, one set per image.

    `R` rows may belong to several experts side by side; then `out` is block-diagonal.
    """

    entry: Tensor
    """(R, C) or (B, R, C): both 1x1 convolutions C -> r -> r, multiplied, as nothing nonlinear lies between them."""
    depthwise: Tensor
    """(R, 3, 3) or (B, R, 3, 3)."""
    out: Tensor
    """(R, R) or (B, R, R)."""


class Experts(nn.Module):
    """Weights of `count` experts of one shape, stacked.

    An expert of rank r: 1x1 C -> r (``reduce``), 1x1 r -> r (``mix``) giving u, u * 3x3 depthwise of u (``depthwise``),
    1x1 r -> r (``out``); no biases. The initial weights keep the variance of unit inputs (ours): two experts are
    multiplied, and torch's own ones would make the product, and every gradient behind it, vanish.

    Keys ``reduce`` (count, r, C), ``mix`` (count, r, r), ``depthwise`` (count, r, 3, 3), ``out`` (count, r, r).
    """

    def __init__(self, channels: int, rank: int, count: int) -> None:
        super().__init__()
        self.reduce = nn.Parameter(torch.randn(count, rank, channels) * channels**-0.5)
        self.mix = nn.Parameter(torch.randn(count, rank, rank) * rank**-0.5)
        self.depthwise = nn.Parameter(torch.randn(count, rank, 3, 3) / 3)
        self.out = nn.Parameter(torch.randn(count, rank, rank) * rank**-0.5)

    def shared(self) -> ExpertWeights:
        """Weights of the only expert, for all images."""
        return ExpertWeights(self.mix[0] @ self.reduce[0], self.depthwise[0], self.out[0])

    def per_image(self, index: Tensor) -> ExpertWeights:
        """Weights of one expert per image, `index` (B,) int64."""
        mix, reduce = self.mix.index_select(0, index), self.reduce.index_select(0, index)
        return ExpertWeights(mix @ reduce, self.depthwise.index_select(0, index), self.out.index_select(0, index))


def side_by_side(first: ExpertWeights, second: ExpertWeights) -> ExpertWeights:
    """One expert of rank 2r that is two of rank r: `first` shared by all images, `second` one per image."""
    batch, rank = second.out.shape[:2]
    entry, depthwise, out = (weight.expand(batch, *weight.shape) for weight in first)
    return ExpertWeights(
        torch.cat((entry, second.entry), dim=1),
        torch.cat((depthwise, second.depthwise), dim=1),
        torch.cat((F.pad(out, (0, rank)), F.pad(second.out, (rank, 0))), dim=1),
    )


def run_experts(y: Tensor, weights: ExpertWeights) -> Tensor:
    """y (B, C, H, W) through the experts -> (B, H * W, R)."""
    batch, _, height, width = y.shape
    u = (pixel_rows(y) @ weights.entry.mT).view(batch, height, width, -1).permute(0, 3, 1, 2)
    u = u * _depthwise(u, weights.depthwise)
    return pixel_rows(u) @ weights.out.mT


def _depthwise(u: Tensor, weight: Tensor) -> Tensor:
    """3x3 depthwise convolution of u (B, R, H, W), weight (R, 3, 3) or one (B, R, 3, 3) per image."""
    batch, rank, height, width = u.shape
    if weight.ndim == 3:
        return F.conv2d(u, weight.unsqueeze(1), padding=1, groups=rank)
    if torch.compiler.is_exporting():  # a convolution's groups are a constant there, and the batch is none
        padded = F.pad(u, (1, 1, 1, 1))
        taps = [
            padded[:, :, row : row + height, column : column + width] * weight[:, :, row, column, None, None]
            for row in range(3)
            for column in range(3)
        ]
        return torch.stack(taps).sum(dim=0)
    # Images with kernels of their own: all (image, channel) pairs become channels of one image, in channels-last memory
    # (several times quicker on a CPU than the other layout). For one image these are views.
    channels = batch * rank
    u = u.permute(2, 3, 0, 1).reshape(1, height, width, channels).permute(0, 3, 1, 2)
    v = F.conv2d(u, weight.reshape(channels, 1, 3, 3), padding=1, groups=channels)
    return v.permute(0, 2, 3, 1).view(height, width, batch, rank).permute(2, 3, 0, 1)


class LowRankProjection(nn.Linear):
    """1x1 convolution r -> C of what experts give, plus y. Key ``weight`` (C, r); starts near zero (ours)."""

    def __init__(self, rank: int, channels: int) -> None:
        super().__init__(rank, channels, bias=False)
        nn.init.normal_(self.weight, std=PROJECTION_STD * rank**-0.5)

    def add_to(self, y: Tensor, low_rank: Tensor) -> Tensor:
        """y (B, C, H, W) plus the projection of low_rank (B, H * W, r) -> (B, C, H, W) in channels-last memory."""
        batch, channels, height, width = y.shape
        # The matrix product adds to y while it writes: one pass over the big tensor fewer.
        added = add_product(pixel_rows(y).flatten(0, 1), low_rank.flatten(0, 1), self.weight)
        return added.view(batch, height, width, channels).permute(0, 3, 1, 2)


def squared_variation(x: Tensor) -> Tensor:
    """Squared coefficient of variation of x (n,), no entry negative: population variance over squared mean."""
    return x.var(correction=0) / x.mean().square().clamp_min(1e-12)


def balance_loss(logits: Tensor, noisy: Tensor, noise_std: float) -> Tensor:
    """How unevenly a batch uses the experts; 0 is even, n - 1 is one expert for everything.

    Half the squared variation of the importance (softmax summed over images) plus half that of the load (the
    probability that an expert would be chosen if only its own noise were drawn again), as in V-MoE (arXiv 2106.05974,
    appendix A).

    Args:
        logits: (B, n) without noise.
        noisy: (B, n) with the noise that chose the experts.
        noise_std: standard deviation of that noise.
    """
    importance = logits.softmax(dim=1).sum(dim=0)
    threshold = noisy.amax(dim=1, keepdim=True)
    load = torch.special.ndtr((logits - threshold) / noise_std).sum(dim=0)
    return 0.5 * squared_variation(importance) + 0.5 * squared_variation(load)


class Router(nn.Module):
    """Chooses one of n experts for every image (top-1): average pool, linear without bias, softmax.

    In training, noise of standard deviation 1 / n is added to the logits, so that every expert gets images (the paper's
    N(0, 1/n), read as V-MoE does), and `balance` holds the balance loss of the batch, without its weight.

    Key ``weight`` (n, C). Works in float32 under autocast too: near a tie, rounding would choose another expert.
    """

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        self.count = count
        self.balance: Tensor | None = None
        self.weight = nn.Parameter(torch.empty(count, channels).uniform_(-1, 1) * channels**-0.5)

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """y (B, C, H, W) -> index of the expert of every image (B,), and its gate value (B,) in (1/n, 1)."""
        pooled = y.mean(dim=(2, 3), dtype=torch.float32)
        # A sum of products instead of a matrix product, which autocast would run in bfloat16.
        logits = (pooled.unsqueeze(1) * self.weight.float()).sum(dim=2)
        noisy = logits
        if self.training:
            noise_std = 1 / self.count
            noisy = logits + torch.randn_like(logits) * noise_std
            self.balance = balance_loss(logits, noisy, noise_std)
        gate, index = noisy.softmax(dim=1).max(dim=1)
        return index, gate

    def __getstate__(self) -> dict[str, Any]:
        # The loss of the last batch holds its graph, which can be neither copied nor saved.
        return {**self.__dict__, "balance": None}


class DaLe(nn.Module):
    """Degradation-aware learner, y (B, C, H, W) -> the same shape: y + project(agnostic(y) * gate * specialised(y)).

    The agnostic expert always runs, and of the specialised ones the one that the router chooses for the image.

    Keys ``router``, ``specialised``, ``agnostic``, ``project``.
    """

    def __init__(self, channels: int, rank: int, experts: int) -> None:
        super().__init__()
        self.router = Router(channels, experts)
        self.specialised = Experts(channels, rank, experts)
        self.agnostic = Experts(channels, rank, 1)
        self.project = LowRankProjection(rank, channels)

    def forward(self, y: Tensor) -> Tensor:
        index, gate = self.router(y)
        expert = self.specialised.per_image(index)
        # The gate value scales the expert's last matrix instead of its output.
        gated = expert._replace(out=expert.out * gate.to(expert.out.dtype)[:, None, None])
        # Both experts read the same features: run as one, they read them once.
        agnostic, specialised = run_experts(y, side_by_side(self.agnostic.shared(), gated)).chunk(2, dim=2)
        return self.project.add_to(y, agnostic * specialised)


class Controller(nn.Module):
    """Keys and values of a decoder block, y (B, C, H, W) -> the same shape: y + project(expert(y)).

    The expert is not trained by gradient: it follows an agnostic expert of the encoder. Its projection is trained.

    Keys ``expert``, ``project``.
    """

    def __init__(self, channels: int, rank: int) -> None:
        super().__init__()
        self.expert = Experts(channels, rank, 1).requires_grad_(False)
        self.project = LowRankProjection(rank, channels)

    def forward(self, y: Tensor) -> Tensor:
        return self.project.add_to(y, run_experts(y, self.expert.shared()))

    @torch.no_grad()
    def follow(self, agnostic: Experts, momentum: float) -> None:
        """theta = momentum * theta + (1 - momentum) * theta of `agnostic`, in place."""
        for own, other in zip(self.expert.parameters(), agnostic.parameters(), strict=True):
            own.lerp_(other, 1 - momentum)
