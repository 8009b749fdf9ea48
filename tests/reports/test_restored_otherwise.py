"""Images in tiles or on the CPU for want of memory: said wherever scores stand, and not ranked against whole ones."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from restorebench.benchmarks.store.cells import read_cell
from restorebench.reports.analysis.cells import Group
from restorebench.reports.analysis.costs import AXES
from restorebench.reports.analysis.leaderboard import AVERAGE
from restorebench.reports.analysis.restoration import otherwise
from restorebench.reports.figures.costs import draw_costs
from restorebench.reports.figures.style import styles
from restorebench.reports.page.data import group_data
from restorebench.reports.tables.leaderboard import write_leaderboard
from restorebench.reports.tables.paper import paper_table
from restorebench.reports.tables.printing.formats import render
from restorebench.reports.tables.terminal import terminal_table

from .stores import change_rows, write_store
from .table_examples import embedded_group

HAZE = "dehaze@embedded-256"
BEST = "RBaIR (tiny)"
WORDS = "restored otherwise than asked: 3 images in tiles of 512, 1 image on the CPU"
HOW = ("tiles of 512", "tiles of 512", "tiles of 512", "cpu")


def restored(group: Group, labels: tuple[str, ...], how: tuple[str, ...] = HOW) -> Group:
    """The group, the first images on haze of these restorers having gone so."""
    restorers = []
    for restorer in group.restorers:
        if restorer.label in labels:
            cell = restorer.cells[HAZE]
            rows = [replace(row, how=way) for row, way in zip(cell.rows, how, strict=False)]
            cell = replace(cell, rows=(*rows, *cell.rows[len(rows) :]))
            restorer = replace(restorer, cells={**restorer.cells, HAZE: cell})
        restorers.append(restorer)
    return replace(group, restorers=tuple(restorers))


@pytest.fixture(scope="module")
def tiled() -> Group:
    return restored(embedded_group(), (BEST,))


def test_the_words_count_images_by_how_they_went(tiled: Group) -> None:
    by_label = {restorer.label: restorer for restorer in tiled.restorers}
    assert otherwise(by_label[BEST].cells[HAZE]) == WORDS
    assert otherwise(by_label["AnyIR (tiny)"].cells[HAZE]) == ""


def test_tiles_that_were_asked_for_are_as_asked() -> None:
    cell = embedded_group().restorers[1].cells[HAZE]
    numerics = replace(cell.record.identity.numerics, tile=512)
    record = replace(cell.record, identity=replace(cell.record.identity, numerics=numerics))
    asked = replace(cell, record=record, rows=tuple(replace(row, how="tiles of 512") for row in cell.rows))
    assert otherwise(asked) == ""
    assert otherwise(replace(asked, rows=cell.rows)) == "restored otherwise than asked: 12 images in whole"


def test_its_rows_are_not_ranked_against_whole_images(tiled: Group) -> None:
    for column in (HAZE, AVERAGE):
        ranking = tiled.scoreboard.ranking(column)
        assert ranking is not None
        assert BEST not in ranking.order
        assert len(ranking.order) == 3
        assert tiled.scoreboard.mark(BEST, column) is None
    other = tiled.scoreboard.ranking("derain@embedded-256")
    assert other is not None
    assert other.order[0] == BEST


def test_restorers_restored_alike_image_by_image_are_ranked() -> None:
    labels = tuple(r.label for r in embedded_group().restorers if not r.is_input)
    ranking = restored(embedded_group(), labels).scoreboard.ranking(HAZE)
    whole = embedded_group().scoreboard.ranking(HAZE)
    assert ranking is not None
    assert whole is not None
    assert ranking.order == whole.order


def test_tables_terminal_page_and_captions_say_so(tiled: Group) -> None:
    table = paper_table(tiled, suite="5d")
    for fmt in ("latex", "markdown", "html", "csv"):
        assert "3 images in tiles of 512, 1 image on the CPU" in render(table, fmt)
    row = next(row for row in table.rows if row.method == BEST)
    noted = [column.key for column, score in zip(table.columns, row.scores, strict=True) if score.notes]
    assert noted == [HAZE, HAZE, AVERAGE, AVERAGE]
    assert f"- {BEST}, dehaze: {WORDS}" in terminal_table([tiled])
    page = next(row for row in group_data(tiled, Path("page"))["rows"] if row["label"] == BEST)
    assert page["reasons"] == [f"dehaze: {WORDS}"]
    looks = styles(restorer.label for restorer in tiled.restorers)
    figure = draw_costs(tiled, AXES[0], looks, published=False)
    assert figure is not None
    assert WORDS in " ".join(figure.texts[0].get_text().split())


def test_the_leaderboard_has_it_in_its_note(tmp_path: Path) -> None:
    root = write_store(tmp_path, suites=("5d",), gains={"identity": 0, "rbair": 6}, images=4, previews=False)
    (folder,) = (p.parent for p in root.glob("5d/rbair/*/record.json") if '"dehaze"' in p.read_text())
    tiled = {row.image for row in read_cell(folder).rows[:2]}
    change_rows(folder, lambda row: replace(row, how="tiles of 512") if row.image in tiled else row)
    write_leaderboard(root)
    with (root / "leaderboard.csv").open(newline="") as file:
        notes = {(line["model"], line["task"]): line["note"] for line in csv.DictReader(file)}
    assert notes["rbair", "dehaze"] == "restored otherwise than asked: 2 images in tiles of 512"
    assert notes["rbair", "average"] == "with images restored otherwise than asked in dehaze"
    assert [key for key, note in notes.items() if note] == [("rbair", "dehaze"), ("rbair", "average")]
    assert "2 images in tiles of 512" in (root / "leaderboard.md").read_text()
