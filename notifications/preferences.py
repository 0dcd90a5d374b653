"""What a person chose, as the rest of the app asks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from notifications.states import KINDS, MailChoice, kind_of


class Choice(NamedTuple):
    """How one kind is told: in the inbox, and when by e-mail."""

    inbox: bool
    email: MailChoice


@dataclass(frozen=True, slots=True)
class Choices:
    """The choices of one person over the defaults. What is stored of a kind that is mandatory does not count."""

    stored: Mapping[str, Mapping[str, Any]]
    time_zone: str = ""

    def of(self, kind: str) -> Choice:
        """Return what holds for a kind. Raises LookupError on an unknown one."""
        known, own = kind_of(kind), self.stored.get(kind, {})
        if known.is_mandatory:
            return Choice(True, known.email)
        email = own.get("email", known.email)
        return Choice(bool(own.get("inbox", True)), MailChoice(email) if email in MailChoice.values else known.email)

    def all(self, *, is_staff: bool) -> dict[str, Choice]:
        """Return what holds for each kind that concerns the person."""
        return {name: self.of(name) for name, kind in KINDS.items() if is_staff or not kind.is_for_staff}


DEFAULTS = Choices({})
