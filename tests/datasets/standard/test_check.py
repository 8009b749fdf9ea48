from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from restorebench.datasets import resolve
from restorebench.datasets.standard.check import check_subset
from restorebench.datasets.standard.layout import find_subset
from restorebench.datasets.standard.sets import get_set

from ..roots import pixels, save


def checked(name, root, task=None):
    standard = get_set(name)
    return check_subset(find_subset(standard, task or standard.tasks[0], root))


@pytest.fixture
def lol(tmp_path):
    """A whole LOL-v1."""
    for i in range(15):
        save(tmp_path / "test/enhance/lolv1/low" / f"{i}.png", pixels(i, 8, 8))
        save(tmp_path / "test/enhance/lolv1/high" / f"{i}.png", pixels(99 + i, 8, 8))
    return tmp_path


def test_a_whole_set(lol):
    report = checked("LOL-v1", lol)
    assert report.state == "whole"
    assert (report.expected, report.images, report.good) == (15, 15, 15)
    assert not report.unpaired + report.unreadable + report.mismatched + report.ignored
    assert report.sizes == {"8x8": 15}


def test_the_hash_is_the_one_that_a_run_records(lol):
    resolved = resolve("lowlight", source="standard", root=lol)
    assert checked("LOL-v1", lol).sha256 == resolved.data[0].fingerprint()


def test_every_file_that_is_wrong_is_named(lol):
    base = lol / "test/enhance/lolv1"
    (base / "low/1.png").write_bytes((base / "low/1.png").read_bytes()[:-30])
    (base / "high/2.png").write_bytes(b"")
    (base / "high/3.png").unlink()
    save(base / "low/4.png", pixels(4, 8, 10))
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(base / "low/5.png")
    (base / "low/6.png").unlink()
    (base / "low/6.png").symlink_to("nowhere")
    (base / "high/7.png").rename(base / "high/7.gif")
    save(base / "high/99.png", pixels(1, 8, 8))
    (base / "low/readme.md").write_text("hello")
    report = checked("LOL-v1", lol)
    assert report.state == "damaged"
    assert (report.images, report.good) == (15, 15 - 7)
    assert report.unpaired == ("low/3.png: no clean image for it in high", "high/99.png: no degraded image for it")
    assert [words.partition(":")[0] for words in sorted(report.unreadable)] == [
        *("high/2.png", "high/7.gif", "low/1.png", "low/5.png", "low/6.png")
    ]
    assert report.mismatched == ("4.png: 10x8 pixels, but its clean image 4.png has 8x8",)
    assert report.ignored == ("low/readme.md",)


def test_a_damaged_frame_is_named_with_its_sequence(tmp_path):
    for sequence in ("GOPR1", "GOPR2"):
        for kind in ("blur", "sharp"):
            save(tmp_path / "GOPRO_Large/test" / sequence / kind / "000001.png", pixels(1))
    (tmp_path / "GOPRO_Large/test/GOPR2/blur/000001.png").write_bytes(b"")
    save(tmp_path / "GOPRO_Large/test/GOPR1/blur/000002.png", pixels(1))
    (tmp_path / "GOPRO_Large/test/GOPR1/blur/Thumbs.db").write_bytes(b"no image")
    report = checked("GoPro", tmp_path)
    assert (report.state, report.images, report.good) == ("incomplete", 3, 1)
    assert report.unreadable == ("test/GOPR2/blur/000001.png: zero bytes long",)
    assert [words.partition(":")[0] for words in report.unpaired] == ["test/GOPR1/blur/000002.png"]


def test_a_set_with_too_many_images_is_not_whole(lol):
    for folder in ("low", "high"):
        save(lol / "test/enhance/lolv1" / folder / "more.png", pixels(1, 8, 8))
    report = checked("LOL-v1", lol)
    assert (report.state, report.images) == ("incomplete", 16)


def test_an_absent_set_says_where_it_goes(lol):
    report = checked("HIDE", lol)
    assert (report.state, report.images, report.sha256) == ("absent", 0, "")
    assert report.layout.startswith("test/deblur/hide/{blur,sharp}/*")


@pytest.mark.parametrize(
    ("name", "state", "images", "good"),
    [
        ("CBSD68", "whole", 68, 68),
        ("Rain100H", "whole", 100, 100),
        ("Rain100L", "incomplete", 4, 3),
        ("SOTS-Outdoor", "incomplete", 2, 2),
        ("LOL-v1", "incomplete", 1, 1),
        ("Urban100", "absent", 0, 0),
    ],
)
def test_the_real_images(real_root, name, state, images, good):
    report = checked(name, real_root)
    assert (report.state, report.images, report.good) == (state, images, good)
    assert not report.unreadable + report.mismatched
    if name == "Rain100L":
        assert report.unpaired == (
            "input/rain-020.png: no clean image for it in target",
            "target/norain2.png: no degraded image for it",
        )
    if name == "CBSD68":
        assert report.sizes == {"481x321": 53, "321x481": 15}
