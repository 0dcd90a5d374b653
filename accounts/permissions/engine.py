"""The local provider: models, tuples and questions inside PostgreSQL, in the transaction of whoever asks.

A check is one statement; with conditions on the way it is two: which can be met, then the answer. What a request brings
along (`given`) is read beside the stored tuples and written nowhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from django.db import connection, transaction
from psycopg.types.json import Jsonb

from accounts.permissions import changes, conditions, expanding, explaining, reading, revision, tuples, writes
from accounts.permissions.changes import Changes
from accounts.permissions.compiled import compile_into
from accounts.permissions.compiler import Program, subject_kind
from accounts.permissions.defined import INVALID, NOT_FOUND, Codes, find_relation, find_type
from accounts.permissions.expanding import Tree
from accounts.permissions.explanations import Explanation
from accounts.permissions.faults import Code, Refused
from accounts.permissions.language import Faulty, to_json
from accounts.permissions.language.model import Model, Pair
from accounts.permissions.models import PermissionModel, PermissionStore
from accounts.permissions.pages import Page, check_limit, id_of, page
from accounts.permissions.reading import Stock
from accounts.permissions.tuples import Given, Object, Subject, Tuple
from accounts.permissions.writes import OnDuplicate, OnMissing, Outcome

_NO_VALUE, _TOO_COMPLEX = 4, 5
_MANY = """unnest(
    %s::integer[], %s::integer[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::boolean[]
) AS q(place, node, object, type, id, relation, kind, has_operators)"""


def save_model(store: PermissionStore, model: Model) -> Engine:
    """Keep a model as the store's newest and return the engine that answers by it. Raises Faulty."""
    faults = conditions.faults_of(model)
    if faults:
        raise Faulty(faults)
    row = PermissionModel(store=store, document=to_json(model))
    with transaction.atomic():
        revision.written(is_model=True)
        program = compile_into(row)
    return Engine(store.pk, row.pk, model, program)


@dataclass(frozen=True, slots=True)
class _Question:
    """What the request brings along: tuples that hold for it alone, and parameters of conditions."""

    given: tuple[Tuple, ...]
    context: Mapping[str, Any]

    @property
    def suffix(self) -> str:
        return "_given" if self.given else ""

    @property
    def rows(self) -> str | None:
        return json.dumps([one.row() for one in self.given]) if self.given else None


@dataclass(slots=True)
class Engine:
    """Answers by one model over the tuples of one store."""

    may_lag: ClassVar[bool] = False  # whether answers may be older than what has committed: such are never kept
    store_id: int
    model_id: int
    model: Model
    program: Program
    always_given: tuple[Tuple, ...] = ()  # brought along with every question: what if these were written?
    _compiled: dict[str, conditions.Compiled] = field(default_factory=dict)

    def giving(self, given: Sequence[Tuple]) -> Engine:
        """Return an engine that brings these tuples along with every question."""
        return replace(self, always_given=tuple(given))

    # questions

    def check(
        self, subject: str, relation: str, target: str, given: Given = (), context: Mapping[str, Any] = {}
    ) -> bool:
        """Return whether `subject` has `relation` to the object `target`. Raises Refused: a type or relation that is
        not in the model, a condition without its parameters (2000), a tuple given that the model does not allow (2027),
        more than 25 tuples in a row (2002)."""
        node, *rest, kind = self._read_check(subject, relation, target)
        question = self._question(given, context)
        if kind not in self.program.subjects[node]:
            return False
        truth = self._truth(question, node, "permission_conditions", [node, rest[0], kind])
        more = (0, self.program.has_operators(node))
        rows = self._call(question, "permission_check", [node, *rest], truth, *more)
        return _yes_or_no(rows[0][0])

    def check_many(
        self, questions: Sequence[tuple[str, str, str]], given: Given = (), context: Mapping[str, Any] = {}
    ) -> list[bool | Refused]:
        """Answer many checks (subject, relation, object) in one round trip, two where conditions can be met; what
        `check` would raise stands in the place of the answer. Raises Refused for the tuples given alone."""
        answers: list[bool | Refused] = [False] * len(questions)
        question = self._question(given, context)
        asked: list[tuple[Any, ...]] = []
        for place, one in enumerate(questions):
            try:
                row = self._read_check(*one)
            except Refused as refused:
                answers[place] = refused
                continue
            if row[-1] in self.program.subjects[row[0]]:
                asked.append((place, *row, self.program.has_operators(row[0])))
        if not asked:
            return answers
        columns = [list(column) for column in zip(*asked, strict=True)]
        truth = self._truth_of_many(question, columns)
        arguments = "q.node, q.object, q.type, q.id, q.relation, %s, %s::jsonb, 0, q.has_operators"
        sql = f"SELECT q.place, permission_check{question.suffix}(%s, %s, {arguments}) FROM {_MANY}"  # noqa: S608
        with connection.cursor() as cursor:
            cursor.execute(sql, [self.store_id, self.model_id, json.dumps(truth), question.rows, *columns])
            for place, answer in cursor.fetchall():
                try:
                    answers[place] = _yes_or_no(answer)
                except Refused as refused:
                    answers[place] = refused
        return answers

    def _read_check(self, subject: str, relation: str, target: str) -> tuple[int, str, str, str, str, str]:
        """One check as the engine takes it: node, object, the subject's type, id and relation, and its kind."""
        wanted = Object.parse(target)
        node = self._node(wanted.type, relation, INVALID)
        asker = self._asker(subject)
        kind = subject_kind(asker.type, asker.relation)
        return node, wanted.id, asker.type, asker.id, asker.relation, kind

    def _truth_of_many(self, question: _Question, columns: list[list[Any]]) -> dict[str, int]:
        if not self.program.conditional.intersection(columns[1]):
            return {}
        function = f"permission_conditions{question.suffix}(%s, %s, q.node, q.object, q.kind, %s::jsonb)"
        sql = f"SELECT DISTINCT c.* FROM {_MANY}, LATERAL {function} c"  # noqa: S608
        with connection.cursor() as cursor:
            cursor.execute(sql, [*columns, self.store_id, self.model_id, question.rows])
            return self._values(cursor.fetchall(), question)

    def list_objects(
        self, subject: str, relation: str, of_type: str, given: Given = (), context: Mapping[str, Any] = {}
    ) -> list[str]:
        """Return every object of a type to which `subject` has `relation`, in the order of their ids: all of them,
        whatever their number. Raises Refused as `check` does, 2021 and 2022 for what is not in the model."""
        pair = (of_type, relation)
        return self.objects_by_relation(subject, [pair], given, context)[pair]

    def objects_by_relation(
        self,
        subject: str,
        relations: Iterable[Pair],
        given: Given = (),
        context: Mapping[str, Any] = {},
    ) -> dict[Pair, list[str]]:
        """Answer `list_objects` for several relations, of whatever types, in one round trip, two where conditions can
        be met."""
        asker = self._asker(subject)
        nodes = {one: self._node(*one, NOT_FOUND) for one in relations}
        question = self._question(given, context)
        answers: dict[Pair, list[str]] = {pair: [] for pair in nodes}
        asked = {node: pair for pair, node in nodes.items() if self._can_have(node, asker)}
        if not asked:
            return answers
        truth = self._truth_back(question, asked, asker)
        circles = self._circles(asked, truth) if any(map(self.program.has_operators, asked)) else None
        values = [sorted(asked), sorted(self.program.behind(asked)), asker.type, asker.id, asker.relation]
        for node, object_id, answer in self._call(question, "permission_objects", values, truth, circles):
            if _yes_or_no(answer):
                answers[asked[node]].append(f"{asked[node][0]}:{object_id}")
        return answers

    def page_of_objects(
        self,
        subject: str,
        relation: str,
        of_type: str,
        *,
        given: Given = (),
        context: Mapping[str, Any] = {},
        limit: int = 100,
        after: str | None = None,
    ) -> Page:
        """Return up to `limit` (1 to 1000) of what `list_objects` returns, behind the id `after`: where the page before
        says `next`. What is there all the time is on exactly one page, whatever is written in between."""
        check_limit(limit)
        asker = self._asker(subject)
        node = self._node(of_type, relation, NOT_FOUND)
        question = self._question(given, context)
        if not self._can_have(node, asker):
            return page((), limit)
        truth = self._truth_back(question, [node], asker)
        finals, inner = map(sorted, self.program.ways(node))
        values = [node, finals, inner, asker.type, asker.id, asker.relation]
        found = self._call(question, "permission_page_of_objects", values, truth, id_of(after), limit + 1)
        items = [object_id for object_id, answer in found[:limit] if _yes_or_no(answer)]
        return page((f"{of_type}:{object_id}" for object_id in [*items, *found[limit:]]), limit)

    def list_users(
        self, target: str, relation: str, kind: str, given: Given = (), context: Mapping[str, Any] = {}
    ) -> list[str]:
        """Return every subject of a kind (`user`, `group#member`) that has `relation` to the object `target`, in
        order; `user:*` stands for everybody. Raises Refused as `list_objects` does."""
        return self._users(target, relation, kind, given, context)

    def page_of_users(
        self,
        target: str,
        relation: str,
        kind: str,
        *,
        given: Given = (),
        context: Mapping[str, Any] = {},
        limit: int = 100,
        after: str | None = None,
    ) -> Page:
        """Return up to `limit` of what `list_users` returns, as `page_of_objects` does."""
        check_limit(limit)
        return page(self._users(target, relation, kind, given, context, (id_of(after), limit + 1)), limit)

    def _users(
        self,
        target: str,
        relation: str,
        kind: str,
        given: Given,
        context: Mapping[str, Any],
        part: tuple[str, int] | None = None,
    ) -> list[str]:
        """All of them, or of those behind an id the first so many."""
        wanted = Object.parse(target)
        node = self._node(wanted.type, relation, NOT_FOUND)
        of_type, _, of_relation = kind.partition("#")
        self._check_subject(Subject(of_type, "", of_relation), NOT_FOUND)
        question = self._question(given, context)
        if kind not in self.program.subjects[node]:
            return []
        truth = self._truth(question, node, "permission_conditions", [node, wanted.id, kind])
        values = [node, wanted.id, of_type, of_relation]
        circles = self._circles([node], truth)
        if part:
            more = (*part, self.program.has_operators(node), circles)
            found = self._call(question, "permission_page_of_subjects", values, truth, *more)
        elif circles is not None:
            found = self._call(question, "permission_subjects_by_sets", values, truth, circles)
        else:
            found = self._call(question, "permission_subjects", values, truth)
        return [str(Subject(of_type, subject_id, of_relation)) for subject_id, answer in found if _yes_or_no(answer)]

    def expand(self, target: str, relation: str, given: Given = (), context: Mapping[str, Any] = {}) -> Tree:
        """Return what `relation` of the object `target` is made of, one level deep; see `expanding.expand`.
        Conditions are not evaluated: `context` changes nothing."""
        return expanding.expand(self, target, relation, given)

    def explain(
        self, subject: str, relation: str, target: str, given: Given = (), context: Mapping[str, Any] = {}
    ) -> Explanation:
        """Say why `check` answers as it does: the way that leads to a yes, or those that were tried; see
        `explaining.explain`."""
        return explaining.explain(self, subject, relation, target, given, context)

    # tuples

    def write(self, written: Sequence[Tuple], on_duplicate: OnDuplicate = "ignore") -> list[Outcome]:
        """Store tuples, all or none; see `writes.write`."""
        return writes.write(self.store_id, self.model, written, on_duplicate)

    def delete(self, deleted: Sequence[Tuple], on_missing: OnMissing = "ignore") -> list[Outcome]:
        """Delete tuples, all or none; see `writes.delete`."""
        return writes.delete(self.store_id, deleted, on_missing)

    def read(self, **asked: Any) -> Stock:
        """Return a page of stored tuples by filters; see `reading.read`."""
        return reading.read(self.store_id, **asked)

    def changes(self, **asked: Any) -> Changes:
        """Return a page of the change log, in the order of the commits; see `changes.read`."""
        return changes.read(self.store_id, **asked)

    def allows(self, one: Tuple) -> bool:
        """Whether the model allows a tuple: one that it does not is stale, and every question ignores it."""
        return tuples.allows(self.model, one)

    # what all of them need

    def _node(self, object_type: str, relation: str, codes: Codes) -> int:
        find_relation(self.model, object_type, relation, codes)
        return self.program.relations[object_type, relation]

    def _check_subject(self, subject: Subject, codes: Codes) -> None:
        if subject.relation:
            find_relation(self.model, subject.type, subject.relation, codes)
        else:
            find_type(self.model, subject.type, codes[0])

    def _asker(self, subject: str) -> Subject:
        asker = Subject.parse(subject)
        self._check_subject(asker, INVALID)
        return asker

    def _can_have(self, node: int, asker: Subject) -> bool:
        """Whether the model lets such a subject have the relation at all."""
        return subject_kind(asker.type, asker.relation) in self.program.subjects[node]

    def _circles(self, nodes: Iterable[int], truth: Mapping[str, int]) -> Jsonb | None:
        """See `Program.circles`; None where each candidate has to be checked. Where a condition has no value the answer
        may hang on it, or not: only that can tell."""
        found = None if _NO_VALUE in truth.values() else self.program.circles(nodes)
        return None if found is None else Jsonb(found)

    def _question(self, given: Given, context: Mapping[str, Any]) -> _Question:
        return _Question(tuples.brought(self.model, (*self.always_given, *given)), context)

    def _truth(self, question: _Question, node: int, function: str, values: Sequence[Any]) -> dict[str, int]:
        """What each condition that can be met comes to: 1 it holds, 0 it does not, 4 it has no value."""
        if node not in self.program.conditional:
            return {}
        return self._values(self._call(question, function, values), question)

    def _truth_back(self, question: _Question, nodes: Iterable[int], asker: Subject) -> dict[str, int]:
        """The same, of those that are met on the way from a subject to any of `nodes`."""
        conditional = self.program.conditional.intersection(nodes)
        if not conditional:
            return {}
        reached = sorted(frozenset.union(*(self.program.reached[node] for node in conditional)))
        values = [reached, asker.type, asker.id, asker.relation]
        return self._values(self._call(question, "permission_conditions_back", values), question)

    def _values(self, met: Iterable[tuple[str, str, str | None]], question: _Question) -> dict[str, int]:
        return {key: self._value(name, json.loads(stored or "null"), question) for key, name, stored in met}

    def _value(self, name: str, stored: Any, question: _Question) -> int:
        if name not in self._compiled:
            self._compiled[name] = conditions.compile_condition(self.model.conditions[name])
        try:
            return int(self._compiled[name].evaluate(stored, question.context))
        except (conditions.NoValue, conditions.UnusableParameter):
            return _NO_VALUE

    def _call(
        self,
        question: _Question,
        function: str,
        values: Sequence[Any],
        truth: Mapping[str, int] | None = None,
        *more: Any,
    ) -> list[Any]:
        """Call one function of `functions.py`, whose last arguments are the truth of conditions, what is given, and
        `more`."""
        arguments = [self.store_id, self.model_id, *values]
        if truth is not None:
            arguments.append(json.dumps(truth))
        places = ", ".join([*map(_place, arguments), "%s::jsonb", *map(_place, more)])
        sql = f"SELECT * FROM {function}{question.suffix}({places})"  # noqa: S608
        with connection.cursor() as cursor:
            cursor.execute(sql, [*arguments, question.rows, *more])
            return cursor.fetchall()


def _place(value: Any) -> str:
    return "%s::integer[]" if isinstance(value, list) else "%s"


def _yes_or_no(answer: int) -> bool:
    if answer == _NO_VALUE:
        raise Refused(Code.VALIDATION, "A condition on the way has no value: a parameter is missing or unusable.")
    if answer == _TOO_COMPLEX:
        raise Refused(Code.TOO_COMPLEX, "The question is too complex: too many tuples in a row.")
    return answer == 1
