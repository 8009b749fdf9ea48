"""The hash of a network that has no name: different wherever outputs may differ, the same for the same network."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from restorebench.benchmarks.evaluation.fingerprint import fingerprint
from restorebench.models import create_model

SCRIPT = """
import torch
from restorebench.benchmarks.evaluation.fingerprint import fingerprint
GAIN = {"gain": 2.0, "names": frozenset({"a", "b", "c"})}
def helper(x):
    return x * GAIN["gain"] if "a" in {"a", "b", "c"} else x
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 3, 1, bias=False)
        torch.nn.init.ones_(self.layer.weight)
        self.modes = {"one", "two", "three"}
    def forward(self, x):
        return helper(self.layer(x))
print(fingerprint(Net()))
"""


def network(body: str, outside: str = "", arguments: str = "") -> nn.Module:
    """A network made of source text, as after an edit of a script."""
    source = f"import torch\nfrom torch import nn\n{outside}\nclass Net(nn.Module):\n    def forward(self, x):\n{body}"
    names: dict[str, Any] = {"__name__": "script"}
    exec(source, names)
    made: nn.Module = names["Net"]()
    return made


def hooked(value: float) -> nn.Module:
    module = nn.Conv2d(3, 3, 1, bias=False)
    nn.init.ones_(module.weight)
    module.register_forward_hook(lambda module, given, result: result * value)
    return module


def with_attribute(value: object) -> nn.Module:
    module = nn.Identity()
    module.setting = value
    return module


def closed_over(value: float) -> Callable[[Tensor], Tensor]:
    return lambda x: x * value


def decorated(value: float) -> nn.Module:
    @functools.lru_cache
    def scale() -> float:
        return value

    return with_attribute(scale)


DIFFERENT: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module]]] = {
    "weights": (lambda: with_attribute(torch.zeros(2)), lambda: with_attribute(torch.tensor([0.0, 1e-9]))),
    "dilation": (lambda: _ones(dilation=1), lambda: _ones(dilation=2)),
    "code": (lambda: network("        return x * 2"), lambda: network("        return x + 2")),
    "constant": (lambda: network("        return x * 2"), lambda: network("        return x * 3")),
    "helper function": (
        lambda: network("        return f(x)", "def f(x):\n    return x"),
        lambda: network("        return f(x)", "def f(x):\n    return -x"),
    ),
    "helper of a helper": (
        lambda: network("        return f(x)", "def g(x):\n    return x\ndef f(x):\n    return g(x)"),
        lambda: network("        return f(x)", "def g(x):\n    return -x\ndef f(x):\n    return g(x)"),
    ),
    "global constant": (
        lambda: network("        return x * SCALE", "SCALE = 1.0"),
        lambda: network("        return x * SCALE", "SCALE = 2.0"),
    ),
    "nested attribute": (lambda: with_attribute({"a": [1, (2,)]}), lambda: with_attribute({"a": [1, (3,)]})),
    "integer or truth": (lambda: with_attribute(1), lambda: with_attribute(True)),
    "closure": (lambda: with_attribute(closed_over(1.0)), lambda: with_attribute(closed_over(2.0))),
    "partial": (
        lambda: with_attribute(functools.partial(torch.add, alpha=1)),
        lambda: with_attribute(functools.partial(torch.add, alpha=2)),
    ),
    "activation": (lambda: nn.Sequential(nn.ReLU()), lambda: nn.Sequential(nn.GELU())),
    "function of torch": (lambda: with_attribute(torch.relu), lambda: with_attribute(torch.tanh)),
    "hook": (lambda: hooked(1.0), lambda: hooked(2.0)),
    "decorated function": (lambda: decorated(1.0), lambda: decorated(2.0)),
    "order of layers": (lambda: nn.Sequential(nn.ReLU(), nn.Tanh()), lambda: nn.Sequential(nn.Tanh(), nn.ReLU())),
    "dtype": (lambda: with_attribute(torch.zeros(2)), lambda: with_attribute(torch.zeros(2).double())),
}


def _ones(dilation: int) -> nn.Module:
    module = nn.Conv2d(3, 3, 3, padding=dilation, dilation=dilation, bias=False)
    nn.init.ones_(module.weight)
    return module


@pytest.mark.parametrize("what", DIFFERENT)
def test_networks_that_differ_have_different_hashes_and_each_its_own_again(what: str) -> None:
    one, other = DIFFERENT[what]
    assert fingerprint(one()) == fingerprint(one())
    assert fingerprint(one()) != fingerprint(other())


def test_training_mode_gradients_and_comments_play_no_part() -> None:
    module = _ones(1)
    before = fingerprint(module)
    module.eval()
    module(torch.rand(1, 3, 8, 8)).sum().backward()
    assert fingerprint(module) == before
    plain, commented = network("        return x * 2"), network("        # twice\n\n        return x * 2")
    assert fingerprint(plain) == fingerprint(commented)


def test_a_network_that_refers_to_itself_has_a_hash() -> None:
    module = nn.Sequential(nn.ReLU())
    module.parent = [module]  # type: ignore[assignment]
    assert fingerprint(module) == fingerprint(module)


def test_what_has_no_content_to_read_counts_by_its_type() -> None:
    import threading

    assert fingerprint(with_attribute(threading.Lock())) == fingerprint(with_attribute(threading.Lock()))


@pytest.mark.slow
def test_another_process_with_other_hash_seeds_finds_the_same_hash() -> None:
    hashes = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(hashes) == 1
    assert len(hashes.pop().strip()) == 64


@pytest.mark.parametrize("name", ["rbair", "anyir", "daair", "kbnet"])
def test_running_a_registered_network_does_not_change_its_hash(name: str) -> None:
    network = create_model(name, variant="tiny", weights="bundled").network
    before = fingerprint(network)
    with torch.inference_mode():
        network(torch.rand(1, 3, 64, 64))
    assert fingerprint(network) == before
