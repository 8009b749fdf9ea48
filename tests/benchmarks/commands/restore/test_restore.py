"""`bench restore` from its words to its files: which are found, what is made and left, mistakes, bars and pictures."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch import Tensor, nn

from restorebench.benchmarks.photographs.pictures import GAP, WIDTH
from restorebench.benchmarks.photographs.reading import read_photograph
from restorebench.models.card import Tiling

from ...command_line import bench
from ...photographs.files import bomb, noise, pixels, png_16
from .restoring import Darker, network, photograph, restore


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Paths in the tests are short, and lie in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


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
    assert "a.png: the network gave values that are not finite" in capsys.readouterr().err
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
        (("a.png", "a.gif", "a.gif.png", "--model", "identity"), "would both be written to"),
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
    for name in ("a.png", "a.jpg", "a.gif", "a.gif.png", "other/a.png"):
        photograph(name)
    Path("empty").mkdir()
    before = sorted(Path().rglob("*"))
    restore(*words, code=2)
    output = capsys.readouterr()
    assert reason in output.err
    assert output.err.count("\n") == 1
    assert sorted(Path().rglob("*")) == before


def test_links_that_lead_elsewhere_are_not_written_through_unless_named(capsys: pytest.CaptureFixture[str]) -> None:
    photograph("photos/in/a.png")
    Path("elsewhere").mkdir()
    Path("photos/restored").symlink_to(Path("elsewhere").resolve())
    restore("photos", "--model", "identity", "--recursive", code=2)
    assert "photos/restored/in is a link, or lies behind one, to" in capsys.readouterr().err
    Path("out").mkdir()
    Path("out/in").symlink_to(Path("elsewhere").resolve())
    restore("photos", "--model", "identity", "--recursive", "--output", "out", code=2)
    assert list(Path("elsewhere").iterdir()) == []
    restore("photos", "--model", "identity", "--recursive", "--output", "photos/restored")
    assert Path("elsewhere/in/a.png").is_file()


def test_a_link_in_the_place_of_a_result_is_replaced_and_not_followed() -> None:
    photograph("a.png")
    mine = photograph("mine.png", 8, 8)
    Path("restored").mkdir()
    Path("restored/a.png").symlink_to(mine.resolve())
    restore("a.png", "--model", "identity")
    assert Path("restored/a.png").is_symlink()
    restore("a.png", "--model", "identity", "--overwrite")
    assert not Path("restored/a.png").is_symlink()
    assert pixels(mine).shape == (8, 8, 3)


def test_one_file_named_twice_is_restored_once(capsys: pytest.CaptureFixture[str]) -> None:
    photograph("a.png")
    restore("a.png", "./a.png", "*.png", "--model", "identity")
    assert "1 restored" in capsys.readouterr().out


def test_a_link_beside_its_file_is_restored_under_its_own_name_too() -> None:
    photograph("set/b.png")
    Path("set/a.png").symlink_to("b.png")
    Path("again").symlink_to("set")
    restore("set", "again/b.png", "--model", "identity", "--output", "out")
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "b.png"]


def test_names_that_differ_in_their_extension_alone_stay_apart() -> None:
    for name in ("logo.gif", "logo.png", "shot.jpg", "shot.png", "alone.gif"):
        photograph(f"set/{name}")
    restore("set", "--model", "identity", "--compare", "--strip", "identity", "--output", "out")
    kinds = (".png", ".compare.png", ".strip.png")
    made = [f"{stem}{kind}" for stem in ("alone", "logo.gif", "logo") for kind in kinds]
    made += [f"{stem}{kind}" for stem in ("shot.jpg", "shot.png") for kind in kinds[1:]]
    made += ["shot.jpg", "shot.png"]
    assert sorted(path.name for path in Path("out").iterdir()) == sorted(made)
    restore("set", "--model", "identity", "--format", "png", "--output", "as-png")
    assert sorted(path.name for path in Path("as-png").iterdir()) == [
        *("alone.png", "logo.gif.png", "logo.png", "shot.jpg.png", "shot.png")
    ]


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
