"""What is known about a restorer and its weights, as typed data.

Facts only: this module imports nothing heavy, so that tables and ``bench list`` can use it without the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Provenance = Literal["official", "retrained", "bundled", "file", "foreign", "yours", "untrained", "input"]
"""Where the numbers of a row come from, as far as it is known and not only said.

``official``: the authors' weights, whose sha256 the card lists. ``retrained``: weights trained by this suite, with
facts of its trainer that are about these very tensors. ``bundled``: the tiny weights inside the package. ``file``: a
file of the user's, whose origin is not known whatever it says of itself. ``foreign``: a checkpoint from elsewhere, for
a network that another package brings. ``yours``: whatever the weights, the network is of a file or module that the
user named (`NetworkSource`). ``untrained``: random weights. ``input``: no network, the degraded image itself.
(``published`` rows, copied from papers, never come from a network run; that a network was rebuilt from a paper is a
fact of its card, `ModelCard.network_provenance`. Records of before version 0.1.0.dev1 can also say ``reconstructed``.)
"""


@dataclass(frozen=True, kw_only=True)
class SizeRule:
    """Heights and widths that the bare network takes; other sizes are padded on the right and bottom, and cropped back.

    Attributes:
        multiple: height and width are padded to a multiple of this, in pixels.
        minimum: and to at least this, in pixels.
        padding: how the padded pixels are filled.
    """

    multiple: int = 1
    minimum: int = 1
    padding: Literal["reflect", "zeros"] = "reflect"

    def padded(self, length: int) -> int:
        """Length in pixels after padding a side of `length` pixels."""
        length = max(length, self.minimum)
        return -(-length // self.multiple) * self.multiple


HALVED_THREE_TIMES = SizeRule(multiple=8, minimum=8, padding="reflect")
"""Of networks of four levels, each half as large as the one above, whose authors pad by reflection."""


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """Whether an image may be restored in overlapping tiles where memory does not suffice, and how (sizes in pixels).

    ``tile=`` of a configuration forces tiles of any size, whatever stands here: that is then part of the cell.

    Attributes:
        allowed: False where a network needs the whole image: without the memory for it, it runs on the CPU.
        tile: the smallest side of tiles that is safe: larger ones are tried first, smaller ones never.
        overlap: pixels that neighbouring tiles share, at most a quarter of a tile.
        loss_db: the most that tiles of that side cost an image, in dB of PSNR, as measured; None where nobody has.
        note: what was measured, or why it is not allowed.
    """

    allowed: bool = True
    tile: int = 512
    overlap: int = 64
    loss_db: float | None = None
    note: str = ""

    def overlap_of(self, tile: int) -> int:
        """The overlap in pixels of tiles of that side."""
        return min(self.overlap, tile // 4)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One size of a restorer.

    Attributes:
        arguments: constructor arguments of the network.
        parameters: exact number of trainable parameters, checked by the tests; None where it is not fixed.
        macs_256_g: 1e9 multiply-adds at 1x3x256x256 counted by dispatch, without Fourier transforms, checked to 1 %.
        macs_256_most_g: the same of the dearest choice, where a router chooses what is run; `macs_256_g` is then that
            of the cheapest.
        size: size rule of the bare network where it is not the card's.
        note: what this size is for.
    """

    arguments: Mapping[str, Any] = field(default_factory=dict)
    parameters: int | None = None
    macs_256_g: float | None = None
    macs_256_most_g: float | None = None
    size: SizeRule | None = None
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "arguments", dict(self.arguments))


@dataclass(frozen=True, kw_only=True)
class PublishedFigure:
    """A cost that the paper or its repository prints for a variant."""

    variant: str
    parameters_m: float | None = None
    macs_g: float | None = None
    input_size: str = "not stated"
    source: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint that the authors publish for a variant.

    Attributes:
        variant: the variant that it fits.
        file_name: the name under which the weights folder is searched for it.
        url: where its authors put it.
        licence: licence of the weights as stated there.
        trained_for: tasks or data it was trained on.
        sha256: hash of the file where it is known.
        overrides: constructor arguments that differ from the variant's.
    """

    variant: str
    file_name: str
    url: str
    licence: str
    trained_for: str
    sha256: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WeightsInfo:
    """Where the weights of a restorer come from.

    Attributes:
        kind: ``file``, ``bundled``, ``none`` (random), ``not needed``, or ``memory`` (of a network that a script gave).
        path: the file, where there is one.
        sha256: its hash, in hexadecimal.
        provenance: what tables say about the row.
        description: one line for people; it names the seed of random weights.
        training: what the file says of how it was trained (`checkpoint.training_facts`); None where it says nothing.
        label: what tables call a file of unknown origin: its name, unless the user gave another.
        key: dotted path of the state dict in the file, where the file has several that fit; None elsewhere.
    """

    kind: Literal["file", "bundled", "none", "not needed", "memory"]
    path: Path | None
    sha256: str | None
    provenance: Provenance
    description: str
    training: Mapping[str, Any] | None = None
    label: str = ""
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class NetworkSource:
    """The file from which a network of the user's own was read.

    Attributes:
        reference: what `create_model` takes to make it again, with the file's whole path.
        name: of the class or function in it.
        sha256: of the file, in hexadecimal.
        imports: (name, sha256) of each module that it imported from its own folder.
        size_multiple: the size rule's multiple where the user gave one; None: the class's own.
    """

    reference: str
    name: str
    sha256: str
    imports: tuple[tuple[str, str], ...] = ()
    size_multiple: int | None = None

    def identity(self) -> dict[str, Any]:
        """What tells its scores from those of another network, as plain data."""
        result: dict[str, Any] = {"name": self.name, "sha256": self.sha256}
        if self.imports:
            result["imports"] = dict(self.imports)
        if self.size_multiple is not None:
            result["size_multiple"] = self.size_multiple
        return result


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Everything the suite says about a restorer besides its network.

    Attributes:
        name: registry name, lower case.
        title: name as tables print it.
        variants: sizes by name; the first one is the default.
        paper: citation in one line.
        url: the paper's address.
        year: year of the paper.
        code_licence: licence of the authors' code ("none published" where there is no code).
        weights_licence: licence of the authors' weights.
        network_provenance: ``reconstructed`` where no code was ever published.
        blind: whether the network gets the image alone, with no word of its degradation.
        size: size rule of the bare network, but for variants that have one of their own.
        dtypes: torch dtypes that the network supports under autocast or natively, by name.
        tiling: tiling policy.
        training_sets: data sets the published weights were trained on.
        published: costs that the paper prints.
        checkpoints: published checkpoints.
        key_map: (regular expression, replacement) pairs that turn keys of published checkpoints into reference keys.
        trainable: False where the restorer has nothing to train.
        built_from: ``checkpoint`` where the weights file decides the architecture: the class then has the method
            ``from_checkpoint`` (`restorebench.models.hooks.BuiltFromCheckpoint`) and is never built without a file.
        without_gradient: regular expressions of the keys of trainable parameters that no gradient ever reaches, or only
            one of zero: published checkpoints and printed sizes hold them.
        notes: what someone who uses the numbers should know, such as how defects of published code are treated.
        revision: raised whenever the same weights would give other outputs; part of every cell's identity.
        source: the file of a network that the user named; None for registered ones.
    """

    name: str
    title: str
    variants: Mapping[str, Variant]
    paper: str
    url: str
    year: int
    code_licence: str
    weights_licence: str = "none published"
    network_provenance: Literal["authors", "repaired", "reconstructed", "none"] = "authors"
    blind: bool = True
    size: SizeRule = field(default_factory=SizeRule)
    dtypes: tuple[str, ...] = ("float32", "bfloat16")
    tiling: Tiling = field(default_factory=Tiling)
    training_sets: tuple[str, ...] = ()
    published: tuple[PublishedFigure, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    key_map: tuple[tuple[str, str], ...] = ()
    trainable: bool = True
    built_from: Literal["arguments", "checkpoint"] = "arguments"
    without_gradient: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    revision: int = 1
    source: NetworkSource | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "variants", dict(self.variants))
        if not self.variants:
            raise ValueError(f"card {self.name!r} has no variants")

    @property
    def default_variant(self) -> str:
        """The first variant, which is the published one."""
        return next(iter(self.variants))

    def size_of(self, variant: str) -> SizeRule:
        """Size rule of the bare network of a variant."""
        known = self.variants.get(variant)
        return known.size if known is not None and known.size is not None else self.size

    @property
    def key(self) -> str:
        """What finds the network again: its name in the registry, or the reference of the user's own."""
        return self.name if self.source is None else self.source.reference
