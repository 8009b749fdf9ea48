"""Completion: what may follow a line, and that a real shell asks for it."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from restorebench.benchmarks.commands.front.completion import SCRIPTS, candidates, typed
from restorebench.benchmarks.commands.main import COMMANDS, main

from ...command_line import bench_path

MODULES = {name: each.module for name, each in COMMANDS.items()}


def after(line: str) -> list[str]:
    return candidates(typed(line), MODULES)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("bench pro", ["profile"]),
        ("bench run model=rb", ["model=rbair"]),
        ("bench run -m model=identity,any", ["model=identity,anyir"]),
        ("bench run mod", ["model="]),
        ("bench run data.ma", ["data.max_pixels="]),
        ("bench run model=kbnet variant=", ["variant=l", "variant=s", "variant=tiny"]),
        ("bench run data=", ["data=auto", "data=embedded", "data=standard"]),
        ("bench run +experiment=eq", ["+experiment=equal_budget"]),
        ("bench train recipe=emb", ["recipe=embedded"]),
        ("bench train validation.protocol=mo", ["validation.protocol=moceir@1"]),
        ("bench profile tf32=", ["tf32=false", "tf32=true"]),
        ("bench run tasks=denoise@U", ["tasks=denoise@Urban100"]),
        ("bench run --cfg ", ["all", "hydra", "job"]),
        ("bench list exp", ["experiments"]),
        ("bench report --resul", ["--results"]),
        ("bench completion z", ["zsh"]),
        ("bench report table --da", ["--data", "--datasets"]),
        ("bench report table --format ", ["csv", "html", "latex", "markdown"]),
        ("bench report table --format=la", ["--format=latex"]),
        ("bench report table --suite cd", ["cdd11"]),
        ("bench data ch", ["check"]),
        ("bench data check --ro", ["--root"]),
        ("bench weights convert a.pth b.safetensors --model rb", ["rbair"]),
        ("bench restore a.jpg --model kbnet --variant ", ["l", "s", "tiny"]),
        ("bench restore a.jpg --strip rbair,any", ["rbair,anyir"]),
        ("bench score --protocol promptir@1,mo", ["promptir@1,moceir@1"]),
        ("bench export mod", ["model="]),
        ("bench export model=kbnet variant=t", ["variant=tiny"]),
        ("bench check model=dee", []),
        ("bench check device=cp", ["device=cpu"]),
        ("bench nothing ", []),
        ("bench run model=nothing variant=", []),
    ],
)
def test_what_may_follow(line: str, expected: list[str]) -> None:
    assert after(line) == expected


def test_files_and_folders_follow_keys_that_take_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "a.pth").touch()
    (tmp_path / ".hidden").touch()
    assert after("bench run weights=we") == ["weights=weights/"]
    assert after("bench run weights=weights/") == ["weights=weights/a.pth"]
    assert after("bench run weights=") == ["weights=bundled", "weights=none", "weights=weights/"]
    assert after("bench restore we") == ["weights/"]


def test_an_open_quote_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "--for", "bench run label='my"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_scripts_are_what_their_shells_take(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "completion --for" in script
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} here")
    done = subprocess.run([program, "-n"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


class Terminal:
    """An interactive bash on a terminal of its own, with `bench` on its path and its completion loaded."""

    def __init__(self, cwd: Path) -> None:
        path = os.pathsep.join([str(Path(bench_path()).parent), os.environ["PATH"]])
        self.process, self._file = pty.fork()
        if self.process == 0:
            os.chdir(cwd)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], {"PATH": path, "PS1": "> ", "TERM": "dumb"})
        self.send('bind "set bell-style none"; eval "$(bench completion bash)"; echo rea""dy\n')
        self.wait_for("ready")

    def send(self, text: str) -> None:
        os.write(self._file, text.encode())

    def wait_for(self, text: str, seconds: float = 60) -> str:
        """What the shell writes up to `text`."""
        shown, end = "", time.monotonic() + seconds
        while text not in shown and time.monotonic() < end:
            if select.select([self._file], [], [], 0.2)[0]:
                shown += os.read(self._file, 4096).decode(errors="replace")
        assert text in shown, shown
        return shown

    def close(self) -> None:
        os.kill(self.process, 9)
        os.waitpid(self.process, 0)
        os.close(self._file)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_a_real_bash_completes_commands_keys_and_values(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    try:
        terminal.send("bench pro\t")
        terminal.wait_for("bench profile ")
        terminal.send("mod\t")
        terminal.wait_for("model=")
        terminal.send("rb\t")
        terminal.wait_for("rbair ")
        terminal.send("\x15bench run -m protocol=res\t")  # Ctrl-U empties the line
        terminal.wait_for("restormer-y@1 ")
        terminal.send("model=identity,any\t")
        terminal.wait_for("identity,anyir ")
        groups = (
            ("run data=emb", "data=embedded "),
            ("run +experiment=eq", "=equal_budget "),
            ("run launcher=sl", "=slurm "),
        )
        for typed, whole in (
            *groups,
            ("train recipe=five", "=five_degradations "),
            ("train optimizer.lr", "optimizer.lr="),
        ):
            terminal.send(f"\x15bench {typed}\t")
            terminal.wait_for(whole)
    finally:
        terminal.close()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish here")
def test_a_real_fish_completes_a_value(tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(bench_path()).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["fish", "-c", 'bench completion fish | source; complete -C "bench run model=rb"'],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "HOME": str(tmp_path)},
        check=False,
    )
    assert done.stdout.split() == ["model=rbair"]
