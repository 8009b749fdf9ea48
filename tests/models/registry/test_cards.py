"""Cards read from the files of networks without importing them, and when that has to be left alone."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

import restorebench.models.networks as networks
from restorebench.models import list_models
from restorebench.models.registry import get_registration
from restorebench.models.registry.cards import found_cards

FOLDER = Path(networks.__path__[0])
MODULE = "restorebench.models.networks.new"


def found(folder: Path, text: str) -> list[tuple[str, str]] | None:
    """Names and classes of the cards that a file with this text registers; None where it has to be imported."""
    path = folder / "new.py"
    path.write_text("from ..card import ModelCard, Variant\nfrom ..registry import register\n" + dedent(text))
    cards = found_cards(MODULE, path)
    return None if cards is None else [(each.card.name, each.network) for each in cards]


CARD = "ModelCard(name={!r}, title='', variants={{'a': Variant()}}, paper='', url='', year=1, code_licence=LICENCE)"


def test_the_card_that_is_read_is_the_one_that_is_registered() -> None:
    read = {
        each.card.name: each
        for path in FOLDER.glob("*.py")
        for each in found_cards(f"{networks.__name__}.{path.stem}", path) or []
    }
    listed = [card.name for card in list_models() if card.name in read]
    assert {"rbair", "kbnet", "identity", "spandrel", "onnx"} <= set(listed)
    for name in listed:
        registration = get_registration(name)
        assert registration.card == read[name].card
        assert f"{registration.network.__module__}.{registration.network.__qualname__}" == read[name].where


def test_constants_and_functions_of_the_file_and_the_standard_library_may_make_a_card(tmp_path: Path) -> None:
    text = f"""
        import torch
        from functools import partial
        from ..layers.layout import planes

        NAME = "made"
        LICENCE: str = "MIT"

        def card(suffix: "torch.Tensor") -> "torch.Tensor":
            return {CARD.format("x").replace("'x'", "NAME + suffix")}

        CARD = partial(card, "-up")()

        @register(CARD)
        class Net(torch.nn.Module):
            pass

        @register({CARD.format("second")})
        class Other(Net):
            pass
    """
    assert found(tmp_path, text) == [("made-up", "Net"), ("second", "Other")]


def test_a_file_that_registers_nothing_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "blocks.py"
    path.write_text("import no_such_package\n")
    assert found_cards(MODULE, path) == []


@pytest.mark.parametrize(
    "text",
    [
        "import torch\nLICENCE = str(torch.float32)\n@register({card})\nclass Net: pass",
        "from .kbnet import NO_LICENCE as LICENCE\n@register({card})\nclass Net: pass",
        "LICENCE = 'a'\nLICENCE = 'b'\n@register({card})\nclass Net: pass",
        "LICENCE = 1 / 0\n@register({card})\nclass Net: pass",
        "LICENCE = ''\nclass Net: pass\nregister({card})(Net)",
        "for LICENCE in 'ab': pass\n@register({card})\nclass Net: pass",
        "LICENCE = ''\n@register(dict())\nclass Net: pass",
        "@register(NOWHERE)\nclass Net: pass",
    ],
)
def test_what_takes_more_is_imported_as_a_whole(text: str, tmp_path: Path) -> None:
    assert found(tmp_path, text.replace("{card}", CARD.format("new"))) is None
