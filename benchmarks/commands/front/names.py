"""Names on a command line, looked up before torch is imported: a mistake in them is said at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ....datasets.suites import suite_called
from ....messages import nearest
from ....models.card import ModelCard
from ....models.files import byte_limit, check_file
from ....models.registry import check_variant, get_card
from ....models.registry.own import is_reference, with_multiple
from ...errors import UserError
from ...evaluation.config import RunConfig, check_overwrite
from ...inference.config import NumericsConfig, RestorerConfig
from ...inference.numerics import check_device, check_dtype
from ...protocols.catalogue import get_protocol

NO_FILE = (None, "none", "bundled")


def check_run(config: RunConfig) -> None:
    """What `check_restorer` refuses, and names of tasks and protocols that do not exist.

    Raises:
        UserError, ModelError, DataError: in one line, what is wrong.
    """
    check_restorer(config, config)
    if config.dataset is None and config.tasks is not None:
        suite_called(config.tasks)
    get_protocol(config.protocol)
    check_overwrite(config.overwrite)


def check_restorer(restorer: RestorerConfig, numerics: NumericsConfig) -> ModelCard | None:
    """Refuse names of models, variants, devices and dtypes that do not exist, and weights files that are not there.

    Returns:
        The restorer's card; None for a network of the user's own, whose file imports what it likes.

    Raises:
        UserError, ModelError: in one line, what is wrong.
    """
    model = with_multiple(restorer.model, restorer.size_multiple)
    card = None if is_reference(model) else get_card(model)
    if card is not None:
        check_variant(card, restorer.variant)
        check_dtype(numerics.dtype, card.dtypes, card.title)
    check_device(numerics.device)
    if restorer.weights not in NO_FILE and (card is None or card.trainable):
        check_file(Path(str(restorer.weights)).expanduser(), byte_limit(card))
    return card


def key_values(
    command: str, words: Sequence[str], keys: Sequence[str], *, shown: Sequence[str], example: str
) -> dict[str, str]:
    """``key=value`` words of a command that takes no overrides of Hydra, as a dictionary.

    Args:
        command: the word after ``bench``.
        words: as they were typed.
        keys: that it takes.
        shown: those of them that a message lists.
        example: a word, for messages.

    Raises:
        UserError: a word is none, or there is no such key.
    """
    result: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not value:
            raise UserError(f"cannot read {word!r}; write key=value, such as {example}")
        if key not in keys:
            raise UserError(f"there is no key {key!r}{nearest(key, shown)}; bench {command} takes {', '.join(shown)}")
        result[key] = value
    return result
