"""Fixtures of the models' tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from restorebench.models import ModelCard, get_card, register
from restorebench.models import weights as selection

from .toys import Toy, card


@pytest.fixture
def weights_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty weights folder; no weights are bundled."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("RESTOREBENCH_WEIGHTS", str(folder))
    monkeypatch.setattr(selection, "BUNDLED", tmp_path / "bundled")
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread's processor time says what work costs even on a machine that others use."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def toy(own_registry: None) -> ModelCard:
    """The card of a registered toy network."""
    register(card())(Toy)
    return get_card("toy")
