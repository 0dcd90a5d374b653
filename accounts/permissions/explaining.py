"""Why an answer is what it is: the shortest way that leads to a yes, or every way that was tried for a no.

The answer itself is `check`'s, always. The explanation is for people: a query for each tuple in a row, within limits,
and it says when it was cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from accounts.permissions import exploring, tuples
from accounts.permissions.exploring import Explored, Goal, Limits, Met
from accounts.permissions.faults import Code, Refused
from accounts.permissions.language.model import (
    Computed,
    Exclusion,
    FromTupleset,
    Intersection,
    Rewrite,
    This,
    Union,
    children,
)
from accounts.permissions.proving import Proof, prove
from accounts.permissions.tuples import Given, Object, Subject, Tuple

if TYPE_CHECKING:
    from accounts.permissions.engine import Engine

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
        text = f"{self.rule}: {said_of(self.met)}" if self.met else self.rule
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


def said_of(met: Met) -> str:
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


def explain(
    engine: Engine,
    subject: str,
    relation: str,
    target: str,
    given: Given = (),
    context: Mapping[str, Any] = {},
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Explanation:
    """Say why `subject` has `relation` to the object `target`, or why not. Raises Refused as `check` does for what is
    not in the model; where check finds a condition without a value or a chain too long, that is the explanation."""
    brought = tuple(given)
    is_allowed, refused = _answer(engine, subject, relation, target, brought, context)
    asker, wanted = Subject.parse(subject), Object.parse(target)
    goal = Goal(wanted.type, wanted.id, relation)
    known = tuples.brought(engine.model, (*engine.always_given, *brought))
    explored = exploring.explore(engine, asker, goal, known, context, limits)
    proof = prove(explored)
    if is_allowed and explored.cut and goal not in proof.certain.costs:
        explored = _narrowed(explored, goal, _Guide(engine, subject, brought, context))
        proof = prove(explored)
    telling = _Telling(explored, proof, limits.steps)
    witness = telling.witness(goal) if is_allowed and goal in proof.certain.costs else None
    tried = () if is_allowed else telling.tried(goal, ())
    is_complete = not explored.cut and not telling.is_cut and (witness is not None or not is_allowed)
    return Explanation(str(asker), relation, str(wanted), is_allowed, witness, tried, refused, is_complete)


def _answer(engine: Engine, *question: Any) -> tuple[bool | None, Refused | None]:
    try:
        return engine.check(*question), None
    except Refused as refused:
        if refused.allowed or refused.code not in (Code.VALIDATION, Code.TOO_COMPLEX):
            raise
        return None, refused


@dataclass(slots=True)
class _Guide:
    """Where the subject stands, asked for once for each relation."""

    engine: Engine
    subject: str
    given: tuple[Any, ...]
    context: Mapping[str, Any]
    found: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def __call__(self, object_type: str, relation: str) -> list[str]:
        key = (object_type, relation)
        if key not in self.found:
            listed = self.engine.list_objects(self.subject, relation, object_type, self.given, self.context)
            self.found[key] = [one.partition(":")[2] for one in listed]
        return self.found[key]


def _narrowed(explored: Explored, goal: Goal, guide: _Guide) -> Explored:
    """The way through sets too large to be read: only those to which the subject is known to belong."""
    one = explored
    try:
        return exploring.explore(one.engine, one.asker, goal, one.given, one.context, one.limits, guide)
    except Refused:
        return explored


@dataclass(slots=True)
class _Telling:
    """Makes steps of a proof."""

    explored: Explored
    proof: Proof
    left: int  # how many steps may still be shown
    is_cut: bool = False
    _shown: set[Goal] = field(default_factory=set)

    # what holds

    def witness(self, goal: Goal) -> Step:
        """The shortest proof of a goal that holds."""
        if self.explored.is_itself(goal):
            return Step(str(goal), f"{goal} is among its own {goal.relation}", Outcome.HOLDS)
        return self._proof(goal, self.explored.relation(goal).rewrite)

    def _proof(self, goal: Goal, rewrite: Rewrite) -> Step:
        certain = self.proof.certain
        self.left -= 1
        match rewrite:
            case This():
                held = [one for one in self.explored.direct(goal) if certain.cost_over(one) is not None]
                met = min(held, key=lambda one: certain.cost_over(one) or 0)
                steps: tuple[Step, ...] = () if self.explored.is_asker(met.tuple.subject) else (self.witness(met.goal),)
                return self._held(goal, rewrite, met, steps)
            case Computed(relation):
                return self._held(goal, rewrite, None, (self.witness(goal._replace(relation=relation)),))
            case FromTupleset():
                ways = [
                    (certain.costs[on], met, on)
                    for met, on in self.explored.parents(goal, rewrite)
                    if certain.is_met(met) and on in certain.costs
                ]
                _, met, on = min(ways, key=lambda way: way[0])
                return self._held(goal, rewrite, met, (self.witness(on),))
            case Union(operands):
                costs = {operand: certain.cost(goal, operand) for operand in operands}
                best = min((one for one in operands if costs[one] is not None), key=lambda one: costs[one] or 0)
                return self._proof(goal, best)
            case Intersection(operands):
                return self._held(goal, rewrite, None, tuple(self._proof(goal, operand) for operand in operands))
            case Exclusion(base, subtract):
                refuted = self._refuted(goal, subtract, (goal,))
                return self._held(goal, rewrite, None, (self._proof(goal, base), *refuted))

    def _held(self, goal: Goal, rewrite: Rewrite, met: Met | None, steps: tuple[Step, ...]) -> Step:
        return Step(str(goal), _rule(goal, rewrite), Outcome.HOLDS, met, steps)

    # what does not

    def tried(self, goal: Goal, path: tuple[Goal, ...]) -> tuple[Step, ...]:
        """The ways that were tried to a goal that does not hold for certain."""
        rewrite = self.explored.relation(goal).rewrite
        if goal in path or goal in self._shown:
            outcome = Outcome.CIRCLE if goal in path else Outcome.SHOWN
            return (Step(str(goal), _rule(goal, rewrite), outcome),)
        if goal not in self.explored.onward:
            self.is_cut = True
            return (Step(str(goal), _rule(goal, rewrite), Outcome.CUT),)
        self._shown.add(goal)
        return self._refuted(goal, rewrite, (*path, goal))

    def _refuted(self, goal: Goal, rewrite: Rewrite, path: tuple[Goal, ...]) -> tuple[Step, ...]:
        if self.left <= 0:
            self.is_cut = True
            return (Step(str(goal), _rule(goal, rewrite), Outcome.CUT),)
        self.left -= 1
        match rewrite:
            case Union(operands):
                return tuple(step for operand in operands for step in self._refuted(goal, operand, path))
            case This():
                ways = [(met, met.goal) for met in self.explored.direct(goal)]
                return self._over_tuples(goal, rewrite, ways, path)
            case FromTupleset():
                return self._over_tuples(goal, rewrite, list(self.explored.parents(goal, rewrite)), path)
            case Computed(relation):
                other = goal._replace(relation=relation)
                if not self.explored.can_hold(other):
                    return (Step(str(goal), _rule(goal, rewrite), Outcome.NO_TUPLE),)
                return (self._denied(goal, rewrite, None, self.tried(other, path)),)
            case Intersection(operands):
                failing = [one for one in operands if self.proof.certain.cost(goal, one) is None]
                steps = tuple(step for operand in failing for step in self._refuted(goal, operand, path))
                return (self._denied(goal, rewrite, None, steps),)
            case Exclusion():
                return (self._exclusion(goal, rewrite, path),)

    def _exclusion(self, goal: Goal, rewrite: Exclusion, path: tuple[Goal, ...]) -> Step:
        if self.proof.certain.cost(goal, rewrite.subtract) is not None:
            witness = self._proof(goal, rewrite.subtract)
            return Step(str(goal), _rule(goal, rewrite), Outcome.EXCLUDED, None, (witness,))
        if self.proof.certain.cost(goal, rewrite.base) is None:
            return self._denied(goal, rewrite, None, self._refuted(goal, rewrite.base, path))
        steps = self._refuted(goal, rewrite.subtract, path)
        return Step(str(goal), _rule(goal, rewrite), Outcome.UNDECIDED, None, steps)

    def _over_tuples(
        self, goal: Goal, rewrite: Rewrite, ways: list[tuple[Met, Goal]], path: tuple[Goal, ...]
    ) -> tuple[Step, ...]:
        steps = []
        for met, on in ways:
            if self.left <= 0:
                self.is_cut = True
                steps.append(Step(str(goal), _rule(goal, rewrite), Outcome.CUT))
                break
            self.left -= 1
            steps.append(self._over_tuple(goal, rewrite, met, on, path))
        return tuple(steps) or (Step(str(goal), _rule(goal, rewrite), Outcome.NO_TUPLE),)

    def _over_tuple(self, goal: Goal, rewrite: Rewrite, met: Met, on: Goal, path: tuple[Goal, ...]) -> Step:
        if met.holds is False:
            return Step(str(goal), _rule(goal, rewrite), Outcome.CONDITION_FALSE, met)
        is_end = isinstance(rewrite, This) and self.explored.is_asker(met.tuple.subject)
        if met.holds is None and (is_end or on in self.proof.possible.costs):
            return Step(str(goal), _rule(goal, rewrite), Outcome.NO_VALUE, met)
        return self._denied(goal, rewrite, met, self.tried(on, path))

    def _denied(self, goal: Goal, rewrite: Rewrite, met: Met | None, steps: tuple[Step, ...]) -> Step:
        undecided = {Outcome.NO_VALUE, Outcome.UNDECIDED}
        outcome = Outcome.UNDECIDED if any(step.outcome in undecided for step in steps) else Outcome.DENIED
        return Step(str(goal), _rule(goal, rewrite), outcome, met, steps)


def _rule(goal: Goal, rewrite: Rewrite) -> str:
    return f"{goal.relation} <- {_words(rewrite)}"


def _words(rewrite: Rewrite, *, is_outer: bool = True) -> str:
    """A rewrite as the model writes it; its own list of types is `[direct]`."""
    if isinstance(rewrite, This):
        return "[direct]"
    if isinstance(rewrite, Computed | FromTupleset):
        return str(rewrite)
    sign = {Union: " or ", Intersection: " and ", Exclusion: " but not "}[type(rewrite)]
    text = sign.join(_words(operand, is_outer=False) for operand in children(rewrite))
    return text if is_outer else f"({text})"
