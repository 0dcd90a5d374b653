"""What if: the grants that another model, or other tuples, would give and take.

Exact, not sampled. From what changed follows which relations can be affected, and of those either whom it can concern
(the people behind the changed tuples, or all of few: each one's objects are listed before and after) or what (every
object from which a changed tuple can be reached: each one's people are listed). The smaller way is taken. Where a limit
ends the search the comparison says so. Nothing is written (`proposing`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import OperationalError, connection
from psycopg.errors import QueryCanceled

from accounts.permissions.comparisons import Comparison, Grant
from accounts.permissions.dependents import Edge, affected, changed_pairs, edges, read_by
from accounts.permissions.engine import Engine
from accounts.permissions.exploring import Goal
from accounts.permissions.faults import Refused
from accounts.permissions.language.model import Model, Pair
from accounts.permissions.models import RelationTuple
from accounts.permissions.pages import MOST
from accounts.permissions.proposing import proposed
from accounts.permissions.tuples import Subject, Tuple

_BY_SUBJECT: Final = """
    SELECT a.place, t.object_id FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
        WITH ORDINALITY AS a(subject_type, subject_id, subject_relation, object_type, relation, place)
    JOIN accounts_relationtuple t ON t.store_id = %s AND t.subject_type = a.subject_type
        AND t.subject_id = a.subject_id AND t.subject_relation = a.subject_relation
        AND t.object_type = a.object_type AND t.relation = a.relation
    LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """`subjects`: up to so many people are asked about one by one; `goals`: relations of objects whose people are
    listed; `people`: named in tuples beside everybody (`user:*`), who are checked one by one; `grants`: found in all;
    `seconds`: then it ends."""

    subjects: int = 50
    goals: int = 2_000
    people: int = 1_000
    grants: int = 10_000
    seconds: float = 5.0


def preview(
    engine: Engine,
    *,
    model: Model | None = None,
    added: Iterable[Tuple] = (),
    removed: Iterable[Tuple] = (),
    context: Mapping[str, Any] = {},
    limits: Limits = Limits(),
) -> Comparison:
    """Compare what `engine` answers with what it would: by another model, with tuples added (under another condition
    than before: replaced) and removed. Raises Faulty for the model, Refused (2000) for a tuple that it does not
    allow."""
    with proposed(engine, model=model, added=added, removed=removed) as (before, after):
        return what_if(before, after, context=context, limits=limits)


def what_if(
    before: Engine,
    after: Engine,
    *,
    context: Mapping[str, Any] = {},
    limits: Limits = Limits(),
) -> Comparison:
    """Return the grants that `after` gives and `before` does not, and the other way round. Both ask the same store;
    they differ in their models and in what is given with each question (`always_given`). A statement that the database
    ends by its time limit ends the comparison, and with it the transaction of whoever asks."""
    return _Comparing(before, after, context, limits).run()


@dataclass(slots=True)
class _Comparing:
    before: Engine
    after: Engine
    context: Mapping[str, Any]
    limits: Limits
    gained: set[Grant] = field(default_factory=set)
    lost: set[Grant] = field(default_factory=set)
    cut: dict[str, None] = field(default_factory=dict)
    _people: dict[str, list[str]] = field(default_factory=dict)
    _end: float = 0.0

    def run(self) -> Comparison:
        self._end = time.monotonic() + self.limits.seconds
        every = {*edges(self.before.model), *edges(self.after.model)}
        defined = changed_pairs(self.before.model, self.after.model)
        changed = self._changed_tuples()
        read = {pair for one in changed for engine in self._engines for pair, _ in read_by(engine.model, one)}
        pairs = affected(every, defined | read)
        try:
            self._compare(every, defined, changed, pairs)
        except OperationalError as error:
            if not isinstance(error.__cause__, QueryCanceled):
                raise
            self.cut["one question took longer than the database allows"] = None
        ordered = tuple(sorted(self.gained)), tuple(sorted(self.lost))
        return Comparison(*ordered, tuple(sorted(pairs)), tuple(self.cut))

    def _compare(
        self, every: Iterable[Edge], defined: set[Pair], changed: Sequence[Tuple], pairs: Iterable[Pair]
    ) -> None:
        subjects = self._everybody_named(pairs) if defined else self._subjects(changed)
        if subjects is not None:
            self._compare_subjects(subjects, pairs)
        else:
            self._compare_goals(self._goals(defined, changed, every))

    @property
    def _engines(self) -> tuple[Engine, Engine]:
        return self.before, self.after

    def _changed_tuples(self) -> list[Tuple]:
        """What is given on one side only."""
        old, new = ({_key(one): one for one in engine.always_given} for engine in self._engines)
        return [one for key, one in {**old, **new}.items() if key not in old or key not in new]

    # whom it concerns

    def _everybody_named(self, pairs: Iterable[Pair]) -> set[Subject] | None:
        """Whoever stands in a tuple, and everybody else as one; None when they are too many."""
        kinds = {kind for pair in pairs for engine in self._engines for kind in self._kinds(engine, pair)}
        found: set[Subject] = set()
        for kind in kinds:
            named = self._named_in_tuples(kind, self.limits.subjects)
            found |= {Subject.parse(name) for name in (*named, f"{kind}:*")}
            if len(found) > self.limits.subjects:
                return None
        return found

    def _subjects(self, changed: Sequence[Tuple]) -> set[Subject] | None:
        """Everybody behind the changed tuples; None when they are too many, or everybody."""
        found: set[Subject] = set()
        for one in changed:
            for engine in self._engines:
                for _, onward in read_by(engine.model, one):
                    found |= self._behind(engine, one.subject, onward)
            if len(found) > self.limits.subjects or any(subject.is_everybody for subject in found):
                return None
        return found

    def _behind(self, engine: Engine, subject: Subject, onward: str | None) -> set[Subject]:
        relation = subject.relation if onward is None else onward
        found = {subject} if onward is None and not subject.relation else set()
        if relation and not subject.is_everybody and engine.model.relation(subject.type, relation):
            place = Goal(subject.type, subject.id, relation)
            for kind in self._kinds(engine, (subject.type, relation)):
                found |= {Subject.parse(name) for name in self._users(engine, place, kind, self.limits.subjects + 1)}
        return found

    def _compare_subjects(self, subjects: Iterable[Subject], pairs: Iterable[Pair]) -> None:
        for subject in sorted(subjects, key=str):
            for object_type, relations in _by_type(pairs).items():
                if self._is_over():
                    return
                had, has = (self._objects(engine, subject, relations, object_type) for engine in self._engines)
                self._note(had, has)

    def _objects(self, engine: Engine, subject: Subject, relations: Sequence[str], object_type: str) -> set[Grant]:
        known = [(object_type, name) for name in relations if engine.model.relation(object_type, name)]
        try:
            found = engine.objects_by_relation(str(subject), known, context=self.context) if known else {}
        except Refused as refused:
            self.cut[f"{subject} and {object_type}: {refused}"] = None
            return set()
        return {Grant(one, name, str(subject)) for (_, name), objects in found.items() for one in objects}

    # what it concerns

    def _goals(self, defined: set[Pair], changed: Sequence[Tuple], every: Iterable[Edge]) -> list[Goal]:
        """The relations of objects whose people can change: all objects of what is defined otherwise, and those from
        which a changed tuple is reached."""
        found: dict[Goal, None] = {}
        for object_type, relations in _by_type(affected(every, defined)).items():
            numbers = self._ids(object_type)
            found |= dict.fromkeys(Goal(object_type, number, name) for name in relations for number in numbers)
        onward: dict[Pair, list[Edge]] = {}
        for edge in every:
            onward.setdefault(edge.pair, []).append(edge)
        frontier = [
            Goal(one.object.type, one.object.id, relation)
            for one in changed
            for engine in self._engines
            for (_, relation), _ in read_by(engine.model, one)
        ]
        while frontier and len(found) <= self.limits.goals:
            frontier = [goal for goal in dict.fromkeys(frontier) if goal not in found]
            found.update(dict.fromkeys(frontier))
            frontier = [*self._reached_from(frontier, onward)]
        if len(found) > self.limits.goals:
            self._cut_goals()
        return list(found)[: self.limits.goals]

    def _cut_goals(self) -> None:
        self.cut[f"more than {self.limits.goals} relations of objects are affected"] = None

    def _ids(self, object_type: str) -> list[str]:
        """All objects of a type that stand in tuples."""
        rows = RelationTuple.objects.filter(store_id=self.before.store_id, object_type=object_type)
        numbers = rows.order_by("object_id").distinct().values_list("object_id", flat=True)
        given = (one.object for engine in self._engines for one in engine.always_given)
        brought = {one.id for one in given if one.type == object_type}
        return sorted({*numbers[: self.limits.goals + 1], *brought})

    def _reached_from(self, goals: Sequence[Goal], onward: Mapping[Pair, Sequence[Edge]]) -> Iterator[Goal]:
        """The goals that hang on these: of the same object, and over tuples."""
        asks: list[tuple[Goal, Edge]] = []
        for goal in goals:
            for edge in onward.get((goal.type, goal.relation), ()):
                if edge.tupleset is None:
                    yield Goal(goal.type, goal.id, edge.dependent[1])
                else:
                    asks.append((goal, edge))
        if asks:
            yield from self._reached_over(asks)

    def _reached_over(self, asks: Sequence[tuple[Goal, Edge]]) -> Iterator[Goal]:
        """Follow edges over tuples, those that are given and those that are stored."""
        given = [one for engine in self._engines for one in engine.always_given]
        for goal, edge in asks:
            for one in given:
                if _leads(one, goal, edge):
                    yield Goal(one.object.type, one.object.id, edge.dependent[1])
        rows = [(goal.type, goal.id, edge.subject_relation, edge.dependent[0], edge.tupleset) for goal, edge in asks]
        with connection.cursor() as cursor:
            columns = [list(column) for column in zip(*rows, strict=True)]
            cursor.execute(_BY_SUBJECT, [*columns, self.before.store_id, self.limits.goals + 1])
            read = cursor.fetchall()
        if len(read) > self.limits.goals:
            self._cut_goals()
        for place, object_id in read:
            edge = asks[place - 1][1]
            yield Goal(edge.dependent[0], object_id, edge.dependent[1])

    def _compare_goals(self, goals: Iterable[Goal]) -> None:
        for goal in goals:
            kinds = {kind for engine in self._engines for kind in self._kinds(engine, (goal.type, goal.relation))}
            for kind in sorted(kinds):
                if self._is_over():
                    return
                had, has = (set(self._users(engine, goal, kind)) for engine in self._engines)
                everybody = f"{kind}:*"
                if everybody in had | has:
                    had, has = self._beside_everybody(goal, kind, had, has)
                self._note(*({_grant(goal, name) for name in names} for names in (had, has)))

    def _beside_everybody(self, goal: Goal, kind: str, had: set[str], has: set[str]) -> tuple[set[str], set[str]]:
        """A list with `user:*` does not say who is left out: whoever is named in a tuple is checked. Who comes or goes
        with everybody is not named again."""
        everybody = f"{kind}:*"
        people = sorted({*self._named(kind), *had, *has} - {everybody})
        questions = [(name, goal.relation, f"{goal.type}:{goal.id}") for name in people]
        old, new = (self._checked(engine, goal, questions) for engine in self._engines)
        if everybody in has - had:
            new &= old
        if everybody in had - has:
            old &= new
        return old | (had & {everybody}), new | (has & {everybody})

    def _checked(self, engine: Engine, goal: Goal, questions: Sequence[tuple[str, str, str]]) -> set[str]:
        if not engine.model.relation(goal.type, goal.relation):
            return set()
        found = set()
        for (name, _, _), answer in zip(questions, engine.check_many(questions, context=self.context), strict=True):
            if isinstance(answer, Refused):
                self.cut[f"{goal} and {name}: {answer}"] = None
            elif answer:
                found.add(name)
        return found

    def _named(self, kind: str) -> list[str]:
        if kind not in self._people:
            most = self.limits.people
            found = self._named_in_tuples(kind, most)
            if len(found) > most:
                self.cut[f"more than {most} are named beside everybody ({kind}:*)"] = None
            self._people[kind] = found
        return self._people[kind]

    def _named_in_tuples(self, kind: str, most: int) -> list[str]:
        """The subjects of a kind that stand in tuples; of those stored at most one more than `most`."""
        rows = RelationTuple.objects.filter(store_id=self.before.store_id, subject_type=kind, subject_relation="")
        found = list(rows.order_by("subject_id").distinct().values_list("subject_id", flat=True)[: most + 1])
        given = (one.subject for engine in self._engines for one in engine.always_given)
        found += [one.id for one in given if one.type == kind and not one.relation]
        return sorted({f"{kind}:{number}" for number in found})

    # both

    def _kinds(self, engine: Engine, pair: Pair) -> list[str]:
        """The kinds of subjects that are not sets of others."""
        node = engine.program.relations.get(pair)
        found = engine.program.subjects[node] if node is not None else ()
        return sorted(kind for kind in found if "#" not in kind)

    def _users(self, engine: Engine, goal: Goal, kind: str, most: int | None = None) -> Sequence[str]:
        """Who has the relation: all, or up to `most` where more do not matter."""
        if kind not in self._kinds(engine, (goal.type, goal.relation)):
            return []
        asked = (f"{goal.type}:{goal.id}", goal.relation, kind)
        try:
            if most is not None and most <= MOST:
                return engine.page_of_users(*asked, context=self.context, limit=most).items
            return engine.list_users(*asked, context=self.context)
        except Refused as refused:
            self.cut[f"{goal}: {refused}"] = None
            return []

    def _note(self, had: set[Grant], has: set[Grant]) -> None:
        self.gained |= has - had
        self.lost |= had - has

    def _is_over(self) -> bool:
        if len(self.gained) + len(self.lost) > self.limits.grants:
            self.cut[f"more than {self.limits.grants} grants change"] = None
        elif time.monotonic() > self._end:
            self.cut[f"it took longer than {self.limits.seconds:g} seconds"] = None
        else:
            return False
        return True


def _leads(one: Tuple, goal: Goal, edge: Edge) -> bool:
    """Whether a tuple leads from a goal to one that hangs on it by this edge."""
    subject = Subject(goal.type, goal.id, edge.subject_relation)
    return (one.subject, one.object.type, one.relation) == (subject, edge.dependent[0], edge.tupleset)


def _by_type(pairs: Iterable[Pair]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for object_type, relation in sorted(pairs):
        found.setdefault(object_type, []).append(relation)
    return found


def _grant(goal: Goal, subject: str) -> Grant:
    return Grant(f"{goal.type}:{goal.id}", goal.relation, subject)


def _key(one: Tuple) -> tuple[str, str]:
    """A tuple with its condition and what was stored for it."""
    return str(one), str(sorted((one.context or {}).items()))
