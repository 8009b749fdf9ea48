"""Which degraded image belongs to which clean one, by name, and the listing of a folder or a pair of folders."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from ..errors import DataError
from .images import FOREIGN_SUFFIXES
from .name_rules import ROLES, stem, whole_pairing
from .walk import found_in, has_suffix, image_names, looks_like_image

# A role in front of a number or a separator, or after a separator: rain-001, norain-001, low00690, 778_input.
_ROLE_BEFORE = re.compile(rf"^(?:{'|'.join(ROLES)})(?:[-_ ]+|(?=\d))", re.IGNORECASE)
_ROLE_BEHIND = re.compile(rf"[-_ ]+(?:{'|'.join(ROLES)})$", re.IGNORECASE)


@dataclass(frozen=True)
class ListedImage:
    """One image of a set as the folders list it; no file has been opened.

    Attributes:
        name: of the degraded image, or of the clean one where a set has no degraded images: its path below the folder
            of its side, ``GOPR0384_11_00/000001.png`` for a frame of a sequence.
        degraded: path of the degraded image; None where a set has none.
        clean: path of the clean image; None if there is none for the degraded one.
        problem: why it cannot be read, as far as the listing tells; "" otherwise.
        clean_name: as `name`, of the clean image; its file name where nothing is given.
    """

    name: str
    degraded: Path | None
    clean: Path | None
    problem: str = ""
    clean_name: str = ""

    def __post_init__(self) -> None:
        if self.clean is not None and not self.clean_name:
            object.__setattr__(self, "clean_name", self.clean.name)


@dataclass(frozen=True)
class Listing:
    """What a folder, or a pair of folders, holds.

    Attributes:
        images: every degraded image (every image of a set without degraded ones), sorted by name.
        orphans: clean images that no degraded one belongs to.
        ignored: files that are no images, and folders of images that are passed over.
        folders: the folders read, the clean one last.
        notes: a line for each choice that was made, by which rule names pair for one.
    """

    images: tuple[ListedImage, ...]
    orphans: tuple[Path, ...]
    ignored: tuple[Path, ...]
    folders: tuple[Path, ...]
    notes: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of all images, each once; orphans are left out."""
        paths = (path for image in self.images for path in (image.degraded, image.clean) if path is not None)
        return tuple(dict.fromkeys(paths))

    @property
    def problems(self) -> tuple[ListedImage, ...]:
        """The images that the listing alone shows to be unreadable."""
        return tuple(image for image in self.images if image.problem)


def core(path: str) -> str:
    """The name without the word for its role: `rain-001` and `norain-001` give `001`, `778_input` gives `778`."""
    folder, slash, base = path.rpartition("/")
    return f"{folder}{slash}{_ROLE_BEHIND.sub('', _ROLE_BEFORE.sub('', base)) or base}"


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
            self._by_stem[stem(name)].append(name)
            self._by_core[core(stem(name))].append(name)

    def find(self, name: str) -> str | None:
        """The clean image's name, or None.

        Raises:
            DataError: several fit equally well.
        """
        if name in self._names:
            return name
        whole = stem(name)
        base = whole.rfind("/") + 1
        prefixes = [whole[: match.start()] for match in re.finditer("_", whole) if match.start() >= base][::-1]
        for candidate in (whole, *prefixes):
            for partners in (self._by_stem.get(candidate, []), self._by_core.get(core(candidate), [])):
                if len(partners) > 1:
                    raise DataError(f"several clean images fit: {', '.join(partners)}")
                if partners:
                    return partners[0]
        return None


NO_PARTNER = "no clean image for it"
"""Begins the problem of a name to which none belongs; of others several fit."""


@dataclass(frozen=True)
class Partnership:
    """Which clean name belongs to which degraded one.

    Attributes:
        clean: by degraded name.
        problems: why a degraded name has none, by name.
        notes: the rule by which they were paired, in a line; empty for equal names.
    """

    clean: Mapping[str, str]
    problems: Mapping[str, str]
    notes: tuple[str, ...] = ()


def partnership(degraded: Sequence[str], clean: Sequence[str], place: str) -> Partnership:
    """The clean name that belongs to each degraded one.

    A rule that pairs both sides whole and one to one comes first (`name_rules.whole_pairing`). Where there is none, as
    images are missing or several belong to one clean image, each finds its partner alone (`Partners`).

    Args:
        degraded, clean: paths below the folder of each side, with ``/``.
        place: what messages call the clean side.

    Raises:
        DataError: rules that do not agree pair both sides whole; the message has the names.
    """
    whole = whole_pairing(degraded, clean)
    if whole is not None:
        return Partnership(whole.partners, {}, _rule_note(whole.partners, whole.rule))
    flat_clean = not any("/" in name for name in clean)
    last = {name: name.rpartition("/")[2] for name in degraded}
    counts = Counter(last.values())
    partners = Partners(clean)
    found: dict[str, str] = {}
    problems: dict[str, str] = {}
    for name in degraded:
        try:
            partner = partners.find(name)
            if partner is None and flat_clean and "/" in name:
                if counts[last[name]] > 1:
                    raise DataError(f"{counts[last[name]]} degraded images have the name {last[name]}")
                partner = partners.find(last[name])
        except DataError as error:
            problems[name] = str(error)
            continue
        if partner is None:
            problems[name] = f"{NO_PARTNER} in {place}"
        else:
            found[name] = partner
    return _without_doubles(found, problems)


def _without_doubles(found: dict[str, str], problems: dict[str, str]) -> Partnership:
    """Leave out an image that was paired by the beginning of its name with what another has by its own name."""
    exact = {clean for name, clean in found.items() if stem(name) == stem(clean)}
    for name, clean in list(found.items()):
        if clean in exact and _by_beginning(name, clean):
            problems[name] = f"{NO_PARTNER}: {clean} is that of another image of this name"
            del found[name]
    loose = {name: clean for name, clean in found.items() if stem(name) != stem(clean)}
    return Partnership(found, problems, _rule_note(loose, "folders, the word for their role or what follows a _"))


def _by_beginning(name: str, clean: str) -> bool:
    return core(stem(name).rpartition("/")[2]) != core(stem(clean).rpartition("/")[2])


def _rule_note(partners: Mapping[str, str], rule: str) -> tuple[str, ...]:
    if not rule or not partners:
        return ()
    name = min(partners)
    return (f"paired by names without {rule}: {name} with {partners[name]}",)


def check_sides(degraded: Path, clean: Path) -> None:
    """Refuse one folder as both sides, however it is spelled, and a side that has the other among its images.

    Raises:
        DataError: naming the folders.
    """
    try:
        if degraded.samefile(clean):
            raise DataError(f"{degraded} and {clean} are one folder: give two, of degraded and of clean images")
        sides = {degraded: degraded.resolve(), clean: clean.resolve()}
    except OSError as error:
        raise DataError(f"folder {error.filename} cannot be listed: {error.strerror or error}") from error
    for outer, inner in ((degraded, clean), (clean, degraded)):
        if sides[outer] in sides[inner].parents and not found_in(outer, nested=False).images:
            raise DataError(
                f"{inner} lies in {outer}, whose images are those of the folders below it: give two folders side by"
                f" side, or degraded={outer} alone for both sides"
            )


def list_folder(clean: Path, *, nested: bool = False) -> Listing:
    """The images of a folder with clean images alone.

    Args:
        clean: the folder.
        nested: whether folders below are read, where it has no images of its own.

    Raises:
        DataError: it cannot be listed.
    """
    found = found_in(clean, nested=nested)
    listed = [ListedImage(name, None, clean / name, clean_name=name) for name in found.images]
    listed += [ListedImage(name, None, clean / name, _wrong_extension(name), clean_name=name) for name in found.foreign]
    ignored = tuple(clean / name for name in (*found.others, *found.passed_over))
    return Listing(tuple(sorted(listed, key=lambda image: image.name)), (), ignored, (clean,))


def list_pairs(degraded: Path, clean: Path) -> Listing:
    """The images of a folder with degraded images, each with its clean one; sequences lie in folders below.

    Every degraded image is listed; one without a clean image, or with several that fit, has a problem. An image with
    another extension is listed too (with a problem) if it is of a format that is not read, or if its name pairs with a
    clean image that has no degraded one.

    Raises:
        DataError: a folder cannot be listed, both are one, or rules that do not agree pair them.
    """
    mine, its = found_in(degraded), found_in(clean)
    check_sides(degraded, clean)
    pairs = Side({name: degraded / name for name in mine.images}), Side({name: clean / name for name in its.images})
    others = Side({name: degraded / name for name in (*mine.foreign, *mine.others)})
    listing = paired_sides(
        *pairs, others, Side({name: clean / name for name in (*its.foreign, *its.others)}), clean.name
    )
    passed_over = (*(degraded / name for name in mine.passed_over), *(clean / name for name in its.passed_over))
    return replace(listing, ignored=(*listing.ignored, *passed_over), folders=(degraded, clean))


def list_tree(degraded: Path, clean: Path) -> Listing:
    """As `list_pairs`, of all images in two folders and below, also where images lie beside folders of images.

    Raises:
        DataError: a folder cannot be listed, both are one, or rules that do not agree pair them.
    """
    check_sides(degraded, clean)
    sides = [{name: side / name for name in image_names(side)} for side in (degraded, clean)]
    return replace(paired_sides(sides[0], sides[1], {}, {}, clean.name), folders=(degraded, clean))


Side = dict[str, Path]
"""Files of one side by name: paths below its folder, with ``/``."""


def paired_sides(degraded: Side, clean: Side, others: Side, clean_others: Side, place: str) -> Listing:
    """The listing of two sides, see `list_pairs`; `others` are their files without an image's extension.

    Raises:
        DataError: rules that do not agree pair them.
    """
    pairs = partnership(sorted(degraded), sorted(clean), place)
    misnamed = Partners(name for name, path in clean_others.items() if _is_image(name, path))
    listed = [
        ListedImage(name, degraded[name], clean[partner], clean_name=partner) for name, partner in pairs.clean.items()
    ]
    used = set(pairs.clean.values())
    for name, problem in pairs.problems.items():
        listed.append(_unpaired(name, degraded[name], problem, misnamed, clean_others))
    kept = {image.clean_name for image in listed}
    ignored = [path for name, path in clean_others.items() if name not in kept]
    free = Partners(name for name in clean if name not in used)
    for name, path in others.items():
        partner = _quietly(free, name)
        if not has_suffix(name, FOREIGN_SUFFIXES) and not (partner and looks_like_image(path)):
            ignored.append(path)
            continue
        own = clean.get(partner) if partner else None
        listed.append(ListedImage(name, path, own, _wrong_extension(name), clean_name=partner or ""))
        used |= {partner} if partner else set()
    return Listing(
        images=tuple(sorted(listed, key=lambda image: image.name)),
        orphans=tuple(path for name, path in sorted(clean.items()) if name not in used),
        ignored=tuple(ignored),
        folders=(),
        notes=pairs.notes,
    )


def _is_image(name: str, path: Path) -> bool:
    return has_suffix(name, FOREIGN_SUFFIXES) or looks_like_image(path)


def _quietly(partners: Partners, name: str) -> str | None:
    try:
        return partners.find(name)
    except DataError:
        return None


def _unpaired(name: str, path: Path, problem: str, misnamed: Partners, files: Side) -> ListedImage:
    """An image without a clean one, or whose clean one has an extension that is not read."""
    partner = _quietly(misnamed, name)
    if partner is None:
        return ListedImage(name, path, None, problem)
    words = f"its clean image {partner} has a {_wrong_extension(partner)}"
    return ListedImage(name, path, files[partner], words, clean_name=partner)


def _wrong_extension(name: str) -> str:
    return f"wrong extension ({PurePath(name).suffix or 'none'}): PNG, JPEG, BMP and TIFF are read"
