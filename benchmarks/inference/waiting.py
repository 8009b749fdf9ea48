"""How OpenMP's threads wait for each other at the end of a loop; light, because it is decided before torch loads."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""By which a user says it."""


def choose_waiting(environment: MutableMapping[str, str]) -> None:
    """Let threads sleep at a barrier rather than spin, unless the user has said how they shall wait.

    On a busy machine a thread that spins keeps the processor from the one it waits for
    (``reports/measured/waiting-cpu-float32-*.csv``). OpenMP reads its environment when torch loads it, so the program
    calls this first; processes that a launcher starts inherit it. It is the program's business, not that of ``import
    restorebench``: a library that is one of several in somebody's process leaves their environment alone.
    """
    if not any(name in environment for name in VARIABLES):
        environment["OMP_WAIT_POLICY"] = "PASSIVE"


def waiting(environment: Mapping[str, str]) -> str:
    """What an environment says: ``OMP_WAIT_POLICY=PASSIVE``; "" where OpenMP does as it likes."""
    return " ".join(f"{name}={environment[name]}" for name in VARIABLES if name in environment)
