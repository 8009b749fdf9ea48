"""Restorers as files for other programs: the forms that networks take for it, what is written, and what is refused."""

from __future__ import annotations

import pytest
import torch

from restorebench.benchmarks.conformance import wake
from restorebench.models import build_network, create_model, list_models
from restorebench.models.exporting import TOLERANCE
from restorebench.models.weights import bundled_path

NETWORKS = [card.name for card in list_models() if card.built_from == "arguments" and card.trainable]


def smallest(name: str) -> torch.nn.Module:
    """The tiny size of a network, awake: with its bundled weights, or random ones that all count."""
    card = next(card for card in list_models() if card.name == name)
    variant = "tiny" if "tiny" in card.variants else card.default_variant
    if bundled_path(card).is_file():
        return create_model(name, variant="tiny", weights="bundled").network.eval()
    network = build_network(name, variant=variant, seed=0).eval()
    wake(network)
    return network


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_the_form_for_other_programs_restores_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = smallest(name)
    sides = (256, 264) if name == "adair" else (48, 64)  # from 256 pixels on its boxes of low frequencies hold some
    images = torch.rand(2 if name != "adair" else 1, 3, *sides, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        usual = network(images.clone())
        monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
        plain = network(images.clone())
    assert plain.shape == usual.shape
    assert float((usual - images).abs().max()) > 10 * TOLERANCE
    assert float((plain - usual).abs().max()) < TOLERANCE / 2
