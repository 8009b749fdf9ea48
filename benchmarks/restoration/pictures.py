"""Pictures as scripts have them (files, Pillow images, arrays, tensors), as a network takes them, and back."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ...datasets.files.images import read_image
from ..errors import UserError

AnyImage: TypeAlias = str | os.PathLike[str] | Image.Image | NDArray[Any] | Tensor

LARGEST = 16.0
"""Beyond this, floating point values are taken for grey levels of another scale, and refused."""
KEPT = ("icc_profile", "exif", "dpi")
"""What a Pillow image says beside its pixels and a restored one keeps."""
ALPHA = ("RGBA", "RGBa", "LA", "La", "PA")
KINDS = "a path, a PIL image, an array (H, W, 3) or (H, W), or a tensor (3, H, W) or (B, 3, H, W)"


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of any kind.

    Attributes:
        pixels: (B, 3, H, W) float32, nominally in [0, 1]; B is 1 unless a batch was given. On the device of a tensor
            that was given, else on the CPU.
        as_given: from restored pixels of that shape in [0, 1] to the kind that was given (a file: a PIL image), with
            its dtype and its number of channels; grey is the mean of the channels.
    """

    pixels: Tensor
    as_given: Callable[[Tensor], Any]


def picture_of(image: AnyImage) -> Picture:
    """A picture from whatever a script has.

    Args:
        image: path of a PNG, JPEG, BMP or TIFF; PIL image (modes RGB, L, 1 and P); (H, W, 3) or (H, W) array, uint8 or
            floating point in [0, 1]; (3, H, W) or (B, 3, H, W) tensor, the same.

    Raises:
        UserError, DataError: it is none of these, or has what a restored one could not keep (alpha, 16 bits).
    """
    match image:
        case str() | os.PathLike():
            return _from_file(Path(image).expanduser())
        case Image.Image():
            return _from_pillow(image, "the image")
        case np.ndarray():
            return _from_array(image)
        case Tensor():
            return _from_tensor(image)
    raise UserError(f"the image is a {type(image).__name__}; give {KINDS}")


def _from_file(path: Path) -> Picture:
    read_image(path)  # refuses by name what cannot be read, or not kept
    with Image.open(path) as image:
        image.load()
        return _from_pillow(image, str(path))


def _from_pillow(image: Image.Image, name: str) -> Picture:
    if image.mode in ALPHA or "transparency" in image.info:
        raise UserError(f"{name} has alpha (transparency), which a restored one would lose: convert it to RGB first")
    if image.mode not in ("RGB", "L", "1", "P"):
        raise UserError(f"{name} has the mode {image.mode}; images of 8 bits are restored (modes RGB, L, 1 and P)")
    grey = image.mode in ("L", "1")
    pixels = np.array(image.convert("RGB"), dtype=np.uint8)
    info = {key: image.info[key] for key in KEPT if key in image.info}
    return Picture(_unit(torch.from_numpy(pixels).permute(2, 0, 1)[None]), partial(_to_pillow, grey=grey, info=info))


def _to_pillow(restored: Tensor, *, grey: bool, info: dict[str, Any]) -> Image.Image:
    image = Image.fromarray(_to_array(restored, grey=grey, dtype=np.dtype(np.uint8)))
    image.info.update(info)
    return image


def _from_array(array: NDArray[Any]) -> Picture:
    grey = array.ndim == 2
    if (not grey and (array.ndim != 3 or array.shape[2] != 3)) or 0 in array.shape:
        raise UserError(f"the array has the shape {array.shape}; give (H, W, 3), or (H, W) for grey")
    if array.dtype != np.uint8 and array.dtype not in (np.float16, np.float32, np.float64):
        raise UserError(f"the array has the dtype {array.dtype}; give uint8, or floating point in [0, 1]")
    colour = np.repeat(array[..., None], 3, axis=2) if grey else array
    pixels = torch.from_numpy(np.array(colour.transpose(2, 0, 1), order="C"))[None]
    return Picture(_unit(pixels), partial(_to_array, grey=grey, dtype=array.dtype))


def _to_array(restored: Tensor, *, grey: bool, dtype: np.dtype[Any]) -> NDArray[Any]:
    image = restored[0].mean(dim=0) if grey else restored[0].permute(1, 2, 0)
    array: NDArray[Any] = image.cpu().numpy()
    return np.ascontiguousarray(np.rint(array * 255) if dtype == np.uint8 else array).astype(dtype)


def _from_tensor(tensor: Tensor) -> Picture:
    if tensor.ndim not in (3, 4) or tensor.shape[-3] != 3 or 0 in tensor.shape:
        raise UserError(f"the tensor has the shape {tuple(tensor.shape)}; give (3, H, W) or (B, 3, H, W)")
    if tensor.dtype != torch.uint8 and not tensor.is_floating_point():
        raise UserError(f"the tensor has the dtype {tensor.dtype}; give floating point in [0, 1], or uint8")
    pixels = tensor.detach() if tensor.ndim == 4 else tensor.detach()[None]
    return Picture(_unit(pixels), partial(_to_tensor, like=tensor))


def _to_tensor(restored: Tensor, *, like: Tensor) -> Tensor:
    image = restored if like.ndim == 4 else restored[0]
    return (image.mul(255).round() if like.dtype == torch.uint8 else image).to(like.device, like.dtype)


def _unit(pixels: Tensor) -> Tensor:
    """(B, 3, H, W) float32 from uint8, or from floating point of the right scale.

    Raises:
        UserError: floating point of another scale, or not finite.
    """
    if pixels.dtype == torch.uint8:
        return pixels.to(torch.float32, memory_format=torch.contiguous_format) / 255
    if not bool(torch.isfinite(pixels).all()):
        raise UserError("the image has values that are not finite (NaN or infinite)")
    largest = float(pixels.abs().max())
    if largest > LARGEST:
        raise UserError(f"the image has floating point values up to {largest:g}; the scale is [0, 1]")
    return pixels.to(torch.float32, memory_format=torch.contiguous_format)
