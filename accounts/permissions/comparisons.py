"""What a comparison of two engines found: the grants gained and lost; `comparing` makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from accounts.permissions.language.model import Pair


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """`subject` has `relation` to `object`. `user:*` is everybody of the type."""

    object: str
    relation: str
    subject: str

    def __str__(self) -> str:
        return f"{self.object}#{self.relation}@{self.subject}"

    def as_json(self) -> dict[str, str]:
        """Return OpenFGA's shape of a tuple key."""
        return {"user": self.subject, "relation": self.relation, "object": self.object}


@dataclass(frozen=True, slots=True)
class Comparison:
    """`gained` and `lost` in order of object, relation and subject. `affected` are the types and relations that were
    compared; `is_complete` is False when there may be more, `cut` says why."""

    gained: tuple[Grant, ...]
    lost: tuple[Grant, ...]
    affected: tuple[Pair, ...] = ()
    cut: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        return not self.cut

    def as_json(self) -> dict[str, Any]:
        """Return {gained, lost, affected, complete, cut}."""
        return {
            "gained": [grant.as_json() for grant in self.gained],
            "lost": [grant.as_json() for grant in self.lost],
            "affected": [f"{object_type}#{relation}" for object_type, relation in self.affected],
            "complete": self.is_complete,
            "cut": list(self.cut),
        }
