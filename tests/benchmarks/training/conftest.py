"""What the tests of training share: the small network, generated images, and one undisturbed run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from restorebench.benchmarks.training import trainer
from restorebench.models import temporary_registry

from .. import small_network
from .runs import train


@pytest.fixture(scope="package", autouse=True)
def registered() -> Iterator[None]:
    """The small network is known here and nowhere else."""
    with temporary_registry():
        small_network.enter()
        yield


@pytest.fixture(scope="package")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated images, shared by all tests."""
    return tmp_path_factory.mktemp("leaves")


@pytest.fixture(scope="package")
def reference(tmp_path_factory: pytest.TempPathFactory, cache: Path, registered: None) -> Path:
    """The folder of an undisturbed run, with its figure; it is read, never written to."""
    threads = torch.get_num_threads()
    run = tmp_path_factory.mktemp("reference") / "run"
    train(run, cache)
    torch.set_num_threads(threads)
    return run


@pytest.fixture
def finished(tmp_path: Path, reference: Path) -> Path:
    """A copy of the undisturbed run's folder, to go on in."""
    return Path(shutil.copytree(reference, tmp_path / "finished"))


@pytest.fixture(autouse=True)
def quick_and_put_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No figures, which are slow, but the reference run's (it comes first); the number of threads as it was."""
    monkeypatch.setattr(trainer, "plot", lambda folder: None)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
