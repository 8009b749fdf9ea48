"""The natural colour photographs inside scikit-image's wheel, read by path: nothing is ever fetched from a network.

The wheel also has colour images that are no photographs of everyday scenes (a galaxy field, a retina, a stained
tissue, a colour wheel) and grey ones; they are left out. `skimage.data`'s functions are not used, as they download
what is missing.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..degradations.haze import DEPTH_MAX
from ..errors import DataError

_CC0 = "CC0, photograph by"
_MIDDLEBURY = (
    "Middlebury 2014 stereo benchmark, no licence stated in the wheel; cite Scharstein et al., 'High-resolution"
    " stereo datasets with subpixel-accurate ground truth', GCPR 2014"
)


@dataclass(frozen=True)
class Region:
    """A named piece of a photograph that stands as an image of its own: `box` is top, left, height, width in pixels."""

    name: str
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Photograph:
    """One photograph of the wheel.

    Attributes:
        name: as samples are called.
        file: in scikit-image's data folder.
        height, width: in pixels.
        sha256: of the decoded (H, W, 3) uint8 RGB pixels.
        licence: terms of use, from the docstrings of `skimage.data`.
        regions: pieces that do not overlap (nor show the same things), from which crops are taken.
        disparity: which view of the stereo pair it is, if it has a disparity map.
    """

    name: str
    file: str
    height: int
    width: int
    sha256: str
    licence: str
    regions: tuple[Region, ...]
    disparity: str = ""


PHOTOGRAPHS = (
    Photograph(
        "astronaut",
        "astronaut.png",
        512,
        512,
        "a8c429c18afa7b0fd5673e598d73a21225d94c864a71bbb3885126fdecb41071",
        "public domain, NASA",
        (Region("astronaut-face", (0, 0, 256, 256)), Region("astronaut-helmet", (256, 256, 256, 256))),
    ),
    Photograph(
        "chelsea",
        "chelsea.png",
        300,
        451,
        "416b729128bfb2c3d1eb69bf9b1734a796293abc17939267b2dc94f8a5784031",
        f"{_CC0} Stefan van der Walt",
        (Region("chelsea", (0, 0, 300, 451)),),
    ),
    Photograph(
        "coffee",
        "coffee.png",
        400,
        600,
        "0ce2b51640b9c95f19617f03eabf40c3f0368589cc1ee1190b70966165ac184f",
        f"{_CC0} Rachel Michetti",
        (Region("coffee-left", (0, 0, 400, 300)), Region("coffee-right", (0, 300, 400, 300))),
    ),
    # The two views show one scene, so the crops are taken from opposite sides of it.
    Photograph(
        "motorcycle-left",
        "motorcycle_left.png",
        500,
        741,
        "ca829467c1d4f427da9c4862ba43829da6ac90afe1f75735e95dba9e3fd9620b",
        _MIDDLEBURY,
        (Region("motorcycle-left", (0, 0, 500, 370)),),
        disparity="left",
    ),
    Photograph(
        "motorcycle-right",
        "motorcycle_right.png",
        500,
        741,
        "ae44d83f55e66623c7985499fd2f1685a56023e442e66eca89b3457dd46b17af",
        _MIDDLEBURY,
        (Region("motorcycle-right", (0, 371, 500, 370)),),
        disparity="right",
    ),
    Photograph(
        "rocket",
        "rocket.jpg",
        427,
        640,
        "3d4435cc745752b7f9724df88c6e18817de3ce7e3d2d71c55f85f7831e68f197",
        "public domain, SpaceX",
        (Region("rocket", (0, 0, 427, 640)),),
    ),
)
"""All of them, sorted by name."""

_DISPARITY_FILE = "motorcycle_disp.npz"
_DISPARITY_SHA256 = "f2c0a477374eb7465e98bca1674c0adb6c536c1c3e05999fb16c68472dc798aa"
_DISPARITY_OFFSET = 31.086  # pixels, "principal point dx" in skimage.data.stereo_motorcycle


def scikit_image_version() -> str:
    """Version of the installed scikit-image, without importing it."""
    try:
        return importlib.metadata.version("scikit-image")
    except importlib.metadata.PackageNotFoundError as error:
        raise DataError("the embedded photographs need scikit-image: pip install 'scikit-image>=0.25'") from error


def data_folder() -> Path:
    """The folder of the installed scikit-image that has the photographs.

    Raises:
        DataError: scikit-image is not installed.
    """
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise DataError("the embedded photographs need scikit-image: pip install 'scikit-image>=0.25'")
    return Path(spec.origin).parent / "data"


def _checked(file: str, array: NDArray[np.generic], sha256: str) -> None:
    """Refuse an array that is not the recorded one."""
    # the bytes of the little-endian array, whatever the machine's order
    content = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(
            f"{file} of scikit-image {scikit_image_version()} decodes to other values than this suite was made with: "
            "reinstall scikit-image and pillow from their official wheels (pip install --force-reinstall)"
        )


def _opened(folder: Path, file: str) -> Path:
    """Path of a file that is there."""
    path = folder / file
    if not path.is_file():
        raise DataError(
            f"{file} is missing in {folder} of scikit-image {scikit_image_version()}: install its official wheel, "
            "0.25 or later (pip install --force-reinstall 'scikit-image>=0.25')"
        )
    return path


def pixels(photograph: Photograph) -> NDArray[np.uint8]:
    """The whole photograph: (H, W, 3) uint8 RGB, read-only, decoded once per process.

    Raises:
        DataError: the file is missing, cannot be decoded, or has other pixels than recorded.
    """
    return _pixels(data_folder(), photograph)


@lru_cache(maxsize=16)
def _pixels(folder: Path, photograph: Photograph) -> NDArray[np.uint8]:
    from PIL import Image  # here, so that listing suites does not wait for it

    path = _opened(folder, photograph.file)
    try:
        with Image.open(path) as opened:
            array = np.array(opened.convert("RGB"), dtype=np.uint8)
    except OSError as error:
        raise DataError(
            f"{photograph.file} of scikit-image {scikit_image_version()} cannot be decoded ({error}): "
            "reinstall it (pip install --force-reinstall scikit-image)"
        ) from error
    _checked(photograph.file, array, photograph.sha256)
    array.setflags(write=False)
    return array


def depth(photograph: Photograph) -> NDArray[np.uint16] | None:
    """Measured depth: (H, W) uint16 up to `haze.DEPTH_MAX` at the farthest point, read-only; None if there is none.

    A point's distance is `focal length * baseline / (disparity + offset)`. Points without a disparity, which one camera
    does not see, lie behind what is next to them: they get the smaller disparity of their neighbours in the row.

    Raises:
        DataError: the file is missing or has other values than recorded.
    """
    return _depth(data_folder(), photograph.disparity) if photograph.disparity else None


@lru_cache(maxsize=2)
def _depth(folder: Path, view: str) -> NDArray[np.uint16]:
    path = _opened(folder, _DISPARITY_FILE)
    with np.load(path) as archive:
        measured: NDArray[np.float32] = archive["arr_0"]
    _checked(_DISPARITY_FILE, measured, _DISPARITY_SHA256)
    # 1/256 pixel, 0 where unknown; float32 times 256 is exact, so nothing depends on the machine
    disparity = np.rint(np.where(np.isfinite(measured), measured, 0) * 256).astype(np.int64)
    if view == "right":
        disparity = _in_right_view(disparity)
    disparity = _filled(disparity)
    offset = round(_DISPARITY_OFFSET * 256)
    distance = (DEPTH_MAX * (int(disparity.min()) + offset) // (disparity + offset)).astype(np.uint16)
    distance.setflags(write=False)
    return distance


def _in_right_view(disparity: NDArray[np.int64]) -> NDArray[np.int64]:
    """The left view's disparities where the right view sees their points; the nearest point wins, 0 if none."""
    # Values at the edges of objects are mixtures of front and back, which would scatter over the gap behind the edge.
    step = np.abs(np.diff(disparity, axis=1)) > 256
    edge = np.pad(step, ((0, 0), (1, 0))) | np.pad(step, ((0, 0), (0, 1)))
    rows, columns = np.nonzero((disparity > 0) & ~edge)
    values = disparity[rows, columns]
    moved = columns - ((values + 128) >> 8)
    seen = moved >= 0
    right = np.zeros_like(disparity)
    np.maximum.at(right, (rows[seen], moved[seen]), values[seen])
    return right


def _filled(disparity: NDArray[np.int64]) -> NDArray[np.int64]:
    """`disparity` with each 0 replaced by the smaller of the nearest known values to its left and right."""
    known = disparity > 0
    width = disparity.shape[1]
    column = np.arange(width)[None, :]
    before = np.maximum.accumulate(np.where(known, column, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, column, width)[:, ::-1], axis=1)[:, ::-1]
    far = np.iinfo(np.int64).max
    left = np.where(before >= 0, np.take_along_axis(disparity, np.maximum(before, 0), axis=1), far)
    right = np.where(after < width, np.take_along_axis(disparity, np.minimum(after, width - 1), axis=1), far)
    return np.minimum(left, right)
