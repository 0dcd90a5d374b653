"""What follows the log survives kill -9: the index has no document missing, stale or too many; who is to be told is
told at least once, and each telling bears one id by which a second one is known."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.db.models import QuerySet

from accounts.actors import actor_of_user
from accounts.models import Organization, User
from audit.models import Event, Follower, Tree, Unsealed
from billing.models import Customer, Invoice, Payment, Product, Subscription
from billing.services import products
from core import clock
from core.actor import SYSTEM
from core.ids import decode
from notifications.models import Mail, Notification, WebhookDelivery
from notifications.preferences import Choice
from notifications.selectors import webhooks
from notifications.services import preferences, webhook_endpoints
from notifications.states import MailChoice
from search.models import IndexedDocument
from tests.billing import factories
from tests.faults import effects
from tests.faults.business import Business
from tests.faults.house import House, eventually, own_servers
from tests.faults.receivers import Hooks, Mailbox
from tests.faults.test_under_fire import MANY, ROUNDS, SEED, say
from tests.support.processes import Processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

# Followers run in the relay; what they order is done by the worker; Valkey only carries it.
VICTIMS = ("relay", "relay", "worker", "worker child", "valkey")
FOLLOWERS = {"search.index", "notifications.inbox", "notifications.webhooks"}
TOLD = ("billing.invoice.finalized", "billing.payment.succeeded", "billing.payment.failed")


@pytest.fixture
def chance() -> random.Random:
    return random.Random(SEED)


@pytest.fixture
def mailbox(chance: random.Random) -> Iterator[Mailbox]:
    found = Mailbox(chance)
    yield found
    found.close()


@pytest.fixture
def hooks(chance: random.Random, owner: User, organization: Organization) -> Iterator[Hooks]:
    """The organisation's receiver of all that happens in billing."""
    found = Hooks(chance)
    _, found.secret = webhook_endpoints.create(
        actor=actor_of_user(owner),
        organization=organization,
        url=found.url,
        event_types=["billing.*"],
        now=clock.now(),
    )
    yield found
    found.close()


def test_what_follows_the_log_survives_whatever_is_killed(
    processes: Processes,
    chance: random.Random,
    mailbox: Mailbox,
    hooks: Hooks,
    owner: User,
    organization: Organization,
) -> None:
    own_servers()
    say(f"seed {SEED}, {ROUNDS} rounds")
    wants_mails_at_once(owner)
    house = House(processes, MAIL_URL=mailbox.url)
    house.start_workers()
    eventually(lambda: set(Follower.objects.values_list("name", flat=True)) >= FOLLOWERS, "the followers", 30)
    eventually(is_followed, "the beginning", 30)
    # By a command: what is made without an event cannot be followed.
    price = factories.price(product=products.create(actor=SYSTEM, name="Phone service"))
    business = Business(actor_of_user(owner), organization, factories.entity(), price, most=6 * ROUNDS).start()
    try:
        for _ in range(ROUNDS):
            time.sleep(chance.uniform(0.1, 2.0))
            house.kill(chance.choice(VICTIMS))
    finally:
        told = business.stop()
    assert not business.faults
    if ROUNDS < MANY:
        house.forget_leases_of_the_dead()
    drained = eventually(is_done, "the end of all work", 240 + 10 * ROUNDS, left_over)
    say(f"{dict(house.kills)}; {told} stories, {Event.objects.count()} events, drained in {drained:.0f} s")
    check_index(processes)
    check_mails(mailbox, owner, organization)
    check_hooks(hooks, organization)
    effects.check_everything()


def wants_mails_at_once(person: User) -> None:
    at_once = {kind: Choice(True, MailChoice.IMMEDIATELY) for kind in ("receipts", "billing")}
    preferences.change(actor=actor_of_user(person), choices=at_once, now=clock.now())


def is_followed() -> bool:
    """Whether every follower has read the whole log, and none stands still."""
    size = Tree.objects.values_list("size", flat=True).get()
    return not Unsealed.objects.exists() and not Follower.objects.exclude(position=size, state="running").exists()


def is_done() -> bool:
    is_told = not Mail.objects.filter(state="queued").exists() and not unfinished().exists()
    return is_told and is_followed() and effects.is_drained() and is_followed()


def unfinished() -> QuerySet[WebhookDelivery]:
    return WebhookDelivery.objects.filter(finished_at=None)


def left_over() -> dict[str, Any]:
    return {
        **effects.left_over(),
        "followers": list(Follower.objects.values("name", "position", "state", "failures", "error")),
        "webhooks": list(unfinished().values("status", "attempts", "next_attempt_at", "last_outcome")[:5]),
        "mails": Mail.objects.filter(state="queued").count(),
    }


def check_index(processes: Processes) -> None:
    """Each object has its document, as it stands now, and no document is of an object that is not there."""
    checked = processes.run("search_check", "--json")
    assert checked.returncode == 0, checked.stdout[-3000:] + checked.stderr[-3000:]
    report = json.loads(checked.stdout)
    assert report["behind"] == 0
    # And without the index's own word for what a document should be:
    found = {kind: dict[UUID, tuple[str, int]]() for kind in report["types"]}
    for kind, key, title, version in IndexedDocument.objects.values_list("type", "object_id", "title", "version"):
        found[kind][key] = (title, version)
    assert all(title.endswith(" & Daughters") for title, _ in found["customer"].values())
    for kind, model in {"customer": Customer, "product": Product}.items():
        assert found[kind] == {row.pk: (row.name, row.version) for row in model._base_manager.all()}
    for kind, model in {"subscription": Subscription, "invoice": Invoice, "payment": Payment}.items():
        versions = {key: version for key, (_, version) in found[kind].items()}
        assert versions == dict(model._base_manager.values_list("pk", "version"))
    say(f"{sum(map(len, found.values()))} documents")


def check_mails(mailbox: Mailbox, person: User, organization: Organization) -> None:
    """One notification for each event that is told, one mail for each, each delivered and known by one Message-ID."""
    events = Event.objects.filter(type__in=TOLD, organization_id=organization.pk)
    told = Notification.objects.filter(person=person, template__in=TOLD)
    assert sorted(told.values_list("event_id", flat=True)) == sorted(events.values_list("pk", flat=True))
    mails = {mail.public_id: mail for mail in Mail.objects.all()}
    assert {mail.state for mail in mails.values()} == {"sent"}
    assert {mail.notification_id for mail in mails.values()} >= set(told.values_list("pk", flat=True))
    came = {key: found for key, found in mailbox.came.items() if found[0]["X-Countinghouse-Mail"]}
    assert {found[0]["X-Countinghouse-Mail"] for found in came.values()} == set(mails)
    assert len(came) == len(mails), "a mail that came twice came under one Message-ID"
    for found in came.values():
        assert len({each["X-Countinghouse-Mail"] for each in found}) == 1
        assert len({each["Subject"] for each in found}) == 1, "and said the same"
    twice = sum(len(found) > 1 for found in came.values())
    say(f"{len(mails)} mails, {twice} of them came more than once")


def check_hooks(hooks: Hooks, organization: Organization) -> None:
    """Each event that is published came, under its own id and genuine, for each subject in the order of the log."""
    log = Event.objects.filter(organization_id=organization.pk, type__startswith="billing.")
    published = {event.public_id: event.subject_id for event in log if webhooks.is_published(event.type)}
    assert set(hooks.came) == set(published)
    assert WebhookDelivery.objects.filter(status="succeeded").count() == len(published)
    assert all(each.is_genuine for found in hooks.came.values() for each in found)
    for key, found in hooks.came.items():
        assert len({each.body for each in found}) == 1, "it said the same each time"
        assert json.loads(found[0].body)["id"] == key
    positions = dict(WebhookDelivery.objects.values_list("event_id", "position"))
    last: dict[UUID, int] = {}
    for key in hooks.came:
        position = positions[decode("evt", key)]
        assert position > last.get(published[key], -1), "each subject's events came first in their order"
        last[published[key]] = position
    twice = sum(len(found) > 1 for found in hooks.came.values())
    say(f"{len(published)} webhooks, {twice} of them came more than once")
