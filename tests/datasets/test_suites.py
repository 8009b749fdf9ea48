from __future__ import annotations

import pytest
from restorebench.datasets import SUITE_NAMES, DataError, Task, list_suites, resolve


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


def test_all_suites_are_listed():
    suites = list_suites()
    assert tuple(suite.name for suite in suites) == SUITE_NAMES
    assert all(suite == resolve(suite.name).suite for suite in suites)


@pytest.mark.parametrize(("wrong", "near"), [("derian", "derain"), ("3D ", "3d"), ("low-light", "lowlight")])
def test_an_unknown_suite_suggests_near_names(wrong, near):
    with pytest.raises(DataError, match=f"did you mean .*{near}.*known are 3d, 5d"):
        resolve(wrong)


def test_an_unknown_source_suggests_near_names():
    with pytest.raises(DataError, match="did you mean standard"):
        resolve("3d", source="standart")


def test_a_wrong_size_is_refused():
    with pytest.raises(DataError, match=r"data\.size"):
        resolve("3d", size=16)


def test_standard_sets_are_refused_with_what_is_missing_and_where_it_goes(tmp_path):
    (tmp_path / "test/deblur/gopro/blur").mkdir(parents=True)
    (tmp_path / "test/deblur/gopro/sharp").mkdir()
    with pytest.raises(DataError) as caught:
        resolve("5d", source="standard", root=tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert f"missing under data.root={tmp_path}" in message
    assert "CBSD68 (68 images) in test/denoise/bsd68/*" in message
    assert "LOL-v1 (15 images) in test/enhance/lolv1/{low,high}/* or test/enhance/lolv1/{input,target}/*" in message
    assert "GoPro" not in message
    assert "data=embedded" in message


def test_standard_without_a_root_says_that_it_is_not_set():
    with pytest.raises(DataError, match=r"missing under data\.root \(not set\): Rain100L"):
        resolve("derain", source="standard")


def test_standard_with_every_folder_still_says_that_no_reader_exists(tmp_path):
    (tmp_path / "test/denoise/bsd68").mkdir(parents=True)
    with pytest.raises(DataError, match=r"no readers.*all folders are there.*CBSD68"):
        resolve("denoise", source="standard", root=tmp_path)
