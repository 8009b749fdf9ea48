"""``restorebench.restore``: a picture through a restorer, returned as it was given."""

from __future__ import annotations

import os
from typing import Any, TypeVar, overload

import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from ...models import create_model
from ...models.restorer import Restorer
from ..errors import RestorationError, UserError
from ..inference.given import device_for, given_restorer, left_as_it_was
from ..inference.numerics import Numerics, check_dtype, check_tile
from ..inference.runner import Runner
from .pictures import AnyImage, picture_of

Array = TypeVar("Array", bound=NDArray[Any])


@overload
def restore(
    model: str | nn.Module,
    image: str | os.PathLike[str] | Image.Image,
    *,
    variant: str | None = ...,
    weights: str | os.PathLike[str] | None = ...,
    device: str = ...,
    dtype: str = ...,
    tile: int | None = ...,
) -> Image.Image: ...


@overload
def restore(
    model: str | nn.Module,
    image: Array,
    *,
    variant: str | None = ...,
    weights: str | os.PathLike[str] | None = ...,
    device: str = ...,
    dtype: str = ...,
    tile: int | None = ...,
) -> Array: ...


@overload
def restore(
    model: str | nn.Module,
    image: Tensor,
    *,
    variant: str | None = ...,
    weights: str | os.PathLike[str] | None = ...,
    device: str = ...,
    dtype: str = ...,
    tile: int | None = ...,
) -> Tensor: ...


def restore(
    model: str | nn.Module,
    image: AnyImage,
    *,
    variant: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    dtype: str = "float32",
    tile: int | None = None,
) -> Any:
    """Restore a picture: all of it, at its own size, without any protocol's crop or padding.

    Args:
        model: name of a registered restorer; or a network, (B, 3, H, W) in [0, 1] -> the same shape, which is left as
            it was. For many pictures make the restorer once, with `create_model`, and give that.
        image: path of a PNG, JPEG, BMP or TIFF; PIL image; (H, W, 3) or (H, W) array, uint8 or floating point in
            [0, 1]; (3, H, W) or (B, 3, H, W) tensor, the same.
        variant, weights: as for `create_model`, with a name.
        device: ``auto`` (CUDA where there is one; a network given stays where it is), ``cpu``, ``cuda``, ``cuda:1``,
            ``mps``.
        dtype: ``float32``; ``bfloat16`` or ``float16`` under autocast.
        tile: side in pixels of overlapping tiles, 64 or more; None: the whole picture, in tiles only where memory does
            not suffice.

    Returns:
        The kind that was given, a PIL image for a path; clipped to [0, 1], 8-bit kinds rounded. A tensor comes back on
        its device. Grey stays grey: the mean of the restored channels.

    Raises:
        UserError, ModelError, DataError: what was asked for cannot be done, in one line; alpha and 16 bits are refused.
        RestorationError: the network's output has another shape, or is not finite.
    """
    if isinstance(model, str):
        restorer = create_model(model, variant=variant, weights=weights)
        place = device_for(None, device)
    else:
        if variant is not None or weights is not None:
            raise UserError("variant= and weights= go with the name of a registered restorer, not with a network")
        restorer = model if isinstance(model, Restorer) else given_restorer(model, type(model).__name__)
        place = device_for(model, device)
    numerics = Numerics(
        device=place,
        dtype=check_dtype(dtype, restorer.card.dtypes, restorer.card.title),
        tile=check_tile(tile),
    )
    picture = picture_of(image)
    with left_as_it_was(restorer):
        restored, _ = Runner(restorer, numerics).restore(picture.pixels.to(place))
    if not bool(torch.isfinite(restored).all()):
        raise RestorationError(f"{restorer.card.name} gave values that are not finite (NaN or infinite)")
    return picture.as_given(restored.clamp(0, 1))
