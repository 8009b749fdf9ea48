"""``restorebench.restore``: every kind of picture comes back as it was given, whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import restorebench
from restorebench import DataError, ModelError, RestorationError, UserError
from restorebench.benchmarks.commands import main as cli

from ..benchmarks.photographs.files import PROFILE, exif, png_16
from .networks import Blend, Scaled

PIXELS: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (37, 51, 3), dtype=np.uint8)
"""No side is a multiple of anything: a protocol's crop would show."""


def blended(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What `Blend` makes of an image (H, W, 3), by itself."""
    x = torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]
    with torch.inference_mode():
        restored = Blend().eval()(x)[0].clamp(0, 1).permute(1, 2, 0)
    return np.asarray(restored)


def test_a_uint8_array_comes_back_rounded() -> None:
    restored = restorebench.restore(Blend(), PIXELS)
    assert restored.dtype == np.uint8
    assert np.array_equal(restored, np.rint(blended(PIXELS) * 255).astype(np.uint8))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_floating_array_keeps_dtype_and_values(dtype: Any) -> None:
    given = (PIXELS / 255).astype(dtype)
    restored = restorebench.restore(Blend(), given)
    assert restored.dtype == dtype
    assert restored.shape == PIXELS.shape
    assert np.abs(restored.astype(np.float64) - blended(PIXELS)).max() < (1e-3 if dtype is np.float16 else 1e-6)


def test_a_grey_array_stays_grey() -> None:
    grey = PIXELS[..., 0]
    restored = restorebench.restore("identity", grey)
    assert restored.shape == grey.shape
    assert np.array_equal(restored, grey)


def test_a_tensor_keeps_shape_dtype_and_freedom_of_gradients() -> None:
    image = torch.from_numpy(PIXELS.astype(np.float32) / 255).permute(2, 0, 1)
    restored = restorebench.restore(Blend(), image)
    assert torch.allclose(restored.permute(1, 2, 0), torch.from_numpy(blended(PIXELS)), atol=1e-6)
    batch = restorebench.restore(Blend(), torch.stack([image, image.flip(-1)]))
    assert batch.shape == (2, *image.shape)
    assert torch.allclose(batch[0], restored, atol=1e-6)
    assert restorebench.restore(Blend(), image.double()).dtype == torch.float64
    eight = restorebench.restore("identity", torch.from_numpy(PIXELS).permute(2, 0, 1))
    assert eight.dtype == torch.uint8
    assert torch.equal(eight, torch.from_numpy(PIXELS).permute(2, 0, 1))
    (restored.requires_grad_() * 2).sum().backward()  # no tensor of inference mode, which could not


def test_a_pil_image_and_a_path_come_back_as_pil_images(tmp_path: Path) -> None:
    image = Image.fromarray(PIXELS)
    image.save(tmp_path / "a.png", icc_profile=b"a profile", dpi=(300, 300))
    expected = np.rint(blended(PIXELS) * 255).astype(np.uint8)
    for given in (image, tmp_path / "a.png", str(tmp_path / "a.png")):
        restored = restorebench.restore(Blend(), given)
        assert isinstance(restored, Image.Image)
        assert restored.mode == "RGB"
        assert np.array_equal(np.array(restored), expected)
    assert restorebench.restore(Blend(), tmp_path / "a.png").info["icc_profile"] == b"a profile"


def test_a_grey_picture_stays_grey(tmp_path: Path) -> None:
    image = Image.fromarray(PIXELS[..., 0])
    image.save(tmp_path / "grey.png")
    for given in (image, tmp_path / "grey.png"):
        restored = restorebench.restore("identity", given)
        assert restored.mode == "L"
        assert np.array_equal(np.array(restored), PIXELS[..., 0])


def test_values_are_clipped_to_the_unit_range() -> None:
    assert restorebench.restore(Scaled(3.0), PIXELS / 255).max() == 1
    assert restorebench.restore(Scaled(-1.0), PIXELS / 255).min() == 0


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (37, 51)])
def test_a_registered_name_takes_any_size(size: tuple[int, int]) -> None:
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    restored = restorebench.restore("rbair", image, variant="tiny", device="cpu")
    assert restored.shape == image.shape
    restorer = restorebench.create_model("rbair", variant="tiny")
    assert torch.equal(restored, restorebench.restore(restorer, image, device="cpu"))


def test_tiles_cover_the_picture() -> None:
    image = torch.rand(3, 150, 170, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(restorebench.restore("identity", image, tile=64), image, atol=1e-6)


def test_a_network_is_left_in_its_training_mode() -> None:
    network = Blend().train()
    restorebench.restore(network, PIXELS)
    assert network.training
    assert network.dropout.training


@pytest.mark.parametrize(("mode", "message"), [("F", "mode F"), ("CMYK", "CMYK"), ("RGBa", "mode RGBa")])
def test_what_cannot_be_kept_is_refused_in_one_line(mode: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        restorebench.restore("identity", Image.new(mode, (8, 8)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("mode", "channels"), [("RGBA", 4), ("LA", 2)])
def test_alpha_passes_through_unchanged(mode: str, channels: int, tmp_path: Path) -> None:
    samples = np.random.default_rng(1).integers(0, 256, (21, 33, channels), dtype=np.uint8)
    image = Image.fromarray(samples)
    image.save(tmp_path / "a.png")
    for given in (image, tmp_path / "a.png"):
        restored = restorebench.restore(Scaled(0.5), given)
        assert restored.mode == mode
        assert np.array_equal(np.array(restored)[..., -1], samples[..., -1])
        assert np.abs(np.array(restored)[..., :-1] - samples[..., :-1] * 0.5).max() <= 0.5


def test_an_array_keeps_its_alpha_bit_by_bit() -> None:
    given = np.random.default_rng(1).random((21, 33, 4))
    restored = restorebench.restore(Scaled(0.5), given)
    assert np.array_equal(restored[..., 3], given[..., 3])
    assert np.abs(restored[..., :3] - given[..., :3] * 0.5).max() < 1e-6


def test_16_bits_stay_16_bits(tmp_path: Path) -> None:
    deep = np.random.default_rng(1).integers(0, 65536, (21, 33, 3), dtype=np.uint16)
    assert np.array_equal(restorebench.restore("identity", deep), deep)
    half = restorebench.restore(Scaled(0.5), deep)
    assert half.dtype == np.uint16
    assert np.abs(half - deep * 0.5).max() <= 0.51
    grey = Image.fromarray(deep[..., 0])
    grey.save(tmp_path / "grey.png")
    for given in (grey, tmp_path / "grey.png"):
        restored = restorebench.restore("identity", given)
        assert restored.mode.startswith("I;16")
        assert np.array_equal(np.array(restored), deep[..., 0])
    (tmp_path / "deep.png").write_bytes(png_16(deep))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no PIL image can hold; output= writes a file"):
        restorebench.restore("identity", tmp_path / "deep.png")
    (file,) = restorebench.restore("identity", tmp_path / "deep.png", output=tmp_path / "out.tif")
    assert np.array_equal(tifffile.imread(file.path), deep)


def test_a_file_comes_back_upright_with_what_it_carries(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png", exif=exif(6).tobytes(), icc_profile=PROFILE)
    restored = restorebench.restore("identity", tmp_path / "a.png")
    assert np.array_equal(np.array(restored), PIXELS[::-1].swapaxes(0, 1))
    restored.save(tmp_path / "b.png", exif=restored.info["exif"], icc_profile=restored.info["icc_profile"])
    with Image.open(tmp_path / "b.png") as image:
        assert (image.getexif()[0x0112], image.getexif()[0x010F]) == (1, "Camera Works")
        assert image.info["icc_profile"] == PROFILE


def test_files_that_cannot_be_kept_are_refused_by_name(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8)).save(tmp_path / "print.jpg")
    Image.new("L", (8, 8)).save(tmp_path / "moving.gif", save_all=True, append_images=[Image.new("L", (8, 8), 9)])
    for name, message in (("print.jpg", "CMYK"), ("moving.gif", "animated"), ("none.png", "cannot be read")):
        with pytest.raises(DataError, match=f"{name}: .*{message}"):
            restorebench.restore("identity", tmp_path / name)
    with Image.open(tmp_path / "moving.gif") as image, pytest.raises(UserError, match="animated"):
        restorebench.restore("identity", image)


def test_files_and_folders_are_written_as_bench_restore_writes_them(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "in").mkdir(parents=True)
    for place in (folder / "a.jpg", folder / "in" / "b.png"):
        Image.fromarray(PIXELS).save(place)
    (folder / "in" / "bad.png").write_bytes(b"no image")
    files = restorebench.restore(Blend(), folder, output=tmp_path / "python", recursive=True, file_format="png")
    assert [(file.source.name, file.status) for file in files] == [
        *(("a.jpg", "restored"), ("b.png", "restored"), ("bad.png", "failed"))
    ]
    assert "bad.png" in files[2].message
    again = restorebench.restore(Blend(), folder, output=tmp_path / "python", recursive=True, file_format="png")
    assert [file.status for file in again] == ["there already", "there already", "failed"]
    made = np.array(Image.open(tmp_path / "python" / "in" / "b.png"))
    assert np.array_equal(made, restorebench.restore(Blend(), PIXELS))
    words = ["restore", str(folder), "--model", "rbair", "--recursive", "--output", str(tmp_path / "command")]
    assert cli.main(words) == 1
    restorebench.restore("rbair", folder, output=tmp_path / "python", recursive=True, overwrite=True)
    for name in ("a.jpg", "in/b.png"):
        assert (tmp_path / "python" / name).read_bytes() == (tmp_path / "command" / name).read_bytes()


def test_mistakes_with_output_are_one_line(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    (tmp_path / "text").write_text("none")
    mistakes: list[tuple[Any, dict[str, Any], str]] = [
        (tmp_path, {}, "output= names"),
        (PIXELS, {"output": tmp_path / "b.png"}, "goes with the path"),
        (tmp_path / "a.png", {"output": tmp_path / "a.png"}, "over itself"),
        (tmp_path / "a.png", {"output": tmp_path}, "over the input"),
        (tmp_path / "a.png", {"output": tmp_path / "text"}, "is a file"),
        (tmp_path / "none.png", {"output": tmp_path / "b.png"}, "no file, folder or pattern"),
        (tmp_path / "a.png", {"output": tmp_path / "c", "file_format": "pgn"}, "did you mean 'png'"),
        (tmp_path / "a.png", {"tile": 7}, "tile"),
        (tmp_path / "a.png", {"tile": "some"}, "tile"),
    ]
    for image, options, message in mistakes:
        with pytest.raises(UserError, match=message) as error:
            restorebench.restore("identity", image, **options)
        assert "\n" not in str(error.value)


def test_large_pictures_go_in_tiles_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("restorebench.benchmarks.photographs.restoring.CPU_BYTES", 20 * 2**20)
    sizes: list[int] = []

    class Watched(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            sizes.append(x.shape[-1])
            return x + 0 * x.new_zeros(1, 60, *x.shape[-2:])[:, :3]

    image = np.random.default_rng(0).integers(0, 256, (300, 500, 3), dtype=np.uint8)
    network = Watched()
    assert np.array_equal(restorebench.restore(network, image, device="cpu"), image)
    assert max(sizes) < 500
    sizes.clear()
    restorebench.restore(network, image, device="cpu", tile="none")
    assert sizes == [500]
    restorebench.restore(network, image, device="cpu")
    assert 128 not in sizes[1:]  # it was probed once


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (PIXELS.astype(np.float32), "up to 255; the scale is"),
        (PIXELS.astype(np.int32), "dtype int32"),
        (PIXELS[..., :2], "shape"),
        (np.full((8, 8, 3), np.nan), "not finite"),
        (torch.zeros(1, 8, 8), "shape"),
        (torch.zeros(3, 8, 8, dtype=torch.int64), "dtype torch.int64"),
        (np.zeros((0, 8, 3), np.uint8), "shape"),
        ([[1, 2]], "a list; give a path"),
    ],
)
def test_what_is_no_picture_is_refused(image: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        restorebench.restore("identity", image)


def test_a_networks_fault_is_said() -> None:
    class Halved(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[..., ::2]

    with pytest.raises(RestorationError, match="not finite"):
        restorebench.restore(Scaled(float("nan")), PIXELS)
    with pytest.raises(ModelError, match="gave shape"):
        restorebench.restore(Halved(), PIXELS)


def test_variant_and_weights_are_of_names_only() -> None:
    with pytest.raises(UserError, match="go with the name"):
        restorebench.restore(Blend(), PIXELS, variant="tiny")
    with pytest.raises(UserError, match="dim= go with the name"):
        restorebench.restore(Blend(), PIXELS, dim=8)
    with pytest.raises(ModelError, match="unknown variant of rbair 'huge'"):
        restorebench.restore("rbair", PIXELS, variant="huge")


def test_constructor_arguments_go_to_the_network() -> None:
    restored = restorebench.restore("rbair", PIXELS[:16, :16], weights="none", variant="tiny", heads=(1, 1, 1, 1))
    assert restored.shape == (16, 16, 3)
    with pytest.raises(ModelError, match="headz"):
        restorebench.restore("rbair", PIXELS, weights="none", variant="tiny", headz=1)
