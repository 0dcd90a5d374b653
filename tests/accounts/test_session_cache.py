"""A cached "alive" never outlives the truth in PostgreSQL."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test.utils import CaptureQueriesContext

from accounts.actors import actor_of_user
from accounts.models import Membership, Session
from accounts.permissions import revision
from accounts.providers import session_cache
from accounts.selectors import sessions as selector
from accounts.services import memberships, sessions
from core import jobs, redis
from core.access import Role
from core.actor import SYSTEM
from core.clock import now
from core.models import Job

pytestmark = pytest.mark.django_db
NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def session(api, owner) -> Session:
    api(owner)
    return Session.objects.get()


def end(session: Session) -> None:
    sessions.end(actor=SYSTEM, session=session, reason="signed_out", now=now())


def test_asks_postgresql_once_and_then_the_cache_only(session, django_assert_num_queries):
    assert selector.live(session.pk, now()) is not None
    with django_assert_num_queries(0):
        for _ in range(3):
            assert selector.live(session.pk, now()).user_id == session.user_id


def test_asks_again_after_a_flush(session, flush):
    selector.live(session.pk, now())
    flush()
    assert selector.live(session.pk, now()) is not None


def test_does_not_let_a_slow_reader_write_alive_over_an_end(session, monkeypatch):
    read = selector._query
    answers = []

    def slow(session_id):
        found = read(session_id)
        if not answers:
            answers.append(found)
            end(session)
        return found

    monkeypatch.setattr(selector, "_query", slow)
    selector.live(session.pk, now())
    assert selector.live(session.pk, now()) is None


@pytest.mark.django_db(transaction=True)
def test_sees_an_end_and_a_flush_in_the_middle_of_a_read(session, monkeypatch, flush):
    read = selector._query
    answers = []

    def slow(session_id):
        found = read(session_id)
        if not answers:
            answers.append(found)
            end(session)
            flush()
        return found

    monkeypatch.setattr(selector, "_query", slow)
    assert selector.live(session.pk, now()) is None
    assert selector.live(session.pk, now()) is None


@pytest.mark.django_db(transaction=True)
def test_is_not_stale_when_the_process_dies_between_commit_and_burial(session, monkeypatch):
    selector.live(session.pk, now())
    monkeypatch.setattr(session_cache, "bury", lambda keys: False)
    end(session)
    assert selector.live(session.pk, now()) is None


def test_goes_on_when_the_end_was_rolled_back(session):
    selector.live(session.pk, now())
    session_cache.doubt([session_cache.session_key(session.pk)])
    assert selector.live(session.pk, now()) is not None


def test_lets_postgresql_decide_while_redis_is_down(session, settings):
    selector.live(session.pk, now())
    settings.REDIS_URL = NOWHERE
    assert selector.live(session.pk, now()) is not None
    Session.objects.update(ended_at=now())
    assert selector.live(session.pk, now()) is None


@pytest.mark.django_db(transaction=True)
def test_believes_nothing_from_before_an_outage(session, settings):
    selector.live(session.pk, now())
    with_redis, settings.REDIS_URL = settings.REDIS_URL, NOWHERE
    end(session)
    settings.REDIS_URL = with_redis
    redis.gate.reopen()
    assert redis.ask(lambda server: server.get(session_cache.session_key(session.pk))) not in (None, b"!", b"?")
    assert selector.live(session.pk, now()) is None, "this process saw the outage"


@pytest.mark.django_db(transaction=True)
def test_leaves_a_job_that_tells_other_processes_once_redis_is_back(session, settings):
    selector.live(session.pk, now())
    with_redis, settings.REDIS_URL = settings.REDIS_URL, NOWHERE
    end(session)
    assert Job.objects.filter(kind="accounts.doubt_sessions").count() == 1
    settings.REDIS_URL = with_redis
    redis.gate.reopen()
    jobs.drain()
    session_cache.trust.restore()  # as a process that saw nothing
    assert selector.live(session.pk, now()) is None
    assert session_cache.trust.holds()


def test_believes_no_server_that_came_back_with_an_older_memory(session, valkey):
    selector.live(session.pk, now())
    Session.objects.update(ended_at=now())  # ended while another server was in charge
    assert selector.live(session.pk, now()) is not None, "as it stands in the cache"
    valkey.set("session:run", "another-server")
    for _ in range(2):
        session_cache.trust.restore()  # each process finds out for itself
        assert selector.live(session.pk, now()) is None


def test_shows_a_new_role_at_once(api, owner, team_mate, organization):
    client = api(team_mate)
    path = f"/api/v1/organizations/{organization.public_id}/api-keys"
    assert client.get(path).status_code == 403
    member = Membership.objects.get(user=team_mate)
    memberships.change_role(actor=actor_of_user(owner), membership=member, role=Role.ADMIN)
    assert client.get(path).status_code == 200
    memberships.remove(actor=actor_of_user(owner), membership=member)
    assert client.get(path).status_code == 404


def test_notes_the_last_use_once_a_minute(session, flush):
    later = now() + timedelta(minutes=2)
    selector.live(session.pk, later)
    session.refresh_from_db()
    assert session.last_used_at == later
    flush()
    selector.live(session.pk, later + timedelta(seconds=30))
    session.refresh_from_db()
    assert session.last_used_at == later


def test_costs_no_query_to_know_who_asks(api, owner, organization):
    """One query is the row, one what may be seen: the transaction of the test wrote tuples, so nothing is kept."""
    from django.db import connection

    client = api(owner)
    path = f"/api/v1/organizations/{organization.public_id}"
    client.get(path)
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(path).status_code == 200
    assert len(captured) == 2, [query["sql"] for query in captured]


def test_brings_along_whether_tuples_changed(session, monkeypatch):
    found = []
    monkeypatch.setattr(revision, "heard", found.append)
    selector.live(session.pk, now())
    redis.ask(lambda server: server.incr(revision.EPOCH))
    selector.live(session.pk, now())
    assert found == [None, b"1"]
