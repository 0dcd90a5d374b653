"""Why an answer is what it is: the shortest way that leads to a yes, or every way that was tried for a no.

The answer itself is `check`'s, always. The explanation is for people: a query for each tuple in a row, within limits,
and it says when it was cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from accounts.permissions import exploring, tuples
from accounts.permissions.explanations import Explanation, Outcome, Step
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
from accounts.permissions.tuples import Given, Object, Subject

if TYPE_CHECKING:
    from accounts.permissions.engine import Engine


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
