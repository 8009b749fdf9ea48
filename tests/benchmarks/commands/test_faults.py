"""Faults met on the command line: one line and the right exit code, never a traceback, and the same command goes on."""

from __future__ import annotations

import errno
import importlib.util
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from restorebench.benchmarks.store.cells import read_records
from restorebench.benchmarks.store.rows import parse_rows
from restorebench.models import ModelCard, Variant, register
from restorebench.models.checkpoints.writing import save_weights

from ..command_line import bench, bench_forked
from ..conftest import Bench

pytestmark = pytest.mark.slow

RUN = ("run", "model=moody", "weights=none", "dataset=folder", "device=cpu", "progress=false")
NAMES = ("a.png", "b.png", "c.png")


class Moody(nn.Module):
    """Halves images; on a dark one it does what its mood is."""

    mood: Any = None

    def __init__(self, width: int = 1) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Any:
        if Moody.mood is not None and float(x.mean()) < 0.2:
            return Moody.mood(x)
        return x / 2


@pytest.fixture
def moody(own_registry: None) -> Iterator[type[Moody]]:
    """A registered restorer with moods."""
    register(
        ModelCard(name="moody", title="Moody", variants={"only": Variant()}, paper="", url="", year=1, code_licence="")
    )(Moody)
    yield Moody
    Moody.mood = None


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[str, ...]:
    """Overrides for a folder of three pairs, the second one dark."""
    random = np.random.default_rng(0)
    for name in NAMES:
        clean = random.integers(120, 256, (40, 40, 3), dtype=np.uint8)
        for kind, image in (("clean", clean), ("degraded", clean // (20 if name == "b.png" else 2))):
            (tmp_path / kind).mkdir(exist_ok=True)
            Image.fromarray(image).save(tmp_path / kind / name)
    return f"clean={tmp_path / 'clean'}", f"degraded={tmp_path / 'degraded'}"


def statuses(results: Path) -> dict[str, str]:
    """Status of every stored row."""
    tables = results.rglob("images.csv")
    return {row.image: row.status for path in tables for row in parse_rows(path.read_bytes(), path.parent.name)}


def raising(error: BaseException) -> Any:
    def fail(x: Tensor) -> Tensor:
        raise error

    return fail


MOODS = {
    **{type(error).__name__: raising(error) for error in (TypeError("x"), KeyError("x"), IndexError("x"))},
    **{type(error).__name__: raising(error) for error in (AssertionError(), OSError(5, "I/O"), MemoryError("x"))},
    "RecursionError": raising(RecursionError("deep")),
    "tuple": lambda x: (x,),
    "NoneType": lambda x: None,
    "uint8": lambda x: (x * 255).to(torch.uint8),
    "complex64": lambda x: torch.complex(x, x),
    "shape": lambda x: x[..., 1:],
}


@pytest.mark.parametrize("word", MOODS)
def test_a_network_in_a_bad_mood_fails_one_image_by_name_and_is_scored_when_it_is_mended(
    word: str, moody: type[Moody], pictures: tuple[str, ...], tmp_path: Path, bench_here: Bench
) -> None:
    Moody.mood = MOODS[word]
    done = bench_here(*RUN, *pictures, cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "b.png" in line]
    assert word in line
    assert statuses(tmp_path / "results") == {"a.png": "ok", "b.png": "failed", "c.png": "ok"}
    Moody.mood = None
    done = bench_here(*RUN, *pictures, cwd=tmp_path)
    assert done.returncode == 0
    assert "1 of 3 images computed now" in done.stderr


def test_want_of_memory_on_one_image_is_said_at_the_end(
    moody: type[Moody], pictures: tuple[str, ...], tmp_path: Path, bench_here: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from restorebench.benchmarks.inference.runner import Runner

    def elsewhere(self: Runner, degraded: Tensor, reason: str) -> tuple[Tensor, str]:
        return degraded / 2, "cpu"

    monkeypatch.setattr(Runner, "_on_cpu", elsewhere)
    Moody.mood = raising(RuntimeError("CUDA error: out of memory"))
    for computed in (3, 0):
        done = bench_here(*RUN, *pictures, cwd=tmp_path)
        assert done.returncode == 0
        assert f"{computed} of 3 images computed now" in done.stderr
        assert "restored otherwise than asked for want of memory: 1 image on the CPU" in done.stderr


def weights_of(width: int, path: Path) -> Path:
    save_weights(Moody(width).state_dict(), path, {"restorebench.provenance": "retrained"})
    return path


MISTAKES = {
    "a cut file": ("weights=cut.safetensors", "no readable safetensors file"),
    "a file of noise": ("weights=noise.pth", "not a checkpoint that can be read safely"),
    "a file of another size": ("weights=wide.safetensors", "does not fit this moody"),
    "no file": ("weights=none.pth", "no checkpoint at none.pth"),
    "an unknown argument": ("+overrides.depth=3", "unknown constructor argument of moody 'depth'"),
    "a wrong argument": ("+overrides.width=wide", "cannot be built with width='wide'"),
    "an unknown variant": ("variant=huge", "unknown variant"),
}


@pytest.mark.parametrize("kind", MISTAKES)
@pytest.mark.parametrize("command", ["run", "profile", "train"])
def test_a_mistake_about_the_network_is_one_line_before_the_sweep_starts(
    kind: str, command: str, moody: type[Moody], tmp_path: Path, bench_here: Bench
) -> None:
    whole = weights_of(1, tmp_path / "whole.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(whole.read_bytes()[:40])
    (tmp_path / "noise.pth").write_bytes(np.random.default_rng(0).bytes(3000))
    weights_of(2, tmp_path / "wide.safetensors")
    override, words = MISTAKES[kind]
    key, _, value = override.partition("=")
    sweep = f"{key}=none,{value}" if key == "weights" else override
    others = {"run": ["tasks=derain", "data.size=32"], "profile": ["size=32"], "train": ["recipe=embedded"]}[command]
    weights = [] if key == "weights" else ["weights=none"]
    done = bench_here(command, "-m", "model=moody", *weights, sweep, "device=cpu", *others, cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert words in done.stderr
    assert not list(tmp_path.rglob("images.csv"))
    assert not list(tmp_path.rglob("profile.csv"))


FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EMFILE, errno.EIO)


@pytest.mark.parametrize("named", [True, False], ids=["with the name", "without a name"])
@pytest.mark.parametrize("number", FAULTS, ids=lambda number: errno.errorcode[number])
def test_a_record_that_cannot_be_written_is_one_line_that_names_it_and_the_next_run_goes_on(
    number: int,
    named: bool,
    moody: type[Moody],
    pictures: tuple[str, ...],
    tmp_path: Path,
    bench_here: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replace = Path.replace

    def refused(self: Path, target: Path) -> Path:
        if Path(target).name == "record.json":
            names = (str(self), None, str(target)) if named else ()
            raise OSError(number, os.strerror(number), *names)
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refused)
        done = bench_here(*RUN, *pictures, cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if os.strerror(number) in line]
    assert "record.json" in line
    assert ".part-" not in line
    assert statuses(tmp_path / "results") == dict.fromkeys(NAMES, "ok")
    assert not list(tmp_path.rglob(".part-*"))
    done = bench_here(*RUN, *pictures, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "0 of 3 images computed now" in done.stderr
    assert all(record.complete for record in read_records(tmp_path / "results")[0])


def folder_of_suite(pictures: tuple[str, ...], folder: Path, bench_here: Bench) -> list[str]:
    """What the store calls the suite of these pictures."""
    assert bench_here("run", "model=identity", *RUN[3:], *pictures, "results=first", cwd=folder).returncode == 0
    return [path.parents[2].name for path in (folder / "first").rglob("record.json")]


def test_a_job_that_cannot_write_costs_the_other_jobs_nothing(
    moody: type[Moody], pictures: tuple[str, ...], tmp_path: Path, bench_here: Bench
) -> None:
    (suite,) = folder_of_suite(pictures, tmp_path, bench_here)
    (tmp_path / "results" / suite).mkdir(parents=True)
    (tmp_path / "results" / suite / "moody").write_text("a file where a folder should be")
    done = bench_here(*("run", "-m", "model=moody,identity", "weights=none", *RUN[3:], *pictures), cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"results/{suite}/moody" in done.stdout  # among the failed jobs, beside the table
    assert [record.model for record in read_records(tmp_path / "results")[0]] == ["identity"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, where this test may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no mount here: {error}")
    if mounted.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_one_line_and_the_same_command_goes_on_when_there_is_room(
    small_disk: Path, pictures: tuple[str, ...], tmp_path: Path
) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(56 * 1024))
    arguments = ("run", "model=identity", *RUN[3:], *pictures, f"results={small_disk / 'results'}", "previews=none")
    done = bench_forked(arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("bench: ")]
    assert "No space left on device" in line
    assert str(small_disk) in line
    filler.unlink()
    done = bench_forked(arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert statuses(small_disk / "results") == dict.fromkeys(NAMES, "ok")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_terminal_that_takes_nothing_is_one_line(tmp_path: Path) -> None:
    from ..command_line import bench_path

    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [bench_path(), "list", "models"], stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False
        )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr


def has_launcher(name: str) -> bool:
    try:
        return importlib.util.find_spec(f"hydra_plugins.hydra_{name}_launcher") is not None
    except ModuleNotFoundError:
        return False


def launcher(choice: str, plugin: str) -> Any:
    reason = f"hydra-{plugin}-launcher is not installed"
    return pytest.param(choice, marks=pytest.mark.skipif(not has_launcher(plugin), reason=reason))


LAUNCHERS = [launcher("joblib", "joblib"), launcher("submitit_local", "submitit")]


@pytest.mark.parametrize("launched", LAUNCHERS)
def test_incomplete_cells_of_other_processes_are_one_line_each(
    launched: str, pictures: tuple[str, ...], tmp_path: Path
) -> None:
    whole = (tmp_path / "degraded" / "b.png").read_bytes()
    (tmp_path / "degraded" / "b.png").write_bytes(whole[: len(whole) // 2])
    arguments = ("run", "-m", f"hydra/launcher={launched}", "model=identity", *RUN[3:], *pictures)
    arguments = (*arguments, "tasks=derain,dehaze")
    done = bench(*arguments, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    said = done.stderr.splitlines()
    for task in ("derain", "dehaze"):
        (line,) = [line for line in said if line.startswith(f"{task}@")]
        assert "is incomplete (1 images failed, first b" in line
    assert "written:" in done.stdout
    (tmp_path / "degraded" / "b.png").write_bytes(whole)
    done = bench(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("launched", LAUNCHERS)
def test_a_job_that_fails_in_another_process_is_one_line_and_the_others_end(
    launched: str, pictures: tuple[str, ...], tmp_path: Path, bench_here: Bench
) -> None:
    (suite,) = folder_of_suite(pictures, tmp_path, bench_here)
    (tmp_path / "results" / suite).mkdir(parents=True)
    (tmp_path / "results" / suite / "identity").write_text("a file where a folder should be")
    sweep = ("run", "-m", f"hydra/launcher={launched}", "model=identity,rbair", "variant=null", "weights=none")
    done = bench(*sweep, *RUN[3:], *pictures, cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (line,) = done.stdout[done.stdout.index("1 of 2 jobs failed:") :].splitlines()[1:]
    assert "model=identity" in line
    assert f"results/{suite}/identity" in line
    assert [record.model for record in read_records(tmp_path / "results")[0]] == ["rbair"]


def test_names_and_errors_do_not_act_on_the_terminal_and_have_one_line(
    moody: type[Moody], pictures: tuple[str, ...], tmp_path: Path, bench_here: Bench
) -> None:
    odd = "b\x1b[2J\u202e\n" + os.fsdecode(b"\xff") + ".png"
    for kind in ("clean", "degraded"):
        (tmp_path / kind / "b.png").rename(tmp_path / kind / odd)
    Moody.mood = raising(RuntimeError("\x1b]0;owned\x07 of\n\u202etwo lines"))
    done = bench_here(*RUN, *pictures, cwd=tmp_path)
    assert done.returncode == 1
    assert not [sign for sign in done.stderr + done.stdout if not sign.isprintable() and sign != "\n"]
    (line,) = [line for line in done.stderr.splitlines() if "RuntimeError" in line]
    assert r"b\x1b[2J\u202e\n\udcff.png" in line
    assert statuses(tmp_path / "results")[odd] == "failed"
    (tmp_path / "degraded" / odd).unlink()
    (tmp_path / "degraded" / odd).mkdir()
    done = bench_here("score", "--pred", "degraded", "--clean", "clean", "--protocol", "promptir@1", cwd=tmp_path)
    assert done.returncode == 1
    assert not [sign for sign in done.stderr + done.stdout if not sign.isprintable() and sign != "\n"]


def test_pipes_and_links_among_a_cells_pictures_are_not_opened_or_followed(
    pictures: tuple[str, ...], tmp_path: Path, bench_here: Bench
) -> None:
    arguments = ("run", "model=identity", *RUN[3:], *pictures, "save_images=png8", "previews=all")
    assert bench_here(*arguments, cwd=tmp_path).returncode == 0
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    (cell,) = [path.parent for path in (tmp_path / "results").rglob("record.json")]
    for path, make in (
        (cell / "images" / "a.png", os.mkfifo),
        (cell / "images" / "b.png", lambda path: path.symlink_to(secret)),
        (cell / "previews" / "c.png.png", lambda path: path.symlink_to("/dev/zero")),
    ):
        path.unlink()
        make(path)
    done = bench_here(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 of 3 images computed now" in done.stderr
    assert all(path.is_file() and not path.is_symlink() for path in (cell / "images").iterdir())
    assert secret.read_text() == "secret"


@pytest.mark.parametrize("place", ["previews", "previews/KEY", "previews/KEY/clean"])
def test_previews_are_not_written_through_links(
    place: str, pictures: tuple[str, ...], tmp_path: Path, bench_here: Bench
) -> None:
    arguments = ("run", "model=identity", *RUN[3:], *pictures, "previews=all")
    assert bench_here(*arguments, cwd=tmp_path).returncode == 0
    (key,) = (tmp_path / "results" / "previews").iterdir()
    outside = tmp_path / "outside"
    target = tmp_path / "results" / place.replace("KEY", key.name)
    target.rename(outside)
    target.symlink_to(outside)
    before = {path: path.stat().st_mtime_ns for path in outside.rglob("*")}
    done = bench_here(*arguments, "overwrite=always", cwd=tmp_path)
    assert (done.returncode, "is a link" in done.stderr) == (2, True), done.stderr
    assert {path: path.stat().st_mtime_ns for path in outside.rglob("*")} == before


def test_the_threads_that_can_change_the_last_digits_are_said_and_kept(
    pictures: tuple[str, ...], tmp_path: Path, bench_here: Bench
) -> None:
    done = bench_here("run", "model=identity", *RUN[3:], *pictures, cwd=tmp_path)
    assert f"with {torch.get_num_threads()} threads" in done.stderr
    (record,) = read_records(tmp_path / "results")[0]
    assert record.environment.torch_threads == torch.get_num_threads()
