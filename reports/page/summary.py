"""The page's summary in words: which restorer is best at what, at what cost, and how sure one can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..analysis.captions import cluster_kind, hopeless, image_counts, restorers_shown, task_label
from ..analysis.cells import Group
from ..analysis.costs import CostPoint, incomplete
from ..analysis.leaderboard import AVERAGE
from ..analysis.scoreboard import Interval, Ranking
from ..analysis.seeds import in_words
from ..marks import TIE

NUMBER_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def headline(group: Group, measured: Mapping[str, CostPoint]) -> str:
    """The result in one sentence."""
    average = group.scoreboard.ranking(AVERAGE)
    if average is None:
        return f"No restorer has finished {group.suite} on {group.datasets} yet"
    leader = average.order[0]
    score = f"{measured[leader].psnr:.2f} dB"
    if len(average.order) == 1:
        return f"{leader}: {score} on average over {group.suite}, the only complete result"
    tied = _tied(average)
    if average.hopeless:
        few = f"{average.clusters} {cluster_kind(group, AVERAGE)}"
        return f"{leader} leads {group.suite} with {score} on average; with {few} no difference can be significant"
    if tied:
        return f"{leader} leads {group.suite} with {score} on average, but not significantly over {listed(tied)}"
    return f"{leader} is best on {group.suite}: {score} on average, significantly more than {_others(group)}"


def facts(group: Group, measured: Mapping[str, CostPoint]) -> list[tuple[str, str | list[tuple[str, str]]]]:
    """Short answers with what they answer, in the order of reading; an answer may be a list of (task, text).

    Args:
        group: whose results.
        measured: averages and costs of the complete restorers by label.
    """
    answers: list[tuple[str, str | list[tuple[str, str]]]] = []
    average = group.scoreboard.ranking(AVERAGE)
    rankings = {key: ranking for key in group.tasks if (ranking := group.scoreboard.ranking(key)) is not None}
    if average is not None:
        answers.append(("Best average", _score(group, average.order[0], measured)))
        answers.append(("How sure", _certainty(group, average)))
        answers.append(("At what cost", _cost(average, measured)))
    if rankings and len(group.tasks) > 1:
        winners = [(task_label(group, key), _winners(ranking)) for key, ranking in rankings.items()]
        answers.append((f"Best at each task ({TIE} not told apart)", winners))
    if joined := in_words(group):
        answers.append(("Several weights of one network", list(joined)))
    if unfinished := incomplete(group):
        answers.append(("Incomplete, not ranked on average", "\n".join(unfinished)))
    return answers


def listed(names: Sequence[str]) -> str:
    """``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _score(group: Group, label: str, measured: Mapping[str, CostPoint]) -> str:
    point = measured[label]
    over_input = group.scoreboard.mean_gain(label, AVERAGE)
    gain = "" if over_input is None else f", {over_input:+.2f} dB over the degraded input"
    return f"{label}: {point.psnr:.2f} dB{_bracket(point.interval)}{gain}"


def _bracket(interval: Interval | None) -> str:
    if interval is None or interval.low is None or interval.high is None:
        return ""
    return f" [{interval.low:.2f},\u00a0{interval.high:.2f}]"


def _certainty(group: Group, average: Ranking) -> str:
    counts = image_counts(group)
    leader, others = average.order[0], average.order[1:]
    if not others:
        return f"Nothing to compare it with yet ({counts})."
    tied = _tied(average)
    beaten = [name for name in others if name not in average.best]
    sentences = []
    if reason := hopeless(average, cluster_kind(group, AVERAGE)):
        sentences.append(f"{reason[0].upper()}{reason[1:]}.")
    elif tied:
        values = [p for name in tied if (p := _adjusted(average, leader, name)) is not None]
        strength = f" ({_probability(min(values))})" if values else ""
        sentences.append(f"{leader} cannot be told apart from {listed(tied)}{strength}.")
    if beaten:
        values = [p for name in beaten if (p := _adjusted(average, leader, name)) is not None]
        strength = f" ({_probability(max(values), 'at most ')})" if values else ""
        whom = _others(group) if not tied else f"the other {_count(len(beaten))}"
        sentences.append(f"It is significantly better than {whom}{strength}.")
    family = f"Holm-corrected {restorers_shown(average)}"
    return " ".join(sentences) + f" {average.test.capitalize()}, {family}; {counts}."


def _others(group: Group) -> str:
    return "every other complete restorer" if incomplete(group) else "every other restorer"


def _cost(average: Ranking, measured: Mapping[str, CostPoint]) -> str:
    leaders = [measured[name] for name in average.order if name in average.best]
    best = min(leaders, key=_macs)
    lines = [f"{best.label}{' (cheapest of the tied)' if len(leaders) > 1 else ''}: {_costs(best)}"]
    cheapest = min((measured[name] for name in average.order), key=_macs)
    if cheapest.label != best.label and _macs(cheapest) < _macs(best):
        behind = measured[average.order[0]].psnr - cheapest.psnr
        lines.append(f"Cheapest of all, {cheapest.label}: {_costs(cheapest)}, {behind:.2f} dB behind")
    return "\n".join(lines)


def _costs(point: CostPoint) -> str:
    parts = [
        f"{value / unit:.3g} {name}"
        for value, unit, name in (
            (point.params, 1e6, "M parameters"),
            (point.macs, 1e9, "G MACs"),
            (point.latency_ms, 1.0, "ms an image" + (" (doubtful)" if point.doubtful("latency_ms") else "")),
        )
        if value is not None
    ]
    return ", ".join(parts) if parts else "not known"


def _macs(point: CostPoint) -> float:
    return float("inf") if point.macs is None else point.macs


def _winners(ranking: Ranking) -> str:
    names = [name for name in ranking.order if name in ranking.best]
    return names[0] if len(names) == 1 else ", ".join(f"{TIE}{name}" for name in names)


def _tied(ranking: Ranking) -> list[str]:
    """The other members of the leader's tie group."""
    return [name for name in ranking.order[1:] if name in ranking.best]


def _adjusted(ranking: Ranking, first: str, second: str) -> float | None:
    return ranking.adjusted.get((first, second), ranking.adjusted.get((second, first)))


def _probability(p: float, bound: str = "") -> str:
    return "p < 0.001" if p < 0.001 else f"p {bound or '= '}{p:.3f}"


def _count(number: int) -> str:
    return NUMBER_WORDS[number] if number < len(NUMBER_WORDS) else str(number)
