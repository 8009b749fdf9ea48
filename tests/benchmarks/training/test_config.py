"""The recipes, and the names of keys."""

from __future__ import annotations

import pytest

from restorebench.benchmarks.commands.train import COMMAND

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "recipe",
    ["embedded", "photographs", "contrast", "denoise", "three_degradations", "five_degradations"],
)
def test_every_recipe_composes_for_every_restorer_it_is_meant_for(recipe: str) -> None:
    for model in ("anyir", "daair"):
        config = COMMAND.compose([f"model={model}", f"recipe={recipe}"]).configs[0]
        assert config.mix.name == recipe
        assert config.mix.parts
        assert config.patches[-1].until == 1
