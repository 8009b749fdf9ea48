"""A checkpoint brought to a network: which of its state dicts is taken, what is left out, and why one does not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from ...messages import one_line
from ..card import ModelCard
from ..errors import ModelError
from .matching import Place, module_beside, places, preferred, shown
from .names import is_averaged
from .reading import StoredCheckpoint, under
from .tensors import Leaf

MOST_SEARCHED = 20_000
"""Tensors of a checkpoint up to which the other restorers are gone through for one that it fits."""
MOST_NAMED = 5
"""Places or modules that a line names."""


@dataclass(frozen=True)
class Size:
    """A restorer as a checkpoint may be of it.

    Attributes:
        hint: what it is and how to ask for it.
        card: of it.
        state: its state dict, which may be on the meta device.
    """

    hint: str
    card: ModelCard
    state: Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Fit:
    """A network's state dict in a checkpoint.

    Attributes:
        state: its tensors by the network's keys, as descriptions or themselves.
        key: dotted path of the place that they were taken from, where the file has several that fit, else None.
        said: which of several were taken, in a few words; empty where there was no choice.
        left_out: what of the file was left out, in a line; empty where nothing was.
    """

    state: Mapping[str, Leaf]
    key: str | None
    said: str
    left_out: str


def fitted(
    checkpoint: StoredCheckpoint,
    own: Mapping[str, torch.Tensor],
    card: ModelCard,
    *,
    weights_key: str | None = None,
    sizes: Iterable[Size] = (),
) -> Fit:
    """The state dict of a network in a checkpoint.

    Every key must be there, with its shape, and no other of the same module; ``num_batches_tracked`` may be missing.
    Where several state dicts fit, averaged weights come before others.

    Args:
        checkpoint: its structure.
        own: the network's state dict, whose values are not looked at.
        card: of the restorer.
        weights_key: dotted path of the one to take.
        sizes: restorers that the checkpoint may be of instead; read only where it does not fit.

    Raises:
        ModelError: none fits, or several do and nothing tells them apart. The message names the first keys, and what
            would fit.
    """
    source = str(checkpoint.path)
    found = places(checkpoint.names, own, card)
    fitting = distinct([place for place in found if place.fits])
    within, chosen = found, fitting
    if weights_key is not None:
        under(checkpoint.names, weights_key, source)
        prefix = weights_key.strip(".") + "."
        within = [place for place in found if place.fits and f"{place.location}.".startswith(prefix)]
        if not within:
            there = {name: named for name, named in checkpoint.names.items() if name.startswith(prefix)}
            within = places(there, own, card)
        # All places that fit, also those whose tensors have another name too.
        chosen = [place for place in within if place.fits]
    if not chosen:
        raise ModelError(_misfit(checkpoint, within, fitting, own, card, sizes))
    best = preferred(chosen)
    if len(best) > 1:
        raise ModelError(
            f"{source} holds several state dicts that fit {card.name} ({_listed(best)}): choose with weights_key=PATH"
        )
    return _fit(best[0], fitting)


def distinct(fitting: Iterable[Place]) -> list[Place]:
    """Places without those whose tensors are another's."""
    kept: list[Place] = []
    for place in fitting:
        if not any(place.same_tensors(each) for each in kept):
            kept.append(place)
    return kept


def _fit(place: Place, fitting: list[Place]) -> Fit:
    others = [each for each in fitting if not each.same_tensors(place)]
    location = next((each.location for each in fitting if each.same_tensors(place)), place.location)
    siblings = {module_beside(each.prefix, place.prefix) for each in others}
    left_out = Counter({name: count for name, count in place.left_out.items() if name not in siblings})
    said = ""
    if others:
        kind = "EMA weights" if is_averaged(place.location) > min(map(_averaged, others)) else "weights"
        said = f"{kind} {_shown(place)!r} (not {_listed(others)})"
    line = ""
    if left_out:
        parts = ", ".join(f"{name} ({count})" for name, count in left_out.most_common(MOST_NAMED))
        more = f" and {len(left_out) - MOST_NAMED} more" if len(left_out) > MOST_NAMED else ""
        line = f"{left_out.total()} keys that are not the network's are left out: {parts}{more}"
    return Fit(place.state, location if others else None, said, line)


def _averaged(place: Place) -> int:
    return is_averaged(place.location)


def _shown(place: Place) -> str:
    return place.location or "(the top)"


def _listed(several: list[Place]) -> str:
    names = [repr(_shown(place)) for place in several[:MOST_NAMED]]
    return ", ".join(names) + (f" and {len(several) - MOST_NAMED} more" if len(several) > MOST_NAMED else "")


def _misfit(
    checkpoint: StoredCheckpoint,
    found: list[Place],
    fitting: list[Place],
    own: Mapping[str, torch.Tensor],
    card: ModelCard,
    sizes: Iterable[Size],
) -> str:
    """Why a checkpoint does not fit, and what it would fit."""
    nearest = found[0]
    if nearest.clash:
        return f"{checkpoint.path}: {nearest.clash}"
    message = f"{checkpoint.path} does not fit this {card.name}: {mismatch(own, nearest)}"
    if nearest.prefix and nearest.rank[1]:
        message += f" (without {nearest.prefix!r} before its keys, where it comes nearest)"
    if fitting:
        return f"{message}; {_listed(fitting)} fits: pass weights_key={shown(fitting[0].location)}"
    for size in sizes if len(checkpoint.names) <= MOST_SEARCHED else ():
        place = next((each for each in places(checkpoint.names, size.state, size.card) if each.fits), None)
        if place is not None:
            without = f"without {place.prefix!r} before its keys " if place.prefix else ""
            return f"{message}; {without}it fits {size.hint}"
    return f"{message}; it fits no variant of the card"


def mismatch(own: Mapping[str, torch.Tensor], place: Place) -> str:
    """What keeps a state dict from fitting, in words."""
    parts = []
    if place.missing:
        parts.append(f"{len(place.missing)} of {len(own)} keys missing (first {place.missing[0]!r})")
    if place.unexpected:
        first = place.unexpected[0]
        parts.append(f"{len(place.unexpected)} of {len(place.state)} unexpected (first {first[:120]!r})")
    if place.wrong:
        key = place.wrong[0]
        shapes = f"{tuple(place.state[key].shape)}, not {tuple(own[key].shape)}"
        parts.append(f"{len(place.wrong)} of wrong shape (first {key!r}: {shapes})")
    return ", ".join(parts) or "it has no keys"


def load_into(
    network: nn.Module,
    checkpoint: StoredCheckpoint,
    card: ModelCard,
    *,
    weights_key: str | None = None,
    sizes: Iterable[Size] = (),
) -> Fit:
    """Copy a checkpoint's state dict into a network, cast to the network's dtypes; which one, and what was left out.

    Raises:
        ModelError: see `fitted` and `StoredCheckpoint.tensors`.
    """
    own: dict[str, torch.Tensor] = network.state_dict()
    fit = fitted(checkpoint, own, card, weights_key=weights_key, sizes=sizes)
    try:
        # Not strict: the step counters may be missing, the rest has just been compared. Copying casts.
        network.load_state_dict(checkpoint.tensors(fit.state), strict=False)
    except RuntimeError as error:
        raise ModelError(f"{checkpoint.path} cannot be copied into {card.name}: {one_line(error)}") from error
    return fit
