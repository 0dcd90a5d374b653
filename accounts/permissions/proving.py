"""Which goals of an exploration hold, and how long the shortest way to each is.

By the well-founded semantics, as the engine answers: a circle adds nothing, what hangs on its own opposite has no
truth. Two sets are narrowed in turns, what holds for certain and what may hold; what `but not` takes away is looked up
in the other one (Van Gelder, "The alternating fixpoint of logic programs with negation", 1993). A condition without a
value may hold, and does not for certain.

A goal's cost is the number of steps of its shortest proof: each proof rests on cheaper ones, so none leads in a circle.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from accounts.permissions.exploring import Explored, Goal, Met
from accounts.permissions.language.model import (
    Computed,
    Exclusion,
    FromTupleset,
    Intersection,
    Rewrite,
    This,
    Union,
)


@dataclass(slots=True)
class Holding:
    """The goals that hold with their costs; `opposite` is asked about what `but not` takes away (None: nothing is)."""

    explored: Explored
    is_lenient: bool
    opposite: Holding | None = None
    costs: dict[Goal, int] = field(default_factory=dict)

    def cost(self, goal: Goal, rewrite: Rewrite) -> int | None:
        """The steps of the shortest proof that the asker is in the set that `rewrite` makes of the goal's object."""
        match rewrite:
            case This():
                return _least(self.cost_over(one) for one in self.explored.direct(goal))
            case Computed(relation):
                return _and_one(self.costs.get(Goal(goal.type, goal.id, relation)))
            case FromTupleset():
                parents = self.explored.parents(goal, rewrite)
                return _least(_and_one(self.costs.get(on)) for one, on in parents if self.is_met(one))
            case Union(operands):
                return _least(self.cost(goal, operand) for operand in operands)
            case Intersection(operands):
                costs = [self.cost(goal, operand) for operand in operands]
                return 1 + sum(filter(None, costs)) if None not in costs else None
            case Exclusion(base, subtract):
                taken = self.opposite is not None and self.opposite.cost(goal, subtract) is not None
                return None if taken else _and_one(self.cost(goal, base))

    def cost_over(self, one: Met) -> int | None:
        """The same over a tuple of the relation itself."""
        if not self.is_met(one):
            return None
        return 1 if self.explored.is_asker(one.tuple.subject) else _and_one(self.costs.get(one.goal))

    def is_met(self, one: Met) -> bool:
        return bool(one.holds) or (self.is_lenient and one.holds is None)


@dataclass(frozen=True, slots=True)
class Proof:
    """`certain` holds; `possible` may hold, and whatever is not in it does not."""

    certain: Holding
    possible: Holding


def prove(explored: Explored) -> Proof:
    """Find out which goals hold."""
    possible = _filled(Holding(explored, is_lenient=True))
    certain = _filled(Holding(explored, is_lenient=False, opposite=possible))
    while True:
        following = _filled(Holding(explored, is_lenient=True, opposite=certain))
        surer = _filled(Holding(explored, is_lenient=False, opposite=following))
        is_done = surer.costs.keys() == certain.costs.keys() and following.costs.keys() == possible.costs.keys()
        certain, possible = surer, following
        if is_done:
            return Proof(certain, possible)


def _filled(holding: Holding) -> Holding:
    """Lower costs until none can be lowered."""
    explored = holding.explored
    hanging: dict[Goal, set[Goal]] = {}
    for goal, others in explored.onward.items():
        for other in others:
            hanging.setdefault(other, set()).add(goal)
    waiting, is_waiting = deque(explored.onward), set(explored.onward)
    while waiting:
        goal = waiting.popleft()
        is_waiting.discard(goal)
        cost = 0 if explored.is_itself(goal) else holding.cost(goal, explored.relation(goal).rewrite)
        if cost is None or cost >= holding.costs.get(goal, cost + 1):
            continue
        holding.costs[goal] = cost
        new = hanging.get(goal, set()) - is_waiting
        waiting.extend(new)
        is_waiting |= new
    return holding


def _least(costs: Iterable[int | None]) -> int | None:
    return min((cost for cost in costs if cost is not None), default=None)


def _and_one(cost: int | None) -> int | None:
    return None if cost is None else cost + 1
