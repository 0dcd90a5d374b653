"""Who gets in, who does not, and how often one may guess."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.hashers import get_hasher
from django.db import connections

from accounts.hashers import Argon2idHasher
from accounts.models import Session
from core import redis
from core.actor import SYSTEM
from core.clock import now
from tests.cast import PASSWORD

pytestmark = pytest.mark.django_db
LOGIN = "/api/v1/auth/login"


def login(client, email: str, password: str = "wrong", **extra):
    return client.post(LOGIN, {"email": email, "password": password}, **extra)


def test_keeps_passwords_by_argon2id_with_19_mib_two_passes_one_lane():
    hasher = get_hasher()
    assert isinstance(hasher, Argon2idHasher)
    assert hasher.encode("x", "salt" * 4).startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")


def test_says_the_same_about_a_wrong_password_an_unknown_address_and_a_deactivated_person(api, owner, team_mate):
    from accounts.services import users

    users.deactivate(actor=SYSTEM, user=team_mate, reason="left", now=now())
    replies = [login(api(), owner.email), login(api(), "nobody@example.com"), login(api(), team_mate.email, PASSWORD)]
    for reply in replies:
        problem = reply.json()
        assert (reply.status_code, problem["code"]) == (401, "invalid_credentials")
        assert reply["Content-Type"] == "application/problem+json"
    assert len({reply.json()["detail"] for reply in replies}) == 1


def test_hashes_once_for_an_unknown_address_too(api, monkeypatch):
    hashed = []
    encode = Argon2idHasher.encode
    monkeypatch.setattr(
        Argon2idHasher, "encode", lambda self, *args, **kwargs: hashed.append(1) or encode(self, *args, **kwargs)
    )
    login(api(), "nobody@example.com")
    assert hashed == [1]


def test_locks_an_account_at_an_address_after_five_failures(api, owner):
    client = api()
    assert [login(client, owner.email.upper()).status_code for _ in range(5)] == [401] * 5
    refused = login(client, owner.email, PASSWORD)
    assert (refused.status_code, refused.json()["code"]) == (429, "limit_reached")
    assert int(refused["Retry-After"]) > 0
    assert login(client, owner.email, PASSWORD, REMOTE_ADDR="10.1.1.1").status_code == 200


def test_locks_an_address_after_twenty_failures(api):
    client = api()
    answers = [login(client, f"person{number}@example.com").status_code for number in range(21)]
    assert answers == [401] * 20 + [429]


def test_does_not_count_successes(api, owner):
    client = api()
    assert [login(client, owner.email, PASSWORD).status_code for _ in range(25)] == [200] * 25


def test_never_stands_open_while_redis_is_down(api, owner, settings):
    from core import limits

    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    redis.gate.reopen()
    limits._local.clear()
    try:
        client = api()
        assert [login(client, owner.email).status_code for _ in range(6)] == [401] * 5 + [429]
    finally:
        limits._local.clear()
        redis.gate.reopen()


@pytest.mark.django_db(transaction=True)
def test_cannot_be_outrun_by_guesses_sent_at_once(api, owner):
    def guess(_: int) -> int:
        try:
            return login(api(), owner.email).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(guess, range(24)))
    assert answers.count(401) == 5
    assert answers.count(429) == 19


def test_ends_the_oldest_session_when_there_are_too_many(api, owner, settings):
    settings.SESSIONS_PER_USER = 3
    clients = [api(owner) for _ in range(4)]
    assert [client.get("/api/v1/me").status_code for client in clients] == [401, 200, 200, 200]
    assert Session.objects.get(ended_reason="too_many_sessions")


def test_refuses_members_that_it_does_not_know(api):
    reply = api().post(LOGIN, {"email": "a@b.io", "password": "x", "otp": "1"})
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "/otp")
