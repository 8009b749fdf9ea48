"""Printed rows of a suite, and which of several sources a model's row is taken from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...messages import nearest
from ..errors import ReportError
from .metrics import DIGITS, METRICS, Metric
from .places import AVERAGE_PLACE, COLUMN_TRAPS, PLACES, by_model, fits, places
from .results import AVERAGE, KINDS, PublishedResult, load_published
from .transcriptions import PrintedValue, Trap

ALL = "all"
_BOOKKEEPING = ("venue as listed", "params as listed", "PSNR only", "TERTIARY")
"""Beginnings of transcribers' notes that say nothing about a value, or that the row's own footnote says."""


@dataclass(frozen=True)
class PublishedRow:
    """A model's printed scores, all from one source.

    Attributes:
        model: in the papers' spelling.
        source: key of the source; empty where nothing of this setting is in print.
        scores: by task, and by ``average``; a value is printed exactly as the source has it.
        quoted: whether the source is not the model's own authors'.
        notes: footnotes of the row.
    """

    model: str
    source: str
    quoted: bool
    scores: Mapping[tuple[str, Metric], PrintedValue]
    notes: tuple[str, ...]

    def score(self, key: str, metric: Metric) -> PrintedValue:
        """The score of a task or of the average, a dash where none is printed."""
        return self.scores.get((key, metric), PrintedValue())


def published_rows(suite: str, names: Sequence[str]) -> list[PublishedRow]:
    """Printed rows of a suite.

    Args:
        suite: ``3d``, ``5d`` or ``cdd11``.
        names: models in the papers' spelling or the registry's (see `spelling`); a family (``MIRAGE``) stands for its
            members; ``all`` for every model, by falling average. A model known from other settings alone gives a row of
            dashes.

    Raises:
        ReportError: an unknown name, with the nearest, or a suite without printed rows.
    """
    places(suite)
    printed = by_model(suite)
    if any(name.casefold() == ALL for name in names):
        rows = [_row(suite, model) for model in printed if model != "Input"]
        return sorted(rows, key=lambda row: (-(row.score(AVERAGE, "psnr").value or 0.0), row.model))
    models = dict.fromkeys(model for name in names for model in _models(name, printed))
    return [_row(suite, model) if model in printed else _empty(suite, model) for model in models]


def spelling(name: str) -> str:
    """A model's name without what papers, tables and the registry write differently: ``MoCE-IR-S`` and ``moceir_s`` are
    ``moceirs``."""
    return re.sub(r"[\W_]", "", name.casefold())


def _models(name: str, printed: Mapping[str, object]) -> list[str]:
    """The models that a name stands for."""
    known = {row.model for row in load_published()}
    for model in sorted(known, key=lambda model: (model.casefold() != name.casefold(), model)):
        if spelling(model) == spelling(name):
            return [model]
    family = [model for model in sorted(known) if re.match(re.escape(name) + r"[_-]", model, re.IGNORECASE)]
    if not family:
        hint = nearest(name, sorted(known)) or "; --published all shows every one"
        raise ReportError(f"--published {name}: no paper's row of that name{hint}")
    return [model for model in family if model in printed] or [name]


def _row(suite: str, model: str) -> PublishedRow:
    printed = by_model(suite)[model]
    source = choose_source(printed, columns=len(PLACES[suite]) + 1)
    chosen = [row for row in printed if row.source == source]
    scores: dict[tuple[str, Metric], PrintedValue] = {}
    digits = {metric: _digits(chosen, metric) for metric in METRICS}
    # What holds for every task is a footnote of the row, even where the printed average is of another making.
    tasks = [row for row in chosen if row.dataset != AVERAGE] or chosen
    shared = set.intersection(*(set(_texts(row)) for row in tasks))
    for key, place in {**PLACES[suite], AVERAGE: AVERAGE_PLACE}.items():
        for row in chosen:
            if fits(row, place):
                notes = tuple(text for text in _texts(row) if text not in shared)
                scores.update({(key, metric): _printed(row, metric, notes, digits[metric]) for metric in METRICS})
    _fill_average(suite, scores)
    general = (*_origin(chosen[0]), *(text for text in _texts(tasks[0]) if text in shared))
    return PublishedRow(model, source, chosen[0].kind != "own", scores, (*general, *_disagreement(printed, source)))


def _empty(suite: str, model: str) -> PublishedRow:
    """A row without values, which says where values are."""
    settings = sorted({row.setting for row in load_published() if row.model.casefold().startswith(model.casefold())})
    text = f"{model}: no {suite} result in print that is known here (other settings: {', '.join(settings)})"
    return PublishedRow(model, "", False, {}, (text,))


def choose_source(rows: Iterable[PublishedResult], *, columns: int) -> str:
    """The source that a model's row is taken from.

    Its authors' before one that quotes it before unverified compilations; of these the one that has all columns, else
    most of them; then the latest year; then the one whose average most sources repeat; then the first in the file.
    """
    several = list(rows)
    by_source: dict[str, list[PublishedResult]] = {}
    for row in several:
        by_source.setdefault(row.source, []).append(row)
    repeated = Counter(row.psnr_db for row in several if row.dataset == AVERAGE)

    def merit(source: str) -> tuple[int, int, int, int]:
        mine = by_source[source]
        present = min(columns, len({row.column for row in mine if row.psnr_db is not None}))
        averages = [row.psnr_db for row in mine if row.dataset == AVERAGE]
        agreeing = repeated[averages[0]] if averages else 0
        return -KINDS.index(mine[0].kind), present, source_year(mine[0].citation), agreeing

    return max(by_source, key=merit)


def source_year(citation: str) -> int:
    """Year of a source: as printed, else that of its arXiv number, else 0."""
    years = [int(year) for year in re.findall(r"(?<![\d.])((?:19|20)\d\d)(?![\d.])", citation)]
    number = re.search(r"arXiv (\d\d)\d\d\.\d{4,5}", citation)
    return max(years) if years else 2000 + int(number[1]) if number else 0


def _printed(row: PublishedResult, metric: Metric, notes: tuple[str, ...], digits: int) -> PrintedValue:
    value = _value(row, metric)
    return PrintedValue() if value is None else PrintedValue(value=value, text=f"{value:.{digits}f}", notes=notes)


def _value(row: PublishedResult, metric: Metric) -> float | None:
    return row.psnr_db if metric == "psnr" else row.ssim


def _digits(rows: Iterable[PublishedResult], metric: Metric) -> int:
    """Decimals of a row's source: as many as its longest value has, since zeros at the end are not kept."""
    values = [value for row in rows if (value := _value(row, metric)) is not None]
    return max([DIGITS[metric], *(len(repr(value).partition(".")[2]) for value in values)])


def _fill_average(suite: str, scores: dict[tuple[str, Metric], PrintedValue]) -> None:
    """Where a source prints all tasks and no average, their mean, marked as such."""
    for metric in METRICS:
        values = [scores.get((key, metric), PrintedValue()).value for key in PLACES[suite]]
        present = [value for value in values if value is not None]
        if scores.get((AVERAGE, metric), PrintedValue()).value is None and len(present) == len(values):
            mean = sum(present) / len(present)
            note = "mean of the row, which its source does not print"
            scores[AVERAGE, metric] = PrintedValue(value=mean, text=f"{mean:.{DIGITS[metric]}f}", notes=(note,))


def _texts(row: PublishedResult) -> list[str]:
    """Footnotes of a printed value."""
    flags = [flag for flag in row.flags if flag.trap not in COLUMN_TRAPS]
    return list(dict.fromkeys(flag.text for flag in flags if not flag.text.startswith(_BOOKKEEPING)))


def _origin(row: PublishedResult) -> list[str]:
    if row.kind == "quoted":
        return [f"not printed by its authors, quoted from: {row.citation}"]
    return ["from an unverified compilation, not checked against a paper"] if row.kind == "tertiary" else []


def _disagreement(printed: Sequence[PublishedResult], source: str) -> list[str]:
    """Other averages in print, where a trap's footnote does not name them already."""
    averages = [row for row in printed if row.dataset == AVERAGE and row.psnr_db is not None]
    mine = {row.psnr_db for row in averages if row.source == source}
    others = {row.psnr_db: row.source for row in averages if row.psnr_db not in mine and row.kind != "tertiary"}
    if not mine or not others or any(row.has(Trap.RETRAININGS_DISAGREE) for row in averages):
        return []
    listed = ", ".join(f"{value:.2f} ({key})" for value, key in sorted(others.items(), reverse=True))
    return [f"{printed[0].model}: other averages in print, dB: {listed}"]
