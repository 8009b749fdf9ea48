"""Which weights a restorer gets, and what its row will say."""

import dataclasses
import logging
from pathlib import Path

import pytest
import torch
from torch import nn

from restorebench.models import (
    Checkpoint,
    ModelCard,
    ModelError,
    Restorer,
    Variant,
    create_model,
    register,
    save_weights,
)
from restorebench.models.checkpoint import file_sha256
from restorebench.models.weights import bundled_path, weights_folder

pytestmark = pytest.mark.usefixtures("own_registry")


class Toy(nn.Module):
    def __init__(self, width: int = 4, bias: bool = True) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, width, 1, bias=bias), nn.Conv2d(width, 3, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        restored: torch.Tensor = self.body(x)
        return restored


CHECKPOINTS = (
    Checkpoint(variant="paper", file_name="first.pth", url="", licence="", trained_for="rain"),
    Checkpoint(
        variant="paper", file_name="second.pth", url="", licence="", trained_for="haze", overrides={"bias": False}
    ),
    Checkpoint(variant="large", file_name="large.pth", url="", licence="", trained_for="noise"),
)
CARD = ModelCard(
    name="toy", title="Toy",
    variants={
        "paper": Variant(arguments={"width": 4}),
        "large": Variant(arguments={"width": 6}),
        "tiny": Variant(arguments={"width": 2}),
    },
    paper="", url="", year=2024, code_licence="MIT", checkpoints=CHECKPOINTS,
)  # fmt: skip


@pytest.fixture
def toy(weights_folder: Path) -> ModelCard:
    register(CARD)(Toy)
    return CARD


def save(path: Path, width: int = 4, bias: bool = True) -> Toy:
    network = Toy(width, bias)
    torch.save({"params": network.state_dict()}, path)
    return network


def bundle(card: ModelCard) -> Toy:
    network = Toy(2)
    save_weights(network.state_dict(), bundled_path(card), {})
    return network


def holds(restorer: Restorer, network: Toy) -> bool:
    own, other = restorer.network.state_dict(), network.state_dict()
    return own.keys() == other.keys() and all(torch.equal(own[key], other[key]) for key in own)


def row(restorer: Restorer) -> tuple[str, str, str]:
    return restorer.variant, restorer.weights.kind, restorer.weights.provenance


def test_the_weights_folder_is_the_users_choice_or_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RESTOREBENCH_WEIGHTS", str(tmp_path))
    assert weights_folder() == tmp_path
    monkeypatch.setenv("RESTOREBENCH_WEIGHTS", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights_folder() == tmp_path / ".cache" / "restorebench" / "weights"


def test_by_default_the_published_checkpoint_in_the_folder_is_used(toy: ModelCard, weights_folder: Path) -> None:
    bundle(toy)
    network = save(weights_folder / "first.pth")
    restorer = create_model("toy")
    assert row(restorer) == ("paper", "file", "official")
    assert holds(restorer, network)
    assert restorer.weights.path == weights_folder / "first.pth"
    assert restorer.weights.sha256 == file_sha256(weights_folder / "first.pth")
    assert "trained for rain" in restorer.weights.description


def test_a_checkpoints_own_arguments_are_used(toy: ModelCard, weights_folder: Path) -> None:
    network = save(weights_folder / "second.pth", bias=False)
    for restorer in (create_model("toy"), create_model("toy", weights=weights_folder / "second.pth")):
        assert holds(restorer, network)
        assert restorer.overrides == {"bias": False}


def test_an_explicit_variant_takes_its_own_checkpoint(toy: ModelCard, weights_folder: Path) -> None:
    save(weights_folder / "first.pth")
    network = save(weights_folder / "large.pth", 6)
    restorer = create_model("toy", variant="large")
    assert row(restorer) == ("large", "file", "official")
    assert holds(restorer, network)


def test_without_a_checkpoint_the_bundled_tiny_weights_are_used_and_said(
    toy: ModelCard, weights_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = bundle(toy)
    with caplog.at_level(logging.INFO, "restorebench"):
        restorer = create_model("toy")
    assert row(restorer) == ("tiny", "bundled", "bundled")
    assert holds(restorer, network)
    assert restorer.weights.sha256 == file_sha256(bundled_path(toy))
    (message,) = caplog.messages
    assert message == (
        f"toy: {weights_folder} has no checkpoint of variant paper (first.pth, second.pth); "
        "using the tiny variant with its bundled weights"
    )
    for asked in (create_model("toy", variant="tiny"), create_model("toy", weights="bundled")):
        assert row(asked) == row(restorer)


def test_with_nothing_at_all_tiny_is_untrained_and_that_is_said(
    toy: ModelCard, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "restorebench"):
        restorer = create_model("toy", seed=4)
    assert row(restorer) == ("tiny", "none", "untrained")
    assert restorer.weights.sha256 is None
    assert "seed 4" in restorer.weights.description
    (message,) = caplog.messages
    assert "no weights are bundled; using the tiny variant UNTRAINED" in message


@pytest.mark.parametrize("variant", ["paper", "large", "tiny"])
def test_an_explicit_variant_without_weights_is_an_error(toy: ModelCard, variant: str) -> None:
    with pytest.raises(ModelError, match=f"no weights for toy {variant}: pass weights=PATH, or weights=none"):
        create_model("toy", variant=variant)
    assert row(create_model("toy", variant=variant, weights="none")) == (variant, "none", "untrained")


def test_a_restorer_without_a_tiny_variant_asks_for_weights(weights_folder: Path) -> None:
    register(dataclasses.replace(CARD, name="big", variants={"one": Variant()}, checkpoints=()))(Toy)
    with pytest.raises(ModelError, match="no weights for big one"):
        create_model("big")


def test_random_weights_are_of_the_default_variant(toy: ModelCard, weights_folder: Path) -> None:
    save(weights_folder / "first.pth")
    assert row(create_model("toy", weights="none")) == ("paper", "none", "untrained")


def test_bundled_weights_belong_to_tiny(toy: ModelCard) -> None:
    with pytest.raises(ModelError, match="no weights are bundled for toy"):
        create_model("toy", weights="bundled")
    bundle(toy)
    with pytest.raises(ModelError, match="are of variant tiny: pass variant=tiny"):
        create_model("toy", variant="paper", weights="bundled")


def test_any_other_file_is_retrained(toy: ModelCard, tmp_path: Path) -> None:
    network = save(tmp_path / "mine.pth", 6)
    restorer = create_model("toy", variant="large", weights=str(tmp_path / "mine.pth"))
    assert row(restorer) == ("large", "file", "retrained")
    assert holds(restorer, network)


def test_a_file_of_another_variant_is_an_error_that_names_it(toy: ModelCard, tmp_path: Path) -> None:
    save(tmp_path / "mine.pth", 6)
    with pytest.raises(
        ModelError, match=r"mine\.pth does not fit this toy: .*it fits variant large: pass variant=large"
    ):
        create_model("toy", weights=tmp_path / "mine.pth")
    save(tmp_path / "mine.pth", 4, bias=False)
    with pytest.raises(ModelError, match=r"it fits variant paper: pass variant=paper bias=False"):
        create_model("toy", weights=tmp_path / "mine.pth")


def test_a_known_file_says_its_variant(toy: ModelCard, tmp_path: Path) -> None:
    save(tmp_path / "large.pth", 6)
    assert row(create_model("toy", weights=tmp_path / "large.pth")) == ("large", "file", "official")


def test_a_known_hash_is_official_under_any_name_and_another_hash_is_not(
    weights_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path / "renamed.pth", 6)
    hashed = dataclasses.replace(CHECKPOINTS[2], sha256=file_sha256(tmp_path / "renamed.pth"))
    register(dataclasses.replace(CARD, checkpoints=(hashed,)))(Toy)
    assert row(create_model("toy", weights=tmp_path / "renamed.pth")) == ("large", "file", "official")
    assert not caplog.messages

    save(weights_folder / "large.pth", 6)
    assert row(create_model("toy", variant="large")) == ("large", "file", "retrained")
    assert "has the name of a published checkpoint but another sha256" in caplog.text


def test_saved_weights_say_what_they_are(toy: ModelCard, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_weights(
        Toy(6).state_dict(),
        path,
        {"restorebench.provenance": "untrained", "restorebench.model": "toy", "restorebench.variant": "large"},
    )
    assert row(create_model("toy", weights=path)) == ("large", "file", "untrained")
    save_weights(Toy(4).state_dict(), path, {"restorebench.model": "rbair"})
    with pytest.raises(ModelError, match="holds weights of rbair, not of toy"):
        create_model("toy", weights=path)


def test_a_reconstructed_network_stays_reconstructed_once_trained(weights_folder: Path, tmp_path: Path) -> None:
    card = dataclasses.replace(CARD, network_provenance="reconstructed")
    register(card)(Toy)
    save(tmp_path / "mine.pth")
    save(weights_folder / "large.pth", 6)
    bundle(card)
    assert create_model("toy", weights=tmp_path / "mine.pth").weights.provenance == "reconstructed"
    assert create_model("toy", variant="large").weights.provenance == "reconstructed"
    assert create_model("toy", variant="tiny").weights.provenance == "reconstructed"
    assert create_model("toy", weights="none").weights.provenance == "untrained"
    save_weights(Toy().state_dict(), tmp_path / "random.safetensors", {"restorebench.provenance": "untrained"})
    assert create_model("toy", weights=tmp_path / "random.safetensors").weights.provenance == "untrained"


def test_a_missing_file_is_an_error_not_a_fallback(toy: ModelCard, tmp_path: Path) -> None:
    bundle(toy)
    with pytest.raises(ModelError, match=r"no checkpoint at \S+gone\.pth"):
        create_model("toy", weights=tmp_path / "gone.pth")


def test_a_damaged_checkpoint_in_the_folder_is_an_error_not_a_fallback(toy: ModelCard, weights_folder: Path) -> None:
    bundle(toy)
    (weights_folder / "first.pth").write_bytes(b"half a file")
    with pytest.raises(ModelError, match=r"first\.pth is not a checkpoint"):
        create_model("toy")
