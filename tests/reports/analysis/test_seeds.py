"""Several weights of one network as one row: mean ± standard deviation over them, beside each alone."""

from __future__ import annotations

import dataclasses
import re
import statistics
from pathlib import Path

import pytest

from restorebench.reports.analysis.cells import Group, StoredCell, groups
from restorebench.reports.analysis.leaderboard import AVERAGE
from restorebench.reports.analysis.seeds import in_words, seed_groups
from restorebench.reports.page.summary import facts
from restorebench.reports.tables.paper import paper_table
from restorebench.reports.tables.printing.formats import render

from ..stores import shared_cells

MODELS = ("rbair", "anyir", "daair")


def as_weights(cell: StoredCell, **weights: object) -> StoredCell:
    """The cell as one of other weights of RBaIR."""
    record = cell.record
    named = {"model": "rbair", "title": "RBaIR", "provenance": weights.pop("provenance", "file")}
    return dataclasses.replace(
        cell,
        record=dataclasses.replace(
            record,
            **named,
            identity=dataclasses.replace(record.identity, model="rbair"),
            weights=dataclasses.replace(record.weights, label=f"{record.model}.pt", **weights),
        ),
    )


def group_of(**weights: object) -> Group:
    """Three weights of RBaIR and the input on 5d."""
    cells = [
        as_weights(cell, **weights) if cell.record.model in MODELS else cell
        for cell in shared_cells(suites=("5d",), previews=False)
        if cell.record.model in (*MODELS, "identity")
    ]
    (group,) = groups(cells)
    return group


def facts_with(seed: int) -> dict[str, object]:
    data = f"epochs seed {seed}\nnoise x 1: photographs; drawn"
    return {
        "recipe": "embedded",
        "data": data,
        "lists_sha256": str(seed),
        "steps": 10,
        "images": 80,
        "seconds": 1.0,
        "seed": seed,
    }


def test_a_group_by_name_is_one_row_with_its_spread_beside_each_alone() -> None:
    group = group_of(group="three runs")
    (joined,) = seed_groups(group)
    assert len(joined.members) == 3
    for column in (*group.tasks, AVERAGE):
        scores = [group.scoreboard.score(label, column) for label in joined.labels]
        means = [score.mean for score in scores if score is not None]
        spread = joined.spread(group, column)
        assert spread is not None
        assert (spread.mean, spread.deviation) == pytest.approx((statistics.mean(means), statistics.stdev(means)))
    table = paper_table(group, suite="5d")
    kinds = [row.kind for row in table.rows]
    assert kinds.count("seeds") == 1
    assert kinds.count("measured") == 3
    row = next(row for row in table.rows if row.kind == "seeds")
    assert not any(score.mark for score in row.scores), "a mean over weights competes with nobody"
    for fmt, sign in (("markdown", "±"), ("latex", r"$\pm$"), ("html", "±"), ("csv", "±")):
        lines = [line for line in render(table, fmt).splitlines() if "three runs: mean of 3 weights" in line]
        assert any(re.search(rf"\d\d\.\d\d ?{re.escape(sign)} ?\d\.\d\d", line) for line in lines), fmt


def test_seeds_of_the_trainer_are_joined_and_other_recipes_are_not() -> None:
    group = group_of(provenance="retrained", training=facts_with(0))
    restorers = [r for r in group.restorers if not r.is_input]

    def seeded(changes: list[dict[str, object]]) -> Group:
        cells = [cell for r in group.restorers if r.is_input for cell in r.cells.values()]
        for restorer, change in zip(restorers, changes, strict=True):
            for cell in restorer.cells.values():
                seed = change.get("seed", 0)
                assert isinstance(seed, int)
                weights = dataclasses.replace(cell.record.weights, training={**facts_with(seed), **change})
                cells.append(dataclasses.replace(cell, record=dataclasses.replace(cell.record, weights=weights)))
        (made,) = groups(cells)
        return made

    (joined,) = seed_groups(seeded([{"seed": seed} for seed in (0, 1, 2)]))
    assert "different seeds" in joined.why
    (pair,) = seed_groups(seeded([{"seed": 0}, {"seed": 1}, {"seed": 2, "steps": 11}]))
    assert len(pair.members) == 2
    assert not seed_groups(seeded([{"recipe": name, "seed": seed} for seed, name in enumerate("abc")]))
    assert not seed_groups(seeded([{}, {}, {}])), "one seed three times is no spread over seeds"
    other = "epochs seed 7\nnoise x 1: other photographs; drawn"
    (pair,) = seed_groups(seeded([{"seed": 0}, {"seed": 1}, {"seed": 7, "data": other}]))
    assert len(pair.members) == 2


def test_weights_without_a_bond_stand_alone() -> None:
    group = group_of()
    assert not seed_groups(group)
    assert all(row.kind != "seeds" for row in paper_table(group, suite="5d").rows)
    assert len({r.label for r in group.restorers}) == 4
    assert "RBaIR (tiny, anyir.pt)" in {r.label for r in group.restorers}


def test_the_page_tells_it_too(tmp_path: Path) -> None:
    group = group_of(group="three runs")
    ((label, text),) = in_words(group)
    assert dict(facts(group, {p.label: p for p in _points(group)}))["Several weights of one network"] == [(label, text)]


def _points(group: Group) -> list[object]:
    from restorebench.reports.analysis.costs import cost_points

    return list(cost_points(group))
