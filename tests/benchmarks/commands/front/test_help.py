"""The help of run, train and profile: what the files of ``conf`` say, and nothing left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from restorebench.benchmarks.commands import profile, run, train
from restorebench.benchmarks.commands.front.help import choices, group_names, help_text, schema_entries, sweep_of
from restorebench.models.registry import network_names

CONF = Path(__file__).resolve().parents[4] / "conf"
COMMANDS = {"run": run.COMMAND, "train": train.COMMAND, "profile": profile.COMMAND}


def shown_keys(text: str) -> dict[str, str]:
    """Keys of a help text with the line that each begins."""
    _, _, keys = text.partition("keys and their defaults")
    return {line.split("=")[0].strip(): line for line in keys.splitlines() if re.match(r"  [\w.@-]+=", line)}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_key_stands_there_with_its_comment(name: str) -> None:
    command = COMMANDS[name]
    text = help_text(command)
    shown = shown_keys(text)
    for key in (entry.key for entry in schema_entries(command.schema)):
        assert any(key == each or each.startswith(f"{key}.") for each in shown), key
    words = re.sub(r"\s+", " ", text)
    for line in (CONF / f"{name}.yaml").read_text(encoding="utf-8").split("hydra:\n")[0].splitlines():
        key, _, comment = line.strip().partition(" # ")
        if comment and ":" in key and not key.startswith(("-", "#")):
            assert " ".join(comment.split()) in words


@pytest.mark.parametrize("name", COMMANDS)
def test_defaults_are_those_of_the_configuration(name: str) -> None:
    shown = shown_keys(help_text(COMMANDS[name]))
    for key, value in yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8")).items():
        if key not in ("defaults", "hydra") and not isinstance(value, dict | list):
            written = shown[key].split("=", 1)[1].split()[0]
            assert yaml.safe_load(written) == value


@pytest.mark.parametrize("name", COMMANDS)
def test_every_choice_of_a_group_is_one_line(name: str) -> None:
    lines = help_text(COMMANDS[name]).splitlines()
    for group in group_names(name):
        for choice, said in choices(group):
            (line,) = [line for line in lines if re.match(rf"  \+?{group}={choice} ", line)]
            assert said.split(maxsplit=3)[:2] == line.split("(default)")[-1].split("  ")[-1].split(maxsplit=3)[:2]
            assert len(line) <= 140


def test_the_groups_that_the_commands_take_are_named() -> None:
    assert {"data", "experiment"} <= set(group_names("run"))
    assert "recipe" in group_names("train")


def test_a_chosen_recipe_shows_its_own_keys_and_those_it_builds_on() -> None:
    shown = shown_keys(help_text(train.COMMAND, ["recipe=photographs", "--help"]))
    assert "=0.75" in shown["mix.natural"]
    assert "0.04" in shown["mix.parts.denoise-15"]
    assert "mix.leaves.count" in shown  # of the recipe below


def test_an_experiment_says_what_it_sweeps_over() -> None:
    assert sweep_of("equal_budget").endswith(" tasks=3d,5d")


@pytest.mark.parametrize(("experiment", "tasks"), [("three_degradations", "3d"), ("five_degradations", "5d")])
def test_the_experiments_over_a_suite_take_every_restorer(experiment: str, tasks: str) -> None:
    models, _, suite = sweep_of(experiment).partition(" ")
    assert sorted(models.removeprefix("model=").split(",")) == sorted(["identity", *network_names()])
    assert suite == f"tasks={tasks}"
