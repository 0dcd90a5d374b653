"""Every template, rendered of a real event of its type: nothing missing, nothing smuggled in."""

from __future__ import annotations

import copy
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as product
from django.core import mail as outbox
from django.db import transaction

from accounts.actors import actor_of_user
from accounts.models import Invitation, User
from accounts.providers import tokens
from accounts.services import api_keys, invitations, memberships, organizations, sessions, users
from billing.services import payments, refunds, renewals, subscriptions
from core import clock, context, jobs
from core.access import Role
from core.actor import SYSTEM
from core.events import catalogue, record
from core.exports import commands as exports
from core.ids import new_id
from core.jobs import job
from core.jobs.registry import kinds
from core.models import Export
from notifications.models import Notification
from notifications.selectors import inbox as selectors
from notifications.services import webhook_endpoints
from notifications.states import KINDS, DisabledReason, MailChoice
from notifications.templates import templates
from tests.billing import factories
from tests.cast import PASSWORD, new_person

pytestmark = pytest.mark.django_db

FOLDER = Path(product.BASE_DIR) / "templates" / "notifications"
HOSTILE = "<script>alert(1)</script>\"'&{{ 7|add:7 }}{% now 'Y' %}"
MISSING = "!!MISSING!!"


def test_has_a_folder_for_each_template_and_none_besides() -> None:
    folders = {path.name for path in FOLDER.iterdir() if path.is_dir()}
    assert folders == set(templates)
    for name in templates:
        assert {path.name for path in (FOLDER / name).iterdir()} == {"subject.txt", "text.txt", "body.html"}


def test_tells_only_of_events_that_there_are() -> None:
    assert not {name for name in templates if name not in catalogue}


@pytest.fixture
def strict(settings) -> None:
    """A variable that is missing shows."""
    changed = copy.deepcopy(settings.TEMPLATES)
    changed[0]["OPTIONS"]["string_if_invalid"] = MISSING
    settings.TEMPLATES = changed


@pytest.fixture
def everything(staff) -> tuple[User, User]:
    """One event of each type that is told, with hostile names; returns who was told most, and a member."""
    olga = new_person("olga@example.com", name=f"Olga {HOSTILE}")
    tom = new_person("tom@example.com", name=f"Tom {HOSTILE}")
    eve = new_person("eve@example.com", name=f"Eve {HOSTILE}")
    mine = actor_of_user(olga)
    organization = organizations.create(actor=mine, name=f"Acme {HOSTILE}", billing_email="")
    _people(organization, mine, tom, eve)
    _security(olga)
    _money(organization)
    _rest(organization, mine, staff)
    return olga, staff


def _people(organization, mine, tom, eve) -> None:
    invitation = invitations.create(
        actor=mine, organization=organization, email=tom.email, role=Role.ADMIN, now=clock.now()
    )
    Invitation.objects.filter(pk=invitation.pk).update(token_hash=tokens.hash_of("secret"))
    invitations.accept(actor=actor_of_user(tom), token="secret", now=clock.now())
    member = memberships.create(actor=SYSTEM, organization=organization, user=eve, role=Role.VIEWER)
    memberships.remove(actor=actor_of_user(tom), membership=member)
    key, _ = api_keys.create(
        actor=mine, organization=organization, name=HOSTILE[:90], scopes=["billing.*"], now=clock.now()
    )
    api_keys.revoke(actor=mine, api_key=key, now=clock.now())


def _security(olga) -> None:
    for program in ("Firefox", f"Curl {HOSTILE}"):
        with context.changed(user_agent=program, ip="192.0.2.7"), transaction.atomic():
            sessions.issue(user=olga, now=clock.now())
    users.change_password(
        actor=actor_of_user(olga),
        user=olga,
        current_password=PASSWORD,
        new_password="another horse entirely",
        now=clock.now(),
    )
    users.set_password(actor=SYSTEM, user=olga, password="a third horse", reason="Asked us", now=clock.now())
    with transaction.atomic():
        record(catalogue["accounts.user.password_reset"], actor=actor_of_user(olga), subject=olga)


def _money(organization) -> None:
    customer = factories.customer(organization=organization, name=HOSTILE)
    paid = payments.create(
        actor=SYSTEM, invoice=factories.invoice(customer), operation_key=new_id().hex, now=clock.now()
    )
    refunds.create(actor=SYSTEM, payment=paid, operation_key=new_id().hex, now=clock.now())
    poor = factories.customer(organization=organization, token="tok_insufficient_funds")
    payments.create(actor=SYSTEM, invoice=factories.invoice(poor), operation_key=new_id().hex, now=clock.now())
    running = factories.subscription(customer)
    renewals.renew(
        actor=SYSTEM, subscription=running, period_end=running.current_period_end, now=running.current_period_end
    )
    subscriptions.cancel(actor=SYSTEM, subscription=running, at_period_end=False, reason=HOSTILE, now=clock.now())


def _rest(organization, mine, staff) -> None:
    def fail(run) -> None:
        raise RuntimeError(HOSTILE)

    job("tests.fails", max_attempts=1)(fail)
    jobs.enqueue("tests.fails", {}, actor=SYSTEM)
    jobs.drain()
    del kinds["tests.fails"]
    endpoint, _ = webhook_endpoints.create(
        actor=mine,
        organization=organization,
        url="https://hooks.example/x",
        event_types=["billing.*"],
        description=HOSTILE,
        now=clock.now(),
    )
    webhook_endpoints.disable(actor=SYSTEM, endpoint=endpoint, reason=DisabledReason.FAILING, now=clock.now())
    asker = actor_of_user(staff)
    export = Export.objects.create(
        request_key="one", requested_by_id=asker.id, listing="billing.customer", title=f"Customers {HOSTILE}",
        columns=["name"], format="csv",
    )  # fmt: skip
    exports.complete(actor=asker, export=export, written=exports.Written("key", 12, 345, "0" * 64), now=clock.now())


def test_renders_each_of_a_real_event(everything, strict, follow, wants) -> None:
    for person in everything:
        kinds_of = {name: "immediately" for name, kind in KINDS.items() if not kind.is_mandatory}
        wants(person, **kinds_of)
    follow()
    told = selectors.readable(Notification.objects.filter(person__in=everything))
    assert {one.row.template for one in told} == set(templates)
    outbox.outbox.clear()
    jobs.drain(clock.now() + timedelta(hours=1))
    sent = {str(message.extra_headers["X-Countinghouse-Mail"]): message for message in outbox.outbox}
    for one in told:
        assert one.row.email == MailChoice.IMMEDIATELY
        message = sent[one.row.mail.public_id]
        page = str(message.alternatives[0][0])
        for words in (one.subject, one.text, message.body, page):
            assert words.strip(), one.row.template
            assert MISSING not in words, one.row.template
            assert "⟦" not in words, one.row.template
            assert "None" not in words, one.row.template
            assert "1414" not in words
        assert "<script" not in page, one.row.template
        assert "\n" not in one.subject
        assert page.count("<h1") == 1
        assert 'style="' in page
        assert "http-equiv" not in page
        assert "<img" not in page, "nothing is loaded from elsewhere"
