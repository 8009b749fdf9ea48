"""Which weights a ``weights=`` argument means, and what tables will say about them.

Importing this module imports no torch: what reads files comes with the first file.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .card import Checkpoint, ModelCard, Provenance, WeightsInfo
from .errors import ModelError
from .files import byte_limit, file_sha256, opened, sha256_of
from .registry import check_variant

if TYPE_CHECKING:
    from .checkpoints.fitting import Fit

WEIGHTS_VARIABLE = "RESTOREBENCH_WEIGHTS"
BUNDLED = Path(__file__).parent / "bundled"
TINY = "tiny"
MOST_CLAIMED = 40
"""Characters that are shown of what a file says of itself."""

logger = logging.getLogger("restorebench")


@dataclass(frozen=True)
class WeightsChoice:
    """What a ``weights=`` argument means for a card: the variant, its weights, and arguments that the file needs."""

    variant: str
    info: WeightsInfo
    overrides: Mapping[str, Any] = field(default_factory=dict)


def weights_folder() -> Path:
    """Folder searched for published checkpoints: ``RESTOREBENCH_WEIGHTS``, else ``~/.cache/restorebench/weights``."""
    folder = os.environ.get(WEIGHTS_VARIABLE)
    return Path(folder).expanduser() if folder else Path.home() / ".cache" / "restorebench" / "weights"


def bundled_path(card: ModelCard) -> Path:
    """Where the package keeps the weights of the ``tiny`` variant, whether or not it has them."""
    return BUNDLED / f"{card.name}-{TINY}.safetensors"


def choose_weights(
    card: ModelCard, variant: str | None, weights: str | os.PathLike[str] | None, seed: int
) -> WeightsChoice:
    """Decide which weights a ``weights=`` argument of `create_model` means (see there).

    Raises:
        ModelError: there are no such weights.
    """
    if card.source is not None:
        choice = choose_weights(replace(card, source=None), variant, weights, seed)
        return replace(choice, info=_of_own_network(choice.info))
    if not card.trainable:
        if weights not in (None, "none", "bundled"):
            raise ModelError(f"{card.name} has no weights to load: leave out weights={os.fspath(weights or '')}")
        info = WeightsInfo("not needed", None, None, "input", "no weights needed")
        return WeightsChoice(check_variant(card, variant), info)
    if card.built_from == "checkpoint" and weights in (None, "none", "bundled"):
        raise ModelError(f"{card.name} takes its network from a checkpoint: pass weights=PATH")
    if weights is None:
        return _default_weights(card, variant, seed)
    if weights == "none":
        return WeightsChoice(check_variant(card, variant), _untrained(seed))
    if weights == "bundled":
        return _bundled_weights(card, variant)
    return _file_weights(card, variant, Path(weights).expanduser())


def check_key(info: WeightsInfo, weights_key: str | None) -> None:
    """ModelError where `weights_key` is given without a file that it could lead into."""
    if weights_key is not None and info.kind != "file":
        raise ModelError(f"weights_key={weights_key} leads into a weights file: give one with weights=PATH")


def located(info: WeightsInfo, fit: Fit, *, logged: bool = False) -> WeightsInfo:
    """What is known of weights with where in the file they were found; `logged`: that is also said."""
    if logged and info.path is not None:
        for line in (fit.said and f"taking the {fit.said}", fit.left_out):
            if line:
                logger.warning("%s: %s", info.path, line)
    description = f"{info.description}; {fit.said}" if fit.said else info.description
    return replace(info, key=fit.key, description=description)


def _of_own_network(info: WeightsInfo) -> WeightsInfo:
    """What is said of weights for a network of the user's own, which only its own code knows."""
    if info.kind == "none":
        said = info.description.replace("random weights", "weights as the network's own code makes them")
        return replace(info, provenance="yours", description=said, label="")
    label = info.label or (info.path.name if info.path is not None else "")
    return replace(info, provenance="yours", label=label)


def _default_weights(card: ModelCard, variant: str | None, seed: int) -> WeightsChoice:
    wanted = check_variant(card, variant)
    folder = weights_folder()
    published = [checkpoint for checkpoint in card.checkpoints if checkpoint.variant == wanted]
    for checkpoint in published:
        path = folder / checkpoint.file_name
        if path.is_file():
            logger.info("%s: using the checkpoint %s", card.name, path)
            return _file_weights(card, wanted, path)
    has_bundled = bundled_path(card).is_file()
    if wanted == TINY and has_bundled:
        return _bundled_weights(card, TINY)
    if variant is not None or TINY not in card.variants:
        raise ModelError(f"no weights for {card.name} {wanted}: pass weights=PATH, or weights=none for random ones")
    names = ", ".join(checkpoint.file_name for checkpoint in published)
    missing = f"{folder} has no checkpoint of variant {wanted}" + (f" ({names})" if names else "")
    if has_bundled:
        logger.warning("%s: %s; using the tiny variant with its bundled weights", card.name, missing)
        return _bundled_weights(card, TINY)
    logger.warning("%s: %s and no weights are bundled; using the tiny variant UNTRAINED", card.name, missing)
    return WeightsChoice(TINY, _untrained(seed))


def _untrained(seed: int) -> WeightsInfo:
    return WeightsInfo("none", None, None, "untrained", f"random weights, seed {seed}")


def _bundled_weights(card: ModelCard, variant: str | None) -> WeightsChoice:
    from .checkpoints.writing import training_facts

    path = bundled_path(card)
    if not path.is_file():
        raise ModelError(f"no weights are bundled for {card.name}: pass weights=PATH, or weights=none for random ones")
    if variant not in (None, TINY):
        raise ModelError(
            f"the weights bundled for {card.name} are of variant {TINY}: pass variant={TINY}, or weights=PATH"
        )
    sha256, metadata = _identified(path, byte_limit(card))
    info = WeightsInfo("bundled", path, sha256, "bundled", f"bundled {TINY} weights", training_facts(metadata))
    return WeightsChoice(TINY, info)


def _identified(path: Path, limit: int) -> tuple[str, dict[str, str]]:
    """sha256 and metadata of a file, from the same opened one."""
    with opened(path, limit) as file:
        from .checkpoints.writing import metadata_of

        return sha256_of(file), metadata_of(file, path)


def _file_weights(card: ModelCard, variant: str | None, path: Path) -> WeightsChoice:
    limit = byte_limit(card)
    sha256, metadata = _identified(path, limit)
    from .checkpoints.trained import trainer_metadata
    from .checkpoints.writing import training_facts

    steps = trainer_metadata(path, limit)
    metadata = metadata | steps
    owner = metadata.get("restorebench.model", card.name)
    if owner != card.name:
        raise ModelError(f"{path} holds weights of {owner}, not of {card.name}: pass model={owner} or another file")
    known = _known_checkpoint(card, variant, path, sha256)
    provenance = "retrained" if steps else _provenance(card, known, path, sha256, metadata)
    description = f"{path.name}, sha256 {sha256[:12]}"
    if steps:
        description += f", step {steps['restorebench.steps']} of a training"
    if provenance == "official" and known is not None:
        description += f", trained for {known.trained_for}"
    claims = _claims(provenance, known, metadata)
    if claims:
        description += f"; not checked: {', '.join(claims)}"
    label = path.name if provenance == "file" else ""
    info = WeightsInfo("file", path, sha256, provenance, description, training_facts(metadata), label)
    if variant is None:
        variant = known.variant if known else metadata.get("restorebench.variant")
    fits = known is not None and known.variant == variant
    return WeightsChoice(check_variant(card, variant), info, dict(known.overrides) if known and fits else {})


def _provenance(
    card: ModelCard, known: Checkpoint | None, path: Path, sha256: str, metadata: Mapping[str, str]
) -> Provenance:
    """What is known of a file: by its sha256, or by facts that are checked; nothing is believed because it says so."""
    if known is not None and known.sha256 == sha256:
        return "official"
    bundled = bundled_path(card)
    if bundled.is_file() and file_sha256(bundled) == sha256:
        return "bundled"
    if card.built_from == "checkpoint":
        return "foreign"
    from .checkpoints.writing import has_checked_facts

    return "retrained" if has_checked_facts(path, sha256, metadata, byte_limit(card)) else "file"


def _claims(provenance: Provenance, known: Checkpoint | None, metadata: Mapping[str, str]) -> list[str]:
    """What a file's name and metadata say of it, where that is more than what is known."""
    if provenance != "file":
        return []
    claims = []
    stored = metadata.get("restorebench.provenance")
    if stored is not None:
        claims.append(f"it says of itself to be {' '.join(stored.split())[:MOST_CLAIMED]!r}")
    if known is not None:
        claims.append(f"it has the name of a published checkpoint trained for {known.trained_for}")
    return claims


def _known_checkpoint(card: ModelCard, variant: str | None, path: Path, sha256: str) -> Checkpoint | None:
    """The published checkpoint that a file is, by hash; or that it may be, by name, where its hash is not known."""
    matches = [checkpoint for checkpoint in card.checkpoints if checkpoint.sha256 == sha256]
    named = [checkpoint for checkpoint in card.checkpoints if Path(checkpoint.file_name).name == path.name]
    matches = matches or [checkpoint for checkpoint in named if checkpoint.sha256 is None]
    if named and not matches:
        logger.warning("%s: %s has the name of a published checkpoint but another sha256", card.name, path)
    # A file name may stand for several variants; the one asked for comes first.
    return min(matches, key=lambda checkpoint: checkpoint.variant != variant, default=None)
