"""DyRBA, RBaIR's dynamic radial basis attention of features on the degraded image.

It computes what the paper writes down without the big tensors of it: the image is embedded only where the deformable
attention samples it, the attention matrix stays inside the fused kernel, and the rank-one basis map is never a matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.host import vector
from ..layers.layer_norm import LayerNorm2d
from ..layers.layout import pixel_rows, planes
from ..layers.restormer import CrossAttention


@dataclass(frozen=True, kw_only=True)
class DyRBAShape:
    """One row of the paper's table of DyRBA blocks.

    Attributes:
        hidden: width D of the embeddings of image and features.
        heads: heads of the deformable and of the channel cross-attention.
        groups: groups G of channels with offsets of their own.
        reach: range factor r of the offsets.
        kernel: side ks of the offset convolution.
        stride: its stride s: one sample per s x s queries.
        centres: basis size K.
        spread: the basis centres lie evenly on [-spread, spread].
    """

    hidden: int
    heads: int
    groups: int
    reach: float
    kernel: int
    stride: int
    centres: int
    spread: float

    @property
    def padding(self) -> int:
        """Padding of the offset convolution, in pixels of the feature map."""
        return 0 if self.kernel == self.stride else self.kernel // 2


def embed_at(image: Tensor, conv: nn.Conv2d, norm: LayerNorm2d, grid: Tensor, channels: slice) -> Tensor:
    """Bilinear samples of ``norm(conv(image))[:, channels]``, computed only at the four pixels around each point.

    Equals ``grid_sample(norm(conv(image))[:, channels], grid, align_corners=True)`` with zero padding (and the axes of
    `grid` swapped), gradients included, without the full-resolution embedding: 4 pixels a sample instead of 64.

    Args:
        image: (B, 3, H, W).
        conv: 3x3 convolution, padding 1, no bias.
        norm: layer norm over its output channels.
        grid: (B, N, 2) rows and columns, -1 and 1 are the centres of the outermost pixels.
        channels: the output channels wanted.

    Returns:
        (B, N, number of channels wanted).
    """
    height, width = image.shape[2:]
    size = vector((height, width), like=grid, dtype=torch.int64)
    position = (grid + 1) * ((size - 1) / 2)
    corner = position.detach().floor()
    fraction = position - corner
    # (B, N, 4, 2): the four pixels around a point in the order of rows, then columns.
    number = torch.arange(4, device=grid.device)
    step = torch.stack((number // 2, number % 2), dim=-1)
    pixel = corner.long()[:, :, None] + step
    inside = ((pixel >= 0) & (pixel < size)).all(-1)
    share = torch.where(step.bool(), fraction[:, :, None], 1 - fraction[:, :, None])
    share = share[..., 0] * share[..., 1] * inside
    pixel = torch.minimum(pixel.clamp_min(0), size - 1)

    padded = F.pad(image, (1, 1, 1, 1)).permute(0, 2, 3, 1).flatten(1, 2)
    window = torch.arange(3, device=grid.device)
    first = pixel[..., 0] * (width + 2) + pixel[..., 1]
    neighbours = first[..., None] + (window[:, None] * (width + 2) + window).flatten()
    index = neighbours.flatten(1)[..., None].expand(-1, -1, image.shape[1])
    patches = padded.gather(1, index).reshape(*pixel.shape[:3], -1)
    embedded = F.linear(patches, conv.weight.permute(0, 2, 3, 1).flatten(1))
    body = norm.body
    normalised = F.layer_norm(embedded, (body.channels,), body.weight, body.bias, body.eps)[..., channels]
    return torch.matmul(share.to(normalised.dtype)[:, :, None], normalised).squeeze(2)


class DeformableAttention(nn.Module):
    """DaCA's attention: queries at every feature, keys and values where learned offsets sample the embedded image."""

    def __init__(self, shape: DyRBAShape) -> None:
        super().__init__()
        self.shape = shape
        channels, width = shape.hidden, shape.hidden // shape.groups
        self.conv_offset = nn.Sequential(
            nn.Conv2d(width, width, shape.kernel, shape.stride, shape.padding, groups=width),
            LayerNorm2d(width),
            nn.GELU(),
            nn.Conv2d(width, 2, 1, bias=False),
        )
        self.proj_q = nn.Conv2d(channels, channels, 1)
        self.proj_k = nn.Conv2d(channels, channels, 1)
        self.proj_v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def sample_points(self, q: Tensor) -> Tensor:
        """Where each group samples the image: (B, D, h, w) queries -> (B, G, H_k * W_k, 2) row and column."""
        groups = self.shape.groups
        depthwise, norm, _, pointwise = self.conv_offset
        assert isinstance(depthwise, nn.Conv2d)
        assert isinstance(norm, LayerNorm2d)
        assert isinstance(pointwise, nn.Conv2d)
        assert depthwise.bias is not None
        # The groups share one network: repeated weights do in one depthwise convolution what a loop over groups would.
        hidden = F.conv2d(
            q,
            depthwise.weight.repeat(groups, 1, 1, 1),
            depthwise.bias.repeat(groups),
            stride=self.shape.stride,
            padding=self.shape.padding,
            groups=q.shape[1],
        )
        rows, columns = hidden.shape[-2:]
        body = norm.body
        hidden = hidden.permute(0, 2, 3, 1).reshape(q.shape[0], rows * columns, groups, -1)
        hidden = F.gelu(F.layer_norm(hidden, (body.channels,), body.weight, body.bias, body.eps))
        offset = F.linear(hidden, pointwise.weight.flatten(1))
        offset = offset.to(torch.promote_types(offset.dtype, torch.float32)).tanh()
        last = vector((rows - 1, columns - 1), like=offset)
        of_rows, of_columns = torch.arange(rows, device=q.device)[:, None], torch.arange(columns, device=q.device)
        # Sums, as repeating a number of times that is not fixed is what other runtimes get wrong.
        row, column = (of_rows + 0 * of_columns).flatten(), (0 * of_rows + of_columns).flatten()
        centres = torch.stack([row, column], dim=-1) + 0.5
        points = offset * (self.shape.reach / last) + (2 * centres / last - 1)[:, None]
        return points.transpose(1, 2)

    def forward(self, y: Tensor, image: Tensor, conv_x: nn.Conv2d, norm_x: LayerNorm2d) -> Tensor:
        """Attention of normalised features on the normalised embedding ``norm_x(conv_x(image))``.

        Args:
            y: (B, D, h, w).
            image: (B, 3, H, W), h = H / 2, W / 4 or W / 8.
            conv_x: 3x3 embedding of the image, 3 -> D.
            norm_x: its layer norm.

        Returns:
            (B, D, h, w).
        """
        heads, groups = self.shape.heads, self.shape.groups
        q = self.proj_q(y)
        points = self.sample_points(q)
        width = self.shape.hidden // groups
        sampled = torch.cat(
            [embed_at(image, conv_x, norm_x, points[:, g], slice(g * width, (g + 1) * width)) for g in range(groups)],
            dim=-1,
        )
        k = F.linear(sampled, self.proj_k.weight.flatten(1), self.proj_k.bias)
        v = F.linear(sampled, self.proj_v.weight.flatten(1), self.proj_v.bias)
        q, k, v = (t.reshape(*t.shape[:2], heads, -1).transpose(1, 2) for t in (pixel_rows(q), k, v))
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        out: Tensor = self.proj_out(planes(mixed, y.shape[2], y.shape[3]))
        return out


class DaCA(nn.Module):
    """Deformable cross-attention with its residual: y + attention(norm11(y), norm12(conv_x(image)))."""

    def __init__(self, shape: DyRBAShape) -> None:
        super().__init__()
        self.norm11 = LayerNorm2d(shape.hidden)
        self.norm12 = LayerNorm2d(shape.hidden)
        self.attn = DeformableAttention(shape)

    def forward(self, y: Tensor, image: Tensor, conv_x: nn.Conv2d) -> Tensor:
        deformed: Tensor = y + self.attn(self.norm11(y), image, conv_x, self.norm12)
        return deformed


class ChannelCrossAttention(nn.Module):
    """x + CrossAttention(norm11(x), norm12(other)), both (B, C, h, w)."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm11 = LayerNorm2d(channels)
        self.norm12 = LayerNorm2d(channels)
        self.attn = CrossAttention(channels, heads)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        attended: Tensor = x + self.attn(self.norm11(x), self.norm12(other))
        return attended


class RadialBasis(nn.Module):
    """Gaussians around fixed centres, (B, n) -> (B, n * K).

    ``center`` is a constant: a buffer here, a frozen parameter in published checkpoints, under the same key.
    """

    center: Tensor

    def __init__(self, centres: int, spread: float) -> None:
        super().__init__()
        self.spacing = 2 * spread / (centres - 1)
        self.register_buffer("center", torch.linspace(-spread, spread, centres))

    def forward(self, t: Tensor) -> Tensor:
        return torch.exp(-(((t[..., None] - self.center) / self.spacing) ** 2)).flatten(1)


class DyRBA(nn.Module):
    """Dynamic radial basis attention of features on the degraded image, (B, 3, H, W), (B, C, h, w) -> (B, C, h, w)."""

    def __init__(self, channels: int, shape: DyRBAShape) -> None:
        super().__init__()
        hidden, half = shape.hidden, shape.hidden // 2
        self.conv_x = nn.Conv2d(3, hidden, 3, padding=1, bias=False)
        self.conv_y = nn.Conv2d(channels, hidden, 3, padding=1, bias=False)
        self.DaCA = DaCA(shape)
        self.transformation = nn.Linear(hidden, half)
        self.norm_rbf = nn.LayerNorm(half)
        self.rbf = RadialBasis(shape.centres, shape.spread)
        self.dynamic_W1 = nn.Linear(hidden, shape.centres * half)
        self.dynamic_W2 = nn.Linear(half, hidden)
        self.compression = nn.Linear(hidden, half)
        self.rbf_linear = nn.Linear(half, hidden)
        self.emb_linear = nn.Linear(half, hidden)
        self.out_linear = nn.Linear(hidden, hidden)
        self.conv_out = nn.Conv2d(hidden, channels, 1)
        self.cross_attn = ChannelCrossAttention(channels, shape.heads)

    def channel_gate(self, e: Tensor, d: Tensor) -> Tensor:
        """Gate of the deformed features from the means e and d of the features before and after, (B, D) -> (B, D)."""
        t = self.transformation(e)
        basis = self.rbf(self.norm_rbf(t))
        w1 = F.gelu(self.dynamic_W1(d))
        w2 = F.gelu(self.dynamic_W2(t))
        # (W2 W1^T) basis is a map of rank one: no matrix of D x K * D/2 is needed.
        z = w2 * (w1 * basis).sum(dim=-1, keepdim=True)
        g = F.gelu(self.compression(z + e))
        of_e, of_z = torch.stack([self.emb_linear(g), self.rbf_linear(g)]).softmax(dim=0)
        return F.gelu(self.out_linear(of_e * e + of_z * z))

    def forward(self, image: Tensor, features: Tensor) -> Tensor:
        y = self.conv_y(features)
        deformed = self.DaCA(y, image, self.conv_x)
        gate = self.channel_gate(y.mean(dim=(2, 3)), deformed.mean(dim=(2, 3)))
        # The gate scales the columns of the small matrix instead of the map. The paper resizes the result to (h, w),
        # which it already has: the deformable attention keeps the size of its queries.
        matrix = (self.conv_out.weight.flatten(1) * gate[:, None]).transpose(1, 2)
        assert self.conv_out.bias is not None
        out = torch.baddbmm(self.conv_out.bias, pixel_rows(deformed), matrix)
        attended: Tensor = self.cross_attn(features, planes(out, features.shape[2], features.shape[3]))
        return attended
