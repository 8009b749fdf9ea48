"""Names, cards, plug-ins."""

import logging
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from textwrap import dedent

import pytest
import torch

import restorebench.models as models
from restorebench.models import (
    Checkpoint,
    ModelCard,
    ModelError,
    Variant,
    build_network,
    create_model,
    get_card,
    list_models,
    register,
    temporary_registry,
    unregister,
)

from ..toys import Toy, card

pytestmark = pytest.mark.usefixtures("own_registry", "weights_folder")


def test_importing_the_package_and_asking_for_its_light_names_leaves_torch_alone() -> None:
    code = "import sys, restorebench.models as m; m.ModelCard, m.create_model; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_exported_name_exists_and_others_do_not() -> None:
    for name in models.__all__:
        assert getattr(models, name) is not None
    assert set(models.__all__) <= set(dir(models))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        models.nothing  # noqa: B018


def test_the_list_is_sorted_and_holds_built_in_and_registered_models(toy: ModelCard) -> None:
    names = [entry.name for entry in list_models()]
    assert names == sorted(names)
    assert {"identity", "toy"} <= set(names)
    assert get_card("toy") is toy


def test_the_decorator_leaves_the_class_as_it_is() -> None:
    assert register(card())(Toy) is Toy


def test_a_taken_name_is_an_error_that_names_both_classes(toy: ModelCard) -> None:
    class Other(Toy):
        pass

    with pytest.raises(ModelError, match=r"'toy' of \S+Other is already taken by \S+Toy"):
        register(card())(Other)
    unregister("toy")
    register(card())(Other)
    assert isinstance(build_network("toy"), Other)


@pytest.mark.parametrize("name", ["Toy", "to/y", "", "..", "to y"])
def test_names_that_cannot_be_folders_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match="unusable"):
        register(card(name))(Toy)


def test_a_card_that_contradicts_the_constructor_is_refused() -> None:
    with pytest.raises(ModelError, match=r"variant 'paper' and \S+Toy disagree: .*'depth'"):
        register(card(variants={"paper": Variant(arguments={"depth": 3})}))(Toy)
    lost = Checkpoint(variant="large", file_name="a", url="", licence="", trained_for="")
    with pytest.raises(ModelError, match="unknown variant of toy 'large'"):
        register(card(checkpoints=(lost,)))(Toy)
    with pytest.raises(TypeError, match="takes a class of"):
        register(card())(lambda: Toy())  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="unknown model 'toy'"):
        get_card("toy")


@pytest.mark.parametrize("asked", ["toi", "TOY", "toyy"])
def test_an_unknown_model_suggests_the_nearest(toy: ModelCard, asked: str) -> None:
    with pytest.raises(
        ModelError, match=rf"unknown model '{asked}' \(did you mean 'toy'.*\?\); known: .*identity"
    ) as caught:
        create_model(asked)
    assert "\n" not in str(caught.value)


def test_an_unknown_variant_suggests_the_nearest(toy: ModelCard) -> None:
    with pytest.raises(
        ModelError, match=r"unknown variant of toy 'papr' \(did you mean 'paper'\?\); known: paper, tiny"
    ):
        create_model("toy", variant="papr", weights="none")


def plugin(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str, *, name: str = "far") -> None:
    """Install, for the test, a package `far-models` whose entry point `name` is the module `far_models`."""
    (folder / "far_models.py").write_text(dedent(code))
    info = folder / "far_models-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: far-models\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[restorebench.models]\n{name} = far_models\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "far_models", raising=False)
    assert [point.name for point in metadata.entry_points(group="restorebench.models")] == [name]


REGISTERS = """
    from torch import nn
    from restorebench.models import ModelCard, Variant, register

    @register(ModelCard(name="far", title="Far", variants={"one": Variant()}, paper="", url="", year=2024,
                        code_licence="MIT"))
    class Far(nn.Module):
        def forward(self, x):
            return 1 - x
"""


def test_a_plug_in_is_found_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin(tmp_path, monkeypatch, REGISTERS)
    assert "far_models" not in sys.modules
    restorer = create_model("far", weights="none")
    assert torch.equal(restorer(torch.zeros(1, 3, 2, 2)), torch.ones(1, 3, 2, 2))
    assert "far" in [entry.name for entry in list_models()]


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("register(ModelCard(name='identity', title='', variants={'a': Variant()}, paper='', url='', year=1, "
         "code_licence=''))(Far)", "ModelError: model name 'identity' of far_models.Far is already taken"),
    ],
)  # fmt: skip
def test_a_broken_plug_in_is_a_warning_and_leaves_nothing_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, last: str, reason: str
) -> None:
    plugin(tmp_path, monkeypatch, dedent(REGISTERS) + "\n" + last + "\n")
    with caplog.at_level(logging.WARNING, "restorebench"):
        names = [entry.name for entry in list_models()]
    assert "identity" in names
    assert "far" not in names
    assert len(caplog.records) == 1
    assert "'far'" in caplog.text
    assert "far-models" in caplog.text
    assert reason in caplog.text

    caplog.clear()
    with pytest.raises(ModelError, match=r"model 'far' cannot be used: its plug-in of far-models") as caught:
        create_model("far")
    assert reason in str(caught.value)
    assert not caplog.records  # said once


def test_a_plug_in_may_list_the_models_while_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin(
        tmp_path, monkeypatch, "from restorebench.models import list_models\nNAMES = [c.name for c in list_models()]\n"
    )
    list_models()
    assert "identity" in sys.modules["far_models"].NAMES


def test_after_a_temporary_registry_everything_is_as_before(toy: ModelCard) -> None:
    before = list_models()
    with temporary_registry():
        assert list_models() == before
        unregister("identity")
        unregister("toy")
        register(card(variants={"other": Variant()}))(Toy)
        assert get_card("toy") is not toy
        register(card("another"))(Toy)
    with pytest.raises(ModelError, match="taken"), temporary_registry():
        register(card("identity"))(Toy)
    assert list_models() == before
    assert get_card("toy") is toy
    assert build_network("identity") is not None
    with pytest.raises(ModelError, match="unknown model 'another'"):
        get_card("another")


def test_plug_ins_of_a_temporary_registry_are_forgotten_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with temporary_registry():
        plugin(tmp_path, monkeypatch, "raise OSError('half')")
        with pytest.raises(ModelError, match="'far' cannot be used"):
            get_card("far")
        with temporary_registry(), pytest.raises(ModelError, match="'far' cannot be used"):
            get_card("far")  # still known to be broken, and not said again
    assert len(caplog.records) == 1
    monkeypatch.undo()
    with pytest.raises(ModelError, match="unknown model 'far'"):
        get_card("far")
