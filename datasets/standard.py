"""The standard test sets: what they are called and where they lie under the data root.

The layout is the one that RBaIR, PromptIR and AdaIR users have on disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StandardSet:
    """A standard test set.

    Attributes:
        name: as papers call it.
        images: number of images or pairs.
        folder: under the data root.
        subfolders: the pairs of sub-folders (degraded, clean) accepted; empty where the folder has the clean images
            alone.
    """

    name: str
    images: int
    folder: str
    subfolders: tuple[tuple[str, str], ...] = ()

    @property
    def layout(self) -> str:
        """Where the files go under the data root: `test/dehaze/{input,target}/*`."""
        if not self.subfolders:
            return f"{self.folder}/*"
        return " or ".join(f"{self.folder}/{{{','.join(pair)}}}/*" for pair in self.subfolders)

    def present(self, root: Path) -> bool:
        """Whether the folders are there; their files are not looked at."""
        if not self.subfolders:
            return (root / self.folder).is_dir()
        return any(all((root / self.folder / name).is_dir() for name in pair) for pair in self.subfolders)


_INPUT_TARGET = ("input", "target")
CBSD68 = StandardSet("CBSD68", 68, "test/denoise/bsd68")
RAIN100L = StandardSet("Rain100L", 100, "test/derain/Rain100L", (_INPUT_TARGET,))
SOTS_OUTDOOR = StandardSet("SOTS-Outdoor", 500, "test/dehaze", (_INPUT_TARGET,))
GOPRO = StandardSet("GoPro", 1111, "test/deblur/gopro", (("blur", "sharp"), _INPUT_TARGET))
LOL_V1 = StandardSet("LOL-v1", 15, "test/enhance/lolv1", (("low", "high"), _INPUT_TARGET))

STANDARD_SETS = {
    "denoise": CBSD68,
    "derain": RAIN100L,
    "dehaze": SOTS_OUTDOOR,
    "deblur": GOPRO,
    "lowlight": LOL_V1,
}
"""The set on which each task of the 3D and 5D tables is scored."""


def sets_of(task_names: Iterable[str]) -> tuple[StandardSet, ...]:
    """The standard sets of these tasks, in their order, each once."""
    return tuple(dict.fromkeys(STANDARD_SETS[name] for name in task_names))


def refusal(sets: Iterable[StandardSet], root: Path | None) -> str:
    """One line: which of `sets` are missing under `root` and where they go, and that nothing reads them yet."""
    sets = tuple(sets)
    missing = [s for s in sets if root is None or not s.present(root)]
    where = "data.root (not set)" if root is None else f"data.root={root}"
    parts = ["data=standard: this version has no readers for the standard sets yet, use data=embedded"]
    if missing:
        listed = "; ".join(f"{s.name} ({s.images} images) in {s.layout}" for s in missing)
        parts.append(f"missing under {where}: {listed}")
    else:
        parts.append(f"all folders are there under {where}: {', '.join(s.name for s in sets)}")
    return ". ".join(parts)
