"""Sessions for people and for CI. All share one environment, ``.nox/restorebench``, so torch is installed once.

nox -s bench [-- overrides]   the main job on embedded photographs
nox -s tests [-- pytest arguments]   over all cores; a file's tests stay in one process
nox -s quick      the tests of the inner loop, under a minute
nox -s lint, types
nox -s build      sdist and wheel, the wheel tried on the oldest and newest dependencies of every Python here
nox -s release    all checks and what would be uploaded; -- --rehearse: also for a development version
nox -s docs       the documentation, into .nox/docs/site
nox -s gpu        on a machine with a CUDA device: its tests, speed tables and sweeps, as CSV files
nox -s weights    train the bundled weights from scratch (hours)
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nox

ROOT = Path(__file__).parent
ENVIRONMENT = ROOT / ".nox" / "restorebench"
FOLDERS = ("models", "benchmarks", "datasets", "reports", "conf")
RESTORERS = (
    *("rbair", "anyir", "daair", "kbnet"),
    *("promptir", "adair", "moceir", "nafnet", "restormer", "airnet"),
)
DEFAULTS = ("model=rbair", "tasks=5d")
STAGES = ((0, "embedded"), (0, "photographs"), (1, "contrast"))
"""Seeds and recipes that the bundled weights go through, one after the other."""

SPREAD = ("-n", "auto", "--dist", "loadfile")
"""Tests over all cores; those of a file, which share what is expensive, stay together."""

PYTHONS = ("3.11", "3.12", "3.13")
"""Those that the suite supports; `build` tries the wheel on those that are here."""
RESOLUTIONS = ("lowest-direct", "highest")
"""The oldest and the newest dependencies that `pyproject.toml` allows."""
TRIED = (
    ("--version",),
    ("list", "models"),
    ("run", "model=identity", "tasks=5d"),
    ("run", "model=rbair", "tasks=derain", "data.size=64"),
    ("report",),
)
"""What an installed wheel has to run."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

nox.options.default_venv_backend = "none"
nox.options.sessions = ["tests", "lint", "types"]


def program(environment: Path, name: str) -> str:
    """Path of a program of a virtual environment."""
    return str(environment / ("Scripts" if os.name == "nt" else "bin") / name)


def make_environment(session: nox.Session, environment: Path) -> None:
    """A virtual environment of the Python that runs nox, made anew."""
    if sys.version_info < (3, 11):  # noqa: UP036 - nox itself may run on an older Python
        session.error(f"restorebench needs Python 3.11 or later, nox runs on {sys.version.split()[0]}")
    session.run(sys.executable, "-m", "venv", "--clear", str(environment), external=True)


def install(session: nox.Session, *extras: str) -> None:
    """The project, editable, with these extras; done again only when what is to be installed has changed."""
    if not Path(program(ENVIRONMENT, "python")).exists():
        make_environment(session, ENVIRONMENT)
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamps = {extra: ENVIRONMENT / f".installed-{extra}" for extra in ("run", *extras)}
    if all(stamp.exists() and stamp.read_text() == wanted for stamp in stamps.values()):
        return
    target = f".[{','.join(extras)}]" if extras else "."
    session.run(program(ENVIRONMENT, "python"), "-m", "pip", "install", "--quiet", "-e", target, external=True)
    for stamp in stamps.values():
        stamp.write_text(wanted)


def run_tests(session: nox.Session, *arguments: str) -> None:
    """pytest, a process a core and a thread each: threads that wait for one another beside others are slow."""
    install(session, "test")
    session.run(program(ENVIRONMENT, "python"), "-m", "pytest", *arguments, external=True, env=ONE_THREAD)


def make_distributions(session: nox.Session) -> Path:
    """Sdist and wheel in ``dist``, the wheel made from the sdist; returns the wheel."""
    install(session, "build")
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    session.run(program(ENVIRONMENT, "python"), "-m", "build", "--outdir", "dist", str(ROOT), external=True)
    return next((ROOT / "dist").glob("*.whl"))


def interpreter(version: str) -> str | None:
    """A Python of that version that runs: on the path, or one of pyenv's; None where there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    kept = sorted(map(str, pyenv.glob(f"{version}.*/bin/python{version}")))
    for candidate in (shutil.which(f"python{version}"), *kept):  # pyenv's own on the path may refuse to run
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def try_wheel(session: nox.Session, wheel: Path, python: str, clean: Path, resolution: str) -> None:
    """Install the wheel on these dependencies in an environment of its own, and run it; oldest ones also under the
    quick tests. The environment is removed afterwards."""
    uv = program(ENVIRONMENT, "uv")
    session.run(uv, "venv", "--clear", "--quiet", "--python", python, str(clean), external=True)
    here = ("--python", program(clean, "python"))
    tested = resolution == "lowest-direct"
    # Resolved from the sources: behind a wheel all dependencies are indirect ones, of which uv takes the newest.
    wanted = clean.with_name(f"{clean.name}.txt")
    chosen = (f"--resolution={resolution}", *(("--extra", "test") if tested else ()), "--output-file", str(wanted))
    session.run(uv, "pip", "compile", "--quiet", *here, *chosen, str(ROOT / "pyproject.toml"), external=True)
    session.run(uv, "pip", "install", "--quiet", *here, "--requirements", str(wanted), external=True)
    session.run(uv, "pip", "install", "--quiet", *here, "--no-deps", str(wheel), external=True)
    session.run(uv, "pip", "list", *here, external=True)
    with session.chdir(session.create_tmp()):
        for line in TRIED:
            session.run(program(clean, "bench"), *line, external=True)
        if tested:  # from here: in the checkout the sources would be found before the wheel
            where = (f"--rootdir={ROOT}", f"--config-file={ROOT / 'pyproject.toml'}", str(ROOT / "tests"))
            session.run(program(clean, "pytest"), *where, "-m", "quick", *SPREAD, external=True, env=ONE_THREAD)
    shutil.rmtree(clean)
    wanted.unlink()


def changelog_section(version: str) -> tuple[str, str]:
    """Heading and text of the release that a version is, or leads to, in the changelog; empty where there is none."""
    released = re.escape(version.partition(".dev")[0])
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    section = re.search(rf"^(## {released}\b[^\n]*)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return ("", "") if section is None else (section[1], section[2].strip() + "\n")


def in_git(session: nox.Session, *words: str) -> str:
    """What git says."""
    return str(session.run("git", *words, external=True, silent=True))


@nox.session
def bench(session: nox.Session) -> None:
    """Run the main job; what follows ``--`` is passed on to ``bench run``."""
    install(session)
    given = session.posargs
    prepared = any(argument.startswith("+experiment") for argument in given)
    keys = {argument.partition("=")[0] for argument in given}
    defaults = [] if prepared else [item for item in DEFAULTS if item.partition("=")[0] not in keys]
    session.run(program(ENVIRONMENT, "bench"), "run", *defaults, *given, external=True)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, those that want the machine alone first; what follows ``--`` goes to one pytest for all."""
    if session.posargs:
        return run_tests(session, *session.posargs)
    run_tests(session, "-m", "alone")
    return run_tests(session, "-m", "not alone", *SPREAD)


@nox.session
def quick(session: nox.Session) -> None:
    """Run the tests that are not marked ``slow``; what follows ``--`` is passed on to pytest."""
    run_tests(session, "-m", "quick", *SPREAD, *session.posargs)


@nox.session
def perf(session: nox.Session) -> None:
    """Measure speed and memory against plain implementations; what follows ``--`` names the scripts to run."""
    install(session, "test")
    scripts = session.posargs or sorted(path.stem for path in (ROOT / "tests" / "perf").glob("*_speed.py"))
    for script in scripts:
        session.run(program(ENVIRONMENT, "python"), "-m", f"tests.perf.{script}", external=True, success_codes=[0, 1])


@nox.session
def gpu(session: nox.Session) -> None:
    """Run the ``gpu`` tests, then speed tables and sweeps into ``reports/measured``; see ``docs/gpu.md``.

    What follows ``--`` goes to ``tests.perf.device_tables``: ``--data ROOT`` for the standard test sets. Without a CUDA
    device the tests are skipped, with their reason, and nothing is measured.
    """
    run_tests(session, "-m", "gpu", "-rs")
    python = program(ENVIRONMENT, "python")
    found = session.run(
        *(python, "-c", "import torch; print(torch.cuda.is_available())"), external=True, silent=True, log=False
    )
    if "True" not in str(found):
        session.error("torch finds no CUDA device here: no table was measured")
    measured = ("reports/measured", "--results", ".nox/gpu")
    session.run(python, "-m", "tests.perf.device_tables", *measured, *session.posargs, external=True)


@nox.session
def weights(session: nox.Session) -> None:
    """Train the bundled weights anew, equal budgets, in `STAGES`; what follows ``--`` goes to ``bench train``.

    Validation is on wallpapers set apart by scene, never on test images. Finished stages in ``runs/`` are not trained
    again, an interrupted one goes on.
    """
    install(session)
    bench = program(ENVIRONMENT, "bench")
    photographs = ROOT / "runs" / "photographs"
    if not photographs.is_dir():
        python = program(ENVIRONMENT, "python")
        session.run(python, "-m", "restorebench.datasets.training.wallpapers", str(photographs), external=True)
    for model in RESTORERS:
        weights = "none"
        for seed, recipe in STAGES:
            run = ROOT / "runs" / f"{model}-tiny-{recipe}-{seed}"
            chosen = [f"model={model}", "variant=tiny", f"recipe={recipe}", f"seed={seed}", f"weights={weights}"]
            if recipe != "embedded":
                chosen.append(f"data.natural_images={photographs / 'training'}")
            apart = (f"data.validation_images={photographs / 'validation'}", "validation.size=192")
            placed = (*apart, f"run={run}", "threads=1", "workers=0")
            session.run(bench, "train", *chosen, *placed, *session.posargs, external=True)
            weights = str(run / "weights.safetensors")
        bundled = ROOT / "models" / "bundled" / f"{model}-tiny.safetensors"
        session.run(bench, "weights", "convert", weights, str(bundled), "--half", "--force", external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format with ruff."""
    install(session, "lint")
    session.run(program(ENVIRONMENT, "ruff"), "check", ".", external=True)
    session.run(program(ENVIRONMENT, "ruff"), "format", "--check", ".", external=True)


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy, on a tree that looks like the installed package."""
    install(session, "types")
    tree = ROOT / ".nox" / "types" / "restorebench"
    shutil.rmtree(tree.parent, ignore_errors=True)
    tree.mkdir(parents=True)
    for folder in FOLDERS:
        (tree / folder).symlink_to(ROOT / folder, target_is_directory=True)
    for file in (ROOT / "restorebench").iterdir():
        (tree / file.name).symlink_to(file)
    session.run(program(ENVIRONMENT, "mypy"), "-p", "restorebench", external=True, env={"MYPYPATH": str(tree.parent)})


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into ``.nox/docs/site``; a dead link or a missing reference fails."""
    install(session, "docs")
    session.run(
        *(program(ENVIRONMENT, "python"), "-m", "mkdocs", "build", "--strict", *session.posargs),
        external=True,
        env={"NO_MKDOCS_2_WARNING": "1"},
    )


@nox.session
def build(session: nox.Session) -> None:
    """Build sdist and wheel; try the wheel on the oldest and the newest dependencies of every Python that is here.

    What follows ``--`` chooses among them: ``3.12``, ``lowest-direct``, ``highest``. uv's cache keeps what was
    downloaded, gigabytes; where PyTorch's own index can be reached, ``UV_TORCH_BACKEND=cpu`` spares most of them.
    """
    asked = set(session.posargs)
    if not asked <= {*PYTHONS, *RESOLUTIONS}:
        session.error(f"choose among {', '.join((*PYTHONS, *RESOLUTIONS))}")
    wheel = make_distributions(session)
    for python in sorted(asked & {*PYTHONS}) or PYTHONS:
        found = interpreter(python)
        if found is None:
            session.warn(f"no Python {python} here: the wheel was not tried on it")
            continue
        for resolution in sorted(asked & {*RESOLUTIONS}) or RESOLUTIONS:
            try_wheel(session, wheel, found, ROOT / ".nox" / f"wheel-{python}-{resolution}", resolution)


@nox.session
def release(session: nox.Session) -> None:
    """Everything of a release but the upload: what is checked in, the checks, ``dist`` with notes and checksums.

    ``-- --rehearse`` goes through it for a development version or an undated section of the changelog, too.
    """
    rehearsed = "--rehearse" in session.posargs
    session.posargs[:] = []  # of this session, not of those that it calls
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    heading, notes = changelog_section(version)
    wrong = [
        *(["the version is a development version"] if "dev" in version else []),
        *([] if re.search(r"\d{4}-\d{2}-\d{2}", heading) else [f"CHANGELOG.md has no date: {heading!r}"]),
        *([] if notes else [f"CHANGELOG.md has no section of {version}"]),
        *(["files are changed or not tracked"] if in_git(session, "status", "--porcelain") else []),
        *([f"the tag v{version} is there"] if in_git(session, "tag", "--list", f"v{version}") else []),
    ]
    if wrong and not rehearsed:
        session.error("; ".join(wrong))
    for check in (lint, types, tests, build):
        check(session)
    files = sorted((ROOT / "dist").glob("restorebench-*"))
    session.run(program(ENVIRONMENT, "twine"), "check", "--strict", *map(str, files), external=True)
    sums = "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
    (ROOT / "dist" / "SHA256SUMS").write_text(sums, encoding="utf-8")
    (ROOT / "dist" / "NOTES.md").write_text(notes, encoding="utf-8")
    for line in wrong:
        session.warn(f"a rehearsal: {line}")
    session.log(f"left to do: git tag v{version}; twine upload {' '.join(f'dist/{file.name}' for file in files)}")
