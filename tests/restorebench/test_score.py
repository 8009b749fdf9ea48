"""``restorebench.score``: what ``bench score`` computes, for images and folders of a script."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from PIL import Image

import restorebench
from restorebench import UserError

from ..benchmarks.command_line import bench_forked

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
CLEAN = skimage.data.astronaut()[:64, :80]
RESTORED = np.clip(CLEAN + RNG.normal(0, 5, CLEAN.shape), 0, 255).astype(np.uint8)
DEGRADED = np.clip(CLEAN + RNG.normal(0, 25, CLEAN.shape), 0, 255).astype(np.uint8)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for kind, pixels in (("clean", CLEAN), ("restored", RESTORED), ("degraded", DEGRADED)):
        (tmp_path / kind).mkdir()
        Image.fromarray(pixels).save(tmp_path / kind / "a.png")
        Image.fromarray(pixels[:, ::-1]).save(tmp_path / kind / "b.png")
    return tmp_path


def test_scores_are_those_of_scikit_image() -> None:
    scores = restorebench.score(RESTORED, CLEAN, degraded=DEGRADED)
    for given, psnr, ssim in (
        (RESTORED, scores.psnr, scores.ssim),
        (DEGRADED, scores.input_psnr, scores.input_ssim),
    ):
        x, y = given / 255, CLEAN / 255
        assert psnr == pytest.approx(skimage.metrics.peak_signal_noise_ratio(y, x, data_range=1), abs=1e-5)
        expected = skimage.metrics.structural_similarity(y, x, data_range=1, channel_axis=2)
        assert ssim == pytest.approx(expected, abs=1e-5)
    assert math.isnan(scores.lpips)
    assert "psnr=" in repr(scores)


def test_every_kind_of_image_scores_the_same(folders: Path) -> None:
    unit = torch.from_numpy(RESTORED.astype(np.float32) / 255).permute(2, 0, 1)
    clean = torch.from_numpy(CLEAN.astype(np.float32) / 255).permute(2, 0, 1)
    expected = restorebench.score(RESTORED, CLEAN)
    for x, y in (
        (Image.fromarray(RESTORED), Image.fromarray(CLEAN)),
        (unit, clean),
        (unit[None], clean.double()),
        (RESTORED.astype(np.float32) / np.float32(255), CLEAN / 255),
        (folders / "restored" / "a.png", str(folders / "clean" / "a.png")),
        (unit, CLEAN),
    ):
        assert restorebench.score(x, y) == expected


def test_folders_score_as_bench_score_does(folders: Path) -> None:
    for protocol in ("promptir@1", "restormer-y@1", "kbnet-gauss@1"):
        scores = restorebench.score(
            folders / "restored", folders / "clean", protocol=protocol, degraded=folders / "degraded"
        )
        done = bench_forked(
            ("score", "--pred", "restored", "--clean", "clean", "--protocol", protocol, "--json"), cwd=folders
        )
        theirs = json.loads(done.stdout)
        (means,) = theirs["protocols"]
        assert scores.psnr == means["psnr"]
        assert (None if math.isnan(scores.ssim) else scores.ssim) == means["ssim"]
        rows = [image["scores"][protocol]["psnr"] for image in theirs["images"]]
        assert scores.images["psnr"].tolist() == rows
        assert scores.images["restored"].tolist() == ["a.png", "b.png"]
        floor = [restorebench.score(each, CLEAN, protocol=protocol).psnr for each in (DEGRADED,)]
        assert scores.images["input_psnr"].tolist()[0] == floor[0]
        assert scores.mean.input_psnr == pytest.approx(scores.images["input_psnr"].mean(), abs=1e-12)
        assert scores.complete


def test_an_image_of_a_folder_that_cannot_be_scored_is_a_row(folders: Path) -> None:
    (folders / "restored" / "b.png").write_bytes(b"no image")
    (folders / "degraded" / "a.png").unlink()
    alone = restorebench.score(folders / "restored", folders / "clean")
    assert alone.images["status"].tolist() == ["ok", "failed"]
    assert "b.png" in alone.images["message"][1]
    assert not alone.complete
    assert math.isnan(alone.psnr)
    assert "failed" in repr(alone)
    with_input = restorebench.score(folders / "restored", folders / "clean", degraded=folders / "degraded")
    assert with_input.images["status"].tolist() == ["failed", "failed"]
    assert "no degraded image" in with_input.images["message"][0]


def test_a_crop_of_a_script_is_found_and_noted() -> None:
    scores = restorebench.score(RESTORED[2:60, 9:73], CLEAN)
    assert "from row 2 and column 9" in scores.note
    error = np.square((RESTORED[2:60, 9:73].astype(float) - CLEAN[2:60, 9:73]) / 255)
    # the protocol's own crop needs all rows: it crops the part that is there
    assert scores.psnr == pytest.approx(-10 * math.log10(error[5:53].mean()), abs=1e-4)
    assert restorebench.score(RESTORED, CLEAN).note == ""
    grown = np.pad(RESTORED, ((0, 16), (0, 16), (0, 0)), mode="reflect")
    padded = restorebench.score(grown, CLEAN)
    assert padded.psnr == restorebench.score(RESTORED, CLEAN).psnr
    assert "padded, the clean image lies at the top-left of it" in padded.note


def test_mistakes_are_one_line(folders: Path) -> None:
    mistakes = [
        ((np.full((40, 80, 3), 99, np.uint8), CLEAN), {}, "restored image of 80x40.*flat"),
        ((RESTORED[:40], CLEAN), {"place": "center"}, "did you mean 'centre'"),
        ((RESTORED, CLEAN), {"protocol": "psnr"}, "unknown protocol 'psnr'"),
        ((folders / "restored", CLEAN), {}, "a folder goes with a folder"),
        ((folders / "nowhere", folders / "clean"), {}, "there is no"),
        ((np.full(CLEAN.shape, np.nan), CLEAN), {}, "not finite"),
        ((RESTORED, CLEAN / 254.3), {}, "8-bit grey levels"),
        ((torch.zeros(2, 3, 64, 80), CLEAN), {}, "one by one"),
        ((RESTORED, CLEAN), {"lpips": folders / "no-weights.pth"}, "there is no such file"),
    ]
    for images, options, message in mistakes:
        with pytest.raises(UserError, match=message) as error:
            restorebench.score(*images, **options)
        assert "\n" not in str(error.value)
