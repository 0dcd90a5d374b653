"""What a programmer gets wrong when recording an event. Bugs, so not part of the error tree."""

from __future__ import annotations


class UnrecordableEvent(Exception):
    """The event is not one that the log can keep; the command that meant to record it must not commit."""
