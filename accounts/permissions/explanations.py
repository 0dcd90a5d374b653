"""An explanation, as it is kept, told in words and sent as JSON; `explaining` makes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from accounts.permissions.exploring import Met
from accounts.permissions.faults import Refused
from accounts.permissions.tuples import Tuple

_INDENT: Final = "  "


class Outcome(StrEnum):
    """Where a step ended."""

    HOLDS = "holds"
    DENIED = "does not hold"  # none of its own steps does
    NO_TUPLE = "no tuple"
    CONDITION_FALSE = "condition is false"
    NO_VALUE = "condition has no value"
    EXCLUDED = "excluded"  # its own step is the witness of what is subtracted
    UNDECIDED = "undecided"  # it hangs on a condition without a value, or on its own opposite
    CIRCLE = "leads back to itself"
    SHOWN = "shown before"
    CUT = "cut"


@dataclass(frozen=True, slots=True)
class Step:
    """A rule followed at a goal (`document:1#viewer`), over a tuple or over none, and what it came to. `rule` is what
    the model says: `viewer <- editor`, `viewer <- viewer from parent`, `viewer <- [direct]`."""

    at: str
    rule: str
    outcome: Outcome
    met: Met | None = None
    steps: tuple[Step, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return {at, rule, outcome, tuple, steps}; `tuple` is None where none was used."""
        return {
            "at": self.at,
            "rule": self.rule,
            "outcome": self.outcome.value,
            "tuple": _tuple_as_json(self.met) if self.met else None,
            "steps": [step.as_json() for step in self.steps],
        }

    def lines(self, indent: str = "") -> Iterator[str]:
        """The step and those below it as indented text."""
        text = f"{self.rule}: {_said_of(self.met)}" if self.met else self.rule
        ending = "" if self.outcome is Outcome.HOLDS else f": {self.outcome.value}"
        yield f"{indent}{self.at}: {text}{ending}"
        for step in self.steps:
            yield from step.lines(indent + _INDENT)

    def used(self) -> Iterator[Met]:
        """The tuples on which the step rests."""
        if self.outcome is Outcome.HOLDS:
            if self.met:
                yield self.met
            for step in self.steps:
                yield from step.used()


def _said_of(met: Met) -> str:
    """A tuple in words: `document:1#viewer@user:ann (stored; in_hours holds: hour=9)`."""
    one = met.tuple
    text = f"{one.object}#{one.relation}@{one.subject}"
    source = "given" if met.is_given else "stored"
    if not one.condition:
        return f"{text} ({source})"
    if met.holds is None:
        return f"{text} ({source}; {met.why})"
    values = ", ".join(f"{name}={value!r}" for name, value in sorted(met.parameters.items()))
    return f"{text} ({source}; {one.condition} {'holds' if met.holds else 'does not hold'}: {values})"


def _tuple_as_json(met: Met) -> dict[str, Any]:
    one = met.tuple
    found: dict[str, Any] = {
        "user": str(one.subject),
        "relation": one.relation,
        "object": str(one.object),
        "source": "given" if met.is_given else "stored",
    }
    if one.condition:
        found["condition"] = {
            "name": one.condition,
            "holds": met.holds,
            "parameters": dict(met.parameters),
            "problem": met.why or None,
        }
    return found


@dataclass(frozen=True, slots=True)
class Explanation:
    """`is_allowed` is what `check` answers; None when it refuses to answer, `refused` says why. `witness` proves a yes,
    `tried` are the ways that did not lead to one. `is_complete` is False when the limits cut something off."""

    subject: str
    relation: str
    object: str
    is_allowed: bool | None
    witness: Step | None = None
    tried: tuple[Step, ...] = ()
    refused: Refused | None = None
    is_complete: bool = True

    @property
    def tuples(self) -> tuple[Tuple, ...]:
        """The tuples on which a yes rests, each once."""
        found = {str(met.tuple): met.tuple for met in self.witness.used()} if self.witness else {}
        return tuple(found.values())

    def as_json(self) -> dict[str, Any]:
        """Return {allowed, user, relation, object, witness, tried, refused, complete}."""
        refused = {"code": int(self.refused.code), "message": str(self.refused)} if self.refused else None
        return {
            "allowed": self.is_allowed,
            "user": self.subject,
            "relation": self.relation,
            "object": self.object,
            "witness": self.witness.as_json() if self.witness else None,
            "tried": [step.as_json() for step in self.tried],
            "refused": refused,
            "complete": self.is_complete,
        }

    def lines(self) -> list[str]:
        """Return the explanation as text, a step on each line."""
        found = [self.headline]
        for step in (self.witness, *self.tried):
            if step is not None:
                found.extend(step.lines(_INDENT))
        if not self.is_complete:
            found.append("Not everything was looked at: the limits cut the search.")
        return found

    @property
    def headline(self) -> str:
        """The answer in a sentence."""
        if self.refused is not None:
            return f"No answer: {self.refused}"
        word, verb = ("Yes", "is") if self.is_allowed else ("No", "is not")
        return f"{word}: {self.subject} {verb} {self.relation} of {self.object}."
