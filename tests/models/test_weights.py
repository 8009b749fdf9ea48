"""Which weights a restorer gets, and what its row will say."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from restorebench.models import (
    Checkpoint,
    ModelCard,
    ModelError,
    Restorer,
    Variant,
    create_model,
    get_card,
    register,
    save_weights,
)
from restorebench.models import weights as selection
from restorebench.models.checkpoints.writing import read_metadata
from restorebench.models.files import file_sha256
from restorebench.models.fit import check_fit
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
    assert row(restorer) == ("paper", "file", "file")  # its name alone says so
    assert holds(restorer, network)
    assert restorer.weights.path == weights_folder / "first.pth"
    assert restorer.weights.sha256 == file_sha256(weights_folder / "first.pth")
    assert "not checked: it has the name of a published checkpoint trained for rain" in restorer.weights.description


def test_a_checkpoints_own_arguments_are_used(toy: ModelCard, weights_folder: Path) -> None:
    network = save(weights_folder / "second.pth", bias=False)
    for restorer in (create_model("toy"), create_model("toy", weights=weights_folder / "second.pth")):
        assert holds(restorer, network)
        assert restorer.overrides == {"bias": False}


def test_an_explicit_variant_takes_its_own_checkpoint(toy: ModelCard, weights_folder: Path) -> None:
    save(weights_folder / "first.pth")
    network = save(weights_folder / "large.pth", 6)
    restorer = create_model("toy", variant="large")
    assert row(restorer) == ("large", "file", "file")
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


def test_any_other_file_is_a_file_of_unknown_origin_called_by_its_name(toy: ModelCard, tmp_path: Path) -> None:
    network = save(tmp_path / "mine.pth", 6)
    restorer = create_model("toy", variant="large", weights=str(tmp_path / "mine.pth"))
    assert row(restorer) == ("large", "file", "file")
    assert restorer.weights.label == "mine.pth"
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
    assert row(create_model("toy", weights=tmp_path / "large.pth")) == ("large", "file", "file")


def test_a_known_hash_is_official_under_any_name_and_another_hash_is_not(
    weights_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path / "renamed.pth", 6)
    hashed = dataclasses.replace(CHECKPOINTS[2], sha256=file_sha256(tmp_path / "renamed.pth"))
    register(dataclasses.replace(CARD, checkpoints=(hashed,)))(Toy)
    assert row(create_model("toy", weights=tmp_path / "renamed.pth")) == ("large", "file", "official")
    assert not caplog.messages

    save(weights_folder / "large.pth", 6)
    assert row(create_model("toy", variant="large")) == ("large", "file", "file")
    assert "has the name of a published checkpoint but another sha256" in caplog.text


def test_saved_weights_say_what_they_are(toy: ModelCard, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_weights(
        Toy(6).state_dict(),
        path,
        {"restorebench.provenance": "untrained", "restorebench.model": "toy", "restorebench.variant": "large"},
    )
    restorer = create_model("toy", weights=path)
    assert row(restorer) == ("large", "file", "file")
    assert "not checked: it says of itself to be 'untrained'" in restorer.weights.description
    save_weights(Toy(4).state_dict(), path, {"restorebench.model": "rbair"})
    with pytest.raises(ModelError, match="holds weights of rbair, not of toy"):
        create_model("toy", weights=path)


CLAIMS = ("official", "bundled", "retrained", "foreign", "untrained", "input")


@pytest.mark.parametrize("claim", [*CLAIMS, "reconstructed", "best\nof all", "x" * 10_000])
def test_what_a_file_says_of_itself_is_shown_and_not_believed(toy: ModelCard, tmp_path: Path, claim: str) -> None:
    path = tmp_path / "mine.safetensors"
    facts = {"restorebench.provenance": claim, "restorebench.images": "5", "restorebench.tensors_sha256": "0" * 64}
    save_file(Toy().state_dict(), path, metadata=facts)
    info = create_model("toy", weights=path).weights
    assert info.provenance == "file"
    assert f"not checked: it says of itself to be '{' '.join(claim.split())[:40]}" in info.description
    assert "\n" not in info.description
    assert len(info.description) < 200


TRAINED = {"restorebench.provenance": "retrained", "restorebench.images": "800", "restorebench.recipe": "embedded"}


def test_facts_of_the_trainer_are_believed_of_their_own_tensors_only(toy: ModelCard, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    network = Toy()
    save_weights(network.state_dict(), path, TRAINED, trained=True)
    restorer = create_model("toy", weights=path)
    assert row(restorer) == ("paper", "file", "retrained")
    assert restorer.weights.training == {"images": 800, "recipe": "embedded"}

    facts = read_metadata(path)
    changed = {key: value + 1 for key, value in network.state_dict().items()}
    save_file(changed, path, metadata=facts)
    assert row(create_model("toy", weights=path)) == ("paper", "file", "file")
    save_weights(network.state_dict(), path, facts)  # written by this suite, but not by its trainer
    assert row(create_model("toy", weights=path)) == ("paper", "file", "file")


def test_the_packages_own_file_is_bundled_wherever_it_lies(toy: ModelCard, tmp_path: Path) -> None:
    bundle(toy)
    path = tmp_path / "mine.safetensors"
    path.write_bytes(bundled_path(toy).read_bytes())
    assert row(create_model("toy", variant="tiny", weights=path)) == ("tiny", "file", "bundled")


def test_a_network_rebuilt_from_its_paper_has_weights_like_any_other(weights_folder: Path, tmp_path: Path) -> None:
    card = dataclasses.replace(CARD, network_provenance="reconstructed")
    register(card)(Toy)
    save(tmp_path / "mine.pth")
    bundle(card)
    assert create_model("toy", weights=tmp_path / "mine.pth").weights.provenance == "file"
    assert create_model("toy", variant="tiny").weights.provenance == "bundled"
    assert create_model("toy", weights="none").weights.provenance == "untrained"


def test_what_was_hashed_is_what_is_loaded(toy: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is replaced between the choice of weights and their loading."""
    path = tmp_path / "mine.pth"
    save(path)
    choose = selection.choose_weights

    def choose_and_replace(*arguments: Any) -> selection.WeightsChoice:
        choice = choose(*arguments)
        save(path)
        return choice

    monkeypatch.setattr(selection, "choose_weights", choose_and_replace)
    with pytest.raises(ModelError, match=r"mine\.pth has changed since its sha256 was taken \(\w{12}\): start the"):
        create_model("toy", weights=path)


def test_a_file_longer_than_the_network_can_need_is_refused_unread(
    toy: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(dataclasses.replace(CARD, name="counted", variants={"paper": Variant(parameters=31)}, checkpoints=()))(Toy)
    path = tmp_path / "long.pth"
    save(path)
    with path.open("r+b") as file:
        file.truncate(2**28 + 16 * 4 * 31 + 1)
    with pytest.raises(ModelError, match=r"long\.pth is 268 MB long, weights are read up to 268 MB here"):
        create_model("counted", weights=path)
    save(path)
    monkeypatch.setenv("RESTOREBENCH_MAX_WEIGHTS", "100")
    with pytest.raises(ModelError, match=r"weights are read up to 0 MB here: RESTOREBENCH_MAX_WEIGHTS=BYTES raises"):
        create_model("counted", weights=path)
    monkeypatch.setenv("RESTOREBENCH_MAX_WEIGHTS", "1e6")
    assert create_model("counted", weights=path).weights.kind == "file"


def test_a_missing_file_is_an_error_not_a_fallback(toy: ModelCard, tmp_path: Path) -> None:
    bundle(toy)
    with pytest.raises(ModelError, match=r"no checkpoint at \S+gone\.pth"):
        create_model("toy", weights=tmp_path / "gone.pth")


def test_a_damaged_checkpoint_in_the_folder_is_an_error_not_a_fallback(toy: ModelCard, weights_folder: Path) -> None:
    bundle(toy)
    (weights_folder / "first.pth").write_bytes(b"half a file")
    with pytest.raises(ModelError, match=r"first\.pth is not a checkpoint"):
        create_model("toy")


def test_a_file_that_does_not_fit_is_refused_every_time_it_is_asked(tmp_path: Path) -> None:
    (tmp_path / "noise.pth").write_bytes(bytes(range(256)) * 8)
    card = get_card("kbnet")
    choice = selection.choose_weights(card, "tiny", tmp_path / "noise.pth", 0)
    for _ in range(2):
        with pytest.raises(ModelError, match="not a checkpoint that can be read safely"):
            check_fit(card, "tiny", choice.info, {})
