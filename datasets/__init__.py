"""Suites, their data and the degradations; everything here is numpy arrays, and torch is never imported."""

from __future__ import annotations

from .errors import DataError
from .folder import folder_suite
from .samples import TASK_NAMES, Sample, Task, TaskData
from .streams import stream
from .suites import SUITE_NAMES, ResolvedSuite, Suite, list_suites, resolve

__all__ = [
    "SUITE_NAMES",
    "TASK_NAMES",
    "DataError",
    "ResolvedSuite",
    "Sample",
    "Suite",
    "Task",
    "TaskData",
    "folder_suite",
    "list_suites",
    "resolve",
    "stream",
]
