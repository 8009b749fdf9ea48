"""How OpenMP's threads wait for each other at the end of a loop; light, because it is decided before torch loads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib.util import find_spec
from pathlib import Path

VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""By which a user says it."""
SPINS = 10_000
"""Turns of libgomp's loop before a thread sleeps, some tenths of a millisecond; 30 times as many unless it is told."""


def choose_waiting(environment: MutableMapping[str, str]) -> None:
    """Let threads spin for a moment at a barrier and then sleep, unless the user has said how they shall wait.

    On a busy machine a thread that spins keeps the processor from the one it waits for; on an idle one a thread that
    sleeps has to be woken, at every one of a small network's hundreds of barriers. As measured on two processors
    (``reports/measured/waiting-quiet-*.csv``, against what torch comes with): sleeping at once costs RBaIR 15 to 19 %
    and the tiny AnyIR three times its time on an idle machine, and takes 0.53 and 0.84 of it beside two busy loops.
    `SPINS` costs nothing when idle (0.93 to 1.03), and takes 0.64 and 1.31 beside the loops. An idle machine is where
    people measure, and what is lost beside others is small against what sleeping costs there, so it is the latter.

    Spins are counted by libgomp alone, which torch's wheels for Linux bring; where torch brings another OpenMP, or
    none, threads sleep (``OMP_WAIT_POLICY=PASSIVE``), which every OpenMP knows. OpenMP reads its environment when torch
    loads it, so the program calls this first; processes that a launcher starts inherit it. It is the program's
    business, not that of ``import restorebench``: a library that is one of several in somebody's process leaves their
    environment alone.
    """
    if any(name in environment for name in VARIABLES):
        return
    if any("libgomp" in path.name for path in libraries("torch")):
        environment["GOMP_SPINCOUNT"] = str(SPINS)
    else:
        environment["OMP_WAIT_POLICY"] = "PASSIVE"


def libraries(package: str) -> Iterator[Path]:
    """Shared libraries that a package's wheel brings, found without importing it."""
    spec = find_spec(package)
    for folder in spec.submodule_search_locations or () if spec is not None else ():
        yield from Path(folder, "lib").glob("*")
        yield from Path(folder).parent.glob(f"{package}.libs/*")


def waiting(environment: Mapping[str, str]) -> str:
    """What an environment says: ``GOMP_SPINCOUNT=10000``; "" where OpenMP does as it likes."""
    return " ".join(f"{name}={environment[name]}" for name in VARIABLES if name in environment)
