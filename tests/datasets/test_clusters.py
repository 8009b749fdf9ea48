"""The cluster of an image, in the names that the data sets have."""

from __future__ import annotations

import subprocess
import sys

import pytest

from restorebench.datasets.clusters import cluster_of, kind_of
from restorebench.datasets.embedded.tasks import crops
from restorebench.datasets.tasks import CDD11_TASKS


def test_eight_embedded_crops_show_five_scenes_at_every_size() -> None:
    scenes = {"astronaut", "chelsea", "coffee", "motorcycle", "rocket"}
    for size in (64, 256, "full"):
        names = [crop.name for crop in crops(size)]  # type: ignore[arg-type]
        assert {cluster_of(f"embedded-{size}", name) for name in names} == scenes
    assert len(crops(256)) == 8


@pytest.mark.parametrize(
    ("dataset", "images", "cluster"),
    [
        ("SOTS-Outdoor", ["0001_0.8_0.2.jpg", "0001_0.95_0.1.jpg", "0001_1_0.16.png", "0001_0.8_0.2"], "0001"),
        (
            "GoPro",
            ["GOPR0384_11_00/000001.png", "GOPR0384_11_00-000001.png", "GOPR0384_11_00_000017"],
            "GOPR0384_11_00",
        ),
        ("GoPro", ["GOPR0384_11_00/blur/000001.png", "GOPR0384_11_00-000100"], "GOPR0384_11_00"),
        ("HIDE", ["test-close-ups/12fromGOPR0950.png", "test-long-shot/3fromGOPR0950.png"], "GOPR0950"),
        ("folder-reds-01234567", ["train/000/00000000.png", "train/000/00000007.png"], "train/000"),
        ("folder-hide-01234567", ["test/test-close-ups/12fromGOPR0950.png", "GT/7fromGOPR0950.png"], "GOPR0950"),
        ("HIDE", ["GOPR0950/000001.png", "12fromGOPR0950.png", "3fromGOPR0950"], "GOPR0950"),
        ("CDD-11", ["0012.png", "0012_haze_rain.png", "low/0012.png"], "0012"),
    ],
)
def test_images_of_one_origin_are_one_cluster(dataset: str, images: list[str], cluster: str) -> None:
    assert {cluster_of(dataset, image) for image in images} == {cluster}


def test_the_eleven_tasks_of_cdd11_share_their_scenes() -> None:
    assert {cluster_of("CDD-11", f"{task}/scene7_{task}.png") for task in CDD11_TASKS} == {"scene7"}


@pytest.mark.parametrize(
    "dataset", ["CBSD68", "Kodak24", "Urban100", "Rain100L", "LOL-v1", "my-folder", "folder-my-01234567"]
)
@pytest.mark.parametrize("image", ["3096.png", "img_001.png", "b 000001.png", "coffee-left", "0001_0.8_0.2.jpg"])
def test_elsewhere_every_image_is_its_own(dataset: str, image: str) -> None:
    assert cluster_of(dataset, image) == image
    assert kind_of(dataset) == ""


def test_folders_of_one_name_in_two_parts_are_two_sequences() -> None:
    assert cluster_of("folder-reds-01234567", "train/000/1.png") != cluster_of("folder-reds-01234567", "val/000/1.png")


def test_a_folder_of_the_users_has_sequences_where_its_images_lie_in_folders() -> None:
    assert kind_of("folder-mine-01234567", ["a/1.png", "a/2.png"]) == "sequences"
    assert kind_of("folder-mine-01234567", ["1.png"]) == kind_of("folder-mine-01234567") == ""


def test_clusters_are_known_without_numpy_or_torch() -> None:
    code = (
        "import sys; import restorebench.datasets.clusters; print([m for m in ('numpy', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
