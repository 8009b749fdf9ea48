"""Strips show the image on which restorers differ most, or the one that is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from restorebench.reports.analysis.cells import Group, groups, read_cells
from restorebench.reports.errors import ReportError
from restorebench.reports.figures.strip_images import knows, pick

from ..stores import shared_cells, write_store

DEHAZE = "dehaze@embedded-256"


@pytest.fixture(scope="module")
def group() -> Group:
    return groups(shared_cells(suites=("5d",), images=6, side=48))[0]


def restorers_spread(group: Group, task: str) -> dict[str, float]:
    scores = [c.cells[task].values("psnr") for c in group.restorers if not c.is_input]
    return {name: max(s[name] for s in scores) - min(s[name] for s in scores) for name in scores[0]}


def test_each_task_gives_its_image_of_largest_spread(group: Group) -> None:
    strips = pick(group)
    assert [strip.task_key for strip in strips] == list(group.tasks)
    for strip in strips:
        spreads = restorers_spread(group, strip.task_key)
        assert strip.image == max(spreads, key=spreads.__getitem__)
        assert strip.spread == pytest.approx(spreads[strip.image])
        assert [label for label, _, _ in strip.restored] == [c.label for c in group.restorers if not c.is_input]


def test_several_images_come_by_falling_spread(group: Group) -> None:
    spreads = [strip.spread for strip in pick(group, count=3) if strip.task_key == DEHAZE]
    assert len(spreads) == 3
    assert spreads == sorted(spreads, reverse=True)


def test_scores_are_those_of_the_store(group: Group) -> None:
    strip = pick(group)[0]
    for label, path, psnr in strip.restored:
        cell = next(c for c in group.restorers if c.label == label).cells[DEHAZE]
        assert psnr == cell.values("psnr")[strip.image]
        assert path == cell.restored_preview(strip.image)
        assert strip.input_psnr == cell.values("input_psnr")[strip.image]


def test_a_named_image_is_taken_and_the_others_stay_automatic(group: Group) -> None:
    strips = pick(group, images={"dehaze": "image-02.png"})
    assert [(s.image, s.chosen) for s in strips if s.task_key == DEHAZE] == [("image-02.png", True)]
    assert [s.chosen for s in strips].count(True) == 1
    assert len(strips) == 5


def test_an_image_without_some_preview_is_passed_over(tmp_path: Path) -> None:
    write_store(tmp_path, suites=("5d",), images=4, side=16)
    group = groups(read_cells(tmp_path)[0])[0]
    first = pick(group)[0]
    first.restored[1][1].unlink()
    second = pick(group)[0]
    assert second.image != first.image
    spreads = restorers_spread(group, DEHAZE)
    assert second.spread == pytest.approx(sorted(spreads.values())[-2])
    named = pick(group, images={DEHAZE: first.image})[0]
    assert len(named.restored) == 3


def test_a_restorer_without_previews_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_store(tmp_path, suites=("5d",), images=4, side=16)
    shutil.rmtree(next((tmp_path / "5d" / "kbnet").glob("*/previews")))
    group = groups(read_cells(tmp_path)[0])[0]
    strips = pick(group)
    assert len(strips) == 5
    assert sorted(len(strip.restored) for strip in strips) == [3, 4, 4, 4, 4]
    assert "without KBNet (tiny): the run kept no previews" in caplog.text


def test_a_store_without_previews_gives_no_strip() -> None:
    group = groups(shared_cells(suites=("5d",), images=4, previews=False))[0]
    assert pick(group) == []
    with pytest.raises(ReportError, match="previews=all"):
        pick(group, images={DEHAZE: "image-02.png"})


def test_unknown_names_are_refused_with_near_ones(group: Group) -> None:
    with pytest.raises(ReportError, match=r"no image 'image-2.png' \(did you mean 'image-0"):
        pick(group, images={DEHAZE: "image-2.png"})
    with pytest.raises(ReportError, match=r"no task 'dehaze@embedded' \(did you mean 'dehaze@embedded-256'"):
        pick(group, images={"dehaze@embedded": "image-02.png"})
    assert knows(group, "dehaze", "image-02.png")
    assert not knows(group, "dehaze", "image-99.png")
    assert not knows(group, "haze", "image-02.png")
