"""Names of tasks and suites: consistent with one another, and light to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from restorebench.datasets.tasks import (
    CDD11_TASKS,
    NOISE_LEVELS,
    SINGLE_TASKS,
    STANDARD_SETS,
    SUITE_NAMES,
    SUITES,
    TASK_NAMES,
    Task,
)


def test_every_suite_has_its_tasks_on_the_sets_of_the_papers() -> None:
    assert ("3d", "5d", "cdd11", *SINGLE_TASKS) == SUITE_NAMES
    for name, suite in SUITES.items():
        assert suite.name == name
        assert suite.title
        assert len(set(suite.labels)) == len(suite.tasks)
        for task in suite.tasks:
            assert task.name in TASK_NAMES
            assert task.dataset == STANDARD_SETS[task.name]
            assert (task.sigma in NOISE_LEVELS) == (task.name == "denoise")


@pytest.mark.parametrize(
    ("suite", "labels"),
    [
        ("3d", ("dehaze", "derain", "denoise-15", "denoise-25", "denoise-50")),
        ("5d", ("dehaze", "derain", "denoise-25", "deblur", "lowlight")),
        ("cdd11", CDD11_TASKS),
        ("denoise", ("denoise-15", "denoise-25", "denoise-50")),
    ],
)
def test_labels_are_in_the_order_of_the_papers(suite: str, labels: tuple[str, ...]) -> None:
    assert SUITES[suite].labels == labels


def test_the_first_task_of_3d_is_dehazing_on_sots() -> None:
    assert SUITES["3d"].tasks[0] == Task("dehaze", "SOTS-Outdoor")
    assert SUITES["3d"].tasks[2].key == "denoise-15@CBSD68"


def test_reading_the_names_imports_neither_arrays_nor_images() -> None:
    code = (
        "import sys, restorebench.datasets.tasks;"
        "print(sorted({'numpy', 'scipy', 'PIL', 'torch', 'skimage'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
