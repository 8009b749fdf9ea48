from __future__ import annotations

import os
from pathlib import Path

import pytest

from restorebench.datasets import DataError
from restorebench.datasets.files.pairing import Partners, list_folder, list_pairs


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("degraded", "clean"),
    [
        ("1.png", "1.png"),
        ("1.jpg", "1.png"),
        ("rain-001.png", "norain-001.png"),
        ("rain-001.png", "001.png"),
        ("norain-001.png", "norain-001.png"),
        ("0001_0.8_0.2.jpg", "0001.png"),
        ("1400_1.png", "1400_1.png"),
        ("1400_1_0.85.png", "1400_1.png"),
        ("778_input.png", "778.png"),
        ("low00690.png", "normal00690.png"),
        ("GOPR0384_11_00-000001.png", "GOPR0384_11_00-000001.png"),
        ("img_blur.png", "img_sharp.png"),
    ],
)
def test_the_partner_is_found_among_others_of_its_kind(degraded, clean):
    decoys = ["2.png", "norain-002.png", "0002.png", "779.png", "normal00691.png", "GOPR0384_11_00-000002.png"]
    assert Partners([*decoys, clean]).find(degraded) == clean


@pytest.mark.parametrize(
    ("degraded", "clean"),
    [
        ("1.png", "01.png"),  # leading zeros count
        ("rain-020.png", "norain2.png"),  # and so do numbers
        ("10.png", "1.png"),
        ("0001.png", "0001_0.8.png"),  # the degraded name is the longer one
        ("snowlow.png", "snow.png"),  # a role is set off by a separator
        ("a.png", "A.png"),
    ],
)
def test_names_that_only_look_alike_are_no_pair(degraded, clean):
    assert Partners([clean]).find(degraded) is None


def test_the_nearest_name_wins_and_a_tie_is_refused():
    assert Partners(["0001.png", "0001_0.8.png"]).find("0001_0.8_0.2.jpg") == "0001_0.8.png"
    assert Partners(["1.png", "1.bmp"]).find("1.png") == "1.png"
    with pytest.raises(DataError, match=r"several clean images fit: 1\.bmp, 1\.png"):
        Partners(["1.png", "1.bmp"]).find("1.jpg")


def test_pairs_are_listed_by_name_with_everything_that_is_wrong(tmp_path):
    names = ("10.png", "2.png", "3.png", "4.webp", "5.txt", "6.png")
    degraded = touch(tmp_path / "input", *names, ".DS_Store", "Thumbs.db", "9.txt")
    (degraded / "5.txt").write_bytes(b"\x89PNG\r\n\x1a\n")
    clean = touch(tmp_path / "target", "10.png", "2.png", "4.png", "5.png", "6.tga", "7.png", "notes.txt", "9.png")
    (degraded / "8.png").mkdir()
    listing = list_pairs(degraded, clean)
    assert [image.name for image in listing.images] == list(names)
    problems = {image.name: image.problem for image in listing.problems}
    assert problems.pop("3.png") == "no clean image for it in target"
    assert problems.pop("6.png").startswith("its clean image 6.tga has a wrong extension (.tga)")
    assert problems.pop("4.webp").startswith("wrong extension (.webp)")
    assert problems.pop("5.txt").startswith("wrong extension (.txt)")
    assert not problems
    assert [path.name for path in listing.orphans] == ["7.png", "9.png"]
    assert sorted(path.name for path in listing.ignored) == ["9.txt", "Thumbs.db", "notes.txt"]


def test_many_degraded_images_can_share_a_clean_one(tmp_path):
    degraded = touch(tmp_path / "input", "0001_0.8_0.2.jpg", "0001_1_0.1.jpg")
    listing = list_pairs(degraded, touch(tmp_path / "target", "0001.png"))
    assert {image.clean.name for image in listing.images} == {"0001.png"}
    assert not listing.orphans
    assert not listing.problems
    assert len(listing.files) == 3


def test_a_folder_of_clean_images_names_foreign_images_and_ignores_the_rest(tmp_path):
    listing = list_folder(touch(tmp_path, "b.png", "a.JPG", "c.gif", "readme.txt", ".hidden.png"))
    assert [image.name for image in listing.images] == ["a.JPG", "b.png", "c.gif"]
    assert [image.name for image in listing.problems] == ["c.gif"]
    assert [path.name for path in listing.ignored] == ["readme.txt"]


def test_a_folder_that_cannot_be_listed_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"folder .*nowhere cannot be listed"):
        list_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"folder .*file cannot be listed"):
        list_pairs(tmp_path / "file", tmp_path)


def test_the_real_sets_pair_by_name(test_data):
    indoor = list_pairs(test_data / "sots_indoor" / "hazy", test_data / "sots_indoor" / "GT")
    assert len(indoor.images) == 20
    assert not indoor.problems
    assert all(image.clean is not None and image.clean.name == image.name for image in indoor.images)
    outdoor = list_pairs(test_data / "sots_outdoor" / "input", test_data / "sots_outdoor" / "target")
    assert [image.clean.name for image in outdoor.images if image.clean] == ["0001.png", "0002.png"]
    low = list_pairs(test_data / "lol_v1_eval15" / "low", test_data / "lol_v1_eval15" / "high")
    assert [(image.name, image.clean.name) for image in low.images if image.clean] == [("778_input.png", "778.png")]
    light = list_pairs(test_data / "rain100l" / "input", test_data / "rain100l" / "target")
    assert [image.name for image in light.problems] == ["rain-020.png"]
    assert [path.name for path in light.orphans] == ["norain2.png"]
    assert os.path.commonpath([str(p) for p in light.files]) == str(test_data / "rain100l")


JUNK = (
    *("Thumbs.db", "desktop.ini", ".DS_Store", "._1.png", "list.txt", "readme.txt", "scores.csv", "names.json"),
    *("blocks.mat", "2.txt", "1.csv", "@eaDir/1.png", "__MACOSX/._2.png", ".cache/3.png"),
)


@pytest.mark.parametrize("side", ["degraded", "clean"])
@pytest.mark.parametrize("junk", JUNK)
def test_a_file_that_is_no_image_is_no_failed_image_on_either_side(side, junk, tmp_path):
    for folder in ("degraded", "clean"):
        touch(tmp_path / folder, "1.png", "2.png")
    (tmp_path / side / junk).parent.mkdir(exist_ok=True)
    (tmp_path / side / junk).write_bytes(b"")
    (tmp_path / side / "x.png").mkdir()
    listing = list_pairs(tmp_path / "degraded", tmp_path / "clean")
    assert [image.name for image in listing.images] == ["1.png", "2.png"]
    assert not listing.problems
    assert not listing.orphans
    assert [image.name for image in list_folder(tmp_path / side).images] == ["1.png", "2.png"]


def test_one_folder_as_both_sides_is_refused_however_it_is_spelled(tmp_path, monkeypatch):
    mine = touch(tmp_path / "mine", "1.png")
    (tmp_path / "link").symlink_to(mine)
    monkeypatch.chdir(tmp_path)
    spellings = (mine, mine / ".." / "mine", tmp_path / "link", Path("mine"), Path("link/../mine"))
    for other in spellings:
        with pytest.raises(DataError, match="are one folder: give two"):
            list_pairs(mine, other)
        with pytest.raises(DataError, match="are one folder: give two"):
            list_pairs(other, mine)


def test_a_side_inside_the_other_is_refused_where_its_images_would_be_the_others(tmp_path):
    touch(tmp_path / "all" / "noisy", "1.png")
    touch(tmp_path / "all" / "good", "1.png")
    with pytest.raises(DataError, match=r"noisy lies in .*all, whose images are those of the folders below it"):
        list_pairs(tmp_path / "all" / "noisy", tmp_path / "all")
    touch(tmp_path / "all", "1.png")
    listing = list_pairs(tmp_path / "all" / "noisy", tmp_path / "all")
    assert [image.clean for image in listing.images] == [tmp_path / "all" / "1.png"]


def test_an_image_is_not_paired_by_the_beginning_of_its_name_with_what_is_another_ones(tmp_path):
    degraded, clean = touch(tmp_path / "a", "x.png", "x_y.png", "z.png"), touch(tmp_path / "b", "x.png", "z.png")
    listing = list_pairs(degraded, clean)
    assert [(image.name, image.clean and image.clean.name) for image in listing.images] == [
        ("x.png", "x.png"),
        ("x_y.png", None),
        ("z.png", "z.png"),
    ]


def test_frames_of_sequences_pair_in_their_sequence_and_have_names_of_their_own(tmp_path):
    frames = [f"{sequence}/{frame:06d}.png" for sequence in ("GOPR1", "GOPR2") for frame in (1, 2)]
    for side in ("blur", "sharp"):
        for frame in frames:
            touch(tmp_path / side / frame.partition("/")[0], frame.rpartition("/")[2])
    listing = list_pairs(tmp_path / "blur", tmp_path / "sharp")
    assert [image.name for image in listing.images] == frames
    assert [image.clean for image in listing.images] == [tmp_path / "sharp" / frame for frame in frames]
    (tmp_path / "sharp" / frames[0]).unlink()
    missing = list_pairs(tmp_path / "blur", tmp_path / "sharp")
    assert [(image.name, image.clean) for image in missing.problems] == [(frames[0], None)]


def test_a_flat_side_pairs_with_sequences_where_names_are_unique(tmp_path):
    touch(tmp_path / "test" / "close", "1fromGOPR1.png")
    touch(tmp_path / "test" / "far", "2fromGOPR2.png")
    touch(tmp_path / "GT", "1fromGOPR1.png", "2fromGOPR2.png", "3fromGOPR3.png")
    listing = list_pairs(tmp_path / "test", tmp_path / "GT")
    assert not listing.problems
    assert [image.clean_name for image in listing.images] == ["1fromGOPR1.png", "2fromGOPR2.png"]
    touch(tmp_path / "test" / "far", "1fromGOPR1.png")
    assert [image.name for image in list_pairs(tmp_path / "test", tmp_path / "GT").problems] == [
        "close/1fromGOPR1.png",
        "far/1fromGOPR1.png",
    ]


def test_images_beside_folders_are_read_alone_and_the_folders_are_named(tmp_path):
    for side in ("a", "b"):
        touch(tmp_path / side, "1.png")
        touch(tmp_path / side / "old", "2.png")
    listing = list_pairs(tmp_path / "a", tmp_path / "b")
    assert [image.name for image in listing.images] == ["1.png"]
    assert [path.parent.name + "/" + path.name for path in listing.ignored] == ["a/old", "b/old"]
