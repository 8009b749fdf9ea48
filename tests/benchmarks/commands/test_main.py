"""The command line: help at once, mistakes in one line with the remedy, lists for people and programs."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import textwrap
import time
import warnings
from importlib import metadata
from pathlib import Path

import pytest

import restorebench
from restorebench.benchmarks.commands import list as list_command
from restorebench.benchmarks.commands.check import CHECKED
from restorebench.benchmarks.commands.front.stderr import silence_libraries
from restorebench.benchmarks.commands.main import COMMANDS, main
from restorebench.benchmarks.conformance import CHECKS
from restorebench.benchmarks.protocols.catalogue import get_protocol, list_protocols, used_by
from restorebench.models import list_models

from ..command_line import bench, bench_path
from ..conftest import Bench


@pytest.mark.alone
def test_help_comes_at_once_and_imports_nothing_heavy(tmp_path: Path) -> None:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        done = subprocess.run([bench_path(), "--help"], capture_output=True, text=True, check=True, cwd=tmp_path)
        times.append(time.perf_counter() - started)
    assert "bench run model=rbair tasks=5d" in done.stdout
    assert statistics.median(times) < 0.7
    probe = "import sys; from restorebench.benchmarks.commands.main import parser; parser(); print(*sys.modules)"
    loaded = subprocess.run(
        ["python", "-c", probe], capture_output=True, text=True, check=True, cwd=tmp_path, env=same_python()
    )
    assert not {"torch", "numpy", "pandas", "hydra", "omegaconf"} & set(loaded.stdout.split())


def same_python() -> dict[str, str]:
    """An environment in which `python` is the one that runs the tests."""
    return {**os.environ, "PATH": os.pathsep.join([str(Path(bench_path()).parent), os.environ["PATH"]])}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["modle=rbair"], "there is no key 'modle' (did you mean 'model'"),
        (["data.siz=64"], "there is no key 'data.siz' (did you mean 'data.size'"),
        (["+bogus=1"], "there is no key 'bogus'"),
        (["overrides.dim=3"], "write +overrides.dim="),
        (["model=rbiar"], "rbair"),
        (["tasks=5dd"], "5d"),
        (["protocol=promptir"], "promptir@1"),
        (["data=embeded"], "data=embeded: no such choice (did you mean 'embedded'?)"),
        (["tf32=perhaps"], "tf32=perhaps: Value 'perhaps' is not a valid bool"),
        (["model=identity,rbair"], "add -m to sweep"),
        (["data.size=big"], "data.size=big: give a side in pixels, or full"),
        (["device=gpu"], "unknown device 'gpu'"),
        (["dtype=float64"], "unknown dtype 'float64'"),
        (["overwrite=allways"], "did you mean 'always'"),
        (["tile=8"], "tiles are at least 64"),
        (["model=rbair", "variant=papr"], "paper"),
        (["weights=/no/such/file.pth"], "/no/such/file.pth"),
        (["x y"], "cannot read the override"),
        (["tasks=5d", "dataset=folder", "clean=."], "unknown task (tasks=) '5d'"),
        (["--experimental-rerun", "config.pickle"], "give the same command again"),
        (["+experiment=six"], "experiment=six: no such choice"),
        (["-m", "model=identity,rbiar"], "rbair"),
        (["-m", "tasks=3d,6d"], "6d"),
        (["data=standard"], "bsd68"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    overrides: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RESTOREBENCH_DATA", raising=False)
    monkeypatch.setenv("RESTOREBENCH_WEIGHTS", str(tmp_path))
    assert main(["run", *overrides]) == 2
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("bench: ")]
    assert len(lines) == 1
    assert said in lines[0]
    assert "Traceback" not in captured.err
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_the_entry_point_reports_a_mistake_without_traceback(tmp_path: Path) -> None:
    done = bench("run", "model=rbairr", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("bench: unknown model 'rbairr'")
    assert done.stderr.count("\n") == 1


def test_an_unwritable_results_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["run", "model=identity", f"results={tmp_path}/file/results"]) == 2
    assert "give a writable one with results=DIR" in capsys.readouterr().err


def test_cfg_shows_the_configuration_and_runs_nothing(tmp_path: Path, bench_here: Bench) -> None:
    done = bench_here("run", "model=identity", "tasks=3d", "--cfg", "job", cwd=tmp_path)
    assert done.returncode == 0
    assert "model: identity" in done.stdout
    assert "tasks: 3d" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_run_help_lists_the_keys(tmp_path: Path, bench_here: Bench) -> None:
    done = bench_here("run", "--help", cwd=tmp_path)
    assert done.returncode == 0
    for key in ("model=", "tasks=", "protocol=", "overwrite=", "results="):
        assert f"  {key}" in done.stdout


LIGHT = (
    *(["list", what] for what in ("models", "tasks", "datasets", "protocols", "metrics", "experiments", "recipes")),
    *([command, "--help"] for command in COMMANDS),
    *([command, word, "--help"] for command, each in COMMANDS.items() for word in each.words),
    *(["run", word] for word in ("modle=x", "model=rbiar", "variant=papr", "tasks=5dd", "protocol=promptir", "+a=1")),
    *(["run", word] for word in ("device=gpu", "dtype=float64", "overwrite=allways", "weights=/no/file", "data=all")),
    *(["train", word] for word in ("recipe=embeded", "model=anyr", "optimizer.rl=1", "devices=0")),
    *(["profile", word] for word in ("sise=3", "model=kbnett", "device=cpus")),
    *(["export", word] for word in ("model=anyr", "modle=anyir", "--size=big")),
    *(["check", word] for word in ("model=anyr", "modle=anyir", "reslts", "model=rbair device=cp", "--jsno")),
    *(["restore", "no.jpg", *words] for words in (["--model", "anyr"], ["--model=rbair", "--device=cp"], ["--modle"])),
    *(["score", "--pred=x", *words] for words in (["--protocol=promptr@1"], ["--protcol=all"], ["--protocol=all"])),
    *([command, "--reslts=x"] for command in ("status", "retry", "gc", "report")),
    *(["weights", *words] for words in (["lits"], ["convert", "no.pth", "a.safetensors"], ["list", "--jsno"])),
    ["merge", "a", "--into"],
    ["weights", "list"],
    ["completion", "--for", "bench run model=rbair,any"],
)
"""What needs no network: lists, help, and mistakes in names."""


@pytest.mark.slow
def test_lists_help_and_mistakes_in_names_import_no_torch(tmp_path: Path) -> None:
    probe = f"""
        import sys
        from restorebench.benchmarks.commands.main import main
        for arguments in {list(LIGHT)!r}:
            try:
                code = main(arguments)
            except SystemExit as end:
                code = end.code
            heavy = [name for name in ("torch", "pandas", "scipy", "matplotlib", "skimage") if name in sys.modules]
            assert not heavy, (arguments, heavy)
            right = "--help" in arguments or arguments[0] in ("list", "completion") or arguments == ["weights", "list"]
            assert code == (0 if right else 2), (arguments, code)
    """
    done = subprocess.run(
        ["python", "-c", textwrap.dedent(probe)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=same_python(),
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.alone
@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "models"],
        ["run", "--help"],
        ["run", "modle=x"],
        ["run", "model=rbiar"],
        ["rnu"],
        ["restore", "--help"],
        ["score", "--help"],
        ["restore", "a.jpg", "--model=rbiar"],
    ],
)
def test_they_answer_at_once(arguments: list[str], tmp_path: Path) -> None:
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        bench(*arguments, cwd=tmp_path)
        times.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before)
    assert statistics.median(times) < 0.7


def test_the_version_names_torch_and_the_device(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    said = dict(line.split(" ", 1) for line in capsys.readouterr().out.splitlines())
    assert said["restorebench"] == restorebench.__version__
    assert said["torch"] == metadata.version("torch")
    assert said["device"].split()[0] in ("cpu", "cuda:0")


@pytest.mark.slow
def test_warnings_of_other_packages_do_not_reach_the_user(tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text(
        "import warnings\nfrom torch import nn\nclass Loud(nn.Module):\n    def forward(self, x):\n"
        "        warnings.warn('do not look at me')\n        return x\n"
    )
    asked = ("run", "model=loud.py:Loud", "weights=none", "tasks=denoise", "data.size=32", "limit=1", "previews=none")
    quiet = bench(*asked, cwd=tmp_path)
    assert quiet.returncode == 0, quiet.stderr
    assert "do not look" not in quiet.stderr
    loud = bench(*asked, "overwrite=always", cwd=tmp_path, PYTHONWARNINGS="default")
    assert "do not look" in loud.stderr


@pytest.mark.parametrize(
    ("category", "module", "shown"),
    [
        (UserWarning, "restorebench.reports.analysis.frames", True),
        (DeprecationWarning, "restorebench.reports.analysis.leaderboard", False),  # as pandas 2.2 has it of pyarrow
        (FutureWarning, "restorebench.models", False),
        (UserWarning, "pandas.core", False),
        (UserWarning, "restorebenchmark", False),
    ],
)
def test_of_warnings_only_our_own_are_shown(
    category: type[Warning], module: str, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.warnoptions", [])
    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()
        silence_libraries({})
        warnings.warn_explicit("something", category, "file.py", 1, module=module)
    assert bool(caught) == shown


def test_output_into_a_file_is_plain(tmp_path: Path) -> None:
    done = bench("list", "models", cwd=tmp_path, NO_COLOR="1", FORCE_COLOR="1")
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("what", "key", "expected"),
    [
        ("models", "model", "rbair"),
        ("tasks", "tasks", "5d"),
        ("protocols", "protocol", "promptir@1"),
        ("datasets", "data set", "CBSD68"),
        ("datasets", "data set", "embedded"),
        ("metrics", "metric", "lpips"),
        ("experiments", "experiment", "equal_budget"),
        ("recipes", "recipe", "three_degradations"),
    ],
)
def test_lists_are_for_people_and_for_programs(
    what: str, key: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", what]) == 0
    assert expected in capsys.readouterr().out
    assert main(["list", what, "--json"]) == 0
    assert expected in [row[key] for row in json.loads(capsys.readouterr().out)]


def test_multiply_adds_in_the_list_say_what_they_count_and_are_a_range_where_a_router_chooses(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["list", "models"]) == 0
    out = capsys.readouterr().out
    assert "MACs 256 without FFT (G)" in out.splitlines()[0]
    assert "without Fourier transforms" in out.splitlines()[-1]
    for card in list_models():
        for name, variant in card.variants.items():
            if variant.macs_256_g is not None:
                most = variant.macs_256_most_g
                shown = f"{variant.macs_256_g}" if most is None else f"{variant.macs_256_g:g} to {most:g}"
                assert any(line.startswith(f"{card.name} ") and f" {name} " in line and shown in line for line in
                           out.splitlines())  # fmt: skip
    assert "to 4.54" in out  # MoCE-IR tiny


def test_protocols_are_a_short_table_with_who_uses_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "protocols"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(list_protocols()) + 2
    assert max(map(len, lines)) <= 110
    for name in list_protocols():
        (line,) = (line for line in lines if line.startswith(name))
        assert used_by(get_protocol(name)) in line
        assert used_by(get_protocol(name)), "each says whose tables it makes"
    assert main(["list", "protocols", "--full"]) == 0
    assert "reading: PIL, RGB, uint8, not resized" in capsys.readouterr().out.splitlines()


def test_report_without_results_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--results", str(tmp_path / "none")]) == 2
    assert "bench run makes one" in capsys.readouterr().err


def test_our_own_value_errors_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[dict[str, object]]:
        raise ValueError("a defect")

    monkeypatch.setitem(list_command.LISTS, "models", broken)
    with pytest.raises(ValueError, match="a defect"):
        main(["list", "models"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rnu", "model=rbair"], "there is no command 'rnu' (did you mean 'run'?)"),
        (["lists"], "'list'"),
        (["table", "--suite", "5d"], "there is no command 'table' (did you mean 'bench report table'?)"),
        (["convert", "a.pth"], "'bench weights convert'"),
        (["--versoin"], "there is no option '--versoin' (did you mean '--version'?)"),
        (["list", "modles"], "there is no 'bench list modles' (did you mean 'models'?); there are models, tasks,"),
        (["list"], "required: WHAT"),
        (["list", "models", "tasks"], "unrecognized arguments: tasks"),
        (["report", "tabel"], "there is no 'bench report tabel' (did you mean 'table'?)"),
        (["report", "table", "--suit", "5d", "--formt", "csv"], "'--formt' (did you mean '--format'?)"),
        (
            ["report", "table", "--suite", "5d", "--format", "latx"],
            "--format latx: no such choice (did you mean 'latex'?)",
        ),
        (["report", "--suit", "5d"], "no option '--suit' of bench report; bench report table has '--suite'"),
        (["report", "compare", "a"], "bench report compare --help says more"),
        (["restore", "--modle"], "there is no option '--modle' (did you mean '--model'?)"),
        (["restore", "a.jpg", "-model", "rbair"], "there is no option '-model' (did you mean '--model'?)"),
        (["restore", "a.jpg", "--model", "rbiar"], "(did you mean 'rbair'?)"),
        (["restore", "a.jpg", "--strip", "rbair,kbnett"], "(did you mean 'kbnet'?)"),
        (["restore", "a.jpg", "--weights", "--model", "rbair"], "--weights: expected one argument"),
        (["completion", "fsh"], "there is no 'bench completion fsh' (did you mean 'fish'"),
        (["data", "chek"], "(did you mean 'check'?)"),
        (["data", "fetch", "lpip"], "(did you mean 'lpips'?)"),
        (["weights", "convrt"], "(did you mean 'convert'?)"),
        (["check", "reslts", "results"], "there is no 'bench check reslts' (did you mean 'results'?)"),
        (["check", "results", "a", "--jsn"], "(did you mean '--json'?)"),
        (["export", "--model", "rbair"], "there is no option '--model': write model=VALUE"),
        (["run", "--tasks=5d", "model=rbair"], "there is no option '--tasks': write tasks=VALUE"),
        (["run", "--multirnu", "model=rbair"], "(did you mean '--multirun'?)"),
        (["train", "--recpe=denoise"], "there is no option '--recpe'"),
        (["profile", "-x"], "there is no option '-x'"),
        (["gc", "--keep", "many"], "invalid int value: 'many'"),
        (["merge", "a", "--int", "b", "--yess"], "there is no option '--yess'"),
        (["status", "--wach"], "(did you mean '--watch'?)"),
        (["retry", "--sow"], "(did you mean '--show'?)"),
        (["score", "--pred", "a", "--clean", "b", "--protcol", "all"], "(did you mean '--protocol'?)"),
    ],
)
def test_a_wrong_word_is_one_line_that_names_the_nearest(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("bench: ")
    assert captured.err.count("\n") == 1, captured.err
    assert said in captured.err


def test_options_may_be_cut_short_and_values_may_look_like_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "models", "--js"]) == 0
    assert json.loads(capsys.readouterr().out)
    assert main(["score", "--pred", "a", "--clean", "b", "--protocol", "all", "--sigma", "-5"]) == 2
    assert "--sigma goes with --store" in capsys.readouterr().err
    assert main(["restore", "--model", "rbair", "--", "--photo.jpg"]) == 2
    assert "no file, folder or pattern '--photo.jpg'" in capsys.readouterr().err


@pytest.mark.parametrize("command", [name for name, each in COMMANDS.items() if each.words])
def test_the_words_behind_a_command_are_those_that_its_parser_knows(command: str) -> None:
    for word in COMMANDS[command].words:
        with pytest.raises(SystemExit) as end:
            main([command, word, "--help"])
        assert end.value.code == 0


def test_the_help_of_check_names_every_check() -> None:
    assert tuple(CHECKS) == CHECKED


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "examples:" in capsys.readouterr().err
