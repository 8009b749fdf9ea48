"""Folders as people have them, through the command line: what is read, how it pairs, what is said, what is refused."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from restorebench.benchmarks.commands import main as cli
from restorebench.benchmarks.commands.train import COMMAND as TRAIN
from restorebench.benchmarks.store.cells import read_records
from restorebench.benchmarks.training.batches import build_mixture

from ...datasets.roots import pixels, save
from ..training.runs import QUICK

JUNK = ("Thumbs.db", "desktop.ini", ".DS_Store", "._1.png", "list.txt", "x.csv", "x.json", "x.mat", "@eaDir/1.png")
RUN = ("model=identity", "device=cpu", "progress=false", "metrics=[psnr]")


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder and a home of the test's own; torch's cache is empty."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("RESTOREBENCH_DATA", "RESTOREBENCH_MAX_PIXELS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def junk(folder: Path) -> None:
    for name in JUNK:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"no image")
    (folder / "a folder.png").mkdir()


def pair(root: Path, degraded: str, clean: str, seed: int) -> None:
    save(root / degraded, pixels(seed, 32, 32))
    save(root / clean, pixels(100 + seed, 32, 32))


def expected_psnr(seed: int) -> float:
    error = pixels(seed, 32, 32) / 255 - pixels(100 + seed, 32, 32) / 255
    return float(-10 * np.log10(np.mean(error**2)))


def scores(results: Path) -> dict[str, float]:
    """PSNR of the input by image."""
    (cell,) = {path.parent for path in results.rglob("images.csv")}
    lines = (cell / "images.csv").read_text().splitlines()
    head = next(line for line in lines if line.startswith("image,")).split(",")
    rows = [dict(zip(head, line.split(","), strict=False)) for line in lines[lines.index(",".join(head)) + 1 :]]
    return {row["image"]: float(row["psnr"]) for row in rows if row.get("psnr")}


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = cli.main(["run", *RUN, "dataset=folder", *words])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_of_two_folders_in_one_store_the_table_of_one_is_chosen_by_its_name(
    alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for root, seed in (("one", 1), ("two", 2)):
        pair(alone, f"{root}/lq/a.png", f"{root}/gt/a.png", seed)
        assert run(capsys, f"degraded={root}/lq", f"clean={root}/gt")[0] == 0
    names = sorted(record.dataset for record in read_records(alone / "results")[0])
    table = ("report", "table", "--suite", "folder", "--format", "csv", "--columns", "psnr")
    assert cli.main([*table]) == 2
    assert f"choose with --data {' or '.join(names)}" in capsys.readouterr().err
    for name, seed in zip(names, (1, 2), strict=True):
        assert cli.main([*table, "--data", name]) == 0
        lines = capsys.readouterr().out.partition("\n\n")[0].splitlines()
        (row,) = (row for row in csv.DictReader(lines) if row["task"] == "restore" and row["metric"] == "psnr")
        assert (row["dataset"], float(row["mean"])) == (name, pytest.approx(expected_psnr(seed)))
    assert cli.main([*table, "--data", "three"]) == 2
    assert f"no cells of suite folder with --data three; it has folder on {names[0]}" in capsys.readouterr().err


@pytest.mark.slow
def test_sequences_under_one_root_run_with_names_and_previews_of_their_own(
    alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds = {}
    for seed, (sequence, frame) in enumerate((s, f) for s in ("GOPR1_11_00", "GOPR2_11_00") for f in (1, 2)):
        base = f"{sequence}/{{}}/{frame:06d}.png"
        pair(alone / "mine", base.format("blur"), base.format("sharp"), seed)
        save(alone / "mine" / base.format("blur_gamma"), pixels(50 + seed, 32, 32))
        seeds[f"{sequence}/{frame:06d}.png"] = seed
    junk(alone / "mine" / "GOPR1_11_00" / "blur")
    code, text = run(capsys, "degraded=mine", "save_images=png8")
    assert code == 0
    assert "left out: blur_gamma, another version of blur (4 images)" in text
    (record,) = read_records(alone / "results")[0]
    assert not record.failures
    assert scores(alone / "results") == pytest.approx({name: expected_psnr(seed) for name, seed in seeds.items()})
    previews = sorted((alone / "results").rglob("previews/*.png"))
    assert len(previews) == 4
    assert len({Image.open(path).tobytes() for path in previews}) == 4
    assert len(list((alone / "results").rglob("images/*.png"))) == 4
    (images,) = (alone / "results").rglob("images")
    score = [
        "score",
        "--pred",
        str(images),
        "--clean",
        "mine",
        "--protocol",
        "promptir@1",
        "--json",
        "--metrics",
        "psnr",
    ]
    assert cli.main(score) == 0
    scored = json.loads(capsys.readouterr().out)
    assert [row["scores"]["promptir@1"]["psnr"] for row in scored["images"]] == pytest.approx(
        [expected_psnr(seed) for seed in seeds.values()], abs=1e-5
    )
    assert "how folders are joined to the name" in scored["notes"][0]
    assert run(capsys, "data.root=mine", "results=again")[0] == 0
    assert scores(alone / "again") == scores(alone / "results")


@pytest.mark.slow
def test_a_rule_is_said_and_what_is_no_image_is_no_failure(alone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(2):
        pair(alone, f"noisy/000{seed}_NOISY_SRGB_010.png", f"clean/000{seed}_GT_SRGB_010.png", seed)
    junk(alone / "noisy")
    junk(alone / "clean")
    code, text = run(capsys, "degraded=noisy", "clean=clean")
    assert code == 0
    rule = "paired by names without the word for their role: 0000_NOISY_SRGB_010.png with 0000_GT_SRGB_010.png"
    assert rule in text
    assert scores(alone / "results") == pytest.approx(
        {f"000{seed}_NOISY_SRGB_010.png": expected_psnr(seed) for seed in range(2)}
    )
    code = cli.main(["score", "--pred", "noisy", "--clean", "clean", "--protocol", "promptir@1", "--no-progress"])
    text = capsys.readouterr().out
    assert code == 0
    assert rule in text
    assert re.search(r"promptir@1 *\| *2 ", text)


@pytest.mark.slow
@pytest.mark.parametrize("other", ["./mine/../mine", "link"])
def test_one_folder_as_both_sides_is_refused(alone: Path, other: str, capsys: pytest.CaptureFixture[str]) -> None:
    save(alone / "mine" / "1.png", pixels(1))
    (alone / "link").symlink_to(alone / "mine")
    code, text = run(capsys, "degraded=mine", f"clean={other}")
    assert (code, text.count("are one folder: give two")) == (2, 1)
    assert cli.main(["score", "--pred", "mine", "--clean", other, "--protocol", "promptir@1"]) == 2
    assert "are one folder: give two" in capsys.readouterr().err
    save(alone / "data/Train/Denoise/1.png", pixels(1))
    for name in ("Derain", "Dehaze", "Deblur", "Enhance"):
        (alone / "data/Train" / name).mkdir(parents=True)
        (alone / "data/Train" / name / "input").symlink_to(alone / "mine")
        (alone / "data/Train" / name / "target").symlink_to(alone / other)
    code = cli.main(["train", "recipe=five_degradations", "data.root=data", "model=rbair", "variant=tiny", "run=r"])
    assert code == 2
    assert "are one folder: give two" in capsys.readouterr().err


def test_names_that_could_belong_to_two_are_refused(alone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("A1", "a01"):
        save(alone / "d" / f"{name}.png", pixels(1))
    for name in ("A01", "a1"):
        save(alone / "c" / f"{name}.png", pixels(1))
    code, text = run(capsys, "degraded=d", "clean=c")
    assert code == 2
    assert "A1.png could belong to a1.png (by names without letter case) or to A01.png" in text
    assert cli.main(["score", "--pred", "d", "--clean", "c", "--protocol", "promptir@1"]) == 2


def test_data_check_counts_images_alone(alone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = alone / "root/test/enhance/lolv1"
    for seed in range(15):
        pair(base, f"low/{seed}.png", f"high/{seed}.png", seed)
    junk(base / "low")
    junk(base / "high")
    assert cli.main(["data", "check", "LOL-v1", "--root", "root", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["sets"]
    assert (found["state"], found["images"], found["good"]) == ("whole", 15, 15)
    assert not found["unreadable"] + found["unpaired"] + found["mismatched"]


@pytest.mark.slow
def test_training_refuses_what_evaluation_refuses_and_holds_the_limit_of_pixels(
    alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "model=rbair", "variant=tiny", "weights=none", *QUICK[2:], "mix.natural=1", "data.cache=cache"]
    for name, image in {
        "deep": Image.fromarray(np.full((48, 48), 40_000, np.uint16)),
        "large": Image.fromarray(pixels(1, 48, 48)),
    }.items():
        (alone / name).mkdir()
        image.save(alone / name / "1.png")
        limit = ["data.max_pixels=2000"] if name == "large" else []
        code = cli.main([*words, f"run=run-{name}", f"data.natural_images={name}", *limit])
        text = capsys.readouterr().err
        reason = {"deep": "16 bits per channel", "large": "48x48 pixels, more than the 0.002"}
        assert code == 2
        assert f"{name}/1.png: {reason[name]}" in text
        assert "Traceback" not in text


def test_training_says_by_which_rule_pairs_are_found(alone: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(alone / "data/Train/Denoise/1.png", pixels(1, 48, 48))
    for seed in range(2):
        for name in ("Derain", "Dehaze", "Enhance"):
            pair(alone / "data/Train" / name, f"input/{seed}.png", f"target/{seed}.png", seed)
        pair(alone / "data/Train/Deblur", f"S{seed}/blur/out_1.png", f"S{seed}/sharp/1.png", seed)
        save(alone / f"data/Train/Deblur/S{seed}/blur_gamma/out_1.png", pixels(seed))
    words = ["model=rbair", "variant=tiny", "recipe=five_degradations", "data.root=data", "run=r"]
    with caplog.at_level("INFO", logger="restorebench"):
        build_mixture(TRAIN.compose(words).configs[0])
    assert "GoPro: left out: blur_gamma, another version of blur (2 images)" in caplog.messages
    assert any("begin or end with: S0/out_1.png with S0/1.png" in message for message in caplog.messages)
