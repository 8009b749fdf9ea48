"""The degraded image itself."""

import pytest
import torch

from restorebench.models import ModelError, create_model, get_card


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (8, 8), (37, 53)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gives_back_the_input_of_any_size(size: tuple[int, int], dtype: torch.dtype) -> None:
    x = torch.rand(2, 3, *size).to(dtype)
    restored = create_model("identity")(x)
    assert restored.dtype == dtype
    assert torch.equal(restored, x)


def test_values_outside_the_range_are_left_alone() -> None:
    x = torch.tensor([-1.0, 0.5, 7.0]).reshape(1, 3, 1, 1)
    assert torch.equal(create_model("identity")(x), x)


@pytest.mark.parametrize("weights", [None, "none", "bundled"])
def test_it_is_the_input_row_and_needs_no_weights(weights: str | None) -> None:
    restorer = create_model("identity", weights=weights)
    assert restorer.variant == "input"
    assert restorer.parameters_count == 0
    assert (restorer.weights.kind, restorer.weights.provenance) == ("not needed", "input")
    assert restorer.weights.path is None
    assert not get_card("identity").trainable


def test_a_weights_file_and_arguments_are_refused() -> None:
    with pytest.raises(ModelError, match=r"identity has no weights to load: leave out weights=x\.pth"):
        create_model("identity", weights="x.pth")
    with pytest.raises(ModelError, match="unknown constructor argument of identity 'dim'"):
        create_model("identity", dim=3)
