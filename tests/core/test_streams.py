"""Live streams, served by a real process of their own. The toy streams stand in `tests.support.toy_streams`."""

from __future__ import annotations

import http.client
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from django.db import connection
from django.test import Client

from accounts.actors import actor_of_user, session_id_of_desk
from accounts.models import ApiKey, Session, User
from accounts.services import api_keys, memberships, sessions
from accounts.states import EndedReason
from core import clock, health, streams
from core.access import Role
from core.actor import SYSTEM
from core.ids import new_id
from core.models import StreamTicket
from core.relay import HeldLease
from core.relay.retention import forget_old_stream_tickets
from core.streams import registry, tickets
from core.streams.standing import Proof, standing_of
from tests.meta.company import key_of
from tests.support.events import Events
from tests.support.processes import Processes, Web
from tests.support.toy_streams import EVERY_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)
ROUND_SECONDS = 60.0
SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.support.stream_settings"}


@pytest.fixture(autouse=True)
def toy_streams() -> Iterator[None]:
    """The tests' own streams, as the process knows them."""
    from tests.support.toy_streams import sources

    known = dict(registry.streams)
    for name in ("count", "silent", "flood", "rule", "crash", "rung"):
        check = sources.refuse_the_impolite if name == "count" else None
        registry.streams[f"tests.{name}"] = registry.Stream(f"tests.{name}", getattr(sources, name), check)
    yield
    registry.streams.clear()
    registry.streams.update(known)


@pytest.fixture(scope="module")
def house(tmp_path_factory: Any, django_db_setup: None) -> Iterator[Web]:
    """One process for the tests that leave it standing."""
    found = Processes(tmp_path_factory.mktemp("streams"))
    yield found.streams(**SETTINGS)
    found.close()


@pytest.fixture(scope="module")
def patient_house(tmp_path_factory: Any, django_db_setup: None) -> Iterator[Web]:
    """One that looks through its streams so rarely that who is sent away was sent away at once."""
    found = Processes(tmp_path_factory.mktemp("streams"))
    yield found.streams(**SETTINGS, TESTS_RECHECK_SECONDS=str(ROUND_SECONDS))
    found.close()


Open = Callable[..., Events]


@pytest.fixture
def opened(house: Web, settings: Any) -> Iterator[Open]:
    """`opened(client, "tests.count", parameters)` gets a ticket by the API and opens the stream."""
    settings.STREAMS_URL, settings.RATE_LIMIT_SCALE = house.url, 1e6
    found: list[Events] = []

    def open_(client: Any, name: str, parameters: Any = None, *, query: str = "", **headers: str) -> Events:
        found.append(Events(ticket(client, name, parameters) + query, headers))
        return found[-1]

    yield open_
    for each in found:
        each.close()


def ticket(client: Any, name: str, parameters: Any = None) -> str:
    reply = client.post("/api/v1/streams/tickets", {"stream": name, "parameters": parameters or {}})
    assert reply.status_code == 201, reply.content
    return reply.json()["url"]


def eventually(is_so: Callable[[], bool], what: str, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"{what} did not come within {seconds} s"
        time.sleep(0.05)


class TestStream:
    def test_brings_what_the_source_says_and_ends_with_it(self, opened: Open, api: Any, owner: User) -> None:
        stream = opened(api(owner), "tests.count")
        assert stream.status == 200
        expected = {
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
            "X-Content-Type-Options": "nosniff",
        }
        assert {name: stream.reply.headers[name] for name in expected} == expected
        found = stream.rest()
        assert [(one.id, one.event) for one in found] == [("1", "number"), ("2", "number"), ("3", "number")]
        assert found[0].data == {"number": 1, "actor": f"user:{owner.pk}"}
        assert stream.retries == [2000]

    @pytest.mark.parametrize("way", ["header", "query"])
    def test_goes_on_after_the_last_id_that_was_seen(self, way: str, opened: Open, api: Any, owner: User) -> None:
        by = {"query": "&last_event_id=1"} if way == "query" else {"Last-Event-ID": "1"}
        assert [one.id for one in opened(api(owner), "tests.count", **by).rest()] == ["2", "3"]

    def test_beats_while_nothing_is_said(self, opened: Open, api: Any, owner: User) -> None:
        stream = opened(api(owner), "tests.silent")
        stream.connection.sock.settimeout(3)
        for _ in range(6):
            assert stream.reply.readline() in (b": \n", b"\n", b"retry: 2000\n")

    def test_tells_a_broken_rule_as_the_api_does(self, opened: Open, api: Any, owner: User) -> None:
        _, error = opened(api(owner), "tests.rule").rest()
        assert (error.event, error.data["code"], error.data["detail"]) == ("error", "rule_broken", "Not any further.")

    def test_tells_a_crash_without_its_words_and_logs_it_once(
        self, house: Web, opened: Open, api: Any, owner: User
    ) -> None:
        stream = opened(api(owner), "tests.crash", **{"X-Request-ID": f"crash-{new_id().hex}"})
        _, error = stream.rest()
        assert error.data["status"] == 500
        assert error.data["request_id"] == stream.reply.headers["X-Request-ID"]
        assert "secret of ours" not in json.dumps(error.data)
        eventually(lambda: house.text.count("ValueError: a secret of ours") == 1, "the log line")

    def test_is_woken_by_a_commit(self, opened: Open, api: Any, owner: User) -> None:
        stream = opened(api(owner), "tests.rung")
        assert stream.next().data["number"] == 1
        time.sleep(0.1)
        began = time.monotonic()
        streams.wake("tests.bell")
        assert stream.next().data["number"] == 2
        assert time.monotonic() - began < EVERY_SECONDS / 2

    def test_writes_one_line_for_each_stream(self, house: Web, opened: Open, api: Any, owner: User) -> None:
        request_id = new_id().hex
        opened(api(owner), "tests.count", **{"X-Request-ID": request_id}).rest()
        eventually(lambda: f"actor=user:{owner.pk}" in house.text, "the line")
        lines = [line for line in house.text.splitlines() if "stream.ended" in line and f"user:{owner.pk}" in line]
        assert len(lines) == 1
        assert "messages=3" in lines[0]
        assert "reason=finished" in lines[0]

    def test_is_counted_exactly_while_it_is_open(self, house: Web, opened: Open, api: Any, owner: User) -> None:
        client = api(owner)

        eventually(lambda: _open_streams(house) == 0, "an empty house")
        found = [opened(client, "tests.silent") for _ in range(3)]
        eventually(lambda: _open_streams(house) == 3, "three open streams")
        for each in found:
            each.close()
        eventually(lambda: _open_streams(house) == 0, "their end")
        eventually(lambda: not StreamTicket.objects.filter(seen_at__isnull=False, ended_at=None).exists(), "their rows")


class TestTicket:
    def test_opens_once(self, house: Web, opened: Open, api: Any, owner: User) -> None:
        url = ticket(api(owner), "tests.silent")
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: Events(url), range(8)))
        assert sorted(each.status for each in found) == [200] + [401] * 7
        refused = next(each for each in found if each.status == 401)
        assert refused.problem["code"] == "unauthenticated"
        assert refused.reply.headers["WWW-Authenticate"] == "Bearer"
        for each in found:
            each.close()
        assert url.partition("ticket=")[2] not in house.text, "it stands in no log"

    def test_is_kept_as_a_hash_only(self, opened: Open, api: Any, owner: User) -> None:
        token = ticket(api(owner), "tests.silent").partition("ticket=")[2]
        row = StreamTicket.objects.get()
        assert token not in json.dumps({field.name: str(getattr(row, field.name)) for field in row._meta.fields})

    def test_opens_nothing_after_a_minute(self, opened: Open, api: Any, owner: User) -> None:
        url = ticket(api(owner), "tests.silent")
        StreamTicket.objects.update(expires_at=clock.now() - timedelta(milliseconds=1))
        assert Events(url).status == 401

    @pytest.mark.parametrize("token", ["", "x", "st_" + "A" * 43, "st_%00" + "A" * 42, "Ä" * 46])
    def test_opens_nothing_when_it_is_made_up(self, token: str, house: Web) -> None:
        assert (
            Events(f"{house.url}/streams/tests.silent?ticket={token.encode().hex() if 'Ä' in token else token}").status
            == 401
        )

    def test_of_one_stream_opens_no_other(self, house: Web, opened: Open, api: Any, owner: User) -> None:
        url = ticket(api(owner), "tests.silent").replace("tests.silent", "tests.count")
        assert Events(url).status == 403
        assert Events(url.replace("tests.count", "tests.silent")).status == 401, "it is spent"

    def test_is_not_spent_on_a_stream_that_there_is_not(self, opened: Open, api: Any, owner: User) -> None:
        url = ticket(api(owner), "tests.silent")
        missing = Events(url.replace("tests.silent", "tests.missing"))
        assert (missing.status, missing.problem["code"]) == (404, "not_found")
        assert Events(url).status == 200

    def test_is_refused_to_who_may_not_read(self, opened: Open, api: Any, owner: User) -> None:
        body = {"stream": "tests.count", "parameters": {"word": "rude"}}
        assert api(owner).post("/api/v1/streams/tickets", body).status_code == 403
        assert not StreamTicket.objects.exists()

    def test_is_asked_again_at_entry(self, opened: Open, api: Any, owner: User) -> None:
        url = ticket(api(owner), "tests.count")
        StreamTicket.objects.update(parameters={"word": "rude"})
        assert Events(url).status == 403

    def test_is_worth_nothing_once_the_session_has_ended(self, opened: Open, api: Any, owner: User) -> None:
        url = ticket(api(owner), "tests.silent")
        Session.objects.filter(user=owner).update(ended_at=clock.now())
        assert Events(url).status == 401

    def test_names_streams_that_there_are(self, api: Any, owner: User) -> None:
        reply = api(owner).post("/api/v1/streams/tickets", {"stream": "no"})
        assert reply.status_code == 404
        assert "tests.count" in reply.json()["streams"]

    def test_is_forgotten_an_hour_later(self, api: Any, owner: User) -> None:
        client, now = api(owner), clock.now()
        for _ in range(4):
            ticket(client, "tests.silent")
        _, ended, died, is_open = StreamTicket.objects.order_by("id")
        old = now - timedelta(hours=2)
        StreamTicket.objects.update(expires_at=old)
        StreamTicket.objects.filter(pk=ended.pk).update(seen_at=old, ended_at=old)
        StreamTicket.objects.filter(pk=died.pk).update(seen_at=old)
        StreamTicket.objects.filter(pk=is_open.pk).update(seen_at=now)
        lease = HeldLease("relay", "test")
        lease.take()
        assert forget_old_stream_tickets(lease) == 3
        assert StreamTicket.objects.get() == is_open


class TestReaders:
    def test_have_ten_streams_at_most(self, opened: Open, api: Any, owner: User, stranger: User) -> None:
        client = api(owner)
        with ThreadPoolExecutor(12) as pool:
            urls = [ticket(client, "tests.silent") for _ in range(12)]
            found = list(pool.map(Events, urls))
        assert sorted(each.status for each in found) == [200] * 10 + [429] * 2
        assert "Retry-After" in next(each for each in found if each.status == 429).reply.headers
        assert opened(api(stranger), "tests.silent").status == 200
        next(each for each in found if each.status == 200).close()
        eventually(lambda: opened(client, "tests.silent").status == 200, "a free place")
        for each in found:
            each.close()

    def test_are_sent_away_at_once_when_their_session_ends(
        self, patient_house: Web, opened: Open, settings: Any, api: Any, owner: User
    ) -> None:
        settings.STREAMS_URL = patient_house.url
        stream, began = opened(api(owner), "tests.silent"), time.monotonic()
        other = opened(api(owner), "tests.silent")
        session = Session.objects.filter(user=owner).earliest("created_at")
        sessions.end(actor=actor_of_user(owner), session=session, reason=EndedReason.SIGNED_OUT, now=clock.now())
        (last,) = stream.rest()
        assert (last.event, last.data) == ("close", {"reason": "access_changed"})
        assert time.monotonic() - began < ROUND_SECONDS / 2
        beats = [other.reply.readline() for _ in range(8)]
        assert set(beats) <= {b": \n", b"\n", b"retry: 2000\n"}, "the other session goes on"

    def test_are_sent_away_at_once_when_staff_sign_out(self, patient_house: Web, settings: Any, staff: User) -> None:
        settings.STREAMS_URL = patient_house.url
        desks, streams = [Client(), Client()], []
        for desk in desks:
            desk.force_login(staff)
            actor = actor_of_user(staff, session_id_of_desk(desk.session.session_key))
            streams.append(Events(tickets.issue(stream="tests.silent", actor=actor).url))
        began = time.monotonic()
        assert desks[0].post("/admin/logout/").status_code == 200
        (last,) = streams[0].rest()
        assert (last.event, last.data) == ("close", {"reason": "access_changed"})
        assert time.monotonic() - began < ROUND_SECONDS / 2
        beats = [streams[1].reply.readline() for _ in range(8)]
        assert set(beats) <= {b": \n", b"\n", b"retry: 2000\n"}, "the other desk goes on"
        streams[1].close()

    def test_are_sent_away_within_a_round_when_nobody_said_that_it_ended(
        self, opened: Open, api: Any, owner: User
    ) -> None:
        stream = opened(api(owner), "tests.silent")
        Session.objects.filter(user=owner).update(ended_at=clock.now())
        (last,) = stream.rest()
        assert last.data == {"reason": "access_changed"}

    @pytest.mark.parametrize("what", ["revoked", "rotated", "expired"])
    def test_are_sent_away_when_their_key_is_no_more_what_it_was(
        self, what: str, opened: Open, api: Any, owner: User, organization: Any
    ) -> None:
        key, text = key_of(organization, owner)
        stream, other = opened(api().carry(text), "tests.silent"), opened(api(owner), "tests.silent")
        actor, now = actor_of_user(owner), clock.now()
        if what == "revoked":
            api_keys.revoke(actor=actor, api_key=key, now=now)
        elif what == "rotated":
            api_keys.rotate(actor=actor, api_key=key, now=now)
        else:
            ApiKey.objects.filter(pk=key.pk).update(expires_at=now)
        (last,) = stream.rest()
        assert last.data == {"reason": "access_changed"}
        assert other.reply.readline(), "the person goes on"

    def test_are_sent_away_when_they_are_deactivated(self, opened: Open, api: Any, owner: User) -> None:
        stream = opened(api(owner), "tests.silent")
        User.objects.filter(pk=owner.pk).update(is_active=False)
        assert stream.rest()[-1].data == {"reason": "access_changed"}

    @pytest.mark.parametrize("count", [5, 50])
    def test_are_asked_for_all_at_once(
        self, count: int, organization: Any, owner: User, django_assert_num_queries: Any
    ) -> None:
        people = User.objects.bulk_create([User(email=f"{number}@x.example") for number in range(count)])
        until = clock.now() + timedelta(days=1)
        live = Session.objects.bulk_create(
            [Session(user=person, last_used_at=clock.now(), expires_at=until) for person in people]
        )
        proofs = [Proof("user", session.user_id, session.pk) for session in live]
        proofs += [Proof("api_key", key_of(organization, owner)[0].pk) for _ in range(3)]
        gone = [
            Proof("user", new_id()),
            Proof("user", owner.pk),
            Proof("user", owner.pk, new_id()),
            Proof("api_key", new_id()),
        ]
        with django_assert_num_queries(2):
            found = standing_of([*proofs, *gone], clock.now())
        assert set(found) == set(proofs)

    def test_are_sent_away_when_their_role_changes(
        self, opened: Open, api: Any, team_mate: User, organization: Any
    ) -> None:
        stream = opened(api(team_mate), "tests.silent")
        member = organization.memberships.get(user=team_mate)
        memberships.change_role(actor=SYSTEM, membership=member, role=Role.VIEWER)
        (last,) = stream.rest()
        assert last.data == {"reason": "access_changed"}

    def test_are_dropped_when_they_take_nothing(self, house: Web, opened: Open, api: Any, owner: User) -> None:
        stream, memory = opened(api(owner), "tests.flood"), _memory(house)
        eventually(lambda: _ended(owner, house, "slow"), "the end", 30)
        assert _memory(house) - memory < 30e6
        stream.close()


def _open_streams(house: Web) -> float:
    """Return the figure of silent streams; -1 when who is asked dies at that moment."""
    try:
        with urllib.request.urlopen(f"{house.url}/metrics", timeout=5) as reply:
            lines = reply.read().decode().splitlines()
    except OSError:
        return -1
    return next(float(line.split()[-1]) for line in lines if line.startswith('streams_open{stream="tests.silent"}'))


def _is_let_in(url: str) -> bool:
    try:
        return Events(url).status == 200
    except OSError:
        return False


def _ended(person: User, house: Web, reason: str) -> bool:
    return any(f"user:{person.pk}" in line and f"reason={reason}" in line for line in house.text.splitlines())


def _memory(house: Web) -> int:
    return sum(psutil.Process(pid).memory_info().rss for pid in house.children)


class TestOrigins:
    def test_may_read_when_they_are_on_the_list_of_the_api(
        self, processes: Processes, settings: Any, api: Any, owner: User
    ) -> None:
        house = processes.streams(**SETTINGS, CORS_ORIGINS="https://app.example", PUBLIC_URL="https://api.example")
        settings.STREAMS_URL = house.url
        client = api(owner)
        for origin, allowed in {
            "https://app.example": True,
            "https://api.example": True,
            "https://x.example": False,
        }.items():
            stream = Events(ticket(client, "tests.count"), {"Origin": origin})
            assert (stream.reply.headers["Access-Control-Allow-Origin"] == origin) is allowed
            assert "Origin" in stream.reply.headers["Vary"]
            assert "max-age" in stream.reply.headers["Strict-Transport-Security"]
            preflight = _asked(house, "OPTIONS", "/streams/tests.count", {"Origin": origin})
            assert ("last-event-id" in (preflight.headers["Access-Control-Allow-Headers"] or "")) is allowed

    def test_are_named_to_the_pages(self, processes: Processes) -> None:
        code = "from django.conf import settings as s; print(s.CONTENT_SECURITY_POLICY['DIRECTIVES']['connect-src'])"
        found = processes.run("shell", "-v", "0", "-c", code, STREAMS_URL="https://live.example/")
        assert "https://live.example'" in found.stdout


def _asked(house: Web, method: str, path: str, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    parts = urlsplit(house.url)
    connection_ = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    connection_.request(method, path, headers=headers or {})
    reply = connection_.getresponse()
    reply.read()
    return reply


class TestProcess:
    def test_answers_other_questions(self, house: Web) -> None:
        assert _asked(house, "GET", "/health/live").status == 200
        assert _asked(house, "GET", "/health/ready").status == 200
        assert _asked(house, "GET", "/admin/").status == 404
        assert _asked(house, "GET", "/streams/").status == 200
        refused = _asked(house, "POST", "/streams/tests.count")
        assert (refused.status, refused.headers["Allow"]) == (405, "GET")
        assert _asked(house, "GET", "/streams/tests.count?ticket=x&user_id=usr_1").status == 400
        many = _asked(house, "GET", f"/streams/tests.count?{'&'.join(f'p{number}=' for number in range(30))}")
        assert (many.status, many.headers["Content-Type"]) == (400, "application/problem+json")
        known = _asked(house, "GET", "/streams/tests.count", {"X-Request-ID": "mine"})
        assert known.headers["X-Request-ID"] == "mine"
        assert known.headers["Content-Type"] == "application/problem+json"

    def test_is_looked_for_by_the_health_of_the_web(self, house: Web, settings: Any) -> None:
        settings.STREAMS_URL = house.url
        assert health.ask(["streams"], max_age=0)["streams"].status is health.Status.OK
        settings.STREAMS_URL = "http://127.0.0.1:9"
        found = health.ask(["streams"], max_age=0)["streams"]
        assert (found.status, found.detail) == (health.Status.WARNING, "Live streams do not answer.")

    def test_takes_no_more_than_it_can_serve(self, processes: Processes, settings: Any, api: Any, owner: User) -> None:
        house = processes.streams(**SETTINGS, STREAMS_PER_PROCESS="2")
        settings.STREAMS_URL = house.url
        client = api(owner)
        two = [Events(ticket(client, "tests.silent")) for _ in range(2)]
        url = ticket(client, "tests.silent")
        full = Events(url)
        assert (full.status, full.problem["code"]) == (503, "unavailable")
        assert full.reply.headers["Retry-After"]
        two[0].close()
        eventually(lambda: Events(url).status == 200, "a free place for the ticket that is not spent")

    def test_counts_over_all_its_workers(self, processes: Processes, settings: Any, api: Any, owner: User) -> None:
        house = processes.streams(**SETTINGS, workers=2)
        settings.STREAMS_URL, settings.RATE_LIMIT_SCALE = house.url, 1e6
        client = api(owner)

        found = [Events(ticket(client, "tests.silent")) for _ in range(14)]
        assert sorted(each.status for each in found) == [200] * 10 + [429] * 4
        assert _open_streams(house) == 10
        workers = [psutil.Process(pid) for pid in house.children]
        sizes = [
            sum(each.laddr.port == int(house.url.split(":")[-1]) for each in one.net_connections()) for one in workers
        ]
        workers[sizes.index(max(sizes))].kill()
        eventually(lambda: 0 <= _open_streams(house) < 10, "what is left")
        # What the dead one served counts no more after two and a half rounds.
        eventually(lambda: _is_let_in(ticket(client, "tests.silent")), "a free place", 30)

    def test_goes_on_when_the_database_was_away(
        self, house: Web, opened: Open, api: Any, owner: User, owner_connection: Any
    ) -> None:
        stream = opened(api(owner), "tests.rung")
        stream.take(1)
        streams.wake("tests.bell")
        stream.take(1)
        for _ in range(3):
            owner_connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid NOT IN (pg_backend_pid(), %s)",
                [connection.connection.info.backend_pid if connection.connection else 0],
            )
            time.sleep(0.5)
        again = opened(api(owner), "tests.count")
        assert again.status == 200
        assert len(again.rest()) == 3
        assert opened(api(owner), "tests.silent").status == 200

    def test_sends_everybody_away_when_it_stops(
        self, processes: Processes, settings: Any, api: Any, owner: User
    ) -> None:
        house = processes.streams(**SETTINGS)
        settings.STREAMS_URL = house.url
        client, began = api(owner), time.monotonic()
        found = [Events(ticket(client, "tests.silent")) for _ in range(5)]
        slow = Events(ticket(client, "tests.flood"))
        house.process.terminate()
        for each in found:
            (last,) = each.rest()
            assert (last.event, last.data) == ("close", {"reason": "stopping"})
            assert each.retries[-1] >= 500
        assert house.process.wait(30) == 0
        assert time.monotonic() - began < 30
        slow.close()
        assert not StreamTicket.objects.filter(ended_at=None).exclude(stream="tests.flood").exists()
        assert "Traceback" not in house.text

    def test_holds_no_connection_for_a_stream_that_waits(
        self, house: Web, opened: Open, api: Any, owner: User, stranger: User, team_mate: User
    ) -> None:
        clients = [api(person) for person in (owner, stranger, team_mate)]
        found = [opened(client, "tests.rung") for client in clients for _ in range(10)]
        for each in found:
            each.take(1)
        streams.wake("tests.bell")
        for each in found:
            each.take(1)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
            assert cursor.fetchone()[0] < 20

    def test_is_small(self) -> None:
        assert max(len(path.read_text().splitlines()) for path in Path(streams.__file__).parent.glob("*.py")) < 260


def test_issue_is_open_to_people_only(owner: User) -> None:
    with pytest.raises(Exception, match="signed in as themselves"):
        tickets.issue(stream="tests.count", actor=SYSTEM)
