"""Scores of a folder: equal to scikit-image's, under all protocols at once, and nothing missing goes unsaid."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from restorebench.benchmarks.commands import score as score_command
from restorebench.benchmarks.errors import UserError
from restorebench.benchmarks.evaluation.pictures.image_files import write_image
from restorebench.benchmarks.protocols.catalogue import list_protocols

from ..lpips_weights import alexnet_file


def photograph(index: int) -> NDArray[np.uint8]:
    """A piece of a real photograph whose sides are no multiples of 16 or 8."""
    return np.ascontiguousarray(skimage.data.coffee()[60 * index : 60 * index + 75, 100:191])


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Three clean images and noisy versions of them, float32; torch's cache is empty."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    generator = np.random.default_rng(0)
    (tmp_path / "clean").mkdir()
    for index in range(3):
        clean = photograph(index)
        Image.fromarray(clean).save(tmp_path / "clean" / f"{index}.png")
        noisy = (clean / 255 + generator.normal(0, 0.05, clean.shape)).astype(np.float32)
        write_image(tmp_path / "restored" / f"{index}.npy", noisy, "npy")
    return tmp_path / "restored", tmp_path / "clean"


def run(folders: tuple[Path, Path], *more: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    restored, clean = folders
    code = score_command.main(["--pred", str(restored), "--clean", str(clean), "--no-progress", *more])
    return code, capsys.readouterr().out


def as_json(folders: tuple[Path, Path], *more: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    code, text = run(folders, "--json", *more, capsys=capsys)
    data = json.loads(text)
    assert code == (0 if data["complete"] else 1)
    return dict(data)


def test_all_protocols_agree_with_scikit_image(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    data = as_json(folders, "--protocol", "all", capsys=capsys)
    assert [row["protocol"] for row in data["protocols"]] == list(list_protocols())
    psnr: dict[str, list[float]] = {"promptir@1": [], "basicsr-rgb@1": []}
    ssim: dict[str, list[float]] = {"promptir@1": [], "basicsr-rgb@1": []}
    for index in range(3):
        x, y = np.load(folders[0] / f"{index}.npy").astype(np.float64).clip(0, 1), photograph(index)
        cropped = (slice(5, 75 - 11 + 5), slice(5, 91 - 11 + 5))
        psnr["promptir@1"].append(peak_signal_noise_ratio(y[cropped] / 255, x[cropped], data_range=1))
        ssim["promptir@1"].append(structural_similarity(y[cropped] / 255, x[cropped], data_range=1, channel_axis=-1))
        whole = {"data_range": 255, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        rounded = (x * 255).round()
        psnr["basicsr-rgb@1"].append(peak_signal_noise_ratio(y.astype(float), rounded, data_range=255))
        ssim["basicsr-rgb@1"].append(structural_similarity(y.astype(float), rounded, channel_axis=-1, **whole))
    rows = {row["protocol"]: row for row in data["protocols"]}
    for name in psnr:
        assert rows[name]["psnr"] == pytest.approx(np.mean(psnr[name]), abs=1e-6)
        assert rows[name]["ssim"] == pytest.approx(np.mean(ssim[name]), abs=1e-6)
        assert [image["scores"][name]["psnr"] for image in data["images"]] == pytest.approx(psnr[name], abs=1e-6)
    assert rows["kbnet-gauss@1"]["ssim"] is None
    assert len({row["psnr"] for row in rows.values()}) >= 3


def test_the_table_has_a_row_a_protocol_and_names_the_backbones(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = run(folders, "--protocol", "promptir@1,moceir@1", "--images", capsys=capsys)
    assert code == 0
    assert "lpips_alex" in text
    assert "lpips_vgg" in text
    assert text.count("n/a: no ") == 1, "one notice for both"
    assert "| promptir@1 |" in text
    assert "| 2.npy" in text


@pytest.mark.parametrize("kind", ["png16", "png8"])
def test_16_bits_lose_nothing_that_shows_and_8_bits_do(
    kind: Any, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for index in range(3):
        write_image(tmp_path / kind / f"{index}.png", np.load(folders[0] / f"{index}.npy"), kind)
    arguments = ("--protocol", "promptir@1")
    exact = as_json(folders, *arguments, capsys=capsys)["protocols"][0]
    stored = as_json((tmp_path / kind, folders[1]), *arguments, capsys=capsys)["protocols"][0]
    difference = abs(exact["psnr"] - stored["psnr"])
    assert difference < 1e-5 if kind == "png16" else 1e-5 < difference < 0.05


def test_images_saved_by_a_protocol_that_crops_are_scored_under_all(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for index in range(3):
        cropped = np.load(folders[0] / f"{index}.npy")[5 : 75 - 6, 5 : 91 - 6]
        write_image(tmp_path / "cropped" / f"{index}.npy", cropped, "npy")
    whole = as_json(folders, "--protocol", "all", capsys=capsys)
    data = as_json((tmp_path / "cropped", folders[1]), "--protocol", "all", capsys=capsys)
    assert data["complete"]
    assert data["protocols"][0]["psnr"] == whole["protocols"][0]["psnr"]
    assert data["protocols"][2]["psnr"] != whole["protocols"][2]["psnr"]
    assert all("promptir@1 crops, 91x75 to 80x64" in image["note"] for image in data["images"])


def test_missing_damaged_and_wrongly_sized_images_are_named_and_no_mean_is_shown(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    restored, _ = folders
    (restored / "0.npy").unlink()
    (restored / "1.npy").write_bytes(b"\x93NUMPY damaged")
    write_image(restored / "2.npy", np.zeros((10, 10, 3), np.float32), "npy")
    write_image(restored / "stray.npy", np.zeros((75, 91, 3), np.float32), "npy")
    code, text = run(folders, "--protocol", "promptir@1", capsys=capsys)
    assert code == 1
    assert "0 of 4 (incomplete)" in text
    assert "not scored: 0.png: no restored image for it" in text
    assert "not scored: 1.npy: restored/1.npy: not a plain numpy array" in text
    assert "not scored: 2.npy: restored image of 10x10 pixels" in text
    assert "not scored: stray.npy: no clean image for it" in text


def test_nan_is_that_images_problem(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    write_image(folders[0] / "1.npy", np.full((75, 91, 3), np.nan, np.float32), "npy")
    data = as_json(folders, "--protocol", "promptir@1", capsys=capsys)
    assert "not finite" in data["images"][1]["problem"]
    assert data["protocols"][0]["psnr"] is None
    assert data["protocols"][0]["images"] == 2


def test_two_restored_images_of_one_name_are_not_chosen_between(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(folders[1] / "0.png", folders[0] / "0.png")
    code, text = run(folders, "--protocol", "promptir@1", capsys=capsys)
    assert code == 1
    assert text.count("0.npy and 0.png are restored images of one name") == 2


@pytest.mark.parametrize("protocol", list_protocols())
@pytest.mark.parametrize("kind", ["npy", "png8", "png16"])
def test_exact_images_are_counted_and_left_out_of_the_mean(
    protocol: str, kind: Any, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (folders[0] / "0.npy").unlink()
    name = f"0.{'npy' if kind == 'npy' else 'png'}"
    write_image(folders[0] / name, (photograph(0) / 255).astype(np.float32), kind)
    data = as_json(folders, "--protocol", protocol, capsys=capsys)
    assert data["images"][0]["scores"][protocol]["psnr"] == "inf"
    row = data["protocols"][0]
    finite = [image["scores"][protocol]["psnr"] for image in data["images"][1:]]
    assert (row["infinite"], row["psnr"]) == (1, pytest.approx(math.fsum(finite) / 2))
    assert row["psnr"] < 40
    assert "restored exactly" in run(folders, "--protocol", protocol, capsys=capsys)[1]


def test_lpips_from_given_weights(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    weights = str(alexnet_file(tmp_path))
    data = as_json(folders, "--protocol", "promptir@1", "--lpips-weights", weights, capsys=capsys)
    assert data["protocols"][0]["lpips_backbone"] == "alex"
    assert data["protocols"][0]["lpips"] > 0
    assert len(data["lpips_weights"]["alex"]) == 64
    with pytest.raises(UserError, match="--lpips-weights is for one backbone"):
        run(folders, "--protocol", "all", "--lpips-weights", weights, capsys=capsys)
    with pytest.raises(UserError, match="no AlexNet weights"):
        run(folders, "--protocol", "promptir@1", "--metrics", "psnr,lpips", capsys=capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("--protocol", "promptr@1"), "promptir@1"), (("--protocol", ","), "give one or several")],
)
def test_unknown_protocols_are_the_users_mistake(
    arguments: tuple[str, ...], message: str, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=message):
        run(folders, *arguments, capsys=capsys)


def test_a_folder_without_images_is_the_users_mistake(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no images"):
        run((tmp_path / "empty", folders[1]), "--protocol", "all", capsys=capsys)
    with pytest.raises(UserError, match="No such file"):
        run((tmp_path / "absent", folders[1]), "--protocol", "all", capsys=capsys)
