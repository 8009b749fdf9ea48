"""Per-image rows survive the way to the disk and back, and damage is told from truncation; means over them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest

from restorebench.benchmarks.store import rows as module
from restorebench.benchmarks.store.rows import (
    IMAGE_HEADER,
    ImageRow,
    RecordError,
    in_order,
    mean_rows,
    parse_rows,
    read_table,
    row_check,
    table,
)

CELL = "0123456789abcdef"
ROWS = [
    ImageRow(
        image="a.png",
        status="ok",
        psnr=30.1 + 1e-14,
        ssim=0.9,
        lpips=0.1,
        input_psnr=20.0,
        input_ssim=0.5,
        lpips_by="alex-1",
    ),
    ImageRow(image="b, c.png", status="failed", message='NaN: "quoted",\n second line'),
    ImageRow(
        image="ü.png",
        status="ok",
        psnr=math.inf,
        ssim=1.0,
        lpips=0.3,
        input_psnr=21.0,
        input_ssim=0.6,
        how="tiles of 512",
        lpips_by="alex-1",
    ),
]


def test_rows_come_back_with_every_digit() -> None:
    back = parse_rows(table(ROWS, CELL).encode(), CELL)
    assert [dataclasses.asdict(row) for row in back[::2]] == [dataclasses.asdict(row) for row in ROWS[::2]]
    assert back[1].message == 'NaN: "quoted", second line'
    assert math.isnan(back[1].psnr)


def test_every_row_is_one_line() -> None:
    assert all(row.line(CELL).count("\n") == 1 for row in ROWS)


@pytest.mark.parametrize("cut", range(0, 130, 7))
def test_a_line_cut_by_a_killed_process_is_left_out(cut: int) -> None:
    whole = IMAGE_HEADER + ROWS[0].line(CELL) + ROWS[2].line(CELL)
    text = whole[: len(whole) - cut]
    names = [row.image for row in parse_rows(text.encode(), CELL)]
    assert names == [row.image for row in (ROWS[0], ROWS[2])][: max(0, text.count("\n") - 1)]


def sealed(values: str) -> str:
    """A line whose checksum is right, whatever stands in it."""
    return f"{values},{row_check(values, CELL)}\n"


def test_a_damaged_whole_line_is_an_error() -> None:
    with pytest.raises(RecordError, match="damaged row"):
        parse_rows((IMAGE_HEADER + sealed("a.png,ok,not a number,1,1,1,1,whole,,")).encode(), CELL)
    with pytest.raises(RecordError, match="damaged row"):
        parse_rows((IMAGE_HEADER + sealed("a.png,ok")).encode(), CELL)


def test_other_columns_are_an_error() -> None:
    with pytest.raises(RecordError, match="unknown columns"):
        parse_rows(b"image,psnr\na.png,30\n", CELL)


def test_means_leave_out_infinite_values_and_count_them() -> None:
    means = mean_rows(ROWS)
    assert means.psnr == 30.1 + 1e-14
    assert means.infinite == 1
    assert means.ssim == pytest.approx(0.95, abs=1e-15)
    assert means.input_psnr == 20.5


def test_means_do_not_depend_on_order() -> None:
    rows = [
        ImageRow(image=str(i), status="ok", psnr=0.1 * i, ssim=1 / (i + 1), input_psnr=1e-9 * i, input_ssim=0.3)
        for i in range(99)
    ]
    assert mean_rows(rows) == mean_rows(rows[::-1]) == mean_rows(rows[50:] + rows[:50])


def test_lpips_has_a_mean_only_if_every_image_has_it_by_the_same_weights() -> None:
    assert mean_rows(ROWS).lpips == 0.2
    assert mean_rows([ROWS[0], dataclasses.replace(ROWS[2], lpips_by="alex-2")]).lpips is None
    assert mean_rows([ROWS[0], dataclasses.replace(ROWS[2], lpips=math.nan)]).lpips is None


def test_means_of_nothing_are_none() -> None:
    assert mean_rows([ROWS[1]]).psnr is None


def test_in_order_follows_the_data_set_and_takes_the_last_of_a_name() -> None:
    later = dataclasses.replace(ROWS[0], psnr=1.0)
    assert in_order([ROWS[2], ROWS[0], later], ["a.png", "x.png", "ü.png"]) == [later, ROWS[2]]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda lines: lines, id="as it was"),
        pytest.param(lambda lines: lines[:1], id="no rows"),
        pytest.param(lambda lines: [*lines, lines[1]], id="a row twice"),
        pytest.param(lambda lines: [*lines[:2], b"", *lines[2:]], id="an empty line"),
        pytest.param(lambda lines: [*lines[:2], lines[2] + b",", *lines[3:]], id="a value more"),
        pytest.param(lambda lines: [line.replace(b"a", b"\xff") for line in lines], id="no text"),
        pytest.param(lambda lines: [line + b"\r" for line in lines], id="other line ends"),
        pytest.param(lambda lines: [lines[0], *(line.replace(b",ok,3", b",ok,4") for line in lines[1:])], id="edited"),
        pytest.param(lambda lines: [lines[0], lines[1][:-1].replace(b",", b";") + lines[1][-1:]], id="other commas"),
    ],
)
def test_a_table_read_by_column_is_the_table_read_by_line(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    rows = [dataclasses.replace(ROWS[0], image=name) for name in ("a.png", "ü.png", "c d.png")]
    rows.append(ImageRow(image="e.png", status="failed", message="NaN"))
    text = table(rows, CELL).encode()
    data = b"\n".join(change(text.rstrip(b"\n").split(b"\n"))) + b"\n"
    assert data != text or module.plain_columns(data, CELL) is not None
    by_column = read_table(data, CELL)
    monkeypatch.setattr(module, "plain_columns", lambda data, cell: None)
    assert repr(read_table(data, CELL)) == repr(by_column)
