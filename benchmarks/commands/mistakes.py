"""Which errors are the user's: one line and exit code 2; whatever else is ours, and keeps its traceback."""

from __future__ import annotations

import os

from ...messages import one_line


def is_user_error(error: BaseException) -> bool:
    """Whether an error is the user's to mend; other ValueErrors are ours, and keep their traceback."""
    from ...datasets.errors import DataError
    from ...models.errors import ModelError
    from ...reports.errors import PublishedError, ReportError
    from ..errors import UserError

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
