"""The live stream of notifications: from the commit to the wire, through a real process."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from accounts.actors import actor_of_user
from accounts.models import User
from core import clock
from core.actor import SYSTEM
from core.ids import new_id
from notifications.models import Notification
from notifications.selectors import changes
from notifications.services import inbox
from tests.cast import Api
from tests.core.conftest import OwnValkey, own_valkey  # noqa: F401 - a fixture
from tests.meta.company import key_of
from tests.support.events import Events, Received
from tests.support.processes import Processes, Web

pytestmark = pytest.mark.django_db(transaction=True)
SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.support.stream_settings"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: Any, django_db_setup: None) -> Iterator[Web]:
    """One process for the tests that leave it standing."""
    found = Processes(tmp_path_factory.mktemp("streams"))
    yield found.streams(**SETTINGS)
    found.close()


@pytest.fixture
def reading(house: Web, settings: Any, api: Callable[..., Api]) -> Iterator[Callable[..., Events]]:
    """`reading(person, after)` opens the person's stream and takes its first message, `ready`."""
    settings.STREAMS_URL, settings.RATE_LIMIT_SCALE = house.url, 1e6
    found: list[Events] = []
    clients: dict[Any, Api] = {}

    def read(person: User, after: str | None = None, url: str = "") -> Events:
        settings.STREAMS_URL = url or house.url
        if person.pk not in clients:
            clients[person.pk] = api(person)
        stream = Events(ticket(clients[person.pk]) + (f"&last_event_id={after}" if after is not None else ""))
        found.append(stream)
        return stream

    yield read
    for each in found:
        each.close()


def ticket(client: Api) -> str:
    reply = client.post("/api/v1/streams/tickets", {"stream": "notifications"})
    assert reply.status_code == 201, reply.content
    return reply.json()["url"]


def row_for(person: User, subject: str = "Hello") -> Notification:
    """Return a row that is not written yet; its key is made now."""
    return Notification(person=person, kind="billing", unique=new_id().hex, subject=subject, text="…")


def tell(person: User, subject: str = "Hello") -> Notification:
    told = inbox.tell(actor=SYSTEM, person=person, kind="billing", subject=subject, text="…", unique=new_id().hex)
    assert told is not None
    return told


def ready(stream: Events) -> Received:
    found = stream.next()
    assert found is not None
    assert found.event == "ready"
    return found


def test_tells_what_is_new_as_the_api_shows_it(reading: Any, api: Any, owner: User) -> None:
    stream = reading(owner)
    assert ready(stream).id == "0"
    began = time.monotonic()
    told = tell(owner, "An invoice is due")
    (message,) = stream.take(1)
    assert time.monotonic() - began < 2.5, "a poll alone comes after five seconds"
    assert (message.id, message.event) == ("1", "notification")
    assert message.data == api(owner).get(f"/api/v1/notifications/{told.public_id}").json()


def test_tells_what_became_of_it(reading: Any, api: Any, owner: User) -> None:
    one, two = tell(owner), tell(owner)
    stream, actor = reading(owner), actor_of_user(owner)
    assert ready(stream).id == "2"
    inbox.mark_read(actor=actor, notification=one, now=clock.now())
    read = stream.take(1)
    inbox.mark_unread(actor=actor, notification=one, now=clock.now())
    read += stream.take(1)
    inbox.mark_all_read(actor=actor, now=clock.now())
    both = stream.take(2)
    assert [message.data["is_read"] for message in read] == [True, False]
    assert {message.data["id"] for message in both} == {one.public_id, two.public_id}
    assert all(message.data["is_read"] for message in both)
    assert [message.id for message in both] == ["5", "6"]


def test_keeps_to_its_reader(reading: Any, owner: User, team_mate: User, stranger: User) -> None:
    streams = {person: reading(person) for person in (owner, team_mate, stranger)}
    for stream in streams.values():
        ready(stream)
    for person in (stranger, team_mate, owner):
        tell(person, f"For {person.email}")
    for person, stream in streams.items():
        (message,) = stream.take(1)
        assert message.data["subject"] == f"For {person.email}"


def test_is_refused_with_the_id_of_another(api: Any, owner: User, stranger: User, organization: Any) -> None:
    client = api(owner)

    def ask(**parameters: str) -> int:
        body = {"stream": "notifications", "parameters": parameters}
        return int(client.post("/api/v1/streams/tickets", body).status_code)

    assert ask(person_id=stranger.public_id) == 403
    assert ask(person_id="usr_" + "0" * 26) == 403, "who is not there reads as who is another"
    assert ask(person_id=owner.public_id) == 201
    assert ask(user_id=stranger.public_id) == 400
    key = api().carry(key_of(organization, owner)[1])
    assert key.post("/api/v1/streams/tickets", {"stream": "notifications"}).status_code == 403


def test_is_refused_at_the_door_with_the_id_of_another(
    house: Web, settings: Any, api: Any, owner: User, stranger: User
) -> None:
    settings.STREAMS_URL = house.url
    client = api(owner)
    assert Events(f"{ticket(client)}&person_id={stranger.public_id}").status == 400
    assert Events(f"{ticket(client)}&last_event_id=x").status == 400
    assert Events(f"{ticket(client)}&last_event_id=-1").status == 400


class TestResuming:
    def test_brings_what_was_missed_once_as_it_stands_now(self, reading: Any, owner: User) -> None:
        first = reading(owner)
        ready(first)
        tell(owner, "one")
        (seen,) = first.take(1)
        first.close()
        two, _ = tell(owner, "two"), tell(owner, "three")
        inbox.mark_read(actor=actor_of_user(owner), notification=two, now=clock.now())
        again = reading(owner, seen.id)
        assert ready(again).id == seen.id
        found = again.take(2)
        assert [(one.data["subject"], one.data["is_read"]) for one in found] == [("three", False), ("two", True)]
        tell(owner, "four")
        assert again.take(1)[0].data["subject"] == "four"

    def test_loses_nothing_that_got_its_key_earlier_and_was_committed_later(self, reading: Any, owner: User) -> None:
        stream = reading(owner)
        ready(stream)
        early = row_for(owner, "early key")
        late = row_for(owner, "late key")
        late.save()
        (seen,) = stream.take(1)
        stream.close()
        early.save()
        assert early.pk < late.pk, "by its key the row stands before what was seen"
        again = reading(owner, seen.id)
        ready(again)
        assert again.take(1)[0].data["subject"] == "early key"

    def test_waits_for_who_writes_before(self, reading: Any, owner: User) -> None:
        """A number that is taken is visible, or nobody has a higher one: what this rests on."""
        stream = reading(owner)
        ready(stream)
        is_written, may_commit, order = threading.Event(), threading.Event(), []

        def write_slowly() -> None:
            with transaction.atomic():
                row_for(owner, "slow").save()
                is_written.set()
                may_commit.wait(10)
            order.append("slow")
            connection.close()

        def write() -> None:
            row_for(owner, "quick").save()
            order.append("quick")
            connection.close()

        slow, quick = threading.Thread(target=write_slowly), threading.Thread(target=write)
        slow.start()
        assert is_written.wait(10)
        quick.start()
        time.sleep(1.5)
        assert order == []
        may_commit.set()
        found = stream.take(2)
        slow.join()
        quick.join()
        assert [one.data["subject"] for one in found] == ["slow", "quick"]
        assert [one.id for one in found] == ["1", "2"]

    def test_brings_a_long_absence_page_by_page_also_to_a_slow_reader(
        self, reading: Any, owner: User, stranger: User
    ) -> None:
        Notification.objects.bulk_create([row_for(person) for _ in range(1300) for person in (owner, stranger)])
        quick, slow, other = reading(owner, "0"), reading(owner, "200"), reading(stranger, "0")
        for stream in (quick, slow, other):
            ready(stream)
        assert [int(one.id or 0) for one in quick.take(1300)] == list(range(1, 1301))
        tell(owner, "last")
        assert quick.take(1)[0].data["subject"] == "last"
        assert [int(one.id or 0) for one in slow.take(1101)] == list(range(201, 1302))
        assert [int(one.id or 0) for one in other.take(1300)] == list(range(1, 1301))

    def test_passes_by_what_is_not_theirs_to_read_any_more(
        self, reading: Any, team_mate: User, organization: Any
    ) -> None:
        news = [row_for(team_mate, "of an organisation that was left") for _ in range(700)]
        for row in news:
            row.organization = organization
        Notification.objects.bulk_create([*news, row_for(team_mate, "for oneself")])
        organization.memberships.filter(user=team_mate).delete()
        stream = reading(team_mate, "0")
        ready(stream)
        (only,) = stream.take(1)
        assert (only.id, only.data["subject"]) == ("701", "for oneself")

    def test_begins_anew_behind_a_position_that_was_never_reached(self, reading: Any, owner: User) -> None:
        tell(owner)
        stream = reading(owner, "1000")
        first = ready(stream)
        assert (first.id, first.data) == ("1", {"is_reset": True})
        tell(owner, "next")
        assert stream.take(1)[0].data["subject"] == "next"

    def test_is_exact_while_many_write_and_the_line_breaks(self, reading: Any, owner: User, stranger: User) -> None:
        """Four writers with transactions of all lengths, a reader whose line breaks again and again."""
        dice = random.Random(7)

        def write(number: int) -> None:
            mine = random.Random(number)
            for _ in range(25):
                with transaction.atomic():
                    rows = [row_for(person) for person in (owner, stranger) for _ in range(mine.randint(1, 3))]
                    time.sleep(mine.random() * 0.01)
                    Notification.objects.bulk_create(rows)
                    time.sleep(mine.random() * 0.02)
                if mine.random() < 0.3:
                    inbox.mark_all_read(actor=actor_of_user(owner), now=clock.now())
            connection.close()

        writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        stream = reading(owner)
        last, positions, seen = ready(stream).id, [], {}
        for writer in writers:
            writer.start()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            is_over = not any(writer.is_alive() for writer in writers)
            total = Notification.objects.filter(person=owner).order_by("-position").first()
            if is_over and total is not None and last == str(total.position):
                break
            message = stream.next()
            assert message is not None
            if message.event == "notification":
                positions.append(int(message.id or 0))
                seen[message.data["id"]] = message.data["is_read"]
                last = message.id
            if dice.random() < 0.05:
                stream.close()
                stream = reading(owner, last)
                assert ready(stream).id == last
        assert positions == sorted(set(positions)), "in order, and none twice"
        assert seen == {row.public_id: row.is_read for row in Notification.objects.filter(person=owner)}
        assert len(seen) > 100


def test_stays_open_while_the_database_is_away_and_goes_on_where_it_stood(
    reading: Any, owner: User, owner_connection: Any
) -> None:
    stream = reading(owner)
    ready(stream)
    for number in range(5):
        owner_connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND usename <> current_user"
        )
        connection.close()
        tell(owner, f"news {number}")
    assert [one.data["subject"] for one in stream.take(5)] == [f"news {number}" for number in range(5)]


@pytest.mark.parametrize("count", [5, 50])
def test_asks_once_for_all_readers(count: int, django_assert_num_queries: Any) -> None:
    people = User.objects.bulk_create([User(email=f"{number}@x.example") for number in range(count)])
    Notification.objects.bulk_create([row_for(person) for person in people])
    with django_assert_num_queries(2):
        found = changes.behind({person.pk: 0 for person in people})
    assert {key: [position for position, _ in rows] for key, rows in found.items()} == {
        person.pk: [1] for person in people
    }
    with django_assert_num_queries(1):
        assert changes.behind({person.pk: 1 for person in people}) == {}


class TestWithoutValkey:
    def test_goes_on_more_slowly_and_is_quick_again_when_it_is_back(
        self,
        processes: Processes,
        own_valkey: OwnValkey,  # noqa: F811 - the fixture
        reading: Any,
        owner: User,
    ) -> None:
        house = processes.streams(**SETTINGS, REDIS_URL=own_valkey.url)
        stream = reading(owner, url=house.url)
        ready(stream)
        tell(owner, "with")
        assert stream.take(1)[0].data["subject"] == "with"
        own_valkey.kill()
        for number in range(3):
            began = time.monotonic()
            tell(owner, f"without {number}")
            assert stream.take(1)[0].data["subject"] == f"without {number}"
            assert time.monotonic() - began < 7
        again = reading(owner, "1", url=house.url)
        assert ready(again).id == "1"
        assert len(again.take(3)) == 3, "who comes while it is down is let in, and resumes"
        own_valkey.start()
        time.sleep(3)
        waits = []
        for number in range(3):
            began = time.monotonic()
            tell(owner, f"again {number}")
            stream.take(1)
            waits.append(time.monotonic() - began)
        assert min(waits) < 0.5
