"""The wheel and the sdist hold what an installed suite needs: command line, configuration, data files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from ..benchmarks.command_line import leaderboard

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("models", "benchmarks", "datasets", "reports", "conf")
KINDS = {".py", ".yaml", ".csv", ".safetensors", ".typed", ".js", ".css", ".html", ".txt", ".md"}
"""Of files in the wheel: sources, configurations, tables of papers, bundled weights, the page. No images."""
TYPED = ("models", "benchmarks", "datasets", "reports")
"""Packages with hints that a user's type checker may trust (PEP 561)."""


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sdist and wheel, built from a copy of the source tree with the wheel built from the sdist."""
    source, out = tmp_path_factory.mktemp("source") / "tree", tmp_path_factory.mktemp("dist")
    ignored = shutil.ignore_patterns(".git", ".nox", "results", "*.egg-info", "build", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, source, ignore=ignored)
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return out


def sources(*suffixes: str) -> set[str]:
    """Files of the sub-packages with these suffixes, relative to the root."""
    return {
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in suffixes
    }


def test_the_wheel_holds_every_module_and_configuration(distributions: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {f"restorebench/{name}" for name in sources(".py", ".yaml", ".safetensors", ".typed")}
    assert wanted <= names
    assert "restorebench/conf/run.yaml" in wanted
    typed = {"restorebench/py.typed", *(f"restorebench/{folder}/py.typed" for folder in TYPED)}
    assert typed <= names
    assert {f"restorebench/{path.name}" for path in (ROOT / "restorebench").glob("*.py")} <= names
    assert not any(name.startswith(("models/", "tests/", "datasets/")) for name in names)


def test_the_wheel_holds_no_images_and_no_tests(distributions: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    members = zipfile.ZipFile(wheel).infolist()
    assert {Path(member.filename).suffix for member in members} <= KINDS | {""}
    assert not [
        member.filename for member in members if re.search(r"(^|/)tests?(/|$)|/test_|/conftest", member.filename)
    ]
    unnamed = {Path(member.filename).name for member in members if not Path(member.filename).suffix}
    assert unnamed <= {"LICENSE", "METADATA", "RECORD", "WHEEL"}
    weights = {member.filename for member in members if member.filename.endswith(".safetensors")}
    assert {Path(name).parent.as_posix() for name in weights} == {"restorebench/models/bundled"}
    rest = sum(member.file_size for member in members if member.filename not in weights)
    assert rest < 6 * 2**20, f"{rest} bytes besides the weights"


def test_the_version_comes_from_one_place_and_the_changelog_has_it(distributions: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    (wheel,) = distributions.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    assert f"\nVersion: {version}\n" in archive.read(metadata).decode()
    written = [
        name
        for name in archive.namelist()
        if name.endswith(".py")
        and re.search(rf"version[^\n]*= *[\"']{re.escape(version)}[\"']", archive.read(name).decode())
    ]
    assert written == []
    headings = re.findall(r"^## (.*)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    released = version.partition(".dev")[0]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ \((unreleased|\d{4}-\d{2}-\d{2})\)", heading) for heading in headings)
    assert headings[0].startswith(f"{released} (")
    assert headings[0].endswith("(unreleased)") == (".dev" in version)


def test_the_sdist_holds_the_sources(distributions: Path) -> None:
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert sources(".py", ".yaml", ".safetensors", ".typed") <= names
    assert {"README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "pyproject.toml"} <= names
    assert not [name for name in names if name.startswith(("tests/", "docs/", "results/"))]


def test_the_installed_wheel_runs_the_main_job(distributions: Path, tmp_path: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    clean = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(clean)], check=True)
    python = clean / "bin" / "python"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(python),
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            str(wheel),
        ],
        check=True,
    )
    # Dependencies come from the tests' environment: a path file adds its packages, not its editable installs.
    packages = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    of_tests = [path for path in sys.path if Path(path).name == "site-packages"]
    (Path(packages) / "dependencies.pth").write_text("\n".join([*of_tests, ""]))
    bench = str(clean / "bin" / "bench")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RESTOREBENCH"))}
    where = subprocess.run(
        [str(python), "-c", "import restorebench.models as m; print(m.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment,
    )
    assert where.stdout.startswith(str(clean))
    done = subprocess.run(
        [bench, "run", "model=identity", "tasks=5d", "data.size=64", "device=cpu"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert len(leaderboard(tmp_path / "results")) == 6
    listed = subprocess.run(
        [bench, "list", "models"], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )
    assert "rbair" in listed.stdout
