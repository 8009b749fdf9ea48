"""What MkDocs calls while it builds: pages and files that are made from the code, and generated parts inside pages.

A line ``<!-- generate: NAME -->`` in a page becomes what `PARTS` says; `PAGES` are whole.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from docs.generation import commands, configuration, example, lists, schema  # noqa: E402

SCRATCH = ROOT / ".nox" / "docs"
FOLDERS = ("models", "benchmarks", "datasets", "reports", "conf")
EXAMPLE = "example/report/"
MARK = re.compile(r"^<!-- generate: ([\w-]+) -->$", re.MULTILINE)

PICTURES = {"images/restored-photograph.jpg": ROOT / "reports" / "measured" / "restored-photograph.jpg"}
PAGES: dict[str, Callable[[], str]] = {
    "reference/commands.md": commands.command_page,
    "reference/configuration.md": configuration.configuration_page,
    "reference/record.schema.json": schema.schema_text,
}
PARTS: dict[str, Callable[[], str]] = {
    "protocols": lists.protocols,
    "tasks": lists.tasks,
    "data-sets": lists.data_sets,
    "restorers": lists.restorers,
    "promises": lists.promises,
    "exported-scores": lists.exported_scores,
    "record": schema.record_tables,
    "example-command": lambda: f"```text\n{example.RUN}\nbench report page\n```",
    "one-folder": lambda: example.one_folder_under_all(SCRATCH / "folders"),
}


def filled(text: str) -> str:
    """A page with its generated parts.

    Raises:
        KeyError: a part that is not known.
    """
    return MARK.sub(lambda found: PARTS[found.group(1)](), text)


def on_startup(**_: Any) -> None:
    """Lay out the sources as the installed package has them, for the reader of docstrings: it looks at the folder once,
    when the configuration is read, and passes over one that is not there yet."""
    tree = SCRATCH / "tree" / "restorebench"
    shutil.rmtree(tree.parent, ignore_errors=True)
    tree.mkdir(parents=True)
    for path in (*(ROOT / name for name in FOLDERS), *(ROOT / "restorebench").iterdir()):
        (tree / path.name).symlink_to(path)


def on_files(files: Any, config: Any, **_: Any) -> Any:
    """Add what is generated."""
    from mkdocs.structure.files import File

    for place, make in PAGES.items():
        files.append(File.generated(config, place, content=make()))
    page = {f"{EXAMPLE}{place}": path for place, path in example.make_page(SCRATCH).items()}
    for place, path in (PICTURES | page).items():
        files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in the generated parts of a page."""
    return filled(markdown)
