"""A restorer of another package, installed beside the suite: it runs in the main job and is checked like the others."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ..command_line import bench_forked, leaderboard

pytestmark = pytest.mark.slow

PLUGIN = Path(__file__).parents[2] / "plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the plug-in as pip installs it, entry point and all."""
    folder = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(PLUGIN, folder / "source")  # building leaves files beside the source
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", str(folder / "site"), str(source)], check=True, capture_output=True)
    assert list((folder / "site").glob("restorebench_unsharp-*.dist-info"))
    return folder / "site"


def test_a_plug_in_runs_in_the_main_job(installed: Path, tmp_path: Path) -> None:
    line = ("run", "-m", "model=identity,unsharp", "weights=none", "tasks=derain", "data.size=48", "device=cpu")
    done = bench_forked(line, cwd=tmp_path, sources=[installed])
    assert done.returncode == 0, done.stderr
    rows = leaderboard(tmp_path / "results").set_index("model")
    assert rows.loc["unsharp", "provenance"] == "untrained"
    assert rows.loc["unsharp", "params"] == 78
    assert rows.loc["unsharp", "status"] == "complete"
    assert rows.loc["unsharp", "input_psnr"] == rows.loc["identity", "psnr"]


def test_a_plug_in_is_checked_like_a_built_in_restorer(installed: Path, tmp_path: Path) -> None:
    done = bench_forked(("check", "model=unsharp"), cwd=tmp_path, sources=[installed])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 passed, 0 failed, 0 skipped" in done.stdout


def test_without_its_package_it_is_unknown(tmp_path: Path) -> None:
    done = bench_forked(("run", "model=unsharp", "tasks=derain"), cwd=tmp_path)
    assert done.returncode == 2
    assert "unknown model 'unsharp'" in done.stderr
