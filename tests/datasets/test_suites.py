from __future__ import annotations

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from restorebench.datasets import SUITE_NAMES, DataError, Task, list_suites, resolve
from restorebench.datasets.standard.sets import get_set

from .roots import pixels, save


def test_keys_name_task_sigma_and_data_set():
    assert Task("denoise", "embedded-256", 15).key == "denoise-15@embedded-256"
    assert Task("dehaze", "embedded-full").key == "dehaze@embedded-full"
    assert Task("denoise", "embedded-256", 15).label == "denoise-15"


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("3d", ["dehaze", "derain", "denoise-15", "denoise-25", "denoise-50"]),
        ("5d", ["dehaze", "derain", "denoise-25", "deblur", "lowlight"]),
        ("denoise", ["denoise-15", "denoise-25", "denoise-50"]),
        ("derain", ["derain"]),
        ("dehaze", ["dehaze"]),
        ("deblur", ["deblur"]),
        ("lowlight", ["lowlight"]),
    ],
)
def test_a_suite_has_its_tasks_in_the_order_of_the_papers(name, labels):
    resolved = resolve(name, source="embedded", size=64)
    assert resolved.suite.name == name
    assert [task.label for task in resolved.suite.tasks] == labels
    assert [data.task for data in resolved.data] == list(resolved.suite.tasks)
    assert {task.dataset for task in resolved.suite.tasks} == {"embedded-64"}


def test_the_default_is_embedded_at_256_and_says_so_in_one_line():
    resolved = resolve("3d")
    assert {task.dataset for task in resolved.suite.tasks} == {"embedded-256"}
    assert "\n" not in resolved.notice
    assert "embedded-256 (8 photographs" in resolved.notice
    assert "SOTS-Outdoor, Rain100L, CBSD68" in resolved.notice
    assert resolve("3d", source="embedded").notice == ""


def test_whole_photographs_are_another_data_set():
    assert resolve("derain", size="full").suite.tasks == (Task("derain", "embedded-full"),)


def test_all_suites_are_listed_and_then_the_other_sets_of_single_tasks():
    suites = {suite.name: suite for suite in list_suites()}
    assert tuple(suites)[: len(SUITE_NAMES)] == SUITE_NAMES
    assert list(suites)[len(SUITE_NAMES) :] == [
        *("denoise@Kodak24", "denoise@Urban100", "derain@Rain100H", "deblur@HIDE", "lowlight@LOL-v2-real")
    ]
    assert all(suites[name] == resolve(name).suite for name in SUITE_NAMES if name != "cdd11")
    assert [task.key for task in suites["cdd11"].tasks][:2] == ["low@CDD-11", "haze@CDD-11"]


@pytest.mark.parametrize(("wrong", "near"), [("derian", "derain"), ("3D ", "3d"), ("low-light", "lowlight")])
def test_an_unknown_suite_suggests_near_names(wrong, near):
    with pytest.raises(DataError, match=f"did you mean .*'{near}'.*known: 3d, 5d"):
        resolve(wrong)


def test_an_unknown_source_suggests_near_names():
    with pytest.raises(DataError, match="did you mean 'standard'"):
        resolve("3d", source="standart")


def test_a_wrong_size_is_refused():
    with pytest.raises(DataError, match=r"data\.size"):
        resolve("3d", size=16)


@pytest.mark.parametrize(
    ("name", "datasets"),
    [
        ("3d", ["SOTS-Outdoor", "Rain100L", "CBSD68", "CBSD68", "CBSD68"]),
        ("5d", ["SOTS-Outdoor", "Rain100L", "CBSD68", "GoPro", "LOL-v1"]),
        ("cdd11", ["CDD-11"] * 11),
        ("denoise", ["CBSD68"] * 3),
        ("denoise@CBSD68", ["CBSD68"] * 3),
        ("denoise@Kodak24", ["Kodak24"] * 3),
        ("denoise@Urban100", ["Urban100"] * 3),
        ("derain@Rain100H", ["Rain100H"]),
        ("deblur@HIDE", ["HIDE"]),
        ("lowlight@LOL-v2-real", ["LOL-v2-real"]),
        ("low_haze@CDD-11", ["CDD-11"]),
    ],
)
@pytest.mark.parametrize("source", ["auto", "standard"])
def test_whole_standard_sets_are_used_and_named(small_root, name, datasets, source):
    resolved = resolve(name, source=source, root=small_root)
    assert resolved.suite.name == name
    assert [task.dataset for task in resolved.suite.tasks] == datasets
    assert [data.task for data in resolved.data] == list(resolved.suite.tasks)
    assert [len(data) for data in resolved.data] == [get_set(dataset).images for dataset in datasets]
    assert resolved.notice.startswith("standard sets: ")
    assert f"{datasets[0]} ({get_set(datasets[0]).images} images)" in resolved.notice
    assert "\n" not in resolved.notice


def test_the_composites_are_the_folders_of_cdd11(small_root):
    resolved = resolve("cdd11", root=small_root)
    assert [task.label for task in resolved.suite.tasks] == [
        *("low", "haze", "rain", "snow", "low_haze", "low_rain", "low_snow", "haze_rain", "haze_snow"),
        *("low_haze_rain", "low_haze_snow"),
    ]
    for data in resolved.data:
        sample = data[7]
        np.testing.assert_array_equal(sample.degraded, pixels(1))
        np.testing.assert_array_equal(sample.clean, pixels(2))


def test_embedded_is_embedded_whatever_the_root_has(small_root):
    resolved = resolve("5d", source="embedded", root=small_root)
    assert {task.dataset for task in resolved.suite.tasks} == {"embedded-256"}


def test_one_set_that_is_short_makes_the_whole_suite_embedded(real_root):
    resolved = resolve("5d", root=real_root)
    assert {task.dataset for task in resolved.suite.tasks} == {"embedded-256"}
    assert "stands in for SOTS-Outdoor, Rain100L, CBSD68, GoPro, LOL-v1" in resolved.notice
    assert "SOTS-Outdoor has 2 of 500 images" in resolved.notice
    assert "Rain100L has 4 of 100 images, 1 of them unpaired (rain-020.png" in resolved.notice
    assert "GoPro is absent" in resolved.notice
    assert "CBSD68 has" not in resolved.notice
    assert "\n" not in resolved.notice


def test_standard_insists_and_says_what_is_missing_and_where_it_goes(real_root):
    with pytest.raises(DataError) as caught:
        resolve("5d", source="standard", root=real_root)
    message = str(caught.value)
    assert "\n" not in message
    assert f"not whole under data.root={real_root}" in message
    assert "SOTS-Outdoor has 2 of 500 images, goes in test/dehaze/{input,target}/*" in message
    assert "GoPro is absent (1111 images), goes in test/deblur/gopro/{blur,sharp}/* or " in message
    assert "CBSD68 has" not in message


def test_a_part_of_a_set_runs_only_when_asked_for_and_under_a_name_that_says_so(real_root):
    with pytest.raises(DataError, match=r"Rain100L has 4 of 100 images.*data\.partial=true runs what is there"):
        resolve("derain", source="standard", root=real_root)
    resolved = resolve("derain", source="standard", root=real_root, partial=True)
    (data,) = resolved.data
    assert data.task.key == "derain@Rain100L[4of100]"
    assert data.names == ("1.png", "2.png", "31.png", "rain-020.png")
    assert data[0].clean.shape == data[0].degraded.shape
    with pytest.raises(DataError, match=r"rain-020\.png: no clean image"):
        data[3]
    assert "will fail: Rain100L rain-020.png" in resolved.notice


def test_partial_does_not_rename_a_whole_set_and_does_not_replace_an_absent_one(real_root):
    assert resolve("denoise", root=real_root, partial=True).suite.tasks[0].key == "denoise-15@CBSD68"
    with pytest.raises(DataError, match=r"GoPro is absent \(1111 images\)"):
        resolve("5d", source="standard", root=real_root, partial=True)


def test_a_set_of_the_right_size_with_an_unpaired_image_runs_when_insisted_on(tmp_path):
    for i in range(15):
        save(tmp_path / "test/enhance/lolv1/low" / f"{i}.png", pixels(i))
        save(tmp_path / "test/enhance/lolv1/high" / f"{i}.png", pixels(i))
    (tmp_path / "test/enhance/lolv1/high/7.png").unlink()
    assert resolve("lowlight", root=tmp_path).suite.tasks[0].dataset == "embedded-256"
    resolved = resolve("lowlight", source="standard", root=tmp_path)
    assert resolved.suite.tasks[0].dataset == "LOL-v1"
    assert len(resolved.data[0]) == 15
    assert "will fail: LOL-v1 7.png" in resolved.notice


@pytest.mark.parametrize("source", ["auto", "standard"])
def test_a_set_asked_for_by_name_is_never_replaced(real_root, source):
    with pytest.raises(DataError, match="HIDE is absent"):
        resolve("deblur@HIDE", source=source, root=real_root)
    with pytest.raises(DataError, match=r"data\.root \(not set; .*RESTOREBENCH_DATA"):
        resolve("derain@Rain100H", source=source)
    assert resolve("derain@Rain100H", source=source, root=real_root).data[0].names[:2] == ("1.png", "10.png")


@pytest.mark.parametrize("source", ["auto", "standard"])
def test_cdd11_without_its_images_is_refused_with_what_is_missing(real_root, source):
    with pytest.raises(DataError, match=r"CDD-11 is absent \(200 images each\), goes in test/cdd11") as caught:
        resolve("cdd11", source=source, root=real_root)
    assert str(caught.value).count("CDD-11 is absent") == 1
    with pytest.raises(DataError, match=r"tasks=cdd11 has no embedded images: use data=standard"):
        resolve("cdd11", source="embedded", root=real_root)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("denoise@Urban10", r"unknown data set of the task denoise 'Urban10' \(did you mean 'Urban100'\?\)"),
        ("denoise@Rain100L", r"known: CBSD68, Kodak24, Urban100$"),
        ("derian@Rain100L", r"unknown task in front of @ .*did you mean 'derain'"),
        ("5d@CBSD68", r"unknown task in front of @"),
        ("cdd-11", r"did you mean 'cdd11'"),
    ],
)
def test_mistakes_in_the_name_of_a_task_or_set_are_named(wrong, reason):
    with pytest.raises(DataError, match=reason):
        resolve(wrong)


def test_standard_without_a_root_says_that_it_is_not_set():
    with pytest.raises(DataError, match=r"not whole under data\.root \(not set.*Rain100L is absent"):
        resolve("derain", source="standard")


def test_a_data_root_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"data\.root=.*nowhere is not a folder"):
        resolve("5d", root=tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["denoise@Urban100", "lowlight@LOL-v2-real", "low_haze_snow@CDD-11"])
def test_hydra_takes_a_task_with_its_set_without_quotes(name):
    parser = OverridesParser.create()
    assert parser.parse_override(f"tasks={name}").value() == name
    swept = parser.parse_override(f"tasks=3d,{name}")
    assert swept.is_sweep_override()
    assert list(swept.sweep_string_iterator()) == ["3d", name]


@pytest.mark.slow
def test_the_real_rain_is_as_strong_as_is_known_of_it(real_root):
    (rain,) = resolve("derain@Rain100H", root=real_root).data
    errors = [sample.clean - np.float64(sample.degraded) for sample in map(rain.__getitem__, range(100))]
    assert np.mean([10 * np.log10(255**2 / np.mean(error**2)) for error in errors]) == pytest.approx(12.13, abs=0.01)


def test_all_noise_levels_are_on_the_same_images(real_root):
    resolved = resolve("denoise", root=real_root)
    assert [data.task.key for data in resolved.data] == ["denoise-15@CBSD68", "denoise-25@CBSD68", "denoise-50@CBSD68"]
    assert len({data.fingerprint() for data in resolved.data}) == 1
    assert resolved.data[0][0].degraded is None


def test_keys_of_reading_reach_the_files_of_standard_sets(small_root):
    data = resolve("denoise@Kodak24", root=small_root, max_pixels=10, verify=True).data[0]
    with pytest.raises(DataError, match=r"more than the 1e-05 million"):
        data[0]
    with pytest.raises(DataError, match=r"data\.max_pixels=0: give the largest number"):
        resolve("denoise@Kodak24", root=small_root, max_pixels=0)
