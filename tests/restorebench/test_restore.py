"""``restorebench.restore``: every kind of picture comes back as it was given, whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import restorebench
from restorebench import DataError, ModelError, RestorationError, UserError

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


@pytest.mark.parametrize(
    ("mode", "message"), [("RGBA", "alpha"), ("LA", "alpha"), ("I;16", "mode I;16"), ("F", "mode F"), ("CMYK", "CMYK")]
)
def test_what_cannot_be_kept_is_refused_in_one_line(mode: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        restorebench.restore("identity", Image.new(mode, (8, 8)))
    assert "\n" not in str(error.value)


def test_files_that_cannot_be_kept_are_refused_by_name(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8)).save(tmp_path / "alpha.png")
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(tmp_path / "deep.png")
    for name, message in (("alpha.png", "alpha"), ("deep.png", "16 bits"), ("none.png", "cannot be read")):
        with pytest.raises(DataError, match=f"{name}: .*{message}"):
            restorebench.restore("identity", tmp_path / name)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (PIXELS.astype(np.float32), "up to 255; the scale is"),
        (PIXELS.astype(np.uint16), "dtype uint16"),
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
    with pytest.raises(ModelError, match="unknown variant of rbair 'huge'"):
        restorebench.restore("rbair", PIXELS, variant="huge")
