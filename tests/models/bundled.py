"""The restorers whose tiny weights come with the package."""

from __future__ import annotations

from restorebench.models import list_models
from restorebench.models.weights import bundled_path

BUNDLED = tuple(card.name for card in list_models() if bundled_path(card).is_file())
"""Their names in the registry, in its order."""
