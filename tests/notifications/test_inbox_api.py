"""One's own inbox over HTTP."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.actors import actor_of_user
from accounts.services import api_keys
from core import clock
from core.actor import SYSTEM
from notifications.models import Notification
from notifications.services import inbox

pytestmark = pytest.mark.django_db
URL = "/api/v1/notifications"


@pytest.fixture
def notes(owner, team_mate):
    def tell(person, number: int, kind: str = "members"):
        return inbox.tell(
            actor=SYSTEM, person=person, kind=kind, subject=f"News {number}", text="So it is.", unique=f"n{number}"
        )

    return [tell(owner, 1), tell(owner, 2, "billing"), tell(owner, 3)], [tell(team_mate, 4)]


def test_shows_ones_own_only(api, owner, team_mate, staff, notes) -> None:
    def subjects(person):
        return [row["subject"] for row in api(person).get(URL).json()["data"]]

    assert subjects(owner) == ["News 3", "News 2", "News 1"]
    assert subjects(team_mate) == ["News 4"]
    assert subjects(staff) == []


def test_filters_and_counts(api, owner, notes) -> None:
    client = api(owner)
    first = notes[0][0].public_id
    assert client.get(f"{URL}/summary").json() == {
        "unread": 3,
        "by_kind": [{"kind": "billing", "unread": 1}, {"kind": "members", "unread": 2}],
    }
    assert client.post(f"{URL}/{first}/mark-read").json()["is_read"] is True
    assert len(client.get(f"{URL}?is_read=false").json()["data"]) == 2
    assert [row["id"] for row in client.get(f"{URL}?is_read=true").json()["data"]] == [first]
    assert len(client.get(f"{URL}?kind=billing").json()["data"]) == 1
    assert client.get(f"{URL}?kind=gossip").status_code == 400
    assert client.post(f"{URL}/{first}/mark-unread").json()["is_read"] is False
    assert client.post(f"{URL}/{first}/archive").json()["archived_at"]
    assert len(client.get(URL).json()["data"]) == 2
    assert len(client.get(f"{URL}?is_archived=true").json()["data"]) == 1
    assert client.get(f"{URL}/summary").json()["unread"] == 2
    assert client.get(f"{URL}?limit=1").json()["next"]


def test_takes_no_body_where_nothing_is_asked(api, owner, notes) -> None:
    address = f"{URL}/{notes[0][0].public_id}/mark-read"
    faults = api(owner).post(address, {"is_read": False}).json()["errors"]
    assert [(fault["pointer"], fault["code"]) for fault in faults] == [("/is_read", "unknown_field")]
    assert api(owner).post(address, "no", content_type="text/plain").status_code == 415
    assert api(owner).post(address, {}).json()["is_read"] is True


def test_marks_everything_up_to_a_moment(api, owner, notes) -> None:
    client = api(owner)
    second = Notification.objects.get(unique="n2")
    reply = client.post(f"{URL}/mark-all-read", {"until": second.created_at.isoformat()})
    assert reply.json() == {"marked": 2}
    assert client.post(f"{URL}/mark-all-read").json() == {"marked": 1}
    assert client.post(f"{URL}/mark-all-read", {"until": "yesterday"}).status_code == 400


@pytest.mark.parametrize("verb", ["", "/mark-read", "/mark-unread", "/archive"])
def test_says_of_anothers_that_it_is_not_there(verb, api, stranger, staff, notes) -> None:
    for person in (stranger, staff):
        client = api(person)
        address = f"{URL}/{notes[0][0].public_id}{verb}"
        assert (client.post(address) if verb else client.get(address)).status_code == 404


def test_has_nothing_for_keys_and_nobody(api, owner, organization, notes) -> None:
    _, text = api_keys.create(
        actor=actor_of_user(owner),
        organization=organization,
        name="robot",
        scopes=["accounts.*", "billing.*"],
        now=clock.now(),
    )
    for path in ("", "/summary", "/preferences", f"/{notes[0][0].public_id}"):
        assert api().carry(text).get(URL + path).status_code == 403
        assert api().get(URL + path).status_code == 401


def test_asks_as_often_for_fifty_as_for_five(api, owner) -> None:

    client, counted = api(owner), []
    client.get(URL)
    for upto in (5, 50):
        for number in range(upto):
            inbox.tell(actor=SYSTEM, person=owner, kind="members", subject="A", text="", unique=f"{upto}-{number}")
        with CaptureQueriesContext(connection) as queries:
            assert len(client.get(f"{URL}?limit=50").json()["data"]) == min(50, upto if upto == 5 else 50)
        counted.append(len(queries))
    assert counted[0] == counted[1] <= 4


def test_keeps_preferences(api, owner) -> None:
    client = api(owner)
    shown = client.get(f"{URL}/preferences")
    choices = {one["kind"]: one for one in shown.json()["choices"]}
    assert choices["security"] == {
        "kind": "security",
        "label": "Sign-ins and passwords",
        "is_mandatory": True,
        "inbox": True,
        "email": "immediately",
    }
    assert "operations" not in choices
    wanted = {"time_zone": "Europe/Berlin", "choices": [{"kind": "members", "inbox": False, "email": "off"}]}
    reply = client.put(f"{URL}/preferences", wanted, HTTP_IF_MATCH=shown.headers["ETag"])
    assert reply.status_code == 200, reply.content
    kept = client.get(f"{URL}/preferences").json()
    assert kept["time_zone"] == "Europe/Berlin"
    assert {"kind": "members", "inbox": False, "email": "off"}.items() <= {one["kind"]: one for one in kept["choices"]}[
        "members"
    ].items()
    stale = client.put(f"{URL}/preferences", wanted, HTTP_IF_MATCH=shown.headers["ETag"])
    assert stale.status_code == 412
    assert inbox.tell(actor=SYSTEM, person=owner, kind="members", subject="A", text="", unique="a") is None


@pytest.mark.parametrize(
    ("choices", "code"),
    [
        ([{"kind": "security", "inbox": True, "email": "off"}], "kind_is_mandatory"),
        ([{"kind": "security", "inbox": False, "email": "immediately"}], "kind_is_mandatory"),
        ([{"kind": "gossip", "inbox": True, "email": "off"}], "invalid_input"),
        ([{"kind": "members", "inbox": True, "email": "hourly"}], "invalid_input"),
        ([{"kind": "members", "inbox": True, "email": "off"}] * 2, "invalid_input"),
    ],
)
def test_refuses_choices_that_cannot_be(choices, code, api, owner) -> None:
    reply = api(owner).put(f"{URL}/preferences", {"choices": choices})
    assert reply.json()["code"] == code, reply.content


def test_refuses_a_zone_that_is_none(api, owner) -> None:
    assert api(owner).put(f"{URL}/preferences", {"time_zone": "Mars/North", "choices": []}).status_code == 400


def test_says_when_nothing_changed_since(api, owner, notes) -> None:
    client, address = api(owner), f"{URL}/{notes[0][0].public_id}"
    tag = client.get(address).headers["ETag"]
    assert client.get(address, HTTP_IF_NONE_MATCH=tag).status_code == 304
    client.post(f"{address}/mark-read")
    assert client.get(address, HTTP_IF_NONE_MATCH=tag).status_code == 200
    assert client.post(f"{address}/archive", HTTP_IF_MATCH=tag).status_code == 412
