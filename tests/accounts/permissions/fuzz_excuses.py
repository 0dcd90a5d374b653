"""Where OpenFGA may answer otherwise than we do: nowhere but where a third opinion is ours.

`oracle` computes the well-founded semantics naively. When it says as we do, OpenFGA may say otherwise for one of these
reasons (version 1.22.1; its server and its command line answer alike):

* It answers otherwise when it is asked again: its branches race, and around a circle, or beside a parameter that is
  missing, the first to come in decides.
* It refuses a model for a relation without entry point though each has one: its search shares what it has visited
  between the operands of `and` and `but not` (hasEntrypoints in typesystem.go clones the outer map only).
* Its list says otherwise than its own checks of all that could be listed, and ours agrees with its checks: asked for
  `group#member` it names `group:1` too, and it leaves out who comes from behind a circle.
* Its check says otherwise than both of its lists, which say as we: with `member: [user, group#member, group#robots]`
  and no users among robots it follows the tuple of `group:1#robots` as if it were one of `group:1#member`.
* Both lists have `user:*`, one also names people of whom its check says yes. Ours does where an operator leads back to
  itself: we check whoever might be listed, and everybody counts. Its does where somebody is left out of what `but not`
  takes away: `[user:*] but not (banned but not pardoned)` names the pardoned beside everybody.
* It fails for a parameter that nobody gave, and answers as we do whatever is given for it: it evaluates conditions of
  tuples that cannot lead to the subject, or lead where it has been; we do not.
* It answers although a parameter is missing: where one tuple of those that it reads together has a value, it takes
  others that have none for false (ConditionsFilteredTupleKeyIterator), even behind `but not`. We refuse to answer.
  Excused only when its answer hangs on the parameter, or when it refuses too once the tuples beside are gone.
* It comes to no end: it walks circles anew on every path that leads to them.
* It meets a circle in a model with `but not`: then it takes a set for empty and what it is taken from too, depending on
  which of its strategies runs and which branch comes in first. For us a circle adds nobody to a set.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from accounts.permissions.language import to_dsl
from accounts.permissions.tuples import Object, Subject, Tuple
from tests.accounts.permissions import fuzz_cases, oracle
from tests.accounts.permissions.fuzz_answers import ERROR, NO_END, Answer, OpenFGAFailed, theirs
from tests.accounts.permissions.fuzz_cases import Case, Query

_AGAIN: Final = 6


def excuse(case: Case, got: Answer) -> str:
    """Return why a difference in the only question of a case is none, or an empty text."""
    query = case.queries[0]
    if not is_right(case, query, got):
        return ""
    try:
        answers = set(theirs([replace(case, queries=(query,) * _AGAIN)])[0])
        if len(answers) > 1 or got in answers:
            return "OpenFGA answers now so, now otherwise"
        return _excuse(case, query, got, answers.pop())
    except OpenFGAFailed as failure:
        if str(failure) == NO_END:
            return NO_END
        raise


def _excuse(case: Case, query: Query, got: Answer, expected: Answer) -> str:
    if expected == ERROR and _nothing_hangs_on_it(case, query, got):
        return "OpenFGA fails for a parameter on which nothing hangs"
    if got == ERROR and _takes_for_false(case, query):
        return "OpenFGA takes what has no value for false beside a tuple that has one"
    if query.ask == "check":
        if _check_contradicts_lists(case, query, got):
            return "OpenFGA's check contradicts its lists, which say as we"
    else:
        if _list_contradicts_check(case, query, got):
            return f"OpenFGA's {query.ask} contradicts its check, which says as we"
        if _names_beside_everybody(case, query, got, expected):
            return "One of the lists names somebody beside everybody, whom OpenFGA's check knows too"
    if _is_about_circles(case, query):
        return "OpenFGA says no where it meets a circle, the well-founded semantics says as we"
    return ""


def _complete_contexts(query: Query) -> list[tuple[tuple[str, Any], ...]]:
    """The request's context with every value of what it left out."""
    missing = [name for name in fuzz_cases.VALUES if name not in dict(query.context)]
    choices = itertools.product(*(fuzz_cases.VALUES[name] for name in missing))
    return [(*query.context, *zip(missing, values, strict=True)) for values in choices]


def _nothing_hangs_on_it(case: Case, query: Query, got: Answer) -> bool:
    """Whether OpenFGA answers as we do with every value of what the request left out (of lists: its list or, where that
    contradicts it, its check)."""
    asked = tuple(replace(query, context=context) for context in _complete_contexts(query))
    answers = theirs([replace(case, queries=asked)])[0]
    return all(
        answer == got or (query.ask != "check" and _list_contradicts_check(case, one, got))
        for one, answer in zip(asked, answers, strict=True)
    )


def _takes_for_false(case: Case, query: Query) -> bool:
    """Whether OpenFGA's answer hangs on a parameter that is missing, or it refuses too where nothing has a value."""
    asked = tuple(replace(query, context=context) for context in _complete_contexts(query))
    return len(set(theirs([replace(case, queries=asked)])[0])) > 1 or _fails_alone(case, query)


def _fails_alone(case: Case, query: Query) -> bool:
    """Whether OpenFGA fails once tuples without a value are read alone: it reads those of an object, and those of a
    subject (with everybody's)."""
    given = dict(query.context)

    def has_value(one: Tuple) -> bool:
        declared = case.model.conditions[one.condition].parameters if one.condition else ()
        return all(name in given or name in (one.context or {}) for name in declared)

    for read_together in (_object_and_relation, _relation_and_subject):
        places = {read_together(one) for one in case.tuples if not has_value(one)}
        for chosen in [places, *({place} for place in places)]:
            kept = tuple(one for one in case.tuples if read_together(one) not in chosen or not has_value(one))
            if theirs([replace(case, tuples=kept)])[0][0] == ERROR:
                return True
    return False


def _object_and_relation(one: Tuple) -> tuple[str, ...]:
    return str(one.object), one.relation


def _relation_and_subject(one: Tuple) -> tuple[str, ...]:
    return one.object.type, one.relation, one.subject.type


def _is_about_circles(case: Case, query: Query) -> bool:
    """Whether the question meets a circle in a model with `but not`."""
    if "but not" not in to_dsl(case.model):
        return False
    asked = (case.model, case.tuples, fuzz_cases.IDS, query.relation)
    return any(oracle.has_circle(*asked, Object.parse(name)) for name in _targets(case, query))


def _targets(case: Case, query: Query) -> list[str]:
    """The objects that a question is about."""
    return list(_candidates(case, query)) if query.ask == "list_objects" else [query.target]


def is_right(case: Case, query: Query, got: Answer) -> bool:
    """Whether a third opinion is ours. Beside `user:*` a list of users need not name those who are meant by it. Not to
    answer is right where a tuple without a value is met, whether or not something hangs on it: so does OpenFGA."""
    if got == ERROR:
        asked = (case.model, case.tuples, fuzz_cases.IDS, dict(query.context))
        return any(oracle.meets_no_value(*asked, (query.relation, target)) for target in _targets(case, query))
    told = _told(case, query)
    if isinstance(got, bool):
        return told == {query.target: got}
    everybody = f"{query.subject}:*"
    if query.ask == "list_users" and everybody in got:
        return all(told.get(name) for name in got)
    return None not in told.values() and set(got) == {name for name, answer in told.items() if answer}


def _told(case: Case, query: Query) -> dict[str, bool | None]:
    """What the third opinion says of each that could be in the answer."""
    names = [query.target] if query.ask == "check" else list(_candidates(case, query))
    asked = (case.model, case.tuples, fuzz_cases.IDS, dict(query.context))
    return {name: oracle.check(*asked, _as_check(query, name)) for name in names}


def _as_check(query: Query, name: str) -> tuple[str, str, str]:
    """The check that asks whether `name` belongs to the answer."""
    if query.ask == "list_users":
        return name, query.relation, query.target
    return query.subject, query.relation, name


def _list_contradicts_check(case: Case, query: Query, got: Answer) -> bool:
    """Whether OpenFGA's checks of everybody and everything that could stand in the list make the list that is ours."""
    names = list(_candidates(case, query))
    if isinstance(got, str | bool) or set(got) - set(names):
        return False
    asked = tuple(Query("check", *_as_check(query, name), query.context) for name in names)
    checked = theirs([replace(case, queries=asked * 3)])[0]
    return all(answer is (name in got) for name, answer in zip(names * 3, checked, strict=True))


def _check_contradicts_lists(case: Case, query: Query, got: Answer) -> bool:
    """Whether the object stands in OpenFGA's list of objects, and the subject in its list of users, if we say yes, and
    in neither if we say no; with every value of what the request left out."""
    subject, of_type = Subject.parse(query.subject), Object.parse(query.target).type
    users = f"{subject.type}#{subject.relation}".rstrip("#")
    contexts = _complete_contexts(query)
    objects = [Query("list_objects", query.subject, query.relation, of_type, context) for context in contexts]
    subjects = [Query("list_users", users, query.relation, query.target, context) for context in contexts]
    found = theirs([replace(case, queries=(*objects, *subjects))])[0]
    places = [query.target] * len(objects) + [query.subject] * len(subjects)
    return all(
        isinstance(listed, tuple) and (place in listed) is got for place, listed in zip(places, found, strict=True)
    )


def _names_beside_everybody(case: Case, query: Query, got: Answer, expected: Answer) -> bool:
    """Whether both say `user:*`, and whom else one of them names OpenFGA's check confirms, and the third opinion."""
    everybody = f"{query.subject}:*"
    if not all(isinstance(one, tuple) and everybody in one for one in (got, expected)):
        return False
    names = sorted(set(got) ^ set(expected))
    asked = tuple(Query("check", name, query.relation, query.target, query.context) for name in names)
    confirmed = theirs([replace(case, queries=asked)])[0]
    told = _told(case, query)
    return all(answer is True for answer in (*confirmed, *map(told.get, names)))


def _candidates(case: Case, query: Query) -> Iterator[str]:
    kind, _, relation = (query.target if query.ask == "list_objects" else query.subject).partition("#")
    if kind not in ("user", "robot"):
        yield from (f"{kind}:{number}#{relation}".rstrip("#") for number in fuzz_cases.IDS)
    else:
        yield from (f"{kind}:{name}" for name in fuzz_cases.PEOPLE)
        yield f"{kind}:*"
