"""Sessions for people and for CI. All share one environment, ``.nox/restorebench``, so torch is installed once.

nox -s bench [-- overrides]   the main job on embedded photographs
nox -s tests [-- pytest arguments]   over all cores; a file's tests stay in one process
nox -s quick      the tests of the inner loop, under a minute
nox -s lint, types, build
nox -s gpu        on a machine with a CUDA device: its tests, speed tables and sweeps, as CSV files
nox -s weights    train the bundled weights from scratch (hours)
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
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
STAGES = ((0, "embedded"), (0, "photographs"), (1, "restraint"))
"""Seeds and recipes that the bundled weights go through, one after the other."""

SPREAD = ("-n", "auto", "--dist", "loadfile")
"""Tests over all cores; those of a file, which share what is expensive, stay together."""

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
    session.run(
        *(program(ENVIRONMENT, "python"), "-m", "pytest", *arguments),
        external=True,
        env={"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
    )


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
def build(session: nox.Session) -> None:
    """Build sdist and wheel, and try the wheel in an environment of its own, dependencies from the registry."""
    install(session, "build")
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    session.run(program(ENVIRONMENT, "python"), "-m", "build", "--outdir", "dist", str(ROOT), external=True)
    wheel = next((ROOT / "dist").glob("*.whl"))
    clean = ROOT / ".nox" / "wheel"
    make_environment(session, clean)
    session.run(program(clean, "python"), "-m", "pip", "install", "--quiet", str(wheel), external=True)
    results = session.create_tmp()
    with session.chdir(results):
        session.run(program(clean, "bench"), "list", "models", external=True)
        session.run(program(clean, "bench"), "run", "model=identity", "tasks=5d", external=True)
