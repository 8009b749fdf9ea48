"""Values as people type them: what Hydra's grammar refuses arrives unchanged, what it knows stays Hydra's."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from restorebench.benchmarks.commands.front.hydra import HydraCommand
from restorebench.benchmarks.commands.front.quoting import quoted_words
from restorebench.benchmarks.errors import UserError
from restorebench.benchmarks.evaluation.config import RunConfig
from restorebench.benchmarks.profiling.config import ProfileConfig
from restorebench.benchmarks.training.config import TrainConfig
from restorebench.models.registry import is_usable_name, network_names

RUN = HydraCommand("run", RunConfig)
COMMANDS = {
    "run": (RUN, ("weights", "degraded", "clean", "results", "data.root", "lpips.weights")),
    "train": (HydraCommand("train", TrainConfig), ("weights", "run", "data.root", "data.natural_images", "data.cache")),
    "profile": (HydraCommand("profile", ProfileConfig), ("weights", "results")),
}
NAMES = st.text(
    st.one_of(
        st.sampled_from("\\'\"${}[](),=~ &#*?:;a0.-+!%|<>^`@\n\t"),
        st.characters(exclude_characters="/\0", exclude_categories=[]),
    ),
    min_size=1,
    max_size=12,
).filter(lambda name: name not in (".", ".."))


def value(config: object, key: str) -> object:
    for part in key.split("."):
        config = getattr(config, part)
    return config


HARD_NAMES = (
    "epoch=9-step=100.ckpt",
    "a, b [1] (c) {d} & ~ ${x} # $HOME",
    "'quoted' \\",
    '权重 "x".pth',
)


@settings(max_examples=250, deadline=None)
@example("epoch=9-step=100.ckpt")
@example("'quoted'")
@example('"')
@example("\\${a\\")
@example("choice(a,b)")
@example(" null ")
@given(NAMES)
def test_any_name_of_a_file_is_the_same_to_hydra_and_to_a_job_of_its_sweep(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, name)  # noqa: PTH118  (as it is typed)
        try:
            Path(path).touch()
        except (OSError, ValueError):  # no name that this file system takes
            return
        words = quoted_words([f"weights={path}"], multirun=False)
        assert quoted_words([f"weights={path}"], multirun=True) == words
    for _ in range(2):  # the second time as Hydra's sweeper writes it
        (override,) = OverridesParser.create().parse_overrides(words)
        assert not override.is_sweep_override()
        assert OmegaConf.create({"weights": override.value()}).weights == path
        words = [f"weights={override.get_value_element_as_str()}"]


@pytest.mark.parametrize("command", sorted(COMMANDS))
@pytest.mark.parametrize("name", HARD_NAMES)
def test_hard_names_arrive_unchanged_at_every_path_key(name: str, command: str, tmp_path: Path) -> None:
    hydra, keys = COMMANDS[command]
    path = str(tmp_path / name)
    Path(path).touch()
    (config,) = hydra.compose([f"{key}={path}" for key in keys]).configs
    assert [value(config, key) for key in keys] == [path] * len(keys)


def test_a_hard_name_in_a_sweep_over_other_keys_arrives_unchanged(tmp_path: Path) -> None:
    path = str(tmp_path / HARD_NAMES[1])
    Path(path).touch()
    configs = RUN.compose(["-m", f"weights={path}", "seed=1,2"]).configs
    assert [(config.weights, config.seed) for config in configs] == [(path, 1), (path, 2)]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("weights=epoch=9-step=100.ckpt", "epoch=9-step=100.ckpt"),
        ("weights='a b=c'", "a b=c"),
        ('weights="a,b"', "a,b"),
        ("++weights=a=b", "a=b"),
        ("weights=007", "007"),
        ("weights=true", "true"),
        ("weights=1e3", "1e3"),
        ("weights=null", None),
        ("weights=[a,b]", "[a,b]"),
        ("weights={a}", "{a}"),
        ("weights=a,", "a,"),
        ("weights=x(1,2).pth", "x(1,2).pth"),
        ("weights=~/net.pth", str(Path.home() / "net.pth")),
        ("weights=~no_such_user_here", "./~no_such_user_here"),
        ("weights=${label}", "mine"),
        ("weights=run-${seed}.pth", "run-0.pth"),
        ("weights=$HOME", "$HOME"),
    ],
)
def test_a_value_is_read_as_people_mean_it(
    typed: str, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (config,) = RUN.compose([typed, "label=mine"]).configs
    assert config.weights == expected


def test_what_is_no_path_stays_hydras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["metrics=[psnr,ssim]", "+overrides.dim=32", "data=embedded", "sigma=15", "overrides={a:1}", "~data"]
    assert quoted_words(words, multirun=False) == words
    (config,) = RUN.compose([*words[:4], "label=Net (v2) = mine"]).configs
    assert (config.metrics, config.overrides, config.sigma) == (["psnr", "ssim"], {"dim": 32}, 15)
    assert config.label == "Net (v2) = mine"


def test_keys_of_names_and_paths_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    swept = RUN.compose(["-m", "model=rbair,a b.py:Net", "tasks=3d,5d", "seed=range(0,2)"]).configs
    assert [(c.model, c.tasks, c.seed) for c in swept][::3] == [
        ("rbair", "3d", 0),
        ("rbair", "5d", 1),
        ("a b.py:Net", "5d", 0),
    ]
    swept = RUN.compose(["-m", "weights=epoch=1.ckpt, 'x,y' ,null", "data.source=choice(auto,embedded)"]).configs
    assert [config.weights for config in swept][::2] == ["epoch=1.ckpt", "x,y", None]


@pytest.mark.parametrize(
    ("typed", "models"),
    [
        ("net.py:Net,rbair", ["net.py:Net", "rbair"]),
        ("net.py:Net,identity,rbair", ["net.py:Net", "identity", "rbair"]),
        ("net.py:Net,my.package:Net,net.py:Other", ["net.py:Net", "my.package:Net", "net.py:Other"]),
        ("a,b.py:Net", ["a,b.py:Net"]),
    ],
)
def test_a_network_by_a_file_that_is_there_is_swept_with_others(
    typed: str, models: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("net.py", "a,b.py"):
        (tmp_path / name).touch()
    swept = RUN.compose(["-m", f"model={typed}", "tasks=denoise"]).configs
    assert [config.model for config in swept] == models


def test_a_comma_without_m_is_asked_about_with_both_forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"add -m .*weights=a b,c; .* type 'weights=\"a b,c\"'|add -m") as caught:
        RUN.compose(["weights=a b,c"])
    assert """'weights="a b,c"'""" in str(caught.value)
    assert "'weights=a b,c'" in str(caught.value)
    (tmp_path / "a b,c").touch()
    (config,) = RUN.compose(["weights=a b,c"]).configs
    assert config.weights == "a b,c"


def test_two_readings_that_both_hold_are_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a,b", "a", "b", "'a'", "null"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match="the one file or a sweep over the others"):
        RUN.compose(["-m", "weights=a,b"])
    with pytest.raises(UserError, match="can be the file 'a' or the file a"):
        RUN.compose(["weights='a'"])
    with pytest.raises(UserError, match=r"for the file type weights=\./null"):
        RUN.compose(["weights=null"])
    (tmp_path / "b").unlink()
    (config,) = RUN.compose(["-m", "weights=a,b"]).configs
    assert config.weights == "a,b"


def test_other_keys_whose_value_hydra_cannot_read_get_the_form_to_type() -> None:
    with pytest.raises(UserError) as caught:
        RUN.compose(["+overrides.path=a=b(c"])
    assert """'+overrides.path="a=b(c"'""" in str(caught.value)


def test_escapes_that_hydra_prints_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b").touch()
    (config,) = RUN.compose([r"weights=a\=b"]).configs
    assert config.weights == "a=b"


@pytest.mark.parametrize("typed", ["all", "identity,all", "all,identity", "all,rbair", " all "])
def test_all_stands_for_every_restorer_with_a_network(typed: str) -> None:
    jobs = HydraCommand("profile", ProfileConfig).compose(["-m", f"model={typed}"]).configs
    models = [job.model for job in jobs]
    assert set(models) == {*network_names(), *(["identity"] if "identity" in typed else [])}
    assert len(models) == len(set(models))
    assert {"onnx", "spandrel", "all"}.isdisjoint(models)


def test_all_without_a_sweep_says_how_to_sweep() -> None:
    with pytest.raises(UserError, match=r"add -m to sweep over them: bench profile -m model=all"):
        HydraCommand("profile", ProfileConfig).compose(["model=all"])


def test_no_restorer_can_be_called_all() -> None:
    assert not is_usable_name("all")
    assert is_usable_name("overall")
