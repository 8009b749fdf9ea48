"""Fixtures that several folders use."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from restorebench.models import temporary_registry

PROJECT_ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """``-m quick`` is whatever is marked neither ``slow`` nor ``alone``; ``nightly`` runs where ``-m`` names it."""
    by_night = "nightly" in str(config.getoption("markexpr"))
    for item in items:
        if item.get_closest_marker("nightly") and not by_night:
            item.add_marker(pytest.mark.skip(reason="by night: -m nightly"))
        if item.get_closest_marker("slow") is None and item.get_closest_marker("alone") is None:
            item.add_marker(pytest.mark.quick)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are no name of a test: some encoders put the time into them, and processes that run tests differ then."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder with real test images (`<set>/...`); the test is skipped where there is none.

    `RESTOREBENCH_TEST_DATA` names it; otherwise it is `../shared/data` beside the project.
    """
    named = os.environ.get("RESTOREBENCH_TEST_DATA")
    folder = Path(named) if named else PROJECT_ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real test images: {folder} is not there (set RESTOREBENCH_TEST_DATA)")
    return folder


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """The suite's logger is put back: a command line sends its messages to standard error, and nowhere else."""
    logger = logging.getLogger("restorebench")
    before = logger.propagate, logger.level, list(logger.handlers)
    yield
    logger.propagate, logger.level, logger.handlers[:] = before


@pytest.fixture
def own_registry() -> Iterator[None]:
    """What a test registers or takes out is as before after it; plug-ins that it installs are found."""
    with temporary_registry():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Captured output with names that are no UTF-8 crosses to the process that collects reports, which wants UTF-8."""
    report = yield
    report.sections = [
        (title, text.encode("utf-8", "backslashreplace").decode("utf-8")) for title, text in report.sections
    ]
    return report
