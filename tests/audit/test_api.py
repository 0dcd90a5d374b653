"""The event log over HTTP: an organisation's administrators read its events, nobody else's."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

import audit
from accounts.actors import actor_of_user
from core import context, personal
from core.actor import SYSTEM
from core.events import EventType, Subject
from core.ids import new_id

pytestmark = pytest.mark.django_db
EVENTS = "/api/v1/audit/events"


@pytest.fixture
def record(thing_tried: EventType, owner, organization):
    """Record one event of the organisation."""

    def make(**kwargs):
        given = {"actor": actor_of_user(owner), "subject": Subject("thing", new_id(), organization.pk), **kwargs}
        with (
            context.use(context.Context(source="api", request_id="req-1", ip="192.0.2.9", command_id=new_id())),
            transaction.atomic(),
        ):
            return audit.record(thing_tried, **given)

    return make


def ours(client, organization, query: str = "", path: str = EVENTS):
    return client.get(path + query, headers={"X-Organization": organization.public_id})


def test_shows_administrators_what_happened(api, owner, organization, record) -> None:
    record(before={"n": 1}, after={"n": 2, "email": "ada@example.org"})
    reply = ours(api(owner), organization, "?type=tests.thing.tried")
    assert reply.status_code == 200
    (event,) = reply.json()["data"]
    assert event["actor"] == {"type": "user", "id": owner.public_id}
    assert event["organization_id"] == organization.public_id
    assert (event["before"], event["after"]) == ({"n": 1}, {"n": 2, "email": "ada@example.org"})
    assert event["context"] == {"source": "api", "request_id": "req-1", "ip": "192.0.2.9"}
    assert event["hidden"] == []
    assert ours(api(owner), organization, path=f"{EVENTS}/{event['id']}").json() == event


def test_hides_what_was_erased(api, owner, organization, record) -> None:
    person = Subject("user", new_id())
    record(person=person, after={"email": "ada@example.org"})
    personal.destroy_key(person)
    (event,) = ours(api(owner), organization, "?type=tests.thing.tried").json()["data"]
    assert (event["after"], event["hidden"]) == ({"email": None}, ["after.email"])


def test_refuses_members_strangers_and_nobody(
    api, team_mate, stranger, organization, other_organization, record
) -> None:
    identifier = record()
    assert ours(api(team_mate), organization).status_code == 403
    assert api().get(EVENTS).status_code == 401
    client = api(stranger)
    assert ours(client, other_organization, "?type=tests.thing.tried").json()["data"] == []
    assert ours(client, organization).status_code in (403, 404)
    path = f"{EVENTS}/{audit.models.Event(id=identifier).public_id}"
    assert ours(client, other_organization, path=path).status_code == 404


def test_filters_by_who_what_and_when(api, staff, owner, stranger, organization, record) -> None:
    subject = Subject("user", owner.pk, organization.pk)
    first = record(data={"n": 1})
    with pytest.raises(Exception, match="speaks of"):
        record(subject=subject)
    client = api(staff)
    event = client.get(f"{EVENTS}?type=tests.thing.tried").json()["data"][0]

    def found(query: str) -> int:
        reply = client.get(f"{EVENTS}?type=tests.thing.tried&{query}")
        assert reply.status_code == 200, reply.content
        return len(reply.json()["data"])

    assert found(f"actor={owner.public_id}") == 1
    assert found(f"actor={stranger.public_id}") == 0
    assert found(f"organization={organization.public_id}") == 1
    assert found(f"subject={owner.public_id}") == 0
    assert found(f"command_id={event['command_id']}") == 1
    assert found(f"command_id={new_id()}") == 0
    assert found("request_id=req-1") == 1
    assert found("request_id=req-2") == 0
    assert found("occurred_after=2020-01-01T00:00:00Z") == 1
    assert found("occurred_before=2020-01-01T00:00:00Z") == 0
    assert str(first) not in str(event)


@pytest.mark.parametrize(
    "query", ["subject=nonsense", "actor=zzz_01h455vb4pex5vsknk084sn02q", "nonsense=1", "command_id=1"]
)
def test_refuses_filters_that_it_does_not_understand(api, staff, query) -> None:
    reply = api(staff).get(f"{EVENTS}?{query}")
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["pointer"].startswith("?")


def test_asks_as_many_questions_for_many_events_as_for_few(api, staff, record) -> None:
    client = api(staff)
    client.get(EVENTS)
    counts = []
    for total in (5, 45):
        for number in range(total):
            record(after={"email": f"{number}@example.org"}, person=Subject("user", new_id()))
        with CaptureQueriesContext(connection) as captured:
            assert client.get(f"{EVENTS}?limit=50&type=tests.thing.tried").status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_goes_through_all_pages_without_a_gap(api, staff, record) -> None:
    recorded = [record(actor=SYSTEM) for _ in range(7)]
    client, address, seen = api(staff), f"{EVENTS}?limit=3&type=tests.thing.tried", []
    while address:
        page = client.get(address).json()
        seen += [row["id"] for row in page["data"]]
        address = page["next"]
    assert seen == [audit.models.Event(id=key).public_id for key in reversed(recorded)]
