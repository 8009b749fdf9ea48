"""``restorebench.evaluate``: the numbers and cells of ``bench run``, for any network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skimage
import torch
from PIL import Image
from torch import Tensor, nn

import restorebench
from restorebench import DataError, Evaluation, UserError
from restorebench.datasets.suites import resolve

from ..benchmarks.command_line import bench_forked
from .networks import Blend, FailsWhereDark, Scaled, Sharpened

pytestmark = pytest.mark.slow

SMALL = {"size": 64, "device": "cpu", "progress": False}
TASKS = ["dehaze", "derain", "denoise", "deblur", "lowlight"]


@pytest.fixture(autouse=True)
def no_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTOREBENCH_WEIGHTS", str(tmp_path / "no-weights"))
    monkeypatch.delenv("RESTOREBENCH_DATA", raising=False)


@pytest.fixture(scope="module")
def identity() -> Evaluation:
    return restorebench.evaluate("identity", "5d", size=64, device="cpu", data="embedded", progress=False)


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of ``bench run`` for the identity and a tiny network."""
    folder = tmp_path_factory.mktemp("command")
    more = ("tasks=5d", "data.size=64", "device=cpu", "metrics=[psnr,ssim]")
    done = bench_forked(*(("run", f"model={model}", *more) for model in ("identity", "rbair")), cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "results"


def cells(store: Path, model: str) -> dict[str, bytes]:
    """Bytes of every table of images by the cell's id."""
    rows_by_cell = {path.parent.name: path.read_bytes() for path in (store / "5d" / model).glob("*/images.csv")}
    assert rows_by_cell
    return rows_by_cell


def test_frames_have_a_row_an_image_and_a_row_a_task(identity: Evaluation) -> None:
    assert identity.images["task"].unique().tolist() == TASKS
    assert len(identity.images) == 40
    assert set(identity.images["status"]) == {"ok"}
    assert identity.summary["task"].tolist() == [*TASKS, "average"]
    assert identity.summary["sigma"].tolist()[2] == 25
    assert identity.complete
    means = identity.images.groupby("task")["psnr"].mean()
    assert identity.summary["psnr"][:5].tolist() == pytest.approx([means[task] for task in TASKS], abs=1e-12)
    assert identity.average["psnr"] == pytest.approx(identity.summary["psnr"][:5].mean(), abs=1e-12)
    pd.testing.assert_series_equal(identity.images["psnr"], identity.images["input_psnr"], check_names=False)


def test_the_object_cannot_be_changed(identity: Evaluation) -> None:
    with pytest.raises(AttributeError):
        identity.suite = "3d"  # type: ignore[misc]


def test_the_text_is_a_table_with_what_a_reader_must_know(identity: Evaluation) -> None:
    text = repr(identity)
    assert text.splitlines()[0] == "identity input (input) on 5d, promptir@1, float32 on cpu"
    assert f"{identity.average['psnr']:.2f}" in text
    assert "denoise 25" in text
    page = identity._repr_html_()
    assert "<table>" in page
    assert f"{identity.average['psnr']:.2f}" in page


@pytest.mark.parametrize("model", ["identity", "rbair"])
def test_in_memory_the_scores_are_those_of_bench_run(command: Path, model: str) -> None:
    ours = restorebench.evaluate(model, "5d", **SMALL).images
    theirs = restorebench.read_results(command, images=True)
    theirs = theirs[theirs["model"] == model]
    both = ours.merge(theirs, on=["task", "image"], validate="one_to_one", suffixes=("", "_run"))
    assert len(both) == 40
    for measure in ("psnr", "ssim", "input_psnr", "input_ssim"):
        assert both[measure].tolist() == both[f"{measure}_run"].tolist()


def test_in_memory_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    restorebench.evaluate("identity", "denoise", **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_stored_cells_are_those_of_bench_run_which_then_has_nothing_to_do(command: Path, tmp_path: Path) -> None:
    store = tmp_path / "results"
    evaluation = restorebench.evaluate("identity", "5d", results=store, **SMALL)
    assert cells(store, "identity") == cells(command, "identity")
    assert evaluation.store == store
    done = bench_forked(("run", "model=identity", "tasks=5d", "data.size=64", "device=cpu"), cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr.count("complete, 0 of 8 images computed now") == 5
    assert (store / "leaderboard.csv").is_file()
    again = restorebench.evaluate("identity", "5d", results=store, **SMALL)
    pd.testing.assert_frame_equal(again.images, evaluation.images)


def test_the_recorded_command_repeats_the_cells(tmp_path: Path) -> None:
    restorebench.evaluate("identity", "deblur", results=tmp_path / "a", **SMALL)
    record = json.loads(next((tmp_path / "a").glob("*/*/*/record.json")).read_text())
    done = bench_forked(record["command"].replace(str(tmp_path / "a"), "b").split()[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert next((tmp_path / "b").glob("*/*/*/record.json")).parent.name == record["cell"]


def test_a_restorer_from_create_model_has_its_registered_name_and_cells(command: Path, tmp_path: Path) -> None:
    restorer = restorebench.create_model("rbair")
    evaluation = restorebench.evaluate(restorer, "5d", results=tmp_path, **SMALL)
    assert (evaluation.model, evaluation.variant, evaluation.provenance) == ("rbair", "tiny", "bundled")
    assert cells(tmp_path, "rbair") == cells(command, "rbair")


def test_a_restorer_whose_weights_were_changed_needs_a_name_of_its_own(tmp_path: Path) -> None:
    restorer = restorebench.create_model("rbair")
    with torch.no_grad():
        next(restorer.parameters()).mul_(1.5)
    with pytest.raises(UserError, match="give it one with name="):
        restorebench.evaluate(restorer, "deblur", results=tmp_path, **SMALL)
    evaluation = restorebench.evaluate(restorer, "deblur", results=tmp_path, name="rbair-altered", **SMALL)
    assert (evaluation.model, evaluation.provenance) == ("rbair-altered", "foreign")


def test_a_bare_module_is_scored_as_scikit_image_scores_it() -> None:
    network = Blend(0.3)
    rows = restorebench.evaluate(network, "deblur", **SMALL).images.set_index("image")
    suite = resolve("deblur", source="embedded", size=64)
    for sample in (suite.data[0][0], suite.data[0][3]):
        assert sample.degraded is not None
        x = torch.from_numpy(sample.degraded.astype(np.float32) / 255).permute(2, 0, 1)[None]
        with torch.inference_mode():
            restored = network.eval()(x)[0].clamp(0, 1).permute(1, 2, 0).double().numpy()
        clean = sample.clean / 255
        psnr = skimage.metrics.peak_signal_noise_ratio(clean, restored, data_range=1)
        ssim = skimage.metrics.structural_similarity(clean, restored, data_range=1, channel_axis=2)
        assert rows.loc[sample.name, "psnr"] == pytest.approx(psnr, abs=1e-6)
        assert rows.loc[sample.name, "ssim"] == pytest.approx(ssim, abs=1e-6)


def test_a_module_is_left_in_its_mode_and_scored_in_evaluation_mode() -> None:
    network = Blend().train()
    network.dropout.eval()
    in_training = restorebench.evaluate(network, "deblur", **SMALL)
    assert [module.training for module in network.modules()] == [True, False]
    pd.testing.assert_frame_equal(in_training.images, restorebench.evaluate(network.eval(), "deblur", **SMALL).images)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda x: x * float("nan"), "not finite"),
        (lambda x: x[..., :-1], "gave shape"),
        (lambda x: [x], "gave a list, not a tensor"),
        (lambda x: x.no_such_method(), "raised AttributeError"),
        (lambda x: {}["missing"], "raised KeyError"),
    ],
)
def test_a_failing_image_is_a_row_and_takes_the_mean_away(result: Callable[[Tensor], Tensor], message: str) -> None:
    evaluation = restorebench.evaluate(FailsWhereDark(result), "5d", **SMALL)
    failed = evaluation.images[evaluation.images["status"] == "failed"]
    assert 0 < len(failed) < 40
    assert failed["message"].str.contains(message).all()
    assert failed["psnr"].isna().all()
    summary = evaluation.summary.set_index("task")
    assert summary.loc["lowlight", "status"] == "incomplete"
    assert np.isnan(summary.loc["lowlight", "psnr"])
    assert summary.loc["dehaze", "status"] == "complete"
    assert np.isnan(evaluation.average["psnr"])
    assert not evaluation.complete
    assert "failed: lowlight" in repr(evaluation)


def test_a_stored_module_stands_in_the_leaderboard_and_in_no_others_cell(tmp_path: Path) -> None:
    networks = [Blend(0.5), Blend(0.25), Sharpened(0.5), Scaled(0.9), Scaled(0.8)]
    scores = [
        restorebench.evaluate(each, "deblur", results=tmp_path, name="mine", **SMALL).average["psnr"]
        for each in networks
    ]
    frame = restorebench.read_results(tmp_path)
    assert len(frame) == len(networks)
    assert frame["weights"].nunique() == len(networks)
    assert sorted(frame["psnr"]) == pytest.approx(sorted(scores), abs=1e-12)
    assert set(frame["provenance"]) == {"foreign"}
    done = bench_forked(("report", "--results", str(tmp_path)), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    leaderboard = pd.read_csv(tmp_path / "leaderboard.csv")
    assert (leaderboard["model"] == "mine").sum() == len(networks)


def test_the_same_module_again_is_not_computed_again(tmp_path: Path) -> None:
    restorebench.evaluate(Blend(0.5), "deblur", results=tmp_path, name="mine", **SMALL)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*/*/record.json")}
    restorebench.evaluate(Blend(0.5), "deblur", results=tmp_path, name="mine", **SMALL)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*/*/record.json")} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"results": "r"}, "give it one with name="),
        ({"results": "r", "name": "identity"}, "is a registered restorer's"),
        ({"results": "r", "name": "../x"}, "is unusable"),
        ({"variant": "tiny"}, "go with the name of a registered restorer"),
        ({"limit": 0}, "limit=0"),
        ({"tile": 8}, "at least 64"),
        ({"device": "cuda:99"}, "device=cuda:99"),
        ({"dtype": "float8"}, "unknown dtype"),
        ({"batch": 0}, "batch=0"),
    ],
)
def test_mistakes_with_a_module_are_one_line(
    arguments: dict[str, object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message) as error:
        restorebench.evaluate(Blend(), "deblur", **{**SMALL, **arguments})  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_registered_name_takes_no_other() -> None:
    with pytest.raises(UserError, match="name= is for a network"):
        restorebench.evaluate("identity", "5d", name="mine")


def test_limit_takes_the_first_images_of_each_task(identity: Evaluation) -> None:
    evaluation = restorebench.evaluate("identity", "3d", limit=2, **SMALL)
    assert evaluation.images.groupby(["task", "sigma"], dropna=False).size().tolist() == [2] * 5
    assert not evaluation.complete, "a quick look counts as none"
    assert set(evaluation.summary["status"]) == {"partial"}
    assert evaluation.summary["psnr"].notna().all()
    assert "partial, the first 2 of 8 images" in repr(evaluation)
    first = identity.images[identity.images["task"] == "dehaze"].iloc[:2]
    assert evaluation.images["psnr"].tolist()[:2] == first["psnr"].tolist()


def test_images_of_ones_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind in ("degraded", "clean"):
        (tmp_path / kind).mkdir()
        for name in ("a", "b"):
            Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(tmp_path / kind / f"{name}.png")
    evaluation = restorebench.evaluate(
        Blend(), degraded=tmp_path / "degraded", clean=tmp_path / "clean", device="cpu", progress=False
    )
    assert evaluation.images["image"].tolist() == ["a.png", "b.png"]
    assert evaluation.summary["task"].tolist() == ["restore", "average"]
    noisy = restorebench.evaluate("identity", clean=tmp_path / "clean", sigma=25, device="cpu", progress=False)
    assert noisy.summary["sigma"].tolist()[0] == 25
    with pytest.raises(DataError, match="clean=DIR"):
        restorebench.evaluate("identity", degraded=tmp_path / "degraded")


def test_without_a_terminal_the_bar_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    restorebench.evaluate("identity", "deblur", size=64, device="cpu")
    progress = capsys.readouterr().err
    assert "identity on deblur: 100%" in progress
    assert progress.isascii()
    restorebench.evaluate("identity", "deblur", **SMALL)
    assert capsys.readouterr().err == ""


def test_a_module_on_two_devices_is_refused() -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1, device="meta"))
    with pytest.raises(UserError, match="without values"):
        restorebench.evaluate(network, "deblur", **SMALL)


@pytest.mark.gpu
def test_a_module_on_a_gpu_stays_there_and_scores_the_same() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    network = Blend(0.3)
    on_cpu = restorebench.evaluate(network, "deblur", size=64, device="cpu", progress=False)
    moved = restorebench.evaluate(network, "deblur", size=64, device="cuda", progress=False)
    assert next(network.parameters()).device.type == "cpu"
    there = restorebench.evaluate(network.cuda(), "deblur", size=64, progress=False)
    assert (moved.device, there.device) == ("cuda:0", "cuda:0")
    assert next(network.parameters()).device.type == "cuda"
    assert moved.average["psnr"] == pytest.approx(on_cpu.average["psnr"], abs=1e-3)
