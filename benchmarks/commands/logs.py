"""Messages of the suite on standard error."""

from __future__ import annotations

import logging
import sys


class LineHandler(logging.Handler):
    """Writes messages to standard error, above a progress bar that may be there."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)


def set_up_logging() -> None:
    """Messages of the suite go to standard error, a line each."""
    logger = logging.getLogger("restorebench")
    if not any(isinstance(handler, LineHandler) for handler in logger.handlers):
        logger.addHandler(LineHandler())
    logger.setLevel(logging.INFO)
    logger.propagate = False
