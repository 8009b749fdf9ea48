"""Tables for a supplement: every image of a task as a row, every restorer as a column."""

from __future__ import annotations

from collections.abc import Sequence

from ...messages import nearest
from ..analysis.captions import conditions, task_label
from ..analysis.cells import Group, RestorerResult, chosen
from ..errors import ReportError
from ..escape import file_stem
from ..published.metrics import HEADS, Metric
from .model import Block, Column, Number, PaperTable, TableRow
from .numbers import number
from .options import PLAIN, TableOptions

INPUT: dict[Metric, str] = {"psnr": "input_psnr", "ssim": "input_ssim"}


def per_image_tables(
    group: Group,
    *,
    metrics: Sequence[Metric],
    tasks: Sequence[str] = (),
    rows: Sequence[str] | None = None,
    options: TableOptions = PLAIN,
) -> list[PaperTable]:
    """A table for each task of a group.

    Args:
        group: what was measured.
        metrics: columns of each restorer.
        tasks: which, by their keys or the part before @; all where none is named.
        rows: which restorers, as `selection.chosen` takes them.
        options: of which digits are used.

    Raises:
        ReportError: no such task or restorer.
    """
    shown = chosen(group, rows)
    return [_table(shown, key, metrics, options) for key in _keys(group, tasks)]


def _keys(group: Group, tasks: Sequence[str]) -> list[str]:
    keys: list[str] = []
    for name in tasks:
        matching = [key for key in group.tasks if name in (key, key.partition("@")[0])]
        if not matching:
            known = [key.partition("@")[0] for key in group.tasks]
            hint = nearest(name, known) or f"; there are {', '.join(known)}"
            raise ReportError(f"--task {name}: {group.title} has no such task{hint}")
        keys += matching
    return list(dict.fromkeys(keys)) or list(group.tasks)


def _table(group: Group, key: str, metrics: Sequence[Metric], options: TableOptions) -> PaperTable:
    restorers = [restorer for restorer in group.restorers if key in restorer.cells]
    names = list(dict.fromkeys(row.image for restorer in restorers for row in restorer.cells[key].rows))
    columns = [
        Column(
            key=restorer.label,
            label=restorer.label,
            dataset="",
            metric=metric,
            digits=options.digits[metric],
            head=HEADS[metric],
        )
        for restorer in restorers
        for metric in metrics
    ]
    values = [_values(restorer, key, metric) for restorer in restorers for metric in metrics]
    rows = [
        TableRow(
            kind="measured",
            method=image,
            model="",
            scores=tuple(_number(value.get(image), c) for value, c in zip(values, columns, strict=True)),
        )
        for image in names
    ]
    label = task_label(group, key)
    return PaperTable(
        suite=group.suite,
        stem=file_stem(f"{group.stem}-{label.replace(', ', '-').replace(' ', '-')}-images"),
        caption=f"{' and '.join(HEADS[metric] for metric in metrics)} of each image: {label} on "
        f"{key.partition('@')[2]}, protocol {group.protocol}.",
        columns=tuple(columns),
        blocks=(Block(heading="", rows=tuple(rows)), Block(heading="", rows=(_means(group, key, columns),))),
        remarks=(f"PSNR in dB; {conditions(group, key)}. A dash: the image has no score.",),
        datasets=False,
        first="Image",
        long=True,
    )


def _values(restorer: RestorerResult, key: str, metric: Metric) -> dict[str, float]:
    """Scores by image, infinite ones too; those of the input are the degraded images' own."""
    name = INPUT[metric] if restorer.is_input else metric
    return {row.image: float(getattr(row, name)) for row in restorer.cells[key].rows if row.status == "ok"}


def _number(value: float | None, column: Column) -> Number:
    if value is None or value != value:
        return Number()
    return Number(value=value, text=number(value, column.decimals), images=1)


def _means(group: Group, key: str, columns: Sequence[Column]) -> TableRow:
    scores = []
    for column in columns:
        score = group.scoreboard.score(column.key, key, column.metric)
        text = "" if score is None else number(score.mean, column.decimals)
        scores.append(Number() if score is None else Number(value=score.mean, text=text, images=score.images))
    return TableRow(kind="measured", method="mean", model="", scores=tuple(scores))
