"""What a programmer gets wrong when recording an event. These are bugs, so they are not part of the API's error tree."""

from __future__ import annotations


class UnrecordableEvent(Exception):
    """The event is not one that the log can keep; the command that meant to record it must not commit."""
