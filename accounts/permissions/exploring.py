"""The part of a store that one question can touch: read for people, a level at a time, within limits.

From the object towards the subject, as a check walks, but by the model's own rules and with every tuple that is met, so
that `explaining` can say which way led there, or where each way ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.db import connection

from accounts.permissions import conditions
from accounts.permissions.compiler import subject_kind
from accounts.permissions.functions import MAX_DEPTH
from accounts.permissions.language.model import Computed, FromTupleset, Relation, This, leaves
from accounts.permissions.tuples import KEY, Subject, Tuple

if TYPE_CHECKING:
    from accounts.permissions.engine import Engine


@dataclass(frozen=True, slots=True)
class Limits:
    """`depth`: tuples in a row; `branches`: tuples of one relation of one object and one kind of subject; `tuples`:
    in all; `steps`: how many an explanation shows."""

    depth: int = MAX_DEPTH
    branches: int = 1_000
    tuples: int = 10_000
    steps: int = 300


class Goal(NamedTuple):
    """Has the subject `relation` to this object?"""

    type: str
    id: str
    relation: str

    def __str__(self) -> str:
        return f"{self.type}:{self.id}#{self.relation}"


@dataclass(frozen=True, slots=True)
class Met:
    """A tuple on the way. `holds`: True without a condition; None when the condition has no value, `why` says so.
    `parameters` are those of the condition, from the tuple and from the request."""

    tuple: Tuple
    is_given: bool = False
    holds: bool | None = True
    parameters: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""

    @property
    def goal(self) -> Goal:
        """What a userset asks on: `group:eng#member`."""
        subject = self.tuple.subject
        return Goal(subject.type, subject.id, subject.relation)


class Ask(NamedTuple):
    """Which tuples to read; `subject_id` None: whatever they are, and `leads_to` is what is asked of their subjects."""

    object_type: str
    object_id: str
    relation: str
    subject_type: str
    subject_relation: str
    subject_id: str | None
    condition: str
    leads_to: str = ""


Guide = Callable[[str, str], list[str]]  # (type, relation): the ids of the objects to which the subject has it

_COLUMNS: Final = ", ".join(f"t.{name}" for name in (*KEY, "condition", "context"))
_ASKS: Final = """unnest(
        %(object_type)s::text[], %(object_id)s::text[], %(relation)s::text[], %(subject_type)s::text[],
        %(subject_relation)s::text[], %(subject_id)s::text[], %(condition)s::text[]
    ) WITH ORDINALITY
        AS a(object_type, object_id, relation, subject_type, subject_relation, subject_id, condition, place)"""
_FITS: Final = """t.store_id = %(store)s AND t.object_type = a.object_type AND t.object_id = a.object_id
            AND t.relation = a.relation AND t.subject_type = a.subject_type
            AND t.subject_relation = a.subject_relation AND t.condition = a.condition"""
_READ: Final = f"""
    SELECT a.place, found.* FROM {_ASKS}
    CROSS JOIN LATERAL (
        (SELECT {_COLUMNS} FROM accounts_relationtuple t WHERE {_FITS} AND t.subject_id = a.subject_id)
        UNION ALL
        (SELECT {_COLUMNS} FROM accounts_relationtuple t
        WHERE a.subject_id IS NULL AND {_FITS} AND t.subject_id <> '*'
        ORDER BY t.subject_id LIMIT %(limit)s)
    ) AS found
"""  # noqa: S608 - our own columns
_GUIDED: Final = f"""
    SELECT a.place, {_COLUMNS} FROM {_ASKS}
    JOIN accounts_relationtuple t ON {_FITS} AND t.subject_id = a.subject_id
    LIMIT %(limit)s
"""  # noqa: S608 - our own columns


@dataclass(slots=True)
class Explored:
    """What was read. `met` holds tuples by object and relation, `onward` the goals that each goal hangs on, `cut` the
    goals of which not everything was read."""

    engine: Engine
    asker: Subject
    context: Mapping[str, Any]
    given: tuple[Tuple, ...]
    limits: Limits
    met: dict[Goal, list[Met]] = field(default_factory=dict)
    onward: dict[Goal, set[Goal]] = field(default_factory=dict)
    cut: set[Goal] = field(default_factory=set)
    _asked: set[Ask] = field(default_factory=set)
    _seen: set[tuple[str, str, bool]] = field(default_factory=set)
    _compiled: dict[str, conditions.Compiled] = field(default_factory=dict)

    @property
    def is_full(self) -> bool:
        return len(self._seen) > self.limits.tuples

    def relation(self, goal: Goal) -> Relation:
        return self.engine.model.types[goal.type].relations[goal.relation]

    def can_hold(self, goal: Goal) -> bool:
        """Whether the model lets a subject of the asker's kind have the relation at all."""
        node = self.engine.program.relations.get((goal.type, goal.relation))
        kind = subject_kind(self.asker.type, self.asker.relation)
        return node is not None and kind in self.engine.program.subjects[node]

    def is_itself(self, goal: Goal) -> bool:
        """`group:eng#member` is among the members of group:eng."""
        return bool(self.asker.relation) and goal == (self.asker.type, self.asker.id, self.asker.relation)

    def is_asker(self, subject: Subject) -> bool:
        """Whether a tuple for `subject` is one for the asker: it is named, or everybody of its type is."""
        everybody = subject.is_everybody and subject.type == self.asker.type and not self.asker.relation
        return everybody or subject == self.asker

    def direct(self, goal: Goal) -> Iterator[Met]:
        """The tuples of the relation itself that name the asker, or a userset that may hold it."""
        for one in self.met.get(goal, ()):
            if self.is_asker(one.tuple.subject) or (one.tuple.subject.relation and self.can_hold(one.goal)):
                yield one

    def parents(self, goal: Goal, rewrite: FromTupleset) -> Iterator[tuple[Met, Goal]]:
        """The tuples of the tupleset, each with the goal it leads to."""
        for one in self.met.get(Goal(goal.type, goal.id, rewrite.tupleset), ()):
            subject = one.tuple.subject
            parent = Goal(subject.type, subject.id, rewrite.relation)
            if not subject.relation and not subject.is_everybody and self.can_hold(parent):
                yield one, parent

    # reading

    def read(self, asks: Iterable[Ask], guide: Guide | None) -> None:
        """Read tuples into `met`, stored ones and given ones, each once."""
        wanted = [ask for ask in dict.fromkeys(asks) if ask not in self._asked]
        self._asked.update(wanted)
        found = self._guided(wanted, guide) if guide else self._stored(wanted)
        found += [(ask, one, True) for one in self.given for ask in wanted if _answers(ask, one)]
        for ask, one, is_given in found:
            key = (str(one), str(one.context), is_given)
            if key not in self._seen:
                self._seen.add(key)
                place = Goal(ask.object_type, ask.object_id, ask.relation)
                self.met.setdefault(place, []).append(self._judged(one, is_given=is_given))

    def _stored(self, wanted: list[Ask]) -> list[tuple[Ask, Tuple, bool]]:
        most = self.limits.branches
        seen: dict[int, int] = {}
        found = []
        for place, one in self._rows(_READ, wanted, most + 1):
            ask = wanted[place]
            seen[place] = seen.get(place, 0) + 1
            if seen[place] > most:
                self.cut.add(Goal(ask.object_type, ask.object_id, ask.relation))
            else:
                found.append((ask, one, False))
        return found

    def _guided(self, wanted: list[Ask], guide: Guide) -> list[tuple[Ask, Tuple, bool]]:
        """Only tuples whose subject the asker is known to belong to."""
        narrowed = []
        for ask in wanted:
            if ask.subject_id is not None:
                narrowed.append(ask)
            else:
                narrowed += [ask._replace(subject_id=number) for number in guide(ask.subject_type, ask.leads_to)]
        most = self.limits.tuples
        return [(narrowed[place], one, False) for place, one in self._rows(_GUIDED, narrowed, most)]

    def _rows(self, sql: str, asks: list[Ask], limit: int) -> Iterator[tuple[int, Tuple]]:
        if not asks:
            return
        columns = dict(zip(Ask._fields, map(list, zip(*asks, strict=True)), strict=True))
        with connection.cursor() as cursor:
            cursor.execute(sql, {**columns, "store": self.engine.store_id, "limit": limit})
            rows = cursor.fetchall()
        for place, *row in rows:
            yield place - 1, Tuple.of_key(row[:6], *row[6:])

    def _judged(self, one: Tuple, *, is_given: bool) -> Met:
        if not one.condition:
            return Met(one, is_given)
        condition = self.engine.model.conditions[one.condition]
        if one.condition not in self._compiled:
            self._compiled[one.condition] = conditions.compile_condition(condition)
        merged = {**self.context, **(one.context or {})}
        parameters = {name: merged[name] for name in condition.parameters if name in merged}
        try:
            holds = self._compiled[one.condition].evaluate(one.context, self.context)
        except (conditions.NoValue, conditions.UnusableParameter) as error:
            return Met(one, is_given, None, parameters, str(error))
        return Met(one, is_given, holds, parameters)


def explore(
    engine: Engine,
    asker: Subject,
    start: Goal,
    given: tuple[Tuple, ...],
    context: Mapping[str, Any],
    limits: Limits,
    guide: Guide | None = None,
) -> Explored:
    """Read what a check of `start` can touch: one query for each tuple in a row. With a `guide` only what holds is
    read, so that large sets do not hide the way to the subject."""
    found = Explored(engine, asker, context, given, limits)
    frontier, seen = [start], {start}
    for _ in range(limits.depth + 1):
        goals = _with_computed(found, frontier, seen)
        found.read((ask for goal in goals for ask in _asks(found, goal)), guide)
        frontier = []
        for goal in goals:
            for other in _over_tuples(found, goal):
                found.onward[goal].add(other)
                if other not in seen:
                    seen.add(other)
                    frontier.append(other)
        if found.is_full or not frontier:
            break
    found.cut.update(frontier)
    return found


def _with_computed(found: Explored, frontier: Iterable[Goal], seen: set[Goal]) -> list[Goal]:
    """The goals, and those of the same object of which they are made."""
    goals = list(frontier)
    for goal in goals:  # grows on the way
        others = {
            Goal(goal.type, goal.id, leaf.relation)
            for leaf in leaves(found.relation(goal).rewrite)
            if isinstance(leaf, Computed)
        }
        found.onward[goal] = {other for other in others if found.can_hold(other)}
        goals.extend(sorted(found.onward[goal] - seen))
        seen |= found.onward[goal]
    return goals


def _asks(found: Explored, goal: Goal) -> Iterator[Ask]:
    relation = found.relation(goal)
    for leaf in leaves(relation.rewrite):
        match leaf:
            case This():
                yield from _direct_asks(found, goal, relation)
            case FromTupleset(other, tupleset):
                restrictions = found.relation(goal._replace(relation=tupleset)).restrictions
                for one in restrictions:
                    is_parent = not one.relation and not one.is_wildcard
                    if is_parent and found.can_hold(Goal(one.type, "", other)):
                        yield Ask(goal.type, goal.id, tupleset, one.type, "", None, one.condition, other)


def _direct_asks(found: Explored, goal: Goal, relation: Relation) -> Iterator[Ask]:
    asker = found.asker
    for one in relation.restrictions:
        place = (goal.type, goal.id, goal.relation, one.type, one.relation)
        if one.relation:
            if found.can_hold(Goal(one.type, "", one.relation)):
                yield Ask(*place, None, one.condition, one.relation)
        elif one.type == asker.type and not asker.relation and one.is_wildcard:
            yield Ask(*place, "*", one.condition)
        elif one.type == asker.type and not asker.relation and not asker.is_everybody:
            yield Ask(*place, asker.id, one.condition)


def _over_tuples(found: Explored, goal: Goal) -> Iterator[Goal]:
    for leaf in leaves(found.relation(goal).rewrite):
        if isinstance(leaf, This):
            for one in found.direct(goal):
                if one.holds is not False and not found.is_asker(one.tuple.subject):
                    yield one.goal
        elif isinstance(leaf, FromTupleset):
            for one, parent in found.parents(goal, leaf):
                if one.holds is not False:
                    yield parent


def _answers(ask: Ask, one: Tuple) -> bool:
    subject = one.subject
    named = (one.object.type, one.object.id, one.relation, subject.type, subject.relation, one.condition)
    if named != (*ask[:5], ask.condition):
        return False
    return subject.id == ask.subject_id if ask.subject_id is not None else not subject.is_everybody
