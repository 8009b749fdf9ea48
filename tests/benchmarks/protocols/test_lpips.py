"""LPIPS: the package's own value, from weights that are on this machine, and one clear line where they are not."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import socket
import warnings
from pathlib import Path
from typing import Any

import lpips as package
import pytest
import torch

from restorebench.benchmarks.commands.main import main
from restorebench.benchmarks.errors import UserError
from restorebench.benchmarks.protocols import lpips as lpips_module
from restorebench.benchmarks.protocols.catalogue import get_protocol
from restorebench.benchmarks.protocols.lpips import ORIGINS, Lpips, choose_lpips, find_weights, lpips_notice

from ..lpips_weights import alexnet_file


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch's cache, empty, and no network: whoever opens a connection fails."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


def loaded(path: Path) -> Lpips:
    choice = choose_lpips(["lpips"], str(path), "alex")
    assert choice is not None
    return Lpips(choice)


def images(height: int = 64, width: int = 80) -> tuple[torch.Tensor, torch.Tensor]:
    """Restored in [0, 1] float32 and clean uint8, (3, H, W)."""
    generator = torch.Generator().manual_seed(0)
    clean = torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)
    return (clean / 255 + 0.1 * torch.randn(clean.shape, generator=generator)), clean


def test_the_value_is_the_packages_own(cache: Path) -> None:
    path = alexnet_file(cache)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = package.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    state = torch.load(path, weights_only=True)
    theirs.net.load_state_dict({key: state[f"features.{key.split('.', 1)[1]}"] for key in theirs.net.state_dict()})
    restored, clean = images()
    x, y = restored.clamp(0, 1)[None], clean[None] / 255
    with torch.no_grad():
        expected = theirs(x, y, normalize=True).item()
    scores = get_protocol("promptir@1").score(restored, clean, loaded(path))
    assert scores.lpips == pytest.approx(expected, rel=1e-5)
    assert expected > 0
    assert get_protocol("promptir@1").score(restored, clean).lpips != scores.lpips


@pytest.mark.slow
def test_other_weights_give_other_values_and_labels(cache: Path, tmp_path: Path) -> None:
    one, two = loaded(alexnet_file(cache)), loaded(alexnet_file(tmp_path, seed=1))
    restored, clean = images()
    x, y = restored.clamp(0, 1), clean / 255
    assert one(x, y) != two(x, y)
    assert one(y, y) == 0
    assert one.label.startswith("alex-")
    assert one.label != two.label


def test_torchs_cache_is_found_and_the_global_generator_left_alone(cache: Path) -> None:
    path = alexnet_file(cache)
    choice = choose_lpips("auto", None, "alex")
    assert choice is not None
    assert (choice.path, choice.notice) == (path, "")
    before = torch.random.get_rng_state()
    Lpips(choice)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_absent_weights_are_one_line_unless_lpips_was_asked_for(cache: Path) -> None:
    choice = choose_lpips("auto", None, "alex")
    assert choice is not None
    assert choice.path is None
    assert choice.notice.startswith(
        "lpips_alex will be n/a: no AlexNet weights on this machine; `bench data fetch lpips`"
    )
    assert "\n" not in choice.notice
    with pytest.raises(UserError, match=r"metrics=\[lpips\]: no VGG-16 weights .* or give lpips.weights=PATH"):
        choose_lpips(["psnr", "lpips"], None, "vgg")
    assert choose_lpips(["psnr", "ssim"], None, "alex") is None


@pytest.mark.parametrize("metrics", ["lpip", ["ssim", "lpps"], [], 3])
def test_unknown_metrics_are_refused(metrics: object) -> None:
    with pytest.raises(UserError, match="use auto"):
        choose_lpips(metrics, None, "alex")


@pytest.mark.slow
def test_weights_of_something_else_are_refused(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file"):
        find_weights("alex", str(tmp_path / "none.pth"))
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"no features\.0\.weight, so not torchvision's AlexNet"):
        loaded(tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(UserError, match="cannot be read as weights of AlexNet"):
        loaded(tmp_path / "text.pth")
    wrong = torch.load(alexnet_file(cache), weights_only=True)
    wrong["features.0.weight"] = torch.zeros(1)
    torch.save(wrong, tmp_path / "wrong.pth")
    with pytest.raises(UserError, match="not torchvision's AlexNet: size mismatch"):
        loaded(tmp_path / "wrong.pth")


def test_an_image_too_small_for_the_backbone_has_no_lpips(cache: Path) -> None:
    restored, clean = images(16, 48)
    assert math.isnan(loaded(alexnet_file(cache))(restored, clean / 255))


def test_protocols_name_their_backbone() -> None:
    assert get_protocol("moceir@1").lpips_backbone == "vgg"
    assert get_protocol("promptir@1").lpips_backbone == "alex"


def test_several_backbones_that_are_lacking_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    choices = [choose_lpips("auto", None, name) for name in ("alex", "vgg", "alex")]
    line = lpips_notice([*choices, None])
    assert line.startswith("lpips_alex and lpips_vgg will be n/a: no AlexNet and VGG-16 weights")
    assert line.count("bench data fetch lpips") == 1
    assert lpips_notice([None]) == ""


def offered(folder: Path, monkeypatch: pytest.MonkeyPatch, *, damaged: bool) -> None:
    """A site that offers two small files, whose names begin their hash as PyTorch's do."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(folder / "hub"))
    monkeypatch.setattr(lpips_module, "SITE", f"file://{folder}")
    for name, origin in ORIGINS.items():
        content = name.encode()
        file = f"{origin.file.rpartition('-')[0]}-{hashlib.sha256(content).hexdigest()[:8]}.pth"
        monkeypatch.setitem(ORIGINS, name, dataclasses.replace(origin, file=file))
        (folder / file).write_bytes(b"something else" if damaged else content)


def test_the_backbones_are_fetched_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offered(tmp_path, monkeypatch, damaged=False)
    assert main(["data", "fetch", "lpips"]) == 0
    assert capsys.readouterr().out.count("downloaded") == 2
    path = find_weights("alex", None)
    assert path is not None
    assert path.read_bytes() == b"alex"
    assert main(["data", "fetch", "lpips"]) == 0
    assert capsys.readouterr().out.count("is there") == 2


def test_another_file_than_the_name_says_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offered(tmp_path, monkeypatch, damaged=True)
    assert main(["data", "fetch", "lpips"]) == 2
    assert "by hand" in capsys.readouterr().err
    assert find_weights("alex", None) is None
