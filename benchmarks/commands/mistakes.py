"""Which errors are the user's: one line and exit code 2; whatever else is ours, and keeps its traceback."""

from __future__ import annotations


def is_user_error(error: ValueError) -> bool:
    """Whether an error is the user's to mend; other ValueErrors are ours, and keep their traceback."""
    from ...datasets.errors import DataError
    from ...models.errors import ModelError
    from ...reports.errors import PublishedError, ReportError
    from ..errors import UserError

    return isinstance(error, UserError | DataError | ModelError | ReportError | PublishedError)
