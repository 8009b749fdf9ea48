"""The rules of the house: who may import whom, no cycles, no folder too full, no package forgotten."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .architecture import TOP_FOLDERS, Import, cycles, imports, modules, room, within

ROOT = Path(__file__).resolve().parents[1]

LEAVES = ("restorebench/atomic", "restorebench/messages")
"""What every file may import."""

STORE = ("benchmarks/store", "benchmarks/errors")
WORDS = ("reports/errors", "reports/escape", "reports/outputs", "reports/marks")
"""Of reports: errors, text in each format, where files go, and what marks the best."""

RULES: dict[str, tuple[str, ...]] = {
    "restorebench/atomic": (),
    "restorebench/messages": (),
    "restorebench": ("models", "datasets", "benchmarks", "reports"),
    # models: card <- registry, checkpoints <- weights, restorer <- factory
    "models/layers": ("models/layers",),
    "models/layers/triton": ("models/layers/triton",),
    "models/networks": (
        *("models/networks", "models/layers", "models/card", "models/errors", "models/hooks"),
        *("models/registry", "models/restorer", "models/checkpoints"),
    ),
    "models/errors": (),
    "models/hooks": (),
    "models/card": ("models/errors",),
    "models/registry": ("models/card", "models/errors", "models/registry"),
    "models/files": ("models/card", "models/errors"),
    "models/checkpoints": ("models/checkpoints", "models/card", "models/errors", "models/files"),
    "models/weights": ("models/card", "models/errors", "models/registry", "models/checkpoints", "models/files"),
    "models/restorer": ("models/card", "models/errors", "models/registry", "models/checkpoints"),
    "models": ("models",),
    # datasets: degradations and files at the bottom, suites on top
    "datasets/errors": (),
    "datasets/tasks": ("datasets/errors",),
    "datasets/samples": ("datasets/errors", "datasets/tasks"),
    "datasets/streams": (),
    "datasets/clusters": ("datasets/tasks",),
    "datasets/degradations": ("datasets/degradations", "datasets/errors", "datasets/tasks"),
    "datasets/files": ("datasets/files", "datasets/errors", "datasets/samples", "datasets/tasks"),
    "datasets": ("datasets",),
    # benchmarks
    "benchmarks/errors": (),
    "benchmarks/environment": (),
    "benchmarks/store": STORE,
    "benchmarks/inference": ("benchmarks/inference", "benchmarks/errors", "models"),
    "benchmarks/protocols": (
        *("benchmarks/protocols", "benchmarks/errors"),
        *("datasets/samples", "datasets/streams", "datasets/tasks"),
    ),
    "benchmarks/profiling": (
        *("benchmarks/profiling", "benchmarks/inference", *STORE, "benchmarks/environment"),
        *("models",),
    ),
    "benchmarks/photographs": (
        *("benchmarks/photographs", "benchmarks/inference", "benchmarks/errors"),
        *("models", "datasets/files", "datasets/errors"),
    ),
    "benchmarks/listings": ("benchmarks/protocols", "benchmarks/errors", "datasets"),
    "benchmarks/evaluation": (
        *("benchmarks/evaluation", "benchmarks/inference", "benchmarks/photographs"),
        *("benchmarks/protocols", "benchmarks/profiling"),
        *(*STORE, "benchmarks/environment", "models", "datasets"),
    ),
    "benchmarks/evaluation/pictures": (
        *("benchmarks/evaluation/pictures", "benchmarks/photographs", *STORE, "datasets"),
    ),
    "benchmarks/training": (
        *("benchmarks/training", "benchmarks/inference", "benchmarks/protocols", *STORE, "benchmarks/environment"),
        *("models", "datasets"),
    ),
    "benchmarks/conformance": ("benchmarks/inference", "benchmarks/profiling", "benchmarks/errors", "models"),
    "benchmarks/commands": ("benchmarks", "models", "datasets", "reports"),
    "benchmarks/commands/front": (
        *("benchmarks/commands/front", "benchmarks/errors", "benchmarks/evaluation", "benchmarks/store"),
        *("benchmarks/inference", "benchmarks/protocols", "benchmarks/profiling", "benchmarks/training"),
        *("models", "datasets", "reports"),
    ),
    # reports read stored records
    "reports/errors": (),
    "reports/escape": (),
    "reports/marks": (),
    "reports/outputs": ("reports/errors", "reports/escape"),
    "reports/published": ("reports/published", *WORDS, "datasets/tasks", *STORE),
    "reports/analysis": (
        *("reports/analysis", "reports/published", *WORDS),
        *("datasets/clusters", "datasets/tasks", *STORE),
    ),
    "reports/tables": (*("reports/tables", "reports/analysis", "reports/published", *WORDS, "datasets/tasks", *STORE),),
    "reports/figures": (
        *("reports/figures", "reports/analysis", "reports/published", *WORDS, "datasets/tasks", *STORE),
    ),
    "reports/page": (
        *("reports/page", "reports/figures", "reports/analysis", "reports/published", *WORDS),
        *("datasets/tasks", *STORE),
    ),
    "reports": ("reports", "datasets/tasks", *STORE),
    "conf": (),
}
"""What the files of a room may import besides `LEAVES`; the longest name that fits a file is its rule."""

MOST_ENTRIES = 14
MOST_NETWORKS = 16
"""Restorers in ``models/networks``: one file each, and blocks of their own under the same prefix count with it."""
DATA_FOLDERS = ("reports/page/files", "tests/reference", "models/bundled", "reports/measured")
"""Folders of files that are read, not edited."""


def broken(edges: list[Import]) -> list[str]:
    """A line for each import that its importer's rule does not allow."""
    lines = []
    for edge in edges:
        rule = max((name for name in RULES if within(edge.importer, [name])), key=len)
        if not within(edge.imported, [*RULES[rule], *LEAVES]):
            lines.append(f"{edge.importer}.py:{edge.line} imports {edge.imported}; {rule} may import {RULES[rule]}")
    return lines


def room_edges(edges: list[Import]) -> set[tuple[str, str]]:
    """Imports between rooms; the face, which finds everything on first use, is no room."""
    pairs = {(room(edge.importer), room(edge.imported)) for edge in edges}
    return {(start, end) for start, end in pairs if start != end and "restorebench" not in (start, end)}


def tracked_folders() -> dict[str, list[str]]:
    """Entries of each folder that git tracks (files and folders, ``__init__.py`` and ``py.typed`` aside)."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: what belongs to the project is not known")
    folders: dict[str, set[str]] = {}
    for name in listed.stdout.splitlines():
        parts = name.split("/")
        for depth in range(len(parts)):
            folders.setdefault("/".join(parts[:depth]), set()).add(parts[depth])
    return {folder: sorted(entries - {"__init__.py", "py.typed"}) for folder, entries in folders.items()}


def test_every_import_keeps_the_rules_of_the_house() -> None:
    assert broken(imports(ROOT)) == []


def test_no_two_files_import_each_other_in_a_ring() -> None:
    edges = [(edge.importer, edge.imported) for edge in imports(ROOT) if edge.importer != "restorebench"]
    assert cycles(edges) == []


def test_no_two_rooms_import_each_other_in_a_ring() -> None:
    assert cycles(room_edges(imports(ROOT))) == []


def test_nothing_imports_the_command_line() -> None:
    importers = {e.importer for e in imports(ROOT) if within(e.imported, ["benchmarks/commands"])}
    assert {name for name in importers if not within(name, ["benchmarks/commands"])} == set()


def test_no_folder_has_grown_past_its_size() -> None:
    full = {}
    for folder, entries in tracked_folders().items():
        if folder == "" or within(folder, DATA_FOLDERS) or not within(folder, [*TOP_FOLDERS, "tests"]):
            continue
        if folder.endswith("networks"):
            names = {entry.removeprefix("test_").removesuffix(".py").split("_")[0] for entry in entries}
            if len(names) > MOST_NETWORKS:
                full[folder] = len(names)
        elif len(entries) > MOST_ENTRIES:
            full[folder] = len(entries)
    assert full == {}


def test_every_package_is_installed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packages = {name.rpartition("/")[0] if path.name != "__init__.py" else name for name, path in modules(ROOT).items()}
    wanted = {
        "restorebench" if name == "restorebench" else f"restorebench.{name.replace('/', '.')}" for name in packages
    }
    assert set(settings["packages"]) == wanted
    assert settings["package-dir"] == {
        name: name.removeprefix("restorebench.").replace(".", "/") for name in settings["packages"]
    }


def test_every_room_says_what_lives_there() -> None:
    silent = [
        name for name, path in modules(ROOT).items() if path.name == "__init__.py" and '"""' not in path.read_text()
    ]
    assert silent == []


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """A project with these files."""

    def make(**files: str) -> Path:
        for top in TOP_FOLDERS:
            (tmp_path / top).mkdir(exist_ok=True)
            (tmp_path / top / "__init__.py").touch()
        for name, text in files.items():
            path = tmp_path / (name.replace("__", "/") + ".py")
            path.parent.mkdir(exist_ok=True, parents=True)
            (path.parent / "__init__.py").touch()
            path.write_text(text)
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"models__layers__norm": "from ..card import Card", "models__card": ""}, "models/layers/norm.py:1"),
        ({"models__card": "def f():\n    from ..datasets import errors", "datasets__errors": ""}, "models/card.py:2"),
        ({"benchmarks__store__rows": "import restorebench.models.card", "models__card": ""}, "models/card"),
        ({"reports__tables__a": "from ...benchmarks.evaluation import job", "benchmarks__evaluation__job": ""}, "job"),
        (
            {"reports__analysis__a": "from ..tables.model import T", "reports__tables__model": ""},
            "reports/tables/model",
        ),
        ({"datasets__files__a": "from ... import models"}, "datasets/files/a.py:1 imports models"),
        ({"restorebench__atomic": "from .models import card", "models__card": ""}, "restorebench/atomic.py:1"),
    ],
)
def test_a_broken_rule_is_seen(files: dict[str, str], named: str, tree: Callable[..., Path]) -> None:
    (line,) = broken(imports(tree(**files)))
    assert named in line


def test_what_only_a_type_checker_reads_is_no_import(tree: Callable[..., Path]) -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..card import Card\n"
    assert imports(tree(models__layers__norm=text, models__card="")) == []


def test_rings_are_seen_between_files_and_between_rooms(tree: Callable[..., Path]) -> None:
    files: dict[str, Any] = {
        "models__a": "from . import b",
        "models__b": "def f():\n    from .c import x",
        "models__c": "from .a import y",
        "datasets__files__one": "from ..training.two import x",
        "datasets__training__two": "",
        "datasets__training__three": "from ..files.four import y",
        "datasets__files__four": "",
    }
    edges = imports(tree(**files))
    assert cycles([(edge.importer, edge.imported) for edge in edges]) == [["models/a", "models/b", "models/c"]]
    assert ["datasets/files", "datasets/training"] in cycles(room_edges(edges))
