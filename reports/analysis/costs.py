"""What restorers cost against what they give: points, measured here or printed in papers, and the Pareto front."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from ..published.complexity import PublishedComplexity, load_complexity
from ..published.places import PAPERS_PROTOCOLS, PLACES
from ..published.results import PublishedResult, load_published
from ..published.transcriptions import Trap
from .cells import Group, RestorerResult
from .intervals import Interval
from .latency import Conditions, Latency, latency_of, place
from .leaderboard import AVERAGE

CostName = Literal["params", "macs", "latency_ms", "peak_mib"]

MACS_SIZE = "256x256"
ELSEWHERE = "measured under different conditions"


@dataclass(frozen=True)
class CostAxis:
    """A cost as a figure's x axis.

    Attributes:
        cost: name of the field of `CostPoint`.
        stem: for file names.
        label: of the axis.
        unit: in which the axis counts.
    """

    cost: CostName
    stem: str
    label: str
    unit: float = 1.0


AXES = (
    CostAxis("params", "parameters", "parameters (millions)", 1e6),
    CostAxis("macs", "macs", "multiply-adds without Fourier transforms (G)", 1e9),
    CostAxis("latency_ms", "latency", "latency of one image (ms)"),
    CostAxis("peak_mib", "memory", "peak memory of one pass (MiB)"),
)


@dataclass(frozen=True, kw_only=True)
class CostPoint:
    """A restorer as a point.

    Attributes:
        label: name of the restorer.
        psnr: suite's average, dB.
        interval: 95 % of that average; None for published ones.
        params: number of parameters. macs: multiply-adds at 1x3x256x256, without Fourier transforms.
        latency_ms: of one image, the median of `timing`. peak_mib: most memory of one pass. None where the value is not
            known.
        timing: the latency with its spread and its doubts; None for published points.
        source: ``measured`` here or ``published``.
        citation: where a published average is printed; empty for measured ones.
        macs_source: where the multiply-adds of a published point are from.
        notes: what to know about a published point.
    """

    label: str
    psnr: float
    interval: Interval | None = None
    params: float | None = None
    macs: float | None = None
    latency_ms: float | None = None
    peak_mib: float | None = None
    timing: Latency | None = None
    source: Literal["measured", "published"] = "measured"
    citation: str = ""
    macs_source: str = ""
    notes: tuple[str, ...] = ()

    def cost(self, name: CostName) -> float | None:
        """One of its costs."""
        value = getattr(self, name)
        return None if value is None else float(value)

    def doubtful(self, name: CostName) -> str:
        """Why one of its costs is not to be trusted, in words; "" where nothing speaks against it."""
        return self.timing.doubtful if name == "latency_ms" and self.timing is not None else ""


def cost_points(group: Group, published: bool = True) -> list[CostPoint]:
    """Points of all restorers with a complete suite, then, where they are comparable, of published ones.

    Latency and memory are those over images of the size that most restorers share (`common_conditions`).

    Args:
        group: the input itself gives no point.
        published: whether to add printed averages; none are added where `not_comparable` gives a reason.
    """
    shared = common_conditions(group)
    timings = latencies(group)
    points = [
        CostPoint(
            label=restorer.label,
            psnr=score.mean,
            interval=score,
            params=restorer.record.complexity.parameters,
            macs=restorer.record.complexity.multiply_adds,
            latency_ms=timings[restorer.label].ms if restorer.label in timings else None,
            peak_mib=_median_cost(restorer, shared, "peak_mib"),
            timing=timings.get(restorer.label),
        )
        for restorer in group.restorers
        if not restorer.is_input and (score := group.scoreboard.score(restorer.label, AVERAGE)) is not None
    ]
    if published and not not_comparable(group):
        points += published_points(group.suite)
    return points


def pareto(points: Iterable[CostPoint], cost: CostName) -> list[CostPoint]:
    """Points that no other equals or beats in both cost and PSNR, by rising cost; those without the cost are left out.

    Of points alike in both, all stay. Doubtful costs take no part; where they leave fewer than two points there is no
    front.
    """
    several = [(value, point) for point in points if (value := point.cost(cost)) is not None]
    known = [(value, point) for value, point in several if not point.doubtful(cost)]
    if len(known) < min(2, len(several)):
        return []
    front = [
        (value, point)
        for value, point in known
        if not any(
            other <= value and rival.psnr >= point.psnr and (other, rival.psnr) != (value, point.psnr)
            for other, rival in known
        )
    ]
    return [point for _, point in sorted(front, key=lambda pair: (pair[0], pair[1].label))]


def incomplete(group: Group) -> list[str]:
    """Restorers that have no average, because a task or some of its images are missing."""
    return [c.label for c in group.restorers if not c.is_input and not c.complete]


def not_comparable(group: Group) -> str:
    """Why printed averages may not stand beside this group's; empty if they may."""
    places = PLACES.get(group.suite)
    if places is None:
        return f"papers print no average of the suite {group.suite}"
    keys = [key.partition("@") for key in group.tasks]
    names = sorted({dataset for task, _, dataset in keys if task not in places or places[task].measured != dataset})
    if names:
        return f"measured on {', '.join(names)}, not on the papers' test sets"
    if group.protocol.partition("@")[0] not in PAPERS_PROTOCOLS:
        return f"measured under {group.protocol}, papers' averages are under promptir@1"
    return ""


def common_conditions(group: Group) -> Conditions | None:
    """Image size and batch at which most restorers have latency, and among those the one of most cells."""
    restorers: Counter[Conditions] = Counter()
    cells: Counter[Conditions] = Counter()
    for restorer in group.restorers:
        if not restorer.is_input:
            sizes = [size for cell in restorer.cells.values() if (size := place(cell.record.cost)) is not None]
            restorers.update(set(sizes))
            cells.update(sizes)
    if not restorers:
        return None
    return max(sorted(restorers), key=lambda size: (restorers[size], cells[size]))


def latencies(group: Group) -> Mapping[str, Latency]:
    """The latency of each restorer under the conditions that most share, by label."""
    shared = common_conditions(group)
    found = {restorer.label: latency_of(restorer, shared) for restorer in group.restorers}
    known = {label: latency for label, latency in found.items() if latency is not None}
    if len({latency.where for latency in known.values()}) < 2:
        return known
    return {
        label: replace(latency, doubtful="; ".join(filter(None, (latency.doubtful, ELSEWHERE))))
        for label, latency in known.items()
    }


def cost_statement(group: Group, name: CostName) -> str:
    """How latency or memory of a group's points was measured, for a caption; empty where nothing was."""
    shared = common_conditions(group)
    if shared is None:
        return ""
    (height, width), batch = shared
    if name == "peak_mib":
        restorers = [restorer for restorer in group.restorers if not restorer.is_input]
        costs = [cell.record.cost for restorer in restorers for cell in restorer.cells.values()]
        hows = dict.fromkeys(c.peak_how for c in costs if c is not None and place(c) == shared and c.peak_how)
        return f"memory of one pass over 1x3x{height}x{width}, {' / '.join(hows) or 'method not recorded'}"
    timings = latencies(group)
    if not timings:
        return ""
    where = dict.fromkeys(latency.where for latency in timings.values())
    profiled = [label for label, latency in timings.items() if latency.source == "profile"]
    kind = "bench profile's" if len(profiled) == len(timings) else "the run's"
    text = f"latency: median of {kind} passes over images of {height}x{width}, batch {batch}, {' / '.join(where)}"
    if len(where) > 1:
        text += f" ({ELSEWHERE}: not to be ranked)"
    if 0 < len(profiled) < len(timings):
        text += f"; bench profile's for {', '.join(profiled)}"
    doubts = [
        f"{label} ({latency.doubtful})" for label, latency in timings.items() if latency.doubtful not in ("", ELSEWHERE)
    ]
    return f"{text}; doubtful, so on no Pareto front: {'; '.join(doubts)}" if doubts else text


@cache
def published_points(setting: str) -> tuple[CostPoint, ...]:
    """Printed averages of one setting, a point for each model: the authors' own value, else one quoted by others.

    Models without a printed cost are points too, which no cost's figure shows. Multiply-adds are those counted at
    256x256, values of unknown or other size are left out.
    """
    printed: dict[str, list[PublishedResult]] = {}
    for row in load_published():
        scored = row.dataset == AVERAGE and row.psnr_db is not None
        if row.setting == setting and scored and row.kind != "tertiary" and row.model != "Input":
            printed.setdefault(row.model, []).append(row)
    return tuple(_published_point(rows) for rows in printed.values())


def _published_point(rows: Sequence[PublishedResult]) -> CostPoint:
    row = min(rows, key=lambda one: one.kind != "own")
    assert row.psnr_db is not None
    values = sorted({one.psnr_db for one in rows if one.psnr_db is not None})
    notes = []
    if row.kind != "own":
        notes.append("quoted, not printed by its authors")
    if row.kind != "own" and len(values) > 1:
        notes.append(f"papers print {' and '.join(f'{value:.2f}' for value in values)} dB")
    if row.has(Trap.NOT_BLIND):
        notes.append("told the degradation")
    params, macs, macs_source = _published_costs(row.model)
    return CostPoint(
        label=row.model,
        psnr=row.psnr_db,
        params=params,
        macs=macs,
        source="published",
        citation=row.citation,
        macs_source=macs_source,
        notes=tuple(notes),
    )


def _published_costs(model: str) -> tuple[float | None, float | None, str]:
    """Parameters of a model in print, its multiply-adds at 256x256, and where these are from.

    Of several numbers of parameters, those that name a frozen network beside the trained one come first, then those
    counted on the released code, then those with most digits; unverified compilations are left out.
    """
    rows = [row for row in load_complexity() if row.model == model and "unverified" not in row.source]

    def trust(row: PublishedComplexity) -> tuple[bool, bool, int]:
        return "+" in row.params_text, row.source.startswith("counted here"), len(row.params_text.partition(".")[2])

    sized = [row for row in rows if row.params_m is not None]
    params = max(sized, key=trust).params_m if sized else None
    counted = [(row.macs_g, row.source) for row in rows if row.macs_g is not None and row.input_size == MACS_SIZE]
    macs, source = counted[0] if counted else (None, "")
    return (None if params is None else params * 1e6), (None if macs is None else macs * 1e9), source


def _median_cost(restorer: RestorerResult, shared: Conditions | None, name: str) -> float | None:
    if shared is None:
        return None
    costs = [cell.record.cost for cell in restorer.cells.values() if cell.record.cost is not None]
    values = [float(value) for cost in costs if place(cost) == shared and (value := getattr(cost, name)) is not None]
    return statistics.median(values) if values else None
