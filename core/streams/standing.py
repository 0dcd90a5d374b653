"""Does whoever reads a stream still stand as they did? A port that `accounts` fills.

A stream outlives the request that opened it, so the proof by which it was opened (a session, a key) is asked for again:
each minute, for all streams of a process at once, and at once when `ACCESS_CHANGED` is woken.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from core.actor import Actor

# Woken by whoever ends sessions, revokes keys or changes roles.
ACCESS_CHANGED = "access"


class Proof(NamedTuple):
    """By what somebody reads: who they are, and the session by which they asked (None: an API key)."""

    type: str
    id: UUID
    session_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """The actor as they are now. `basis` is a text of all that their access rests on: a stream ends when it changes,
    and the client comes back with a new ticket, for which everything is asked anew."""

    actor: Actor
    basis: str


class Ask(Protocol):
    """Return how those of `proofs` stand that hold at `now`; who is missing may read nothing any more."""

    def __call__(self, proofs: Collection[Proof], now: datetime) -> Mapping[Proof, Standing]: ...


_ask: Ask | None = None


def use_standing(ask: Ask) -> None:
    """Fill the port; called once, by `accounts`, when the apps are ready."""
    global _ask
    _ask = ask


def standing_of(proofs: Collection[Proof], now: datetime) -> Mapping[Proof, Standing]:
    """Return how those of `proofs` stand that hold at `now`. A few queries, however many there are."""
    assert _ask is not None, "nobody knows who stands: accounts must be among INSTALLED_APPS"
    return _ask(proofs, now)
