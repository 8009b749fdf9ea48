"""Which degraded image belongs to which clean one, by name, and the listing of a folder or a pair of folders."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from ..errors import DataError
from .images import FOREIGN_SUFFIXES, FORMATS

_ROLES = (
    "noisy|norain|normal|rainy|rain|hazy|haze|blurry|blur|degraded|input|low|lq|target|clean|clear|sharp|high|gt|hq"
)
# A role in front of a number or a separator, or after a separator: rain-001, norain-001, low00690, 778_input.
_ROLE_BEFORE = re.compile(rf"^(?:{_ROLES})(?:[-_ ]+|(?=\d))", re.IGNORECASE)
_ROLE_BEHIND = re.compile(rf"[-_ ]+(?:{_ROLES})$", re.IGNORECASE)


@dataclass(frozen=True)
class ListedImage:
    """One image of a set as the folders list it; no file has been opened.

    Attributes:
        name: the file name of the degraded image, or of the clean one where a set has no degraded images.
        degraded: path of the degraded image; None where a set has none.
        clean: path of the clean image; None if there is none for the degraded one.
        problem: why it cannot be read, as far as the listing tells; "" otherwise.
    """

    name: str
    degraded: Path | None
    clean: Path | None
    problem: str = ""


@dataclass(frozen=True)
class Listing:
    """What a folder, or a pair of folders, holds.

    Attributes:
        images: every degraded image (every image of a set without degraded ones), sorted by name.
        orphans: clean images that no degraded one belongs to.
        ignored: files that are no images.
        folders: the folders read, the clean one last.
    """

    images: tuple[ListedImage, ...]
    orphans: tuple[Path, ...]
    ignored: tuple[Path, ...]
    folders: tuple[Path, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of all images, each once; orphans are left out."""
        paths = (path for image in self.images for path in (image.degraded, image.clean) if path is not None)
        return tuple(dict.fromkeys(paths))

    @property
    def problems(self) -> tuple[ListedImage, ...]:
        """The images that the listing alone shows to be unreadable."""
        return tuple(image for image in self.images if image.problem)


def core(stem: str) -> str:
    """The name without the word for its role: `rain-001` and `norain-001` give `001`, `778_input` gives `778`."""
    return _ROLE_BEHIND.sub("", _ROLE_BEFORE.sub("", stem)) or stem


class Partners:
    """Finds the clean image that a degraded one belongs to.

    The first of these rules that finds an image decides:

    1. the same name, then the same name with another extension (`1.png`, `1.jpg`);
    2. the same name apart from a word for its role (`rain-001`, `norain-001`; `low00690`, `normal00690`;
       `778_input`, `778`);
    3. a name that the degraded one continues after an underscore, the longest first (`0001_0.8_0.2`, `0001`), also
       apart from a role. So one clean image can have many degraded ones.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = set(names)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        self._by_core: dict[str, list[str]] = defaultdict(list)
        for name in sorted(self._names):
            stem = PurePath(name).stem
            self._by_stem[stem].append(name)
            self._by_core[core(stem)].append(name)

    def find(self, name: str) -> str | None:
        """The clean image's name, or None.

        Raises:
            DataError: several fit equally well.
        """
        if name in self._names:
            return name
        stem = PurePath(name).stem
        prefixes = [stem[: match.start()] for match in re.finditer("_", stem)][::-1]
        for candidate in (stem, *prefixes):
            for partners in (self._by_stem.get(candidate, []), self._by_core.get(core(candidate), [])):
                if len(partners) > 1:
                    raise DataError(f"several clean images fit: {', '.join(partners)}")
                if partners:
                    return partners[0]
        return None


def _files(folder: Path) -> tuple[list[str], list[str]]:
    """Names in a folder, sorted: those with an image's extension (whatever they are), and all others but hidden ones.

    Raises:
        DataError: the folder cannot be listed.
    """
    try:
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"folder {folder} cannot be listed: {error.strerror or error}") from error
    images = [name for name in names if PurePath(name).suffix.lower() in FORMATS]
    kept = set(images)
    return images, [name for name in names if name not in kept]


def _wrong_extension(name: str) -> str:
    return f"wrong extension ({PurePath(name).suffix or 'none'}): PNG, JPEG, BMP and TIFF are read"


def list_folder(clean: Path) -> Listing:
    """The images of a folder with clean images alone.

    Raises:
        DataError: it cannot be listed.
    """
    images, others = _files(clean)
    foreign = [name for name in others if PurePath(name).suffix.lower() in FOREIGN_SUFFIXES]
    listed = [ListedImage(name, None, clean / name) for name in images]
    listed += [ListedImage(name, None, clean / name, _wrong_extension(name)) for name in foreign]
    ignored = tuple(clean / name for name in others if name not in set(foreign))
    return Listing(tuple(sorted(listed, key=lambda image: image.name)), (), ignored, (clean,))


def list_pairs(degraded: Path, clean: Path) -> Listing:
    """The images of a folder with degraded images, each with its clean one.

    Every degraded image is listed; one without a clean image, or with several that fit, has a problem. A file with
    another extension is listed too (with a problem) if its name pairs with a clean image that has no degraded one.

    Raises:
        DataError: a folder cannot be listed.
    """
    images, others = _files(degraded)
    clean_images, clean_others = _files(clean)
    partners, misnamed = Partners(clean_images), Partners(clean_others)
    listed = [_paired(degraded / name, clean, partners, misnamed) for name in images]
    used = {image.clean.name for image in listed if image.clean is not None}
    ignored = [clean / name for name in clean_others if name not in used]
    for name in others:
        image = _paired(degraded / name, clean, partners, misnamed)
        foreign = PurePath(name).suffix.lower() in FOREIGN_SUFFIXES
        if foreign or (image.clean is not None and image.clean.name not in used):
            listed.append(ListedImage(name, image.degraded, image.clean, _wrong_extension(name)))
            used |= {image.clean.name} if image.clean is not None else set()
        else:
            ignored.append(degraded / name)
    return Listing(
        images=tuple(sorted(listed, key=lambda image: image.name)),
        orphans=tuple(clean / name for name in clean_images if name not in used),
        ignored=tuple(ignored),
        folders=(degraded, clean),
    )


def _paired(degraded: Path, clean: Path, partners: Partners, misnamed: Partners) -> ListedImage:
    """One degraded image with its clean one; `misnamed` are the files in the clean folder with another extension."""
    name = degraded.name
    try:
        partner = partners.find(name)
        if partner is not None:
            return ListedImage(name, degraded, clean / partner)
        partner = misnamed.find(name)
    except DataError as error:
        return ListedImage(name, degraded, None, str(error))
    if partner is not None:
        return ListedImage(
            name, degraded, clean / partner, f"its clean image {partner} has a {_wrong_extension(partner)}"
        )
    return ListedImage(name, degraded, None, f"no clean image for it in {clean.name}")
