"""Every network runs on a device alone: nothing of a pass lies on the host, and little of it is read there."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DynamicOutputShapeException

from restorebench.models import Restorer, build_network, get_card, list_models
from restorebench.models.card import WeightsInfo
from restorebench.models.layers.layout import to_channels_last

from . import device as placed

VARIANTS = [
    (card.key, variant) for card in list_models() if card.built_from == "arguments" for variant in card.variants
]
TINY = [(name, variant) for name, variant in VARIANTS if variant in ("tiny", "input")]
READS = {"moceir": {"paper": 10, "s": 10, "tiny": 3}}
"""How often a batch makes the host wait for the device: MoCE-IR reads which experts a router has chosen, once for each
of its adapters, to run no others."""


def built(name: str, variant: str) -> nn.Module:
    return build_network(name, variant=variant, device=placed.DEVICE)


def passed(network: nn.Module, size: tuple[int, int] = (64, 64), batch: int = 2) -> Tensor:
    """A pass of a network, checked to be of the device."""
    images = torch.rand(batch, 3, *size, device=placed.DEVICE)
    with torch.set_grad_enabled(network.training):
        restored: Tensor = network(images)
    assert restored.device.type == placed.DEVICE
    assert restored.shape == images.shape
    return restored


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_a_network_runs_on_the_device_alone_and_asks_it_for_no_more_than_is_known(name: str, variant: str) -> None:
    with placed.device() as questions:
        network = built(name, variant)
        for training in (False, True):
            questions.counts.clear()
            passed(network.train(training))
            assert sum(questions.counts.values()) <= READS.get(name, {}).get(variant, 0), dict(questions.counts)


@pytest.mark.parametrize(("name", "variant"), TINY)
def test_under_autocast_and_in_channels_last_nothing_is_mixed_either(
    name: str, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with placed.device(), placed.autocast(monkeypatch):
        network = built(name, variant)
        to_channels_last(network)
        for training in (False, True):
            passed(network.train(training))


def test_large_images_whose_frequencies_adair_splits_are_not_asked_for_either() -> None:
    with placed.device() as questions:
        network = built("adair", "tiny").eval()
        questions.counts.clear()
        passed(network, (640, 1024), batch=1)
        assert not questions.counts
        literal = build_network("adair", variant="tiny", device=placed.DEVICE, literal_fourier=True).eval()
        passed(literal, (640, 1024), batch=1)


@pytest.mark.parametrize("answer", [0, 1])
def test_images_of_a_batch_that_go_to_one_expert_stay_on_the_device(answer: float) -> None:
    with placed.device(answer) as questions:
        network = built("moceir", "tiny").eval()
        questions.counts.clear()
        passed(network)
        assert set(questions.counts) == {"tolist"}


@pytest.mark.parametrize("name", ["rbair", "kbnet"])
def test_a_restorer_pads_odd_sizes_on_the_device(name: str) -> None:
    with placed.device() as questions:
        card = get_card(name)
        weights = WeightsInfo(kind="none", path=None, sha256=None, provenance="untrained", description="none")
        restorer = Restorer(built(name, "tiny"), card, "tiny", weights).eval()
        questions.counts.clear()
        passed(restorer, (37, 53))
        assert not questions.counts


def test_a_network_that_mixes_host_and_device_is_found() -> None:
    class Mixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.arange(x.shape[3])

    with placed.device(), pytest.raises(RuntimeError, match="device"):
        passed(Mixed())


@pytest.mark.parametrize(
    ("asks", "kind"),
    [
        (lambda x: x * x.mean().item(), "item"),
        (lambda x: x if x.mean() > 0 else -x, "item"),
        (lambda x: x * len(x.flatten().tolist()), "tolist"),
        (lambda x: x * x.cpu().shape[0], "copy to the host"),
        (lambda x: x * torch.tensor([1.0, 2.0], device=x.device)[0], "copy from the host"),
        (lambda x: x if torch.equal(x, x) else -x, "equal"),
        (lambda x: x if torch.allclose(x, x) else -x, "equal"),
        (lambda x: x[x > 0.5], "mask"),
        (lambda x: x.clone().index_put_((x > 0.5,), torch.zeros(7, device=x.device)), "mask"),
        (lambda x: torch.where(x > 0.5), "nonzero"),
        (lambda x: torch.bincount(x.flatten().long()), "bincount"),
        (lambda x: x.flatten().repeat_interleave(x.flatten().long()), "repeat_interleave"),
        (lambda x: torch.linalg.inv(x[0, 0]), "check"),
    ],
)
def test_every_kind_of_question_is_counted(asks: object, kind: str) -> None:
    with placed.device() as questions:
        images = torch.rand(1, 3, 8, 8, device=placed.DEVICE)
        questions.counts.clear()
        with contextlib.suppress(DynamicOutputShapeException):  # counted first; nobody knows how large its result is
            asks(images)  # type: ignore[operator]
    assert dict(questions.counts) == {kind: 1}


@pytest.mark.parametrize(
    "writes",
    [
        lambda x: x.clone().__setitem__(x > 0.5, 0),
        lambda x: torch.where(x > 0.5, x, 0),
        lambda x: x.flatten().repeat_interleave(2),
        lambda x: x.flatten().repeat_interleave(x.flatten().long(), output_size=192),
        lambda x: x.clone().index_put_((torch.zeros(3, dtype=torch.int64, device=x.device),), x[0]),
    ],
)
def test_what_needs_no_answer_is_not_counted(writes: object) -> None:
    with placed.device() as questions:
        images = torch.rand(1, 3, 8, 8, device=placed.DEVICE)
        questions.counts.clear()
        writes(images)  # type: ignore[operator]
        assert not questions.counts
