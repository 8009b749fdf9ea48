"""`bench restore` from its words to its files: what comes out, what stays, what is refused, and the exit codes."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import tifffile
import torch
from PIL import Image, PngImagePlugin
from torch import Tensor, nn

from restorebench.benchmarks.commands import main as cli
from restorebench.benchmarks.photographs.pictures import GAP, WIDTH
from restorebench.benchmarks.photographs.reading import read_photograph
from restorebench.models import register
from restorebench.models.card import ModelCard, Tiling, Variant
from restorebench.models.registry import unregister

from ..command_line import bench
from ..photographs.files import PROFILE, bomb, exif, noise, pixels, png_16


def restore(*words: object, code: int = 0) -> None:
    """Run the command in this process, and look at its exit code."""
    assert cli.main(["restore", *map(str, words)]) == code


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Paths in the tests are short, and lie in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def photograph(path: str, height: int = 32, width: int = 48, **more: Any) -> Path:
    """A file with noise in it."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(height, width, 3)).save(file, **more)
    return file


@contextlib.contextmanager
def network(name: str, module: type[nn.Module], **facts: Any) -> Iterator[None]:
    card = ModelCard(
        name=name,
        title=name.title(),
        variants={"only": Variant()},
        paper="",
        url="",
        year=2026,
        code_licence="",
        **facts,
    )
    register(card)(module)
    try:
        yield
    finally:
        unregister(name)


class Darker(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 0.5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_in_the_pixels_and_1_in_the_exif_and_the_rest_is_carried_on(orientation: int) -> None:
    photograph("a.png", exif=exif(orientation).tobytes(), icc_profile=PROFILE, dpi=(300, 300))
    restore("a.png", "--model", "identity")
    stored = noise(32, 48, 3)
    turned = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.swapaxes(0, 1),
        6: stored.swapaxes(0, 1)[:, ::-1],
        7: stored[::-1, ::-1].swapaxes(0, 1),
        8: stored.swapaxes(0, 1)[::-1],
    }[orientation]
    assert np.array_equal(pixels(Path("restored/a.png")), turned)
    with Image.open("restored/a.png") as image:
        tags = image.getexif()
        assert tags[0x0112] == 1
        assert tags[0x010F] == "Camera Works"
        inner = tags.get_ifd(0x8769)
        assert (inner[0x9003], float(inner[0x829A])) == ("2024:05:06 07:08:09", 0.004)
        assert (inner[0xA002], inner[0xA003]) == image.size
        assert tags.get_ifd(0x8825)[1] == "N"
        assert image.info["icc_profile"] == PROFILE
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_every_format_keeps_profile_exif_and_xmp(suffix: str) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><d tiff:Orientation="6"/></x:xmpmeta>'
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", xmp.decode())
    # Pillow takes XMP by another word for each format.
    tags = exif(6)
    if suffix == ".tif":
        tags[700] = xmp
    packet: dict[str, Any] = {".png": {"pnginfo": texts}, ".tif": {}}.get(suffix, {"xmp": xmp})
    photograph(f"a{suffix}", exif=tags.tobytes(), icc_profile=PROFILE, **packet)
    restore(f"a{suffix}", "--model", "identity")
    with Image.open(f"restored/a{suffix}") as image:
        assert image.size == (32, 48)
        tags = image.getexif()
        assert (tags[0x0112], tags[0x010F]) == (1, "Camera Works")
        assert tags.get_ifd(0x8769)[0x9003] == "2024:05:06 07:08:09"
        assert dict(tags.get_ifd(0x8825)) == {1: "N", 2: (48.0, 51.0, 29.6)}
        assert image.info["icc_profile"] == PROFILE
        kept = image.info["xmp"]
        assert (kept.encode() if isinstance(kept, str) else kept) == xmp.replace(b'"6"', b'"1"')


@pytest.mark.parametrize(("mode", "channels"), [("RGBA", 4), ("LA", 2)])
def test_alpha_passes_through_unchanged(mode: str, channels: int) -> None:
    samples = noise(20, 30, channels)
    Image.fromarray(samples).save("a.png")
    with network("darker", Darker):
        restore("a.png", "--model", "darker", "--weights", "none")
        restore("a.png", "--model", "darker", "--weights", "none", "--format", "tif")
    for name in ("restored/a.png", "restored/a.tif"):
        with Image.open(name) as image:
            assert image.mode == mode
        result = pixels(Path(name))
        assert np.array_equal(result[:, :, -1], samples[:, :, -1])
        assert np.abs(result[:, :, :-1] - samples[:, :, :-1] * 0.5).max() <= 0.501


def test_a_palette_with_transparency_becomes_colours_with_alpha() -> None:
    image = Image.fromarray(noise(20, 30, 3)).quantize(16)
    image.save("a.png", transparency=bytes(range(0, 256, 16)))
    with Image.open("a.png") as stored:
        expected = np.asarray(stored.convert("RGBA"))
    restore("a.png", "--model", "identity")
    assert np.array_equal(pixels(Path("restored/a.png")), expected)
    assert len(np.unique(expected[:, :, 3])) == 16


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_stay_16_bits_exactly(channels: int) -> None:
    samples: Any = noise(40, 33, channels, np.uint16)
    Path("a.png").write_bytes(png_16(samples))
    restore("a.png", "--model", "identity")
    restore("a.png", "--model", "identity", "--format", "tif")
    assert np.array_equal(read_photograph(Path("restored/a.png")).interleaved(), samples)
    assert np.array_equal(tifffile.imread("restored/a.tif").reshape(samples.shape), samples)
    tifffile.imwrite("b.tif", samples[:, :, 0] if channels < 3 else samples[:, :, :3])
    restore("b.tif", "--model", "identity")
    assert np.array_equal(tifffile.imread("restored/b.tif"), tifffile.imread("b.tif"))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_grey_stays_grey(suffix: str) -> None:
    Image.fromarray(skimage.data.camera()[100:164, 100:190]).save(f"a{suffix}", quality=95)
    with Image.open(f"a{suffix}") as image:
        stored = np.asarray(image).astype(int)
    restore(f"a{suffix}", "--model", "identity")
    with Image.open(f"restored/a{suffix}") as image:
        assert image.mode == "L"
        assert np.abs(np.asarray(image).astype(int) - stored).max() <= (6 if suffix == ".jpg" else 0)


@pytest.mark.parametrize(
    ("wanted", "kind", "name"),
    [("png", "PNG", "a.png"), ("jpg", "JPEG", "a.jpeg"), ("tif", "TIFF", "a.tif"), ("webp", "WEBP", "a.webp")],
)
def test_the_format_is_the_one_chosen(wanted: str, kind: str, name: str) -> None:
    photograph("a.jpeg", quality=95)
    restore("a.jpeg", "--model", "identity", "--format", wanted)
    with Image.open(Path("restored") / name) as image:
        assert image.format == kind
        if kind != "JPEG":
            assert np.array_equal(np.asarray(image), pixels(Path("a.jpeg")))


def test_jpeg_is_written_with_all_its_colour() -> None:
    photograph("a.png")
    restore("a.png", "--model", "identity", "--format", "jpg")
    with Image.open("restored/a.jpg") as image:
        assert {layer[1:3] for layer in image.layer} == {(1, 1)}  # type: ignore[attr-defined]
        assert image.quantization[0][0] <= 2  # type: ignore[attr-defined]


def test_what_a_format_cannot_hold_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(noise(20, 30, 4)).save("clear.png")
    Path("deep.png").write_bytes(png_16(noise(20, 30, 3, np.uint16)))  # type: ignore[arg-type]
    restore("clear.png", "deep.png", "--model", "identity", "--format", "jpg", code=1)
    output = capsys.readouterr()
    assert "clear.jpg: JPEG cannot hold transparency" in output.err
    assert "16 bits rounded to the 8 of JPEG" in output.out
    assert sorted(path.name for path in Path("restored").iterdir()) == ["deep.jpg"]


def test_a_gif_of_one_picture_becomes_png_and_a_bmp_stays_one() -> None:
    photograph("a.gif")
    photograph("b.bmp")
    restore("a.gif", "b.bmp", "--model", "identity")
    with Image.open("a.gif") as image:
        assert np.array_equal(pixels(Path("restored/a.png")), np.asarray(image.convert("RGB")))
    assert np.array_equal(pixels(Path("restored/b.bmp")), pixels(Path("b.bmp")))


def test_broken_files_are_a_line_each_and_the_rest_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    photograph("photos/good.png")
    Path("photos/text.png").write_text("none")
    Image.new("CMYK", (8, 8)).save("photos/print.jpg")
    frames = [Image.fromarray(noise(8, 8, 3)), Image.fromarray(noise(8, 9, 3)).resize((8, 8))]
    frames[0].save("photos/moving.gif", save_all=True, append_images=frames[1:])
    os.mkfifo("photos/pipe.png")
    bomb(Path("photos/bomb.png"), 13_000)
    cut = photograph("photos/cut.png").read_bytes()
    Path("photos/cut.png").write_bytes(cut[: len(cut) // 2])
    restore("photos", "--model", "identity", code=1)
    output = capsys.readouterr()
    lines = [line for line in output.err.splitlines() if line.startswith("bench: not restored: ")]
    assert [Path(line.split(": ")[2]).name for line in lines] == [
        *("bomb.png", "cut.png", "moving.gif", "pipe.png", "print.jpg", "text.png")
    ]
    assert "1 restored, 6 failed" in output.out
    assert [path.name for path in Path("photos/restored").iterdir()] == ["good.png"]


def test_a_network_that_fails_on_one_file_does_not_end_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    class Narrow(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if x.shape[-1] > 50:
                raise RuntimeError("the size of tensor a (60) must match\nand more")
            return x

    photograph("set/a.png", 30, 60)
    photograph("set/b.png", 30, 40)
    with network("narrow", Narrow):
        restore("set", "--model", "narrow", "--weights", "none", code=1)
    output = capsys.readouterr()
    assert "bench: not restored: set/a.png: RuntimeError: the size of tensor a (60) must match" in output.err
    assert "1 restored, 1 failed" in output.out


def test_a_network_that_gives_no_image_is_a_failure_of_that_file(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x / (x.mean() - x.mean())

    photograph("a.png")
    with network("broken", Broken):
        restore("a.png", "--model", "broken", "--weights", "none", code=1)
    assert "a.png: the network gave values that are no numbers" in capsys.readouterr().err
    assert not Path("restored").exists()


def test_folders_are_walked_on_request_and_keep_their_structure(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("top.png", "one/a.jpg", "one/two/b.png", ".hidden/c.png", "@eaDir/d.png", "one/restored/old.png"):
        photograph(f"photos/{name}")
    Path("photos/Thumbs.db").write_bytes(b"x")
    Path("photos/raw.CR2").write_bytes(b"x")
    restore("photos", "--model", "identity")
    assert "1 .cr2" in capsys.readouterr().out
    made = sorted(str(path.relative_to("photos/restored")) for path in Path("photos/restored").rglob("*.*"))
    assert made == ["top.png"]
    restore("photos", "--model", "identity", "--recursive", "--output", "photos/better", "--format", "png")
    made = sorted(str(path.relative_to("photos/better")) for path in Path("photos/better").rglob("*.*"))
    assert made == ["one/a.png", "one/restored/old.png", "one/two/b.png", "restored/top.png", "top.png"]


def test_the_default_output_is_no_input_of_the_next_run(capsys: pytest.CaptureFixture[str]) -> None:
    photograph("photos/a.png")
    photograph("photos/in/b.png")
    for _ in range(2):
        restore("photos", "--model", "identity", "--recursive")
    assert "2 there already" in capsys.readouterr().out
    assert sorted(path.name for path in Path("photos/restored").rglob("*.png")) == ["a.png", "b.png"]


def test_patterns_are_expanded_and_keep_their_structure() -> None:
    for name in ("x/a.png", "y/a.png", "y/b.jpg"):
        photograph(f"set/{name}")
    Path("set/x/notes.txt").write_text("none")
    restore("set/*/a.*", "--model", "identity", "--output", "out")
    assert sorted(str(path) for path in Path("out").rglob("*.*")) == ["out/x/a.png", "out/y/a.png"]
    restore("set/**/*", "--model", "identity")
    assert sorted(str(path) for path in Path("set/restored").rglob("*.*")) == [
        *("set/restored/x/a.png", "set/restored/y/a.png", "set/restored/y/b.jpg")
    ]


@pytest.mark.parametrize("name", ["with space.png", "照片 一.png", "a[1].png", "-dash.png", "100%.png", "é.PNG"])
def test_any_name_is_kept(name: str) -> None:
    photograph(name)
    restore("--model", "identity", "--", name)
    assert np.array_equal(pixels(Path("restored") / name), noise(32, 48, 3))


def test_existing_files_stay_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    photograph("a.png")
    photograph("restored/a.png", 8, 8)
    restore("a.png", "--model", "identity")
    assert "restored/a.png: there already, left alone" in capsys.readouterr().out
    assert pixels(Path("restored/a.png")).shape == (8, 8, 3)
    restore("a.png", "--model", "identity", "--overwrite")
    assert pixels(Path("restored/a.png")).shape == (32, 48, 3)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("a.png",), "which restorer?"),
        (("a.png", "--model", "identiti"), "identity"),
        (("none.png", "--model", "identity"), "no file, folder or pattern 'none.png'"),
        (("*.webp", "--model", "identity"), "no photographs"),
        (("empty", "--model", "identity"), "no photographs"),
        (("a.png", "a.jpg", "--model", "identity", "--format", "png"), "would both be written to"),
        (("a.png", "other/a.png", "--model", "identity", "--output", "out"), "would both be written to"),
        (("a.png", "--model", "identity", "--output", "."), "would be written over the input a.png"),
        (("a.png", "--model", "identity", "--output", "a.jpg"), "is a file"),
        (("a.png", "--model", "identity", "--tile", "7"), "--tile"),
        (("a.png", "--model", "identity", "--max-pixels", "many"), "--max-pixels"),
        (("a.png", "--model", "identity", "--device", "gpu"), "unknown device"),
        (("a.png", "--model", "identity", "--dtype", "float64"), "unknown dtype"),
        (("a.png", "--model", "identity", "--formt", "png"), "--formt"),
        (("a.png", "--compare", "--strip", "identity"), "add --model"),
        (("--model", "identity"), "INPUT"),
    ],
)
def test_a_mistake_in_the_command_is_one_line_and_nothing_is_written(
    words: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.png", "a.jpg", "other/a.png"):
        photograph(name)
    Path("empty").mkdir()
    before = sorted(Path().rglob("*"))
    restore(*words, code=2)
    output = capsys.readouterr()
    assert reason in output.err
    assert output.err.count("\n") == 1
    assert sorted(Path().rglob("*")) == before


def test_one_file_named_twice_is_restored_once(capsys: pytest.CaptureFixture[str]) -> None:
    photograph("a.png")
    restore("a.png", "./a.png", "*.png", "--model", "identity")
    assert "1 restored" in capsys.readouterr().out


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_tiles_of_the_identity_are_exact(kind: Any, capsys: pytest.CaptureFixture[str]) -> None:
    samples: Any = noise(150, 220, 3, kind)
    if kind is np.uint8:
        Image.fromarray(samples).save("a.png")
    else:
        Path("a.png").write_bytes(png_16(samples))
    restore("a.png", "--model", "identity", "--tile", "64")
    assert "tiles of at most 64" in capsys.readouterr().out
    assert np.array_equal(read_photograph(Path("restored/a.png")).pixels, samples)


def test_on_a_terminal_a_bar_counts_the_tiles_and_tells_the_time_that_is_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            time.sleep(0.06)
            return x

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    photograph("a.png", 150, 150)
    with network("slow", Slow):
        restore("a.png", "--model", "slow", "--weights", "none", "--tile", "64")
        shown = capsys.readouterr().err
        restore("a.png", "--model", "slow", "--weights", "none", "--tile", "64", "--overwrite", "--no-progress")
    assert re.search(r"a\.png slow: +\d+%.* \d/9 \[00:0\d<00:0\d", shown)
    assert "a.png slow" not in capsys.readouterr().err


def test_without_a_bar_a_long_photograph_gets_one_line_with_an_estimate(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(0, 10_000, 30))
    monkeypatch.setattr("restorebench.benchmarks.commands.restore.time.monotonic", lambda: next(seconds))
    photograph("a.png", 300, 300)
    restore("a.png", "--model", "identity", "--tile", "64", "--no-progress")
    # 36 tiles: 30 seconds passed over the four after the first, and 31 are left
    assert "a.png identity: 36 tiles, about 4 minutes left" in capsys.readouterr().err


def test_a_network_that_takes_no_tiles_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(2):
        photograph(f"set/{index}.png", 100, 100)
    with network("darker", Darker, tiling=Tiling(allowed=False, note="global statistics")):
        restore("set", "--model", "darker", "--weights", "none", "--tile", "64")
        restore("set", "--model", "darker", "--weights", "none", "--tile", "none", "--overwrite")
    error = capsys.readouterr().err
    assert error.count("Darker looks at the whole image (global statistics): large photographs go in tiles") == 1


@pytest.mark.parametrize(("height", "width"), [(40, 60), (100, 3000)])
def test_compare_shows_input_and_restored(height: int, width: int) -> None:
    Image.new("RGB", (width, height), (200, 100, 40)).save("a.png")
    with network("darker", Darker):
        restore("a.png", "--model", "darker", "--weights", "none", "--compare")
    picture = pixels(Path("restored/a.compare.png"))
    each = min(width, (WIDTH - GAP) // 2)
    assert picture.shape[1] == 2 * each + GAP <= WIDTH
    assert picture.shape[0] > round(height * each / width)
    assert picture[-2, 1].tolist() == [200, 100, 40]
    assert picture[-2, -2].tolist() == [100, 50, 20]


def test_strip_shows_all_and_needs_no_model() -> None:
    Image.new("L", (60, 40), 200).save("a.png", icc_profile=b"grey profile")
    with network("darker", Darker), network("darkest", Darker):
        restore("a.png", "--strip", "identity,darker,darkest", "--weights", "none")
    assert [path.name for path in Path("restored").iterdir()] == ["a.strip.png"]
    picture = pixels(Path("restored/a.strip.png"))
    assert picture.ndim == 2
    assert picture.shape[1] == 4 * 60 + 3 * GAP
    assert picture[-1, [1, 60 + GAP + 1, 2 * (60 + GAP) + 1, -1]].tolist() == [200, 200, 100, 100]


def test_a_missing_picture_is_made_without_touching_the_rest() -> None:
    photograph("a.png")
    restore("a.png", "--model", "identity")
    before = Path("restored/a.png").stat()
    restore("a.png", "--model", "identity", "--compare")
    assert Path("restored/a.compare.png").is_file()
    assert Path("restored/a.png").stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.slow
def test_the_console_script_restores_a_photograph_with_the_bundled_weights(tmp_path: Path) -> None:
    clean = skimage.data.chelsea()[60:156, 100:231]
    noisy = np.clip(clean + np.random.default_rng(0).normal(0, 25, clean.shape), 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save("cat.png")
    done = bench("restore", "cat.png", "--model", "kbnet", "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "cat.png -> restored/cat.png  131x96, whole" in done.stdout
    restored = pixels(Path("restored/cat.png")).astype(float)
    assert restored.shape == clean.shape
    error, before = (float(np.square(each - clean).mean()) for each in (restored, noisy.astype(float)))
    assert error < before / 2


def test_torch_is_left_as_it_was() -> None:
    before = torch.backends.cudnn.allow_tf32
    photograph("a.png")
    restore("a.png", "--model", "identity")
    assert torch.backends.cudnn.allow_tf32 == before
