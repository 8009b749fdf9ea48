"""The adaptive frequency block of AdaIR (arXiv 2403.14614): split the image's features by frequency, mine, modulate."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.host import reads_are_free, vector
from ..layers.layout import channels_last, feature_map, length_of
from ..layers.restormer import CrossAttention
from ..layers.zero_gradient import with_zero_gradients

HEADS = 4
"""Attention heads of the cross-attentions, at every level."""
UNIT = 128
"""Pixels of a side for each of which the box of low frequencies may grow by one, either way."""


@dataclass(frozen=True)
class Box:
    """Low frequencies of one image: rows -rows .. rows - 1 and columns -columns .. columns - 1 of its spectrum."""

    rows: int
    columns: int

    @property
    def empty(self) -> bool:
        """Whether it holds no frequency."""
        return self.rows == 0 or self.columns == 0


def literal_split(features: Tensor, boxes: list[Box] | Tensor) -> tuple[Tensor, Tensor]:
    """As `split`, written as the authors do: a centred spectrum, a mask, two inverse transforms.

    The boxes may also come as rows and columns (B, 2), on the device of the features.
    """
    height, width = features.shape[2:]
    centre = height // 2, width // 2
    if isinstance(boxes, list):
        boxes = torch.stack([vector((box.rows, box.columns), like=features, dtype=torch.int32) for box in boxes])
    rows, columns = (
        _inside(torch.arange(length, device=features.device) - middle, half)
        for length, middle, half in zip((height, width), centre, boxes.unbind(1), strict=True)
    )
    mask = (rows[:, :, None] & columns[:, None]).to(features.dtype)[:, None]
    spectrum = torch.roll(torch.fft.fft2(features), shifts=centre, dims=(2, 3))
    low, high = (
        torch.fft.ifft2(torch.roll(spectrum * kept, shifts=(-centre[0], -centre[1]), dims=(2, 3))).abs()
        for kept in (mask, 1 - mask)
    )
    return low, high


def split(features: Tensor, boxes: list[Box]) -> tuple[Tensor, Tensor]:
    """Complex moduli of the low and of the high frequencies of every channel.

    A box holds a handful of frequencies: their sums are taken directly, and what they leave is high.

    Args:
        features: (B, C, H, W), real.
        boxes: the low frequencies of each image.

    Returns:
        low and high, both (B, C, H, W).
    """
    if all(box.empty for box in boxes):
        return torch.zeros_like(features), features.abs()
    parts = [_split_one(image, box) for image, box in zip(channels_last(features), boxes, strict=True)]
    low, high = (feature_map(torch.stack(images)) for images in zip(*parts, strict=True))
    return low, high


def plain_split(features: Tensor, halves: Tensor) -> tuple[Tensor, Tensor]:
    """As `split`, through the Fourier domain and without conditions on values, for files that other programs run.

    Args:
        features: (B, C, H, W), real.
        halves: rows and columns of each image's box, (B, 2), whole numbers.
    """
    inside: Tensor | None = None
    for axis in range(2):
        length = length_of(2 + axis, features)
        index = torch.arange(features.shape[2 + axis], device=features.device)
        frequency = torch.where(index < length - length // 2, index, index - length)
        half = halves[:, axis, None]
        kept = (frequency >= -half) & (frequency < half)  # (B, length)
        inside = kept[:, None, :, None] if inside is None else inside & kept[:, None, None, :]
    assert inside is not None
    spectrum = torch.view_as_real(torch.fft.fft2(features))

    def modulus(mask: Tensor) -> Tensor:
        parts = torch.view_as_real(torch.fft.ifft2(torch.view_as_complex(spectrum * mask[..., None])))
        return parts.square().sum(dim=-1).sqrt()

    low = inside.to(features.dtype)
    return modulus(low), modulus(1 - low)


def _split_one(image: Tensor, box: Box) -> tuple[Tensor, Tensor]:
    """`split` of one image (H, W, C)."""
    if box.empty:
        return torch.zeros_like(image), image.abs()
    height, width, channels = image.shape
    rows, columns = _waves(box.rows, height, image), _waves(box.columns, width, image)
    # Real rows times real image: the image is never made complex.
    parts = torch.cat((rows.real, rows.imag)) @ image.reshape(height, -1)
    along = torch.complex(*parts.view(2, -1, width, channels).unbind(0))
    coefficients = columns @ along  # (2 rows, 2 columns, C)
    back = columns.mH @ coefficients / (height * width)
    waves = rows.mH @ back.flatten(1)
    low = waves.view(height, width, channels)
    return low.abs(), (image - low).abs()


def split_unread(features: Tensor, halves: Tensor, most: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """As `split`, without reading the boxes: the frequencies of the largest box, and zero for those outside one's own.

    Args:
        features: (B, C, H, W), real.
        halves: rows and columns of each image's box (B, 2), whole numbers.
        most: none is larger.
    """
    images = channels_last(features)
    batch, height, width, channels = images.shape
    rows, columns = (
        _waves(limit, length, images) * _inside(torch.arange(-limit, limit, device=halves.device), half)[:, :, None]
        for limit, length, half in zip(most, (height, width), halves.unbind(1), strict=True)
    )
    parts = torch.cat((rows.real, rows.imag), dim=1) @ images.reshape(batch, height, -1)
    along = torch.complex(*parts.view(batch, 2, -1, width, channels).unbind(1))
    coefficients = columns[:, None] @ along  # (B, 2 rows, 2 columns, C)
    back = columns.mH[:, None] @ coefficients / (height * width)
    low = (rows.mH @ back.flatten(2)).view(batch, height, width, channels)
    return feature_map(low.abs()), feature_map((images - low).abs())


def _inside(frequencies: Tensor, half: Tensor) -> Tensor:
    """Whether -half <= frequency < half, (n,) and (B,) -> (B, n)."""
    return (frequencies >= -half[:, None]) & (frequencies < half[:, None])


def _waves(half: int, length: int, like: Tensor) -> Tensor:
    """exp(-2 pi i k p / length) for k = -half .. half - 1 and p = 0 .. length - 1, (2 half, length)."""
    k = torch.arange(-half, half, device=like.device)
    # Whole turns are taken off as whole numbers, so that the phase is exact before it is rounded.
    turns = (k[:, None] * torch.arange(length, device=like.device)) % length
    phase = turns.to(torch.float64) * (-2 * torch.pi / length)
    return torch.complex(phase.cos(), phase.sin()).to(torch.promote_types(like.dtype, torch.complex64))


class SpatialGate(nn.Module):
    """Weights of the pixels, (B, C, H, W) -> (B, 1, H, W). Key ``spatial``."""

    def __init__(self) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.cat([x.amax(dim=1, keepdim=True), x.mean(dim=1, keepdim=True)], dim=1)
        return torch.sigmoid(self.spatial(pooled))


class ChannelGate(nn.Module):
    """Weights of the channels, (B, C, H, W) -> (B, C, 1, 1). Key ``mlp``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = channels // 16
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, narrow, 1, bias=False), nn.ReLU(), nn.Conv2d(narrow, channels, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        mean, largest = x.mean(dim=(2, 3), keepdim=True), x.amax(dim=(2, 3), keepdim=True)
        return torch.sigmoid(self.mlp(mean) + self.mlp(largest))


class FrequencyRefine(nn.Module):
    """Each part weighs the other: project(low * gate(high) + high * gate(low)). Keys as the attributes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.SpatialGate = SpatialGate()
        self.ChannelGate = ChannelGate(channels)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        refined: Tensor = self.proj(low * self.SpatialGate(high) + high * self.ChannelGate(low))
        return refined


def attention_without_queries(attention: CrossAttention, context: Tensor) -> Tensor:
    """``attention(queries, context)`` for queries of zero, (B, C, H, W) -> (B, C, H, W).

    All logits are then zero, so every channel becomes the mean of the values of its head: both convolutions and the
    mean are one convolution to as many channels as there are heads.
    """
    heads, channels = attention.temperature.shape[0], context.shape[1]
    size = channels // heads
    pointwise = attention.kv.weight[channels:].view(heads, size, channels)
    taps = attention.kv_dwconv.weight[channels:].view(heads, size, -1)
    side = attention.kv_dwconv.kernel_size[0]
    kernel = (pointwise.transpose(1, 2) @ taps / size).view(heads, channels, side, side)
    means = F.conv2d(context, kernel, padding=attention.kv_dwconv.padding)
    spread = attention.project_out.weight.view(channels, heads, size).sum(dim=2)
    return F.conv2d(means, spread[:, :, None, None])


def _units(features: Tensor) -> tuple[int, int]:
    """Whole units of the sides of features (B, C, H, W)."""
    return features.shape[2] // UNIT, features.shape[3] // UNIT


class AdaptiveFrequencyBlock(nn.Module):
    """Features adapted by the frequencies of the degraded image: (B, 3, H, W), (B, C, h, w) -> (B, C, h, w).

    Below 256 pixels of the features' side the box of low frequencies is empty, as it was in all of the training that
    was published: low is zero, and high the modulus of the features of the image.

    Keys ``para1``, ``para2``, ``conv1``, ``rate_conv``, ``channel_cross_l`` (which gets the high part),
    ``channel_cross_h`` (the low one), ``channel_cross_agg``, ``frequency_refine``; ``conv`` and ``score_gen`` are
    never used.

    Args:
        channels: C.
        literal_fourier: go through the Fourier domain always, as the authors' code does.
        published_spares: have the convolutions that the published code never calls, for its checkpoints.
    """

    def __init__(self, channels: int, *, literal_fourier: bool = False, published_spares: bool = True) -> None:
        super().__init__()
        self.literal_fourier = literal_fourier
        self.para1 = nn.Parameter(torch.zeros(channels, 1, 1))
        self.para2 = nn.Parameter(torch.ones(channels, 1, 1))
        self.conv1 = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.rate_conv = nn.Sequential(
            nn.Conv2d(channels, channels // 8, 1, bias=False), nn.GELU(), nn.Conv2d(channels // 8, 2, 1, bias=False)
        )
        self.channel_cross_l = CrossAttention(channels, HEADS)
        self.channel_cross_h = CrossAttention(channels, HEADS)
        self.channel_cross_agg = CrossAttention(channels, HEADS)
        self.frequency_refine = FrequencyRefine(channels)
        if published_spares:
            self.conv = nn.Conv2d(3, channels, 3, padding=1, bias=False)
            self.score_gen = nn.Conv2d(2, 2, 7, padding=3)

    @torch.no_grad()
    def halves(self, features: Tensor) -> Tensor | None:
        """Rows and columns (B, 2) of the `Box` of each image, from the means of its features (B, C, H, W); no gradient
        passes. None where all boxes are empty by the size of the features alone."""
        units = _units(features)
        if min(units) < 2:  # shares are below 1, so a side of one unit has no frequency
            return None
        shares = self._shares(features)
        return torch.stack([share * unit for share, unit in zip(shares.unbind(1), units, strict=True)], dim=1).int()

    def halves_of_any_size(self, features: Tensor) -> Tensor:
        """As `halves`, in an exported graph, which does not know the size."""
        shares = self._shares(features)
        return torch.stack(
            [shares[:, axis] * (length_of(2 + axis, features) // UNIT) for axis in range(2)], dim=1
        ).int()

    def _shares(self, features: Tensor) -> Tensor:
        """Parts (B, 2) of the rows and columns, 0 to 1."""
        return torch.sigmoid(self.rate_conv(features.mean(dim=(2, 3), keepdim=True))).flatten(1).float()

    def boxes(self, features: Tensor) -> list[Box]:
        """The low frequencies of each image, read by the host."""
        halves = self.halves(features)
        if halves is None:
            return [Box(0, 0)] * features.shape[0]
        return [Box(rows, columns) for rows, columns in halves.tolist()]

    def mine(self, image: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """What the low and the high frequencies of the image ask of the features, both (B, C, h, w)."""
        resized = F.interpolate(image, features.shape[2:], mode="bilinear")
        embedded: Tensor = self.conv1(resized)
        if torch.compiler.is_exporting():
            low, high = plain_split(embedded, self.halves_of_any_size(embedded))
            return self.channel_cross_h(low, features), self.channel_cross_l(high, features)
        unread = None if reads_are_free(embedded) else self.halves(embedded)
        boxes = self.boxes(embedded) if unread is None else []
        embedded = embedded.to(torch.promote_types(embedded.dtype, torch.float32))
        if unread is None and not (self.literal_fourier or torch.is_grad_enabled()) and all(box.empty for box in boxes):
            mined = self.channel_cross_l(embedded.abs_(), features)
            return attention_without_queries(self.channel_cross_h, features), mined
        if self.literal_fourier:
            low, high = literal_split(embedded, boxes if unread is None else unread)
        elif unread is None:
            low, high = split(embedded, boxes)
        else:
            low, high = split_unread(embedded, unread, _units(embedded))
        return self.channel_cross_h(low, features), self.channel_cross_l(high, features)

    def forward(self, image: Tensor, features: Tensor) -> Tensor:
        aggregate = self.frequency_refine(*self.mine(image, features))
        adapted = self.channel_cross_agg(features, aggregate)
        unread = [p for name, p in self.named_parameters() if name.startswith(("conv.", "score_gen.", "rate_conv."))]
        return with_zero_gradients(torch.addcmul(features * self.para2, adapted, self.para1), unread)
