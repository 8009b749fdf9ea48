"""Errors of reports that are the user's to mend."""

from __future__ import annotations


class ReportError(ValueError):
    """A report that was asked for cannot be; the message is one line that says what to do."""


class PublishedError(ValueError):
    """A source that is not there, or a damaged transcription; one line, what to do."""
