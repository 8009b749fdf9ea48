"""Data roots and a home folder of the tests' own."""

from __future__ import annotations

from pathlib import Path

import pytest

from .roots import arrange, whole_root


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, so that the user's cache of hashes plays no part."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def real_root(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real test images arranged as a data root."""
    return arrange(test_data, tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="session")
def small_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root in which every standard set has its number of (tiny) images."""
    return whole_root(tmp_path_factory.mktemp("whole"))
