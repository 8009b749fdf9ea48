"""Networks of the user's own: named by a file or module, executed when named, told apart by their sources."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
import torch

from restorebench.benchmarks.store.names import is_folder_name, is_label, is_title
from restorebench.models import ModelCard, ModelError, Variant, create_model, get_card, list_models, register
from restorebench.models.registry import check_names

from ..toys import Toy, card

pytestmark = pytest.mark.usefixtures("own_registry", "weights_folder")

GAIN = """
import torch
from torch import nn

class Gain(nn.Module):
    size_multiple = 4

    def __init__(self, factor: float = 0.5):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, image):
        assert image.shape[-1] % self.size_multiple == 0
        return image * self.factor

def doubled():
    return Gain(2.0)

NUMBER = 3
built = Gain()

def number():
    return 3

def raising():
    raise LookupError("no such size")

def leaving():
    raise SystemExit("bye")

class Plain:
    pass

class RBaIR(nn.Module):
    pass
"""


@pytest.fixture
def gain(tmp_path: Path) -> Path:
    path = tmp_path / "my net, v1 [a].py"
    path.write_text(GAIN)
    return path


def test_a_class_without_a_card_has_its_name_and_its_size_rule(gain: Path) -> None:
    restorer = create_model(f"{gain}:Gain", weights="none", factor=0.25)
    assert (restorer.card.name, restorer.card.title, restorer.variant) == ("gain", "Gain", "yours")
    assert (restorer.card.size.multiple, restorer.weights.provenance) == (4, "yours")
    image = torch.rand(1, 3, 5, 7)
    assert torch.equal(restorer(image), image * 0.25)
    assert "gain" not in [each.name for each in list_models()]


def test_a_function_builds_a_network_and_a_reference_may_say_the_multiple(gain: Path) -> None:
    restorer = create_model(f"{gain}:doubled@8", weights="none")
    assert restorer.card.size.multiple == 8
    image = torch.rand(1, 3, 5, 7)
    assert torch.equal(restorer(image), image * 2)


def test_the_card_that_a_file_registers_is_taken_and_not_kept(tmp_path: Path) -> None:
    (tmp_path / "carded.py").write_text(
        dedent("""
        from torch import nn
        from restorebench import ModelCard, Variant, register

        @register(ModelCard(name="carded", title="Carded Net", variants={"wide": Variant(arguments={"width": 5})},
                            paper="none", url="", year=2026, code_licence="MIT"))
        class Net(nn.Conv2d):
            def __init__(self, width):
                super().__init__(3, 3, width, padding=width // 2)
        """)
    )
    for _ in range(2):  # executed anew, and no name is taken by the time before
        restorer = create_model(f"{tmp_path / 'carded.py'}:Net", weights="none")
    assert (restorer.card.title, restorer.variant, restorer.weights.provenance) == ("Carded Net", "wide", "yours")
    with pytest.raises(ModelError, match="unknown model 'carded'"):
        get_card("carded")


def test_neighbours_of_a_file_are_its_own_and_part_of_what_it_is(tmp_path: Path) -> None:
    for folder, bias in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "parts.py").write_text(f"BIAS = {bias}\n")
        (tmp_path / folder / "net.py").write_text(
            "from torch import nn\nfrom parts import BIAS\nclass Net(nn.Module):\n"
            "    def forward(self, image):\n        return image + BIAS\n"
        )
    zero = torch.zeros(1, 3, 2, 2)
    cards = []
    for folder, bias in (("a", 1), ("b", 2)):
        restorer = create_model(f"{tmp_path / folder / 'net.py'}:Net", weights="none")
        assert restorer(zero).unique().item() == bias
        assert restorer.card.source is not None
        cards.append(restorer.card.source.identity())
    assert cards[0]["sha256"] == cards[1]["sha256"]
    assert cards[0] != cards[1]


def test_a_module_in_the_working_folder_is_imported_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "handmade_nets"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "gains.py").write_text(GAIN)
    monkeypatch.chdir(tmp_path)
    source = create_model("handmade_nets.gains:doubled", weights="none").card.source
    assert source is not None
    assert source.reference == "handmade_nets.gains:doubled"
    (package / "gains.py").write_text(GAIN + "\n# changed")
    with pytest.raises(ModelError, match="has changed since it was imported"):
        create_model("handmade_nets.gains:doubled", weights="none")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Gian", r"has no 'Gian' \(did you mean 'Gain'"),
        ("NUMBER", "is a int: name a class"),
        ("built", "is a network already"),
        ("Plain", "is no class of torch.nn.Module"),
        ("number", "returns something else than a torch.nn.Module: int"),
        ("raising", "cannot be built: LookupError: no such size"),
        ("leaving", "cannot be built: SystemExit: bye"),
        ("RBaIR", "called like a registered model, 'rbair'"),
        ("1st", "cannot read model="),
        ("Gain@x", "size_multiple=x: give a whole number"),
        ("Gain@0", "size_multiple=0: give a whole number"),
    ],
)
def test_a_mistake_in_a_name_is_one_line(gain: Path, name: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        create_model(f"{gain}:{name}", weights="none")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("class Net(:\n", r"broken\.py, line 1: "),
        ("import torch\nimport nothing_of_this_name\n", r"broken\.py, line 2 cannot be imported: ModuleNotFoundError"),
        ("raise SystemExit(3)\n", r"broken\.py, line 1 cannot be imported: SystemExit"),
        ("x = 1\n1 / 0\n", r"broken\.py, line 2 cannot be imported: ZeroDivisionError"),
        ("\0", "broken.py"),
    ],
)
def test_a_file_that_fails_is_one_line_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(ModelError, match=said):
        create_model(f"{path}:Net", weights="none")


def test_a_file_without_a_name_is_not_executed_and_its_classes_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "two.py"
    path.write_text("open('executed', 'w')\nclass First: pass\nclass Second: pass\n")
    with pytest.raises(ModelError, match=r"write .*two\.py:NAME; it has First, Second"):
        create_model(str(path))
    assert not (tmp_path / "executed").exists()


def test_a_missing_file_or_module_names_what_is_near(gain: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no file .*\(did you mean 'my net, v1 \[a\]\.py'"):
        create_model(f"{gain.with_name('my net, v1 [b].py')}:Gain")
    with pytest.raises(ModelError, match="there is no module no_such_package"):
        create_model("no_such_package.nets:Net")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"title": "T" * 201}, "title .* of 201 characters is unusable"),
        ({"title": "two\nlines"}, "is unusable"),
        ({"name": "n" * 201}, "is unusable"),
        ({"variants": {"-tiny": Variant()}}, "no variant can be called '-tiny'"),
        ({"variants": {"a/b": Variant()}}, "no variant can be called 'a/b'"),
        ({"variants": {"": Variant()}}, "no variant can be called ''"),
    ],
)
def test_a_card_with_names_that_no_record_may_have_is_refused(changes: dict[str, object], said: str) -> None:
    values = {**vars(card("fine")), **changes}
    with pytest.raises(ModelError, match=said) as caught:
        register(ModelCard(**values))(Toy)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("text", ["", "a", "A b", ".a", "a.", "ä", "a" * 200, "a" * 201, "a\tb", "[x]", "a/b"])
def test_what_a_card_may_say_is_what_the_store_reads(text: str) -> None:
    def accepted(**changes: object) -> bool:
        try:
            check_names(ModelCard(**{**vars(card("fine")), **changes}))  # type: ignore[arg-type]
        except ModelError:
            return False
        return True

    assert accepted(variants={text: Variant()}) == is_label(text)
    assert accepted(title=text) == is_title(text)
    assert is_folder_name(text) or not accepted(name=text)
