"""What goes to standard error, a line each: messages of the suite, and errors that are the user's to mend."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import MutableMapping

from ....messages import one_line
from ...store.names import shown

WARNINGS_VARIABLE = "PYTHONWARNINGS"


class LineHandler(logging.Handler):
    """Writes messages to standard error, above a progress bar that may be there."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(shown(self.format(record)), file=sys.stderr)  # names of files, and what networks say, are anyone's


def set_up_logging() -> None:
    """Messages of the suite go to standard error, a line each."""
    logger = logging.getLogger("restorebench")
    if not any(isinstance(handler, LineHandler) for handler in logger.handlers):
        logger.addHandler(LineHandler())
    logger.setLevel(logging.INFO)
    logger.propagate = False


def silence_libraries(environment: MutableMapping[str, str]) -> None:
    """Warnings of other packages are for who wrote the suite, not for who uses it: they are not shown.

    Whoever wants them says so as Python has it (``PYTHONWARNINGS=default``). Processes that a launcher starts inherit
    it. It is the program's business: a library leaves the filters of somebody's process alone.
    """
    if not sys.warnoptions:
        environment[WARNINGS_VARIABLE] = "ignore"
        warnings.simplefilter("ignore")
        # Not of every category: what other packages say of their future is attributed to the line that calls them.
        warnings.filterwarnings("default", category=UserWarning, module=r"restorebench(\.|$)")


def is_user_error(error: BaseException) -> bool:
    """Whether an error is the user's to mend; other ValueErrors are ours, and keep their traceback."""
    from ....datasets.errors import DataError
    from ....models.errors import ModelError
    from ....reports.errors import PublishedError, ReportError
    from ...errors import UserError

    return isinstance(error, UserError | DataError | ModelError | ReportError | PublishedError)


def is_told(error: BaseException) -> bool:
    """Whether an error is one line for the user: a mistake, or a file or folder that cannot be read or written."""
    return isinstance(error, OSError) or is_user_error(error)


def in_words(error: OSError) -> str:
    """One line about a file or folder that could not be read or written: disk full, read-only, no permission."""
    if error.errno is None:
        return str(error)
    name = error.filename
    place = os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else "a file or a stream"
    return f"{place}: {error.strerror or one_line(error)}; what is complete is kept, and the same command goes on"
