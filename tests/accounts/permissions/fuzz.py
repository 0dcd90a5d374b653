"""The differential fuzzer: random cases, answered by our engine and by OpenFGA's own, which `fga model test` runs.

COUNTINGHOUSE_FUZZ_CASES=3000 COUNTINGHOUSE_FUZZ_SEED=0 manage.py test tests/accounts/permissions/test_fuzz.py -s

A difference prints its seed and the smallest case that still shows it. Ours has to be what a third opinion (`oracle`)
says in every case, also where OpenFGA says the same. `fuzz_excuses` knows where OpenFGA may say otherwise, and why.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import yaml

from accounts.permissions.faults import Refused
from accounts.permissions.language import check as faults_of
from tests.accounts.permissions import fuzz_cases, oracle
from tests.accounts.permissions.fuzz_answers import NO_END, Answer, OpenFGAFailed, executable, ours, store_file, theirs
from tests.accounts.permissions.fuzz_cases import Case
from tests.accounts.permissions.fuzz_excuses import excuse, is_right
from tests.accounts.permissions.fuzz_smaller import smaller

__all__ = ["executable", "run"]

_BATCH: Final = 40
_WITHOUT_ENTRY: Final = (": no entrypoints defined", ": potential loop")
_EACH_REFUSED: Final = 10  # of the models that we refuse, one of so many is shown to OpenFGA


@dataclass(slots=True)
class Difference:
    """A case with one question that is answered otherwise; `shrunk` is the smallest that was found."""

    case: Case
    ours: Answer
    theirs: Answer | None

    def __str__(self) -> str:
        query = self.case.queries[0]
        document = store_file(self.case)
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


def valid(first: int) -> Iterator[Case]:
    """The cases with models that can be taken, from a seed on."""
    cases = map(fuzz_cases.make, itertools.count(first))
    return (case for case in cases if not faults_of(case.model))


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
    try:
        answer = theirs([case])[0][0]
    except OpenFGAFailed as failure:
        if str(failure) != NO_END:
            return
        answer = NO_END
    report.differences.append(Difference(replace(case, queries=case.queries[:1]), "refused", answer))


def _compare(batch: Sequence[Case], report: Report) -> Iterator[Difference]:
    for case, answers in _answered(batch, report):
        if isinstance(answers, str):
            yield Difference(replace(case, queries=case.queries[:1]), "taken", answers)
            continue
        report.cases += bool(answers)
        for is_given in (False, True):
            for query, got, expected in itertools.zip_longest(case.queries, ours(case, is_given=is_given), answers):
                report.questions += 1
                report.answers[_kind(expected)] += 1
                if expected in (got, None) and is_right(case, query, got):
                    continue
                one = replace(case, queries=(query,))
                reason = "" if expected is None else excuse(one, got)
                if reason:
                    report.excused[reason] += 1
                    continue
                smallest = shrink(one, is_given=is_given)
                if smallest or not is_right(case, query, got):
                    yield smallest or Difference(one, got, expected)
                    break
                report.excused["OpenFGA answers now so, now otherwise"] += 1


def _answered(batch: Sequence[Case], report: Report) -> Iterator[tuple[Case, list[Answer] | str]]:
    """Each case with OpenFGA's answers (none when it comes to no end), or with why it refuses the model."""
    try:
        yield from zip(batch, theirs(batch), strict=True)
        return
    except OpenFGAFailed:
        pass  # one of them is refused: which?
    for case in batch:
        try:
            yield case, theirs([case])[0]
        except OpenFGAFailed as failure:
            if str(failure) == NO_END:
                report.excused[NO_END] += 1
                yield case, []
            elif str(failure).endswith(_WITHOUT_ENTRY) and oracle.has_entries(case.model):
                report.excused["OpenFGA sees no entry point of a relation that has one"] += 1
            else:
                yield case, str(failure)


def _kind(answer: Answer | None) -> str:
    if answer is None:
        return "unknown"
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    return answer if isinstance(answer, str) else ("some" if answer else "none")


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
        is_alike = got == expected and is_right(case, case.queries[0], got)
        return None if is_alike or excuse(case, got) else Difference(case, got, expected)
    except (Refused, OpenFGAFailed, KeyError):  # nothing is shown by what cannot be answered, or asked any more
        return None
