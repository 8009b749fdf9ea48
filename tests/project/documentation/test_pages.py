"""The pages: every link leads somewhere, every page is in the navigation, generated parts are made of the code."""

from __future__ import annotations

import csv
import dataclasses
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from restorebench.benchmarks.commands.main import COMMANDS
from restorebench.benchmarks.evaluation.config import RunConfig
from restorebench.benchmarks.training.config import TrainConfig

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from docs.generation import hooks  # noqa: E402
from docs.generation.commands import command_page  # noqa: E402
from docs.generation.configuration import CONF, configuration_page, keys  # noqa: E402
from docs.generation.docstrings import told_apart  # noqa: E402

DOCS = ROOT / "docs"
GENERATED = {*hooks.PAGES, *hooks.PICTURES, f"{hooks.EXAMPLE}index.html"}
TOP = [ROOT / name for name in ("README.md", "SECURITY.md", "CODE_OF_CONDUCT.md")]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def pages() -> list[Path]:
    """Pages that are written by hand."""
    return sorted(DOCS.rglob("*.md"))


@pytest.mark.parametrize("page", [*TOP, *pages()], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if not target.startswith(("http", "#")):
            path = (page.parent / target.partition("#")[0]).resolve()
            assert path.exists() or path.relative_to(DOCS).as_posix() in GENERATED, f"{page}: {target}"


def test_every_page_is_in_the_navigation() -> None:
    def leaves(node: Any) -> list[str]:
        if isinstance(node, str):
            return [node]
        return [leaf for each in (node.values() if isinstance(node, dict) else node) for leaf in leaves(each)]

    named = leaves(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    written = {page.relative_to(DOCS).as_posix() for page in pages()}
    assert set(named) == written | {name for name in hooks.PAGES if name.endswith(".md")}


def test_every_generated_part_is_known_and_used() -> None:
    used = {name for page in pages() for name in hooks.MARK.findall(page.read_text(encoding="utf-8"))}
    assert used == set(hooks.PARTS)


@pytest.mark.parametrize("name", sorted(set(hooks.PARTS) - {"one-folder"}))
def test_a_generated_part_has_content_and_no_broken_table(name: str) -> None:
    text = hooks.filled(f"above\n<!-- generate: {name} -->\nbelow")
    assert text.startswith("above\n")
    assert len(text) > 100 or name == "example-command"
    width = 0
    for line in text.splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert not width or not cells or cells == width, line
        width = cells


def test_the_configuration_reference_has_every_key_and_comment() -> None:
    page = configuration_page()
    for schema in (RunConfig, TrainConfig):
        for field in dataclasses.fields(schema):
            assert f"| `{field.name}`" in page or f"| `{field.name}." in page, field.name
    for name in ("run", "train", "profile"):
        text = (CONF / f"{name}.yaml").read_text(encoding="utf-8")
        for key in keys(CONF / f"{name}.yaml"):
            assert key.comment in text
            assert key.comment, f"{name}.yaml: {key.name} has no comment"
    for path in CONF.rglob("*/*.yaml"):
        assert f"{path.parent.name}={path.stem}`" in page


def test_a_comment_with_a_hash_and_a_pipe_is_kept_whole(tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_text(
        "# top\nname: 'a # b' # one | two # three\nlist: [1, 2] # both\nbelow: # of a group\n  deep: null\n"
    )
    assert [(key.name, key.default, key.comment) for key in keys(file)] == [
        ("name", "'a # b'", "one | two # three"),
        ("list", "[1, 2]", "both"),
        ("below.deep", "null", ""),
    ]


def test_the_command_reference_has_every_command_and_its_actions() -> None:
    page = command_page()
    assert set(re.findall(r"^## bench ([\w-]+)$", page, re.MULTILINE)) == set(COMMANDS)
    assert {"table", "page", "compare"} <= set(re.findall(r"^### bench report ([\w-]+)$", page, re.MULTILINE))
    empty = re.findall(r"^(#+ .*)\n\n(?:.*\n\n)?```text\n\n?```", page, re.MULTILINE)
    assert empty == []
    assert str(Path.home()) not in page


def test_parameters_of_one_line_of_a_docstring_are_told_apart() -> None:
    text = "What it does, in: words.\n\nArgs:\n    a: one\n        more\n    b, c: two\n        three\n    d: four"
    assert told_apart(text).splitlines()[3:] == [
        *("    a: one", "        more"),
        *("    b: two", "        three", "    c: two", "        three"),
        "    d: four",
    ]
    assert told_apart(text).splitlines()[0] == "What it does, in: words."


def test_the_table_of_exported_files_is_what_was_measured_and_they_score_as_the_networks() -> None:
    (path,) = (ROOT / "reports" / "measured").glob("exported-*.csv")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    text = hooks.filled((DOCS / "tutorials" / "product.md").read_text(encoding="utf-8"))
    for row in rows:
        network, exported = float(row["psnr_network"]), float(row["psnr_exported"])
        assert abs(network - exported) < 0.01, row
        (line,) = (line for line in text.splitlines() if line.startswith(f"| `{row['model']}` |"))
        assert f"| {network:.2f} / {exported:.2f} |" in line
        assert {"8"} == {row["images"]}
        assert f"torch {row['torch']}, onnxruntime {row['onnxruntime']}" in text
    assert len({row["task"] for row in rows}) == 5
    assert len(rows) == 5 * len({row["model"] for row in rows})
