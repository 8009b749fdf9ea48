"""``restorebench.restore``: what ``bench restore`` does, for pictures and files that a script has."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from ...datasets.errors import DataError
from ...messages import one_line, unknown
from ...models import ModelError, create_model
from ...models.restorer import Restorer
from ..errors import RestorationError, UserError
from ..inference.given import device_for, given_restorer, left_as_it_was
from ..inference.numerics import Numerics, check_dtype, check_tile
from .files import FORMAT_SUFFIXES, Outputs, find_photographs, plan_outputs
from .given import AnyImage, given_image
from .limits import TileChoice
from .reading import MAX_PIXELS
from .restoring import PhotographRestorer
from .session import restore_file
from .writing import FORMATS

Array = TypeVar("Array", bound=NDArray[Any])
AnyPath = str | os.PathLike[str]


@dataclass(frozen=True)
class RestoredFile:
    """What became of one file.

    Attributes:
        source: the file.
        path: where the restored one is, or would be.
        status: ``restored``; ``there already``, which leaves the file as it was; ``failed``.
        message: what was left out or rounded, or why it failed.
    """

    source: Path
    path: Path
    status: Literal["restored", "there already", "failed"]
    message: str = ""


@overload
def restore(model: str | nn.Module, image: AnyPath, *, output: AnyPath, **options: Any) -> list[RestoredFile]: ...


@overload
def restore(model: str | nn.Module, image: AnyPath | Image.Image, **options: Any) -> Image.Image: ...


@overload
def restore(model: str | nn.Module, image: Array, **options: Any) -> Array: ...


@overload
def restore(model: str | nn.Module, image: Tensor, **options: Any) -> Tensor: ...


def restore(
    model: str | nn.Module,
    image: AnyImage,
    *,
    output: AnyPath | None = None,
    variant: str | None = None,
    weights: AnyPath | None = None,
    device: str = "auto",
    dtype: str = "float32",
    tile: TileChoice | None = "auto",
    recursive: bool = False,
    overwrite: bool = False,
    file_format: str = "input",
    max_pixels: int = MAX_PIXELS,
    **options: Any,
) -> Any:
    """Restore a picture: all of it, at its own size, without any protocol's crop or padding.

    Files are read by the rules of ``bench restore``: EXIF orientation is applied to the pixels and 1 in the EXIF,
    colour profile and resolution are kept, alpha passes through unchanged, grey stays grey (the mean of the restored
    channels); CMYK, animations and several pages are refused.

    Args:
        model: what `create_model` takes as a name; or a network, (B, 3, H, W) in [0, 1] -> the same shape, which is
            left as it was. For many pictures make the restorer once, with `create_model`, and give that.
        image: path of a PNG, JPEG, TIFF, WebP, BMP or GIF, of 8 or 16 bits; PIL image; (H, W, 3), (H, W, 4) or (H, W)
            array, uint8, uint16 or floating point in [0, 1]; (3, H, W) or (B, 3, H, W) tensor, uint8 or floating point.
            With `output` also a folder, or a pattern with ``*``.
        output: with a path: the file to write, if it ends as an image file does and a single file is given; else the
            folder that files go to under their own names.
        variant, weights, options: as for `create_model`, with a name.
        device: ``auto`` (CUDA where there is one; a network given stays where it is), ``cpu``, ``cuda``, ``cuda:1``,
            ``mps``.
        dtype: ``float32``; ``bfloat16`` or ``float16`` under autocast.
        tile: ``auto``: whole where a pass is estimated to fit into memory, else in tiles that fade into each other;
            ``none``: whole; or the side of tiles in pixels, 64 or more.
        recursive: of a folder, also the folders inside.
        overwrite: replace files that are there.
        file_format: of the files in a folder: ``input``, ``png``, ``jpg``, ``tif`` or ``webp``.
        max_pixels: files with more are refused.

    Returns:
        The kind that was given, a PIL image for a path; clipped to [0, 1], whole numbers rounded. A tensor comes back
        on its device. With `output`: a `RestoredFile` for each file. One of several that fails is one of them, and the
        others are done.

    Raises:
        UserError, ModelError, DataError: what was asked for cannot be done, in one line; also for a single file.
        RestorationError: the network's output has another shape, or is not finite.
        MemoryError: memory does not suffice for the smallest tiles either.
    """
    plans = None if output is None else _plans(image, Path(output).expanduser(), recursive, file_format)
    if plans is None and isinstance(image, str | os.PathLike) and Path(image).expanduser().is_dir():
        raise UserError(f"{image} is a folder: output= names the one that restored photographs go to")
    if isinstance(model, str):
        restorer = create_model(model, variant=variant, weights=weights, **options)
        place = device_for(None, device)
    else:
        if variant is not None or weights is not None or options:
            words = ", ".join(f"{word}=" for word in ("variant", "weights", *options))
            raise UserError(f"{words} go with the name of a registered restorer, not with a network")
        restorer = model if isinstance(model, Restorer) else given_restorer(model, type(model).__name__)
        place = device_for(model, device)
    numerics = Numerics(device=place, dtype=check_dtype(dtype, restorer.card.dtypes, restorer.card.title))
    given = None if plans is not None else given_image(image, max_pixels=max_pixels)
    with left_as_it_was(restorer):
        runner = PhotographRestorer(restorer, numerics, tile=_tile(tile))
        if plans is not None:
            return _to_files(runner, plans, overwrite=overwrite, max_pixels=max_pixels)
        assert given is not None
        return given.as_given([runner.restore(photograph) for photograph in given.photographs])


def _tile(tile: TileChoice | None) -> TileChoice:
    if tile is None or tile == "auto":
        return "auto"
    if tile == "none":
        return "none"
    if not isinstance(tile, int):
        raise UserError(f"tile={tile!r}: give 'auto', 'none', or a side in pixels")
    check_tile(tile)
    return tile


def _plans(image: AnyImage, output: Path, recursive: bool, file_format: str) -> list[Outputs]:
    """Which files are meant, and where each goes.

    Raises:
        UserError: none are, or files would be written over each other or their inputs.
    """
    if not isinstance(image, str | os.PathLike):
        raise UserError(f"output= goes with the path of a file or folder, not with a {type(image).__name__}")
    if file_format != "input" and file_format not in FORMAT_SUFFIXES:
        raise UserError(unknown("file_format", file_format, ("input", *FORMAT_SUFFIXES)))
    path = Path(image).expanduser()
    one_file = output.suffix.lower() in FORMATS and not output.is_dir()
    if one_file and not path.is_dir() and os.path.lexists(path):
        if os.path.realpath(path) == os.path.realpath(output):
            raise UserError(f"{path} would be written over itself; choose another output=")
        return [Outputs(path, output)]
    if output.exists() and not output.is_dir():
        raise UserError(f"output={output} is a file; name a folder")
    found = find_photographs([os.fspath(image)], recursive=recursive, output=output)
    return plan_outputs(found.sources, output=output, format_name=file_format)


def _to_files(
    runner: PhotographRestorer, plans: Sequence[Outputs], *, overwrite: bool, max_pixels: int
) -> list[RestoredFile]:
    """What became of each file; the error itself where there is only one."""
    name, files = runner.restorer.card.name, []
    for plan in plans:
        assert plan.restored is not None
        try:
            done = restore_file(plan, {name: runner}, main=name, overwrite=overwrite, max_pixels=max_pixels)
        except (DataError, ModelError, RuntimeError, MemoryError) as error:
            if len(plans) == 1:
                raise
            message = str(error) if isinstance(error, DataError | RestorationError) else one_line(error)
            files.append(RestoredFile(plan.source, plan.restored, "failed", message))
        else:
            status: Literal["restored", "there already"] = "there already" if done is None else "restored"
            notes = () if done is None else done.notes
            files.append(RestoredFile(plan.source, plan.restored, status, "; ".join(notes)))
    return files
