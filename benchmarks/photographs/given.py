"""Pictures as scripts have them (files, Pillow images, arrays, tensors), as photographs, and back to what was given."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ...datasets.errors import DataError
from ..errors import UserError
from . import exif as exif_blocks
from .photograph import Photograph, Samples, white
from .reading import MAX_PIXELS, PLAIN, SEVERAL_JPEGS, read_photograph, samples_8
from .writing import as_image

AnyImage: TypeAlias = str | os.PathLike[str] | Image.Image | NDArray[Any] | Tensor

LARGEST = 16.0
"""Beyond this, floating point values are taken for grey levels of another scale, and refused."""
KEPT = ("icc_profile", "exif", "dpi", "xmp")
"""What a Pillow image says beside its pixels and a restored one keeps."""
KINDS = "a path, a PIL image, an array (H, W, 3), (H, W, 4) or (H, W), or a tensor (3, H, W) or (B, 3, H, W)"
DEEP_GREY = ("I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's modes of 16-bit grey, the only one of 16 bits that it has."""


@dataclass(frozen=True, eq=False)
class Given:
    """A picture of any kind, or a batch of them.

    Attributes:
        photographs: one, or as many as the batch holds.
        as_given: from as many restored ones to the kind that was given (a file: a PIL image), with its dtype, shape and
            place.
    """

    photographs: tuple[Photograph, ...]
    as_given: Callable[[Sequence[Photograph]], Any]


def given_image(image: AnyImage, *, max_pixels: int = MAX_PIXELS) -> Given:
    """A picture from whatever a script has.

    Args:
        image: path of a file that `read_photograph` reads; PIL image, grey or colours, with alpha or without;
            (H, W, 3), (H, W, 4) with alpha, or (H, W) array, uint8, uint16 or floating point in [0, 1]; (3, H, W) or
            (B, 3, H, W) tensor, uint8 or floating point.
        max_pixels: of a file.

    Raises:
        UserError, DataError: it is none of these, or what comes back could not hold it.
    """
    match image:
        case str() | os.PathLike():
            return _from_file(Path(image).expanduser(), max_pixels)
        case Image.Image():
            return _from_pillow(image)
        case np.ndarray():
            return _from_array(image)
        case Tensor():
            return _from_tensor(image)
    raise UserError(f"the image is a {type(image).__name__}; give {KINDS}")


def unit_values(photograph: Photograph) -> NDArray[np.float32]:
    """(H, W, 3) float32, nominally in [0, 1] and not clipped; grey three times.

    Raises:
        UserError: it has alpha, which is no part of such an image.
    """
    if photograph.alpha is not None:
        raise UserError("the image has alpha (transparency), which has no score: convert it to RGB first")
    pixels = photograph.pixels.astype(np.float32)
    if photograph.pixels.dtype != np.float32:
        pixels /= np.float32(white(photograph.pixels))
    return cast("NDArray[np.float32]", np.repeat(pixels, 3, axis=2) if photograph.is_grey else pixels)


def _from_file(path: Path, max_pixels: int) -> Given:
    photograph = read_photograph(path, max_pixels=max_pixels)
    if photograph.bits == 16 and (not photograph.is_grey or photograph.alpha is not None):
        what = "grey of 16 bits with transparency" if photograph.is_grey else "colours of 16 bits"
        raise DataError(f"{path}: {what}, which no PIL image can hold; output= writes a file")
    metadata = photograph.metadata
    exif = exif_blocks.with_prefix(metadata.exif) if metadata.exif else b""
    kept = zip(KEPT, (metadata.icc, exif, metadata.dpi, metadata.xmp), strict=True)
    return Given((photograph,), partial(_to_pillow, info={key: value for key, value in kept if value}))


def _from_pillow(image: Image.Image) -> Given:
    if getattr(image, "is_animated", False) and image.format != SEVERAL_JPEGS:
        raise UserError("the image is animated, or has several pages: give a copy of the one that you mean")
    samples: Samples
    if image.mode in DEEP_GREY:
        samples = np.asarray(image).astype(np.uint16)[:, :, None]
    elif image.mode in PLAIN:
        samples = samples_8(image)
    else:
        raise UserError(f"the image has the mode {image.mode}; RGB and grey are restored: convert it first")
    info = {key: image.info[key] for key in KEPT if key in image.info}
    return Given((_photograph(samples),), partial(_to_pillow, info=info))


def _photograph(samples: Samples) -> Photograph:
    """From (H, W, C): the last of 2 and 4 channels is alpha."""
    colours = samples.shape[2] - 1 + samples.shape[2] % 2
    alpha = samples[:, :, colours] if samples.shape[2] > colours else None
    return Photograph(samples[:, :, :colours], alpha)


def _to_pillow(restored: Sequence[Photograph], *, info: dict[str, Any]) -> Image.Image:
    image = as_image(restored[0])
    image.info.update(info)
    return image


def _from_array(array: NDArray[Any]) -> Given:
    grey = array.ndim == 2
    if (not grey and (array.ndim != 3 or array.shape[2] not in (3, 4))) or 0 in array.shape:
        raise UserError(f"the array has the shape {array.shape}; give (H, W, 3), (H, W, 4) with alpha, or (H, W)")
    floating = array.dtype in (np.float16, np.float32, np.float64)
    if array.dtype not in (np.uint8, np.uint16) and not floating:
        raise UserError(f"the array has the dtype {array.dtype}; give uint8, uint16, or floating point in [0, 1]")
    if floating:
        _check_scale(torch.from_numpy(np.asarray(array)))
    samples = (array[:, :, None] if grey else array).astype(np.float32 if floating else array.dtype, copy=False)
    return Given((_photograph(samples),), partial(_to_array, like=array))


def _to_array(restored: Sequence[Photograph], *, like: NDArray[Any]) -> NDArray[Any]:
    samples = restored[0].interleaved().reshape(like.shape).astype(like.dtype)
    # alpha passes as it was, also where it was more precise
    if like.ndim == 3 and like.shape[2] == 4:
        samples[:, :, 3] = like[:, :, 3]
    return cast("NDArray[Any]", samples)


def _from_tensor(tensor: Tensor) -> Given:
    if tensor.ndim not in (3, 4) or tensor.shape[-3] != 3 or 0 in tensor.shape:
        raise UserError(f"the tensor has the shape {tuple(tensor.shape)}; give (3, H, W) or (B, 3, H, W)")
    if tensor.dtype != torch.uint8 and not tensor.is_floating_point():
        raise UserError(f"the tensor has the dtype {tensor.dtype}; give floating point in [0, 1], or uint8")
    pixels = tensor.detach() if tensor.ndim == 4 else tensor.detach()[None]
    if tensor.is_floating_point():
        _check_scale(pixels)
        pixels = pixels.float()
    images = pixels.permute(0, 2, 3, 1).cpu().numpy()
    return Given(tuple(_photograph(image) for image in images), partial(_to_tensor, like=tensor))


def _to_tensor(restored: Sequence[Photograph], *, like: Tensor) -> Tensor:
    images = torch.from_numpy(np.stack([each.pixels for each in restored])).permute(0, 3, 1, 2).contiguous()
    return (images if like.ndim == 4 else images[0]).to(like.device, like.dtype)


def _check_scale(pixels: Tensor) -> None:
    """Refuse floating point values of another scale than [0, 1], and those that are not finite.

    Raises:
        UserError: see above.
    """
    if not bool(torch.isfinite(pixels).all()):
        raise UserError("the image has values that are not finite (NaN or infinite)")
    largest = float(pixels.abs().max())
    if largest > LARGEST:
        raise UserError(f"the image has floating point values up to {largest:g}; the scale is [0, 1]")
