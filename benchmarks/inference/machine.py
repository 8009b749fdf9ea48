"""How busy the machine was while something was timed, and whether the times can be believed.

A time is a network's only where the network had the machine. What others took is seen in three places: processor time
(of the whole machine less this process's, against wall time), the load average, and the spread of the times
themselves. A time for which one of them is too large is kept, called doubtful, and ranks nothing.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

MOST_TAKEN = 0.15
"""Processors that other processes may take of those that the timed threads need, before times are doubtful."""
MOST_SPREAD = 0.25
"""Of the distance of the quartiles to the median; and of the rounds' medians to their own."""
LEAST_SPREAD = 0.0005
"""Seconds: a distance below it says nothing, passes of a tiny image scatter as much by themselves."""
MOST_QUEUE = 0.75
"""By how much the load average, which counts whoever is ready to run, may exceed the number of processors."""
LEAST_WINDOW = 0.5
"""Seconds that must be watched before processor time, counted in hundredths, says anything."""


@dataclass(frozen=True, kw_only=True)
class Business:
    """What else the machine did during some seconds.

    Attributes:
        seconds: wall time that was watched.
        own: processors that this process took on average.
        others: processors that all other processes took, by clocks that differ by hundredths of a second: a short time
            can have less than none; None where the system does not say.
        load: load average of one minute at the end; None likewise.
        processors: that there are.
        threads: threads that the timed code uses.
    """

    seconds: float = 0.0
    own: float = 0.0
    others: float | None = None
    load: float | None = None
    processors: int = 1
    threads: int = 1

    @property
    def taken(self) -> float:
        """Processors that the timed threads lacked because others had them."""
        if self.others is None or self.seconds < LEAST_WINDOW:
            return 0.0
        return max(0.0, self.others - max(0, self.processors - self.threads))

    def joined(self, other: Business) -> Business:
        """Both times together: means over their seconds, the higher load."""
        seconds = self.seconds + other.seconds
        if not seconds:
            return self

        def mean(first: float, second: float) -> float:
            return (first * self.seconds + second * other.seconds) / seconds

        known = [load for load in (self.load, other.load) if load is not None]
        return replace(
            self,
            seconds=seconds,
            own=mean(self.own, other.own),
            others=None if self.others is None or other.others is None else mean(self.others, other.others),
            load=max(known) if known else None,
        )


class Watch:
    """Watches the machine from its making on."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._wall, self._own, self._all = time.perf_counter(), time.process_time(), _processor_seconds()

    def business(self) -> Business:
        """What it has been doing since."""
        wall = time.perf_counter() - self._wall
        if wall <= 0:
            return Business(load=_load(), processors=os.cpu_count() or 1, threads=self.threads)
        own = (time.process_time() - self._own) / wall
        now = _processor_seconds()
        everything = None if now is None or self._all is None else (now - self._all) / wall
        return Business(
            seconds=wall,
            own=own,
            others=None if everything is None else everything - own,
            load=_load(),
            processors=os.cpu_count() or 1,
            threads=self.threads,
        )


def doubts(rounds: Sequence[Sequence[float]], business: Business) -> str:
    """Why a median of these times is doubtful, in words; "" if nothing speaks against it.

    Args:
        rounds: seconds of the passes over equal work, round by round.
        business: of the machine meanwhile.
    """
    reasons = []
    if business.taken > MOST_TAKEN:
        reasons.append(
            f"other processes took {business.others:.1f} of {business.processors} processors, "
            f"{business.threads} timed threads had {business.own:.1f}"
        )
    if business.load is not None and business.load > business.processors + MOST_QUEUE:
        reasons.append(f"load average {business.load:.1f} on {business.processors} processors")
    seconds = [each for one in rounds for each in one]
    if len(seconds) > 1:
        first, median, third = statistics.quantiles(seconds, n=4, method="inclusive")
        reach = max(median - first, third - median)
        if reach > max(MOST_SPREAD * median, LEAST_SPREAD):
            reasons.append(f"a quartile lies {reach / median:.0%} from the median")
    medians = [statistics.median(one) for one in rounds if one]
    if len(medians) > 1 and max(medians) - min(medians) > max(MOST_SPREAD * min(medians), LEAST_SPREAD):
        reasons.append(f"medians of the rounds from {1000 * min(medians):.3g} to {1000 * max(medians):.3g} ms")
    return ", ".join(reasons)


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def _processor_seconds() -> float | None:
    """Processor time of all processes since the machine started; None where the system does not say."""
    path = Path("/proc/stat")
    try:
        words = path.read_text(encoding="ascii").split(None, 11)
    except (OSError, UnicodeDecodeError):
        return None
    if len(words) < 9 or words[0] != "cpu":
        return None
    user, nice, system, _, _, interrupts, soft, stolen = (int(word) for word in words[1:9])
    ticks = user + nice + system + interrupts + soft + stolen
    return ticks / os.sysconf("SC_CLK_TCK") if ticks else None
