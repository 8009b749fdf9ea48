"""``import restorebench``: quick, without torch, with every name that it promises, typed."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import restorebench
from restorebench.benchmarks.protocols.catalogue import get_protocol

ROOT = Path(__file__).resolve().parents[2]


def in_a_new_process(code: str, cwd: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.alone
def test_importing_takes_neither_torch_nor_time(tmp_path: Path) -> None:
    code = (
        "import time, sys; start = time.perf_counter(); import restorebench; took = time.perf_counter() - start;"
        "print(took, sorted({'torch', 'numpy', 'pandas', 'PIL', 'hydra', 'scipy'} & set(sys.modules)))"
    )
    runs = [in_a_new_process(code, tmp_path).partition(" ") for _ in range(3)]
    assert {heavy for _, _, heavy in runs} == {"[]"}
    assert min(float(seconds) for seconds, _, _ in runs) < 0.2


def test_naming_errors_cards_and_version_takes_no_torch(tmp_path: Path) -> None:
    names = "UserError, DataError, ModelError, ReportError, RestorationError, ModelCard, Variant, register, __version__"
    code = f"import sys; from restorebench import {names}, list_tasks, list_models; print('torch' in sys.modules)"
    assert in_a_new_process(code, tmp_path) == "False"


@pytest.mark.parametrize("name", restorebench.__all__)
def test_every_promised_name_is_there_and_listed(name: str) -> None:
    assert getattr(restorebench, name) is not None
    assert name in dir(restorebench)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'evalute'"):
        restorebench.evalute  # noqa: B018 - the access is what is tested


def test_without_installed_metadata_there_is_still_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert restorebench.__version__ == "0+unknown"


def test_users_mistakes_are_value_errors_with_one_line() -> None:
    with pytest.raises(restorebench.DataError, match=r"unknown suite .*5dd") as data:
        restorebench.evaluate("identity", "5dd", size=64)
    with pytest.raises(restorebench.UserError, match="unknown protocol 'promptir'") as protocol:
        restorebench.evaluate("identity", "5d", protocol="promptir")
    with pytest.raises(restorebench.ModelError, match="unknown model 'rbar'") as model:
        restorebench.evaluate("rbar", "5d")
    for error in (data, protocol, model):
        assert isinstance(error.value, ValueError)
        assert "\n" not in str(error.value)


def test_list_protocols_shows_and_gives_what_bench_list_does() -> None:
    protocols = restorebench.list_protocols()
    assert str(protocols[0]) == "promptir@1"
    assert protocols[0] == get_protocol("promptir@1")
    lines = repr(protocols).splitlines()
    assert lines[0].split()[:3] == ["protocol", "used", "by"]
    assert len(lines) == 2 + len(protocols), "a line each"
    assert protocols[0].describe()["reading"] == "PIL, RGB, uint8, not resized"


def test_list_tasks_shows_and_gives_the_suites() -> None:
    tasks = restorebench.list_tasks()
    five = next(suite for suite in tasks if suite.name == "5d")
    assert [task.label for task in five.tasks] == ["dehaze", "derain", "denoise-25", "deblur", "lowlight"]
    line = next(line for line in repr(tasks).splitlines() if line.startswith("5d "))
    assert "dehaze, derain, denoise-25, deblur, lowlight" in line


@pytest.mark.slow
def test_every_name_has_a_type_for_a_users_checker(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="the extra `types` is not installed")
    tree = tmp_path / "tree" / "restorebench"
    tree.mkdir(parents=True)
    for folder in ("models", "datasets", "benchmarks", "reports", "conf"):
        (tree / folder).symlink_to(ROOT / folder, target_is_directory=True)
    for file in (ROOT / "restorebench").iterdir():
        if file.is_file():
            (tree / file.name).symlink_to(file)
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np, torch\nfrom PIL import Image\nimport restorebench as rb\n"
        "reveal_type(rb.evaluate('identity').summary)\n"
        "reveal_type(rb.restore('identity', 'a.png'))\n"
        "reveal_type(rb.restore('identity', torch.zeros(3, 8, 8)))\n"
        "reveal_type(rb.list_tasks()[0].name)\n"
        "rb.evaluate('identity', sise=64)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports=silent", "--ignore-missing-imports", str(script)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"MYPYPATH": str(tree.parent), "PATH": "/usr/bin:/bin"},
    )
    out = done.stdout
    assert '"pandas' in out
    assert "DataFrame" in out
    assert '"PIL.Image.Image"' in out
    assert '"torch._tensor.Tensor"' in out
    assert 'Revealed type is "builtins.str"' in out or 'Revealed type is "str"' in out
    assert 'Unexpected keyword argument "sise"' in out
