"""The standard test sets: what they are, where they come from, and where they lie under the data root.

The layout is the one that RBaIR, PromptIR and AdaIR users have on disk, in every spelling that is in use.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, unknown
from ..files.pairing import Listing, list_folder, list_pairs
from ..tasks import CDD11_TASKS

_INPUT_TARGET = ("input", "target")
_CLEAN_ONLY = (("", "target"), ("", ""))  # the folder has the clean images, or its sub-folder `target`


@dataclass(frozen=True)
class StandardSet:
    """A standard test set.

    Attributes:
        name: as papers call it.
        tasks: the tasks that it is a test set of; all of CDD-11's share their clean images.
        images: number of images or pairs of each task.
        folders: the spellings of its folder under the data root, the usual one first; case plays no part.
        subfolders: the spellings of the sub-folders (degraded, clean); no degraded one where the protocol draws noise.
        size: what it consists of, and how much it is on disk.
        source: where it comes from.
        licence: its terms, as far as its source states any.
        note: what to know before using it; "" if there is nothing.
    """

    name: str
    tasks: tuple[str, ...]
    images: int
    folders: tuple[str, ...]
    subfolders: tuple[tuple[str, str], ...]
    size: str
    source: str
    licence: str
    note: str = ""

    def spellings(self, task: str) -> tuple[tuple[str, str], ...]:
        """The sub-folders (degraded, clean) for a task."""
        return self.subfolders or ((task, "clear"),)

    def layout(self, task: str | None = None) -> str:
        """Where the files go under the data root: `test/dehaze/{input,target}/*`; for all tasks together if None."""
        spellings = self.subfolders or ((task or f"{self.tasks[0]},...", "clear"),)
        pairs = [f"{self.folders[0]}/{{{','.join(pair)}}}/*" for pair in spellings if pair[0]]
        return " or ".join(pairs) or f"{self.folders[0]}/*"

    def locate(self, root: Path, task: str) -> tuple[Path | None, Path] | None:
        """The folders (degraded, clean) for a task under the data root, or None if they are not both there."""
        for folder in self.folders:
            # The data root may be the folder `test` itself.
            base = _descend(root, folder) or _descend(root, folder.removeprefix("test/"))
            if base is None:
                continue
            for degraded, clean in self.spellings(task):
                inputs, targets = _descend(base, degraded) if degraded else None, _descend(base, clean)
                if targets is not None and (inputs is not None or not degraded):
                    return inputs, targets
        return None

    def listing(self, root: Path, task: str) -> Listing | None:
        """The images for a task under the data root; None if the folders are not there."""
        folders = self.locate(root, task)
        if folders is None:
            return None
        degraded, clean = folders
        return list_folder(clean) if degraded is None else list_pairs(degraded, clean)


def _descend(base: Path, relative: str) -> Path | None:
    """The folder `relative` below `base`, whatever the case of its names; the exact spelling is preferred."""
    folder = base
    for part in filter(None, relative.split("/")):
        if (folder / part).is_dir():
            folder = folder / part
            continue
        try:
            same = sorted(p for p in folder.iterdir() if p.name.lower() == part.lower() and p.is_dir())
        except OSError:  # no such folder, or not ours to look into
            return None
        if not same:
            return None
        folder = same[0]
    return folder if folder.is_dir() else None


_RAIN_SOURCE = (
    "Yang et al., 'Deep joint rain detection and removal from a single image', CVPR 2017:"
    " https://www.icst.pku.edu.cn/struct/Projects/joint_rain_removal.html"
)
_BSDS_TERMS = "photographs of the Berkeley Segmentation Dataset, for non-commercial research and education"
_NO_TERMS = "no licence stated at the source; used for research"

CBSD68 = StandardSet(
    name="CBSD68",
    tasks=("denoise",),
    images=68,
    folders=("test/denoise/bsd68", "test/denoise/cbsd68"),
    subfolders=_CLEAN_ONLY,
    size="68 colour images of 481x321, 18 MB as PNG (measured)",
    source="BSDS300's test images that Roth and Black chose: https://github.com/clausmichele/CBSD68-dataset",
    licence=_BSDS_TERMS,
    note="noise is keyed by the file name: copies under other names have other noise",
)
KODAK24 = StandardSet(
    name="Kodak24",
    tasks=("denoise",),
    images=24,
    folders=("test/denoise/kodak24", "test/denoise/kodak"),
    subfolders=_CLEAN_ONLY,
    size="24 colour images of 768x512 (Franzen), or 500x500 (denoising papers); about 15 MB",
    source="Kodak Lossless True Color Image Suite: https://r0k.us/graphics/kodak/",
    licence="released by Eastman Kodak for unrestricted use, as the source states",
    note="denoising papers since FFDNet use 500x500 centre crops, a different set of pixels; see the sizes",
)
URBAN100 = StandardSet(
    name="Urban100",
    tasks=("denoise",),
    images=100,
    folders=("test/denoise/urban100",),
    subfolders=_CLEAN_ONLY,
    size="100 colour images, most 1024 pixels wide; about 130 MB",
    source="Huang et al., 'Single image super-resolution from transformed self-exemplars', CVPR 2015:"
    " https://github.com/jbhuang0604/SelfExSR",
    licence="photographs from Flickr under Creative Commons licences, as the paper states",
)
RAIN100L = StandardSet(
    name="Rain100L",
    tasks=("derain",),
    images=100,
    folders=("test/derain/Rain100L",),
    subfolders=(_INPUT_TARGET,),
    size="100 pairs of 481x321 or 480x320; about 55 MB as PNG",
    source=_RAIN_SOURCE,
    licence=f"{_NO_TERMS}; {_BSDS_TERMS}",
)
RAIN100H = StandardSet(
    name="Rain100H",
    tasks=("derain",),
    images=100,
    folders=("test/derain/Rain100H",),
    subfolders=(_INPUT_TARGET,),
    size="100 pairs of 480x320, 54 MB as PNG (measured)",
    source=_RAIN_SOURCE,
    licence=f"{_NO_TERMS}; {_BSDS_TERMS}",
    note="only 91 clean images are distinct, and 25 are also in CBSD68",
)
SOTS_OUTDOOR = StandardSet(
    name="SOTS-Outdoor",
    tasks=("dehaze",),
    images=500,
    folders=("test/dehaze",),
    subfolders=(_INPUT_TARGET,),
    size="500 hazy images of about 550x413 with 492 clean ones; about 250 MB",
    source="Li et al., RESIDE, 'Benchmarking single-image dehazing and beyond', TIP 2019:"
    " https://sites.google.com/view/reside-dehaze-datasets/reside-v0",
    licence=_NO_TERMS,
    note="RESIDE's training set OTS contains scenes of it",
)
GOPRO = StandardSet(
    name="GoPro",
    tasks=("deblur",),
    images=1111,
    folders=("test/deblur/gopro",),
    subfolders=(("blur", "sharp"), _INPUT_TARGET),
    size="1111 pairs of 1280x720; about 3 GB",
    source="Nah et al., 'Deep multi-scale convolutional neural network for dynamic scene deblurring', CVPR 2017:"
    " https://seungjunnah.github.io/Datasets/gopro",
    licence="CC BY 4.0",
    note="the test sequences of GOPRO_Large put into one folder, with `blur` and not `blur_gamma`",
)
HIDE = StandardSet(
    name="HIDE",
    tasks=("deblur",),
    images=2025,
    folders=("test/deblur/hide",),
    subfolders=(("blur", "sharp"), _INPUT_TARGET),
    size="2025 pairs of 1280x720; about 5 GB",
    source="Shen et al., 'Human-aware motion deblurring', ICCV 2019: https://github.com/joanshen0508/HA_deblur",
    licence=_NO_TERMS,
)
LOL_V1 = StandardSet(
    name="LOL-v1",
    tasks=("lowlight",),
    images=15,
    folders=("test/enhance/lolv1", "test/enhance/lol"),
    subfolders=(("low", "high"), _INPUT_TARGET),
    size="15 pairs of 600x400 (eval15); about 10 MB",
    source="Wei et al., 'Deep Retinex decomposition for low-light enhancement', BMVC 2018:"
    " https://daooshee.github.io/BMVC2018website/",
    licence=_NO_TERMS,
    note="15 images: a mean is known to about +-1.9 dB",
)
LOL_V2_REAL = StandardSet(
    name="LOL-v2-real",
    tasks=("lowlight",),
    images=100,
    folders=("test/enhance/lolv2", "test/enhance/lolv2_real", "test/enhance/lolv2-real"),
    subfolders=(("low", "high"), _INPUT_TARGET, ("low", "normal")),
    size="100 pairs of 600x400; about 60 MB",
    source="Yang et al., 'Sparse gradient regularized deep Retinex network', TIP 2021:"
    " https://github.com/flyywh/CVPR-2020-Semi-Low-Light",
    licence=_NO_TERMS,
    note="LOL-v1's training set overlaps it",
)
CDD11 = StandardSet(
    name="CDD-11",
    tasks=CDD11_TASKS,
    images=200,
    folders=("test/cdd11", "test/CDD-11", "test/CDD-11_test", "cdd11/test", "CDD-11_test"),
    subfolders=(),
    size="200 clean images, each in 11 degradations: 2200 pairs; some GB",
    source="Guo et al., 'OneRestore: A universal restoration framework for composite degradation', ECCV 2024:"
    " https://github.com/gy65896/OneRestore",
    licence=_NO_TERMS,
)

ALL_SETS = (CBSD68, KODAK24, URBAN100, RAIN100L, RAIN100H, SOTS_OUTDOOR, GOPRO, HIDE, LOL_V1, LOL_V2_REAL, CDD11)
"""The standard sets, by task."""


def get_set(name: str, task: str | None = None) -> StandardSet:
    """The standard set called `name`, among those of a task if one is given.

    Raises:
        DataError: there is none; near names are suggested.
    """
    sets = {s.name: s for s in ALL_SETS if task is None or task in s.tasks}
    if name not in sets:
        raise unknown("data set" if task is None else f"data set of the task {task}", name, sets)
    return sets[name]


def check_root(root: Path) -> None:
    """Refuse a data root that is not there.

    Raises:
        DataError: it is no folder.
    """
    if not root.is_dir():
        raise DataError(f"data.root={root} is not a folder; it is the one that has test/denoise, test/derain and so on")


@dataclass(frozen=True)
class Part:
    """The images of one standard set for one task, as far as the folders tell.

    Attributes:
        set: the standard set.
        task: name of the task.
        listing: its images, or None where the folders are absent.
    """

    set: StandardSet
    task: str
    listing: Listing | None

    @property
    def images(self) -> int:
        """How many there are."""
        return 0 if self.listing is None else len(self.listing.entries)

    @property
    def files(self) -> int:
        """How many files there are to read."""
        return 0 if self.listing is None else len(self.listing.files) + len(self.listing.orphans)

    @property
    def counted(self) -> bool:
        """Whether there are exactly as many as the set has."""
        return self.images == self.set.images

    @property
    def whole(self) -> bool:
        """Whether there are as many as the set has and each has its clean image; no file has been opened."""
        return self.listing is not None and self.counted and not self.listing.problems

    @property
    def title(self) -> str:
        """Name of the set, with the degradation for one of several."""
        return self.set.name if len(self.set.tasks) == 1 else f"{self.set.name} {self.task}"

    @property
    def shortfall(self) -> str:
        """What is missing, in words; for a set that is not whole."""
        where = f"goes in {self.set.layout(self.task)}"
        if self.listing is None:
            return f"{self.title} is absent ({self.set.images} images), {where}"
        words = f"{self.title} has {self.images} of {self.set.images} images"
        if self.listing.problems:
            first = self.listing.problems[0]
            words += f", {len(self.listing.problems)} of them unpaired ({first.name}: {first.problem})"
        return f"{words}, {where}"


def find_part(standard: StandardSet, task: str, root: Path | None) -> Part:
    """What lies under the data root of a set's images for a task."""
    return Part(standard, task, None if root is None else standard.listing(root, task))


def shortfalls(parts: Iterable[Part]) -> str:
    """What is missing of these parts, in one line; the parts of an absent CDD-11 are one."""
    words: dict[str, None] = {}
    for part in parts:
        if part.listing is None and len(part.set.tasks) > 1:
            words[f"{part.set.name} is absent ({part.set.images} images each), goes in {part.set.layout()}"] = None
        else:
            words[part.shortfall] = None
    return "; ".join(words)
