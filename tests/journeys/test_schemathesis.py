"""Schemathesis against the running server, as anonymous, as an owner and as staff: no 5xx, no breach of the schema.

COUNTINGHOUSE_SCHEMATHESIS_EXAMPLES=50 tries so many examples of each operation, and every boundary of the schema too
(the coverage phase, some nine thousand requests). The seed is printed; `--seed` repeats a run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from accounts.actors import actor_of_user
from accounts.models import Membership, PermissionModel
from ai.services import questions
from billing.models import Payment
from core import clock
from tests.accounts.permissions.over_http import engine
from tests.billing import factories
from tests.cast import PASSWORD
from tests.meta.company import given_in, told, webhooks_of
from tests.support.processes import ROOT

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.journey]

EXAMPLES = os.environ.get("COUNTINGHOUSE_SCHEMATHESIS_EXAMPLES", "")
DEFAULT = "2"


@pytest.mark.parametrize("who", ["anonymous", "owner", "staff"])
def test_keeps_to_its_schema(
    processes: Any, owner: Any, staff: Any, organization: Any, who: str, record_property: Callable[[str, object], None]
) -> None:
    person = {"owner": owner, "staff": staff}.get(who)
    credentials = {"SCHEMATHESIS_EMAIL": person.email, "SCHEMATHESIS_PASSWORD": PASSWORD} if person else {}
    known = _make_something(organization, owner, person or owner)
    web = processes.web(RATE_LIMIT_SCALE="100000")
    phases = "examples,coverage,fuzzing,stateful" if EXAMPLES else "examples,fuzzing,stateful"
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{web.url}/api/v1/schema", "--checks", "all"]
    command += ["--phases", phases, "--max-examples", EXAMPLES or DEFAULT, "--continue-on-failure"]
    command += ["--generation-database", "none"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**processes.environment(), **credentials, "SCHEMATHESIS_IDS": ",".join(known), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    summary = done.stdout[done.stdout.rfind("SUMMARY") :]
    told = ("Operations:", "Tested:", "generated", "Seed")
    lines = [line.strip() for line in summary.splitlines() if any(word in line for word in told)]
    record_property(f"schemathesis as {who}", "; ".join(lines))
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " 500 " not in web.text


def _make_something(organization: Any, owner: Any, person: Any) -> list[str]:
    """Return the ids of what the organisation has, and who asks, which half of the valid requests name."""
    made: list[Any] = [organization, *Membership.objects.filter(organization=organization)]
    made += webhooks_of(organization, actor_of_user(owner)).values()
    made += [owner, *given_in(organization, actor_of_user(owner), owner).values()]
    made += [told(person) for _ in range(2)]
    asks = {"actor": actor_of_user(person), "text": "How do I refund a payment?", "now": clock.now()}
    made.append(questions.ask(**asks, operation_key="schemathesis"))
    made.append(PermissionModel(pk=engine().model_id))
    entity = factories.entity()
    for _ in range(3):
        customer = factories.customer(organization=organization, billing_entity=entity)
        invoice = factories.invoice(customer)
        made += [customer, customer.default_payment_method, invoice, *customer.subscriptions.all()]
        made += [item.price for each in customer.subscriptions.all() for item in each.items.select_related("price")]
    return [each.public_id for each in [entity, *made, *Payment.objects.all()]]
