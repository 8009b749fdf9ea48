"""Where in a checkpoint a network's state dict lies, found by the network's own keys and shapes.

A name of the checkpoint is a dotted path through its containers and keys. Wherever the ends of many names are keys of
the network, what stands before them is a place to look at: a container, a prefix of Lightning's or DataParallel's, any
chain of them, any word. No list of spellings is asked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from ..card import ModelCard
from .names import Names, is_averaged
from .tensors import Leaf, StoredTensor

MOST_PLACES = 8
"""Places that are looked at closely, those where most keys are."""
MOST_MAPPED = 2000
"""Names that a card's key map is tried on to find the places."""
LONGEST_MAPPED = 300
"""Characters of the longest key that is spelled in other ways; the longest of a network here has 80."""
LONGEST_SHOWN = 40
"""Characters of a module's name that messages show."""
MORE_DOTS = 2
"""Dots that a published key may have more than the network's."""
LONGEST_TRIED = 3
"""Of the network's longest keys, how many are looked for at the ends of names, whatever stands before them."""
STEP_COUNTER = "num_batches_tracked"
"""Batch normalisation's step counter: no output depends on it, and old checkpoints lack it."""
COUNTERS = ("total_ops", "total_params")
"""Buffers that counters of multiply-adds leave in every module."""
WRAPPERS = frozenset(("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"))
"""What torch's own wrappers put into keys, also in their middle."""
TRAINING_WORDS = frozenset(
    (
        *("loss", "losses", "criterion", "lpips", "vgg", "perceptual", "discriminator", "disc", "metric", "metrics"),
        *("ssim", "psnr", "fid", "gan", "teacher"),
    )
)
"""Words of modules that a training step keeps beside the parts of the network where it has no name of its own."""


@dataclass
class Place:
    """The tensors at one place of a checkpoint, under the network's keys.

    Attributes:
        prefix: what stands before the keys there.
        state: the tensors by the network's keys, as far as they could be brought to them.
        missing, unexpected, wrong: keys of the network that are not there, keys that it lacks (as in the file, without
            the prefix), and those whose shapes differ.
        left_out: how many keys of other modules, and counters, lie beside them, by the module's or counter's name.
        clash: two keys of the file that become one; empty where none do.
    """

    prefix: str
    state: dict[str, Leaf] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    clash: str = ""

    @property
    def location(self) -> str:
        """The dotted path; empty where the keys stand by themselves."""
        return self.prefix.rstrip("./")

    @property
    def fits(self) -> bool:
        """Whether the network takes them as they are."""
        return bool(self.state) and not (self.missing or self.unexpected or self.wrong or self.clash)

    @property
    def rank(self) -> tuple[int, int, int]:
        """How near it comes to fitting: keys with their shape, keys, and how short the way to them is."""
        known = len(self.state) - len(self.unexpected)
        return known - len(self.wrong), known, -self.prefix.count(".")

    def same_tensors(self, other: Place) -> bool:
        """Whether both are names of the same tensors of the file."""
        return self.state.keys() == other.state.keys() and all(
            _identity(value) == _identity(other.state[key]) for key, value in self.state.items()
        )


def _identity(leaf: Leaf) -> object:
    if isinstance(leaf, StoredTensor) and leaf.storage is not None:
        return leaf.storage.key, leaf.storage.offset, leaf.offset, leaf.shape, leaf.strides
    return id(leaf)


def places(names: Names, expected: Mapping[str, torch.Tensor], card: ModelCard) -> list[Place]:
    """Where a network's state dict may lie, the best first.

    Args:
        names: all tensors of the checkpoint.
        expected: the network's own state dict.
        card: of the restorer, whose key map turns published keys into the network's.
    """
    found = _places(names, expected, card, "")
    part = _common_part(expected)
    if part and not any(place.rank[1] for place in found):
        found = _places(names, expected, card, part) or found
    return sorted(found, key=lambda place: (place.fits, place.rank), reverse=True)


def _places(names: Names, expected: Mapping[str, torch.Tensor], card: ModelCard, part: str) -> list[Place]:
    """The likely places, where keys of the file lack a part of the network's that is before all of them."""
    keys = {key.removeprefix(part) for key in expected}
    return [_place(names, prefix, expected, card, part) for prefix in _prefixes(names, keys, card)]


def _common_part(expected: Mapping[str, torch.Tensor]) -> str:
    """What all keys of a network begin with: a file may be of the part alone."""
    keys = list(expected)
    first = keys[0].partition(".")[0] + "." if keys else ""
    return first if first and all(key.startswith(first) for key in keys) else ""


def _prefixes(names: Names, keys: set[str], card: ModelCard) -> list[str]:
    counted: Counter[str] = Counter()
    deepest = max((key.count(".") for key in keys), default=0)
    for name in names:
        for start in _starts(name, deepest):
            if name[start:] in keys:
                counted[name[:start]] += 1
    if card.key_map:
        every = max(1, len(names) // MOST_MAPPED)
        for name in list(names)[::every]:
            for start in _starts(name, deepest + MORE_DOTS):
                key = mapped(name[start:], card)
                if key != name[start:] and key in keys:
                    counted[name[:start]] += every
    for key in sorted(keys, key=len, reverse=True)[:LONGEST_TRIED]:
        for name in names:
            if key and name.endswith(key):
                counted[name[: len(name) - len(key)]] += 1
    likely = [prefix for prefix, _ in counted.most_common(MOST_PLACES)]
    return list(dict.fromkeys([*likely, _fullest(names)]))


def _starts(name: str, deepest: int) -> Iterator[int]:
    """Where in a name a key of so many dots at the most may begin."""
    end = len(name)
    for _ in range(deepest + 1):
        end = name.rfind(".", 0, end)
        yield end + 1
        if end < 0:
            return


def _fullest(names: Names) -> str:
    """The container that holds most tensors itself, and the words that all its keys begin with."""
    counted = Counter(name[: named.container] for name, named in names.items())
    if not counted:
        return ""
    container = counted.most_common(1)[0][0]
    inside = [name for name, named in names.items() if name[: named.container] == container]
    return _shared_start(max(inside), min(inside))


def mapped(key: str, card: ModelCard) -> str:
    """A published key as the network has it."""
    for pattern, replacement in card.key_map:
        key = re.sub(pattern, replacement, key)
    return key


def _place(names: Names, prefix: str, expected: Mapping[str, torch.Tensor], card: ModelCard, added: str) -> Place:
    place = Place(prefix)
    origins: dict[str, str] = {}
    under = {name: name[len(prefix) :] for name in names if name.startswith(prefix)}
    keys = {name: _network_key(key, expected, card, added) for name, key in under.items()}
    known = {name for name, key in keys.items() if key in expected}
    containers = {name[: names[name].container] for name in known or under}
    own_parts = {key.partition(".")[0] for key in expected}
    for name, named in names.items():
        if name[: named.container] not in containers:
            continue
        if name not in under:
            place.left_out[module_beside(name, prefix)] += 1
            continue
        key = keys[name]
        last, first = key.rpartition(".")[2], under[name].partition(".")[0]
        if key not in expected and last in COUNTERS:
            place.left_out[last] += 1
        elif key not in expected and first not in own_parts and _is_of_training(first):
            place.left_out[shown(first)] += 1
        elif key in place.state:
            place.clash = place.clash or (
                f"keys {origins[key]!r} and {under[name]!r} of the checkpoint are both {key!r} of {card.name}"
            )
        else:
            place.state[key], origins[key] = named.leaf, under[name]
            if key not in expected:
                place.unexpected.append(key)
    place.missing = [key for key in expected if key not in place.state and key.rpartition(".")[2] != STEP_COUNTER]
    place.wrong = [key for key in expected if key in place.state and expected[key].shape != place.state[key].shape]
    return place


def _network_key(key: str, expected: Mapping[str, torch.Tensor], card: ModelCard, added: str) -> str:
    """A key of the file as the network has it, where it has it."""
    if len(key) > LONGEST_MAPPED:
        return key
    for candidate in (key, _unwrapped(key)):
        for spelling in (added + candidate, added + mapped(candidate, card)):
            if spelling in expected:
                return spelling
    return mapped(key, card)


def _unwrapped(key: str) -> str:
    if not any(word in key for word in WRAPPERS):
        return key
    return ".".join(part for part in key.split(".") if part not in WRAPPERS)


def _shared_start(name: str, prefix: str) -> str:
    """The whole components with which both begin."""
    shared = ""
    for part in prefix.split(".")[:-1]:
        if not name.startswith(f"{shared}{part}."):
            break
        shared += f"{part}."
    return shared


def module_beside(name: str, prefix: str) -> str:
    """The first component by which a name differs from a prefix."""
    return shown(name[len(_shared_start(name, prefix)) :].partition(".")[0])


def shown(word: str) -> str:
    """A word of the file as a message can have it."""
    return word[:LONGEST_SHOWN] if word.isprintable() else ascii(word[:LONGEST_SHOWN])[1:-1]


def _is_of_training(part: str) -> bool:
    return not TRAINING_WORDS.isdisjoint(re.findall(r"[a-z]+", part.lower()))


def preferred(fitting: Sequence[Place]) -> list[Place]:
    """Of the places that fit equally those to choose from: averaged weights before others, and no tensors twice."""
    most = max((is_averaged(place.location) for place in fitting), default=0)
    chosen: list[Place] = []
    for place in fitting:
        if is_averaged(place.location) == most and not any(place.same_tensors(each) for each in chosen):
            chosen.append(place)
    return chosen
