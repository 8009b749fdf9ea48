"""What `evaluate` returns: the scores of one restorer on one suite as tables."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from ...datasets.tasks import Task
from ..store.records import ImageRow, mean_rows

AVERAGE = "average"
MEASURES = ("psnr", "ssim", "lpips", "input_psnr", "input_ssim")
MOST_FAILURES = 5
"""Failed images that are metrics by name."""


@dataclass(frozen=True)
class TaskRows:
    """The rows of one task.

    Attributes:
        task: the task.
        asked: images that were asked for.
        available: images that the data set has.
        rows: one for each image that was asked for, unless a run was cut off.
    """

    task: Task
    asked: int
    available: int
    rows: Sequence[ImageRow]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The scores of one restorer on one suite.

    Attributes:
        model, variant: the restorer.
        provenance: of its weights, as in every table of the suite.
        weights: what is known of them, in one line.
        suite: name of the suite. protocol: name with version.
        device, dtype: the numerics.
        images: a row an image: ``model, variant, suite, protocol, task, dataset, sigma, image, status`` (``ok`` or
            ``failed``), ``psnr`` (dB), ``ssim``, ``lpips``, ``input_psnr`` and ``input_ssim`` (of the degraded image),
            ``how`` it went through the network, and the ``message`` of a failed one. Scores that are not there are NaN.
        summary: a row a task in the suite's order, then ``average``, the plain mean over the tasks: ``images`` with
            scores, ``failed`` ones, ``status`` (``complete``, ``incomplete``, or ``partial``: only the first images
            were asked for), the means, and a ``note``. A task with a failed image has no means, and then there is no
            average: a mean over some of the images is no score of the set. A quick look (``partial``) has means.
        notices: what a reader has to know besides, a line each.
        store: the results folder that holds the cells; None: they are kept in memory alone.
    """

    model: str
    variant: str
    provenance: str
    weights: str
    suite: str
    protocol: str
    device: str
    dtype: str
    images: pd.DataFrame
    summary: pd.DataFrame
    notices: tuple[str, ...] = field(default=())
    store: Path | None = None

    @property
    def complete(self) -> bool:
        """Whether every image of every task has its scores; a quick look (``limit=``) is none."""
        return bool((self.summary["status"] == "complete").all())

    @property
    def average(self) -> dict[str, float]:
        """The suite's ``psnr``, ``ssim``, ``lpips``, ``input_psnr`` and ``input_ssim``; NaN where there is none."""
        row = self.summary[self.summary["task"] == AVERAGE].iloc[0]
        return {name: float(row[name]) for name in MEASURES}

    @property
    def title(self) -> str:
        """The restorer and the conditions, in one line."""
        conditions = f"{self.suite}, {self.protocol}, {self.dtype} on {self.device}"
        return f"{self.model} {self.variant} ({self.provenance}) on {conditions}"

    def __repr__(self) -> str:
        return "\n".join([self.title, self._table("simple"), *(f"- {line}" for line in self._remarks())])

    def _repr_html_(self) -> str:
        remarks = "".join(f"<li>{html.escape(line)}</li>" for line in self._remarks())
        return f"<p>{html.escape(self.title)}</p>{self._table('html')}<ul>{remarks}</ul>"

    def _table(self, kind: str) -> str:
        metrics = [name for name in ("psnr", "ssim", "lpips", "input_psnr") if self.summary[name].notna().any()]
        metrics = metrics or ["psnr", "ssim"]
        heads = {"psnr": "PSNR (dB)", "ssim": "SSIM", "lpips": "LPIPS", "input_psnr": "input PSNR (dB)"}
        body = [
            [
                _label(row),
                row["dataset"],
                str(row["images"]) if not row["failed"] else f"{row['images']}, {row['failed']} failed",
                *(_number(row[name], 2 if "psnr" in name else 4) for name in metrics),
            ]
            for row in self.summary.to_dict("records")
        ]
        head = ["task", "data set", "images", *(heads[name] for name in metrics)]
        align = ("left", "left", *("right",) * (1 + len(metrics)))
        return str(tabulate(body, headers=head, tablefmt=kind, disable_numparse=True, colalign=align))

    def _remarks(self) -> list[str]:
        notes = [f"{_label(row)}: {row['note']}" for row in self.summary.to_dict("records") if row["note"]]
        failed = self.images[self.images["status"] == "failed"].to_dict("records")
        names = [f"failed: {_label(row)}, {row['image']}: {row['message']}" for row in failed[:MOST_FAILURES]]
        more = [f"and {len(failed) - MOST_FAILURES} more failed"] if len(failed) > MOST_FAILURES else []
        stored = [f"stored in {self.store}"] if self.store else []
        return [f"weights: {self.weights}", *self.notices, *notes, *names, *more, *stored]


def _label(row: dict[Any, Any]) -> str:
    return str(row["task"]) if pd.isna(row["sigma"]) else f"{row['task']} {row['sigma']}"


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def image_frame(several: Sequence[TaskRows], shared: dict[str, str]) -> pd.DataFrame:
    """`Evaluation.images`; `shared` are the columns that all rows have in common."""
    rows = [
        {**shared, "task": each.task.name, "dataset": each.task.dataset, "sigma": each.task.sigma, **asdict(row)}
        for each in several
        for row in each.rows
    ]
    first = [*shared, "task", "dataset", "sigma", "image", "status", *MEASURES, "how", "message"]
    frame = pd.DataFrame(rows, columns=first)
    return frame.astype({"sigma": "Int64", **dict.fromkeys(MEASURES, "float64")})


def summary_frame(several: Sequence[TaskRows], shared: dict[str, str]) -> pd.DataFrame:
    """`Evaluation.summary`; `shared` are the columns that all rows have in common."""
    rows = [_task_summary(each) for each in several]
    states = {row["status"] for row in rows}
    rows.append(
        {
            "task": AVERAGE,
            "dataset": "+".join(sorted({each.task.dataset for each in several})),
            "sigma": None,
            "images": sum(row["images"] for row in rows),
            "failed": sum(row["failed"] for row in rows),
            "status": states.pop()
            if len(states) == 1
            else "partial"
            if states == {"complete", "partial"}
            else "incomplete",
            **{name: _mean([row[name] for row in rows]) for name in MEASURES},
            "note": "",
        }
    )
    frame = pd.DataFrame([{**shared, **row} for row in rows])
    return frame.astype({"sigma": "Int64", **dict.fromkeys(MEASURES, "float64")})


def _task_summary(each: TaskRows) -> dict[str, Any]:
    scored = [row for row in each.rows if row.status == "ok"]
    means = mean_rows(scored)
    complete = len(scored) == each.asked
    notes = [f"partial, the first {each.asked} of {each.available} images"] if each.asked < each.available else []
    if means.infinite:
        notes.append(f"{means.infinite} restored images equal the clean ones (infinite PSNR, not in the mean)")
    values = {name: getattr(means, name) if complete else None for name in MEASURES}
    return {
        "task": each.task.name,
        "dataset": each.task.dataset,
        "sigma": each.task.sigma,
        "images": len(scored),
        "failed": each.asked - len(scored),
        "status": "incomplete" if not complete else "complete" if each.asked == each.available else "partial",
        **{name: math.nan if value is None else value for name, value in values.items()},
        "note": "; ".join(notes),
    }


def _mean(values: Sequence[float]) -> float:
    """Plain mean; NaN if a value is."""
    return sum(values) / len(values)
