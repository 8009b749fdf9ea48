"""Features (B, C, H, W) in channels-last memory, seen with the channels as last axis: as an image or as rows of pixels.

A 1x1 convolution of such a view is a matrix product; the products here take the library that is quicker.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .host import convolutions_multiply_faster

LEAST_MACS = 1 << 20
"""Multiply-adds from which a convolution in a product's place is worth its preparation, about 0.02 ms."""
PIECE_BYTES = 4 << 20
"""Size of the pieces in which a product's result is written where it is wanted."""


def length_of(axis: int, x: Tensor) -> Tensor:
    """Length of an axis of x as a tensor (1,): a graph that takes any size cannot compute with the number itself."""
    return torch.arange(x.shape[axis], device=x.device)[-1:] + 1


def channels_last(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H, W, C), a view."""
    return x.permute(0, 2, 3, 1)


def feature_map(x: Tensor) -> Tensor:
    """(B, H, W, C) -> (B, C, H, W), a view; the inverse of `channels_last`."""
    return x.permute(0, 3, 1, 2)


def pixel_rows(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H * W, C), a row for each pixel; a view of channels-last memory."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def planes(rows: Tensor, height: int, width: int) -> Tensor:
    """(B, H * W, C) -> (B, C, H, W) in channels-last memory, a view; the inverse of `pixel_rows`."""
    return rows.view(rows.shape[0], height, width, -1).permute(0, 3, 1, 2)


def to_channels_last(network: nn.Module) -> None:
    """Put weights of four dimensions into that memory format.

    ``network.to(memory_format=torch.channels_last)`` refuses weights of five dimensions, which PromptIR has.
    """
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)


def _by_convolution(rows: Tensor, weight: Tensor) -> bool:
    """Whether a convolution stands in for a product: in inference only, so that gradients and graphs stay as before."""
    return (
        rows.device.type == "cpu"
        and rows.dtype == weight.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
        and rows.numel() * weight.shape[0] >= LEAST_MACS
        and bool(torch.backends.mkldnn.enabled)
        and convolutions_multiply_faster()
    )


def product(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``linear(rows, weight, bias)``: rows (..., K), weight (N, K), bias (N,) -> (..., N)."""
    if not _by_convolution(rows, weight):
        return F.linear(rows, weight, bias)
    return _convolved(rows, weight, bias)


def _convolved(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`product` as a 1x1 convolution of one row of pixels."""
    pixels = rows.reshape(1, 1, -1, rows.shape[-1]).permute(0, 3, 1, 2)
    out = F.conv2d(pixels, weight[:, :, None, None], bias)
    return out.permute(0, 2, 3, 1).reshape(*rows.shape[:-1], weight.shape[0])


def product_into(out: Tensor, rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`product` of rows (M, K), written to `out` (M, N)."""
    if _by_convolution(rows, weight):
        # A convolution makes memory of its own: in pieces, so that little of it is held beside `out`.
        length = max(1, PIECE_BYTES // (4 * weight.shape[0]))
        for piece, of_rows in zip(torch.split(out, length), torch.split(rows, length), strict=True):
            piece.copy_(_convolved(of_rows, weight, bias))
        return out
    if bias is None:
        return torch.mm(rows, weight.t(), out=out)
    return torch.addmm(bias, rows, weight.t(), out=out)


def add_product(total: Tensor, rows: Tensor, weight: Tensor) -> Tensor:
    """total (M, N) plus `product` of rows (M, K), a new tensor."""
    if _by_convolution(rows, weight):
        return product(rows, weight).add_(total)
    return torch.addmm(total, rows, weight.t())


def add_product_(total: Tensor, rows: Tensor, weight: Tensor) -> Tensor:
    """`add_product` in the memory of `total`."""
    if _by_convolution(rows, weight):
        return total.add_(product(rows, weight))
    return total.addmm_(rows, weight.t())
