"""Tokens: rotated, found out when stolen, and dead at once when their session ends."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import jwt
import pytest
from django.db import connections

from accounts.actors import actor_of_user
from accounts.errors import InvalidToken, RefreshTokenReused, TokenAlreadyRotated
from accounts.models import RefreshToken, Session
from accounts.providers import tokens
from accounts.services import sessions, users
from core.actor import SYSTEM
from core.clock import now
from core.ids import new_id

pytestmark = pytest.mark.django_db
REFRESH = "/api/v1/auth/refresh"
ME = "/api/v1/me"


def refused(reply) -> str:
    """Assert that the token was refused as RFC 6750 says, and return the code."""
    assert reply.status_code == 401, reply.content
    assert reply["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    return reply.json()["code"]


def test_replaces_a_refresh_token_and_keeps_only_hashes(api, owner):
    client = api(owner)
    fresh = client.post(REFRESH, {"refresh_token": client.refresh_token}).json()
    assert fresh["refresh_token"] != client.refresh_token
    assert api().carry(fresh["access_token"]).get(ME).status_code == 200
    spent, successor = RefreshToken.objects.order_by("id")
    assert spent.successor == successor
    assert bytes(successor.token_hash) == tokens.hash_of(fresh["refresh_token"])


def test_answers_409_to_a_second_use_within_ten_seconds_and_changes_nothing(api, owner):
    client = api(owner)
    fresh = client.post(REFRESH, {"refresh_token": client.refresh_token}).json()
    again = client.post(REFRESH, {"refresh_token": client.refresh_token})
    assert (again.status_code, again.json()["code"]) == (409, "token_already_rotated")
    assert client.get(ME).status_code == 200
    assert client.post(REFRESH, {"refresh_token": fresh["refresh_token"]}).status_code == 200


def test_ends_the_family_when_a_spent_token_comes_back_later(api, owner, flush):
    client, moment = api(owner), now()
    winner = sessions.refresh(refresh_token=client.refresh_token, now=moment)
    with pytest.raises(TokenAlreadyRotated):
        sessions.refresh(refresh_token=client.refresh_token, now=moment + timedelta(seconds=10))
    assert api().carry(winner.access_token).get(ME).status_code == 200
    with pytest.raises(RefreshTokenReused):
        sessions.refresh(refresh_token=client.refresh_token, now=moment + timedelta(seconds=11))
    for _ in range(2):
        refused(client.get(ME))
        refused(api().carry(winner.access_token).get(ME))
        flush()
    with pytest.raises(InvalidToken):
        sessions.refresh(refresh_token=winner.refresh_token, now=moment + timedelta(seconds=11))
    assert Session.objects.get().ended_reason == "token_reused"


@pytest.mark.django_db(transaction=True)
def test_gives_one_successor_to_eight_who_ask_at_once(api, owner, flush):
    client = api(owner)

    def refresh(_: int):
        try:
            return api().post(REFRESH, {"refresh_token": client.refresh_token})
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(refresh, range(8)))
    assert sorted(reply.status_code for reply in replies) == [200] + [409] * 7
    winner = next(reply.json() for reply in replies if reply.status_code == 200)
    assert RefreshToken.objects.count() == 2
    assert api().carry(winner["access_token"]).get(ME).status_code == 200

    with pytest.raises(RefreshTokenReused):
        sessions.refresh(refresh_token=client.refresh_token, now=now() + timedelta(seconds=11))
    refused(api().carry(winner["access_token"]).get(ME))
    flush()
    refused(api().carry(winner["access_token"]).get(ME))
    refused(api().post(REFRESH, {"refresh_token": winner["refresh_token"]}))


def test_refuses_an_unknown_an_expired_and_an_ended_refresh_token(api, owner):
    client = api(owner)
    with pytest.raises(InvalidToken):
        sessions.refresh(refresh_token="made up", now=now())
    with pytest.raises(InvalidToken):
        sessions.refresh(refresh_token=client.refresh_token, now=now() + timedelta(days=7))
    client.post("/api/v1/auth/logout")
    refused(api().post(REFRESH, {"refresh_token": client.refresh_token}))


def test_signs_out_at_once(api, owner, flush):
    client = api(owner)
    assert client.get(ME).status_code == 200
    assert client.post("/api/v1/auth/logout").status_code == 204
    refused(client.get(ME))
    flush()
    refused(client.get(ME))


def test_lists_devices_and_signs_out_one_or_all_others(api, owner):
    phone, laptop, tablet = (api(owner) for _ in range(3))
    listed = laptop.get("/api/v1/auth/sessions").json()["data"]
    assert len(listed) == 3
    assert {"id", "user_agent", "ip", "last_used_at"} <= set(listed[0])
    first = min(listed, key=lambda row: row["created_at"])
    assert laptop.delete(f"/api/v1/auth/sessions/{first['id']}").status_code == 204
    refused(phone.get(ME))
    assert laptop.delete("/api/v1/auth/sessions").json() == {"ended": 1}
    refused(tablet.get(ME))
    assert laptop.get(ME).status_code == 200


def test_hides_the_sessions_of_others(api, owner, stranger):
    api(owner)
    theirs = Session.objects.get(user=owner).public_id
    client = api(stranger)
    assert client.delete(f"/api/v1/auth/sessions/{theirs}").status_code == 404
    assert theirs not in client.get("/api/v1/auth/sessions").content.decode()


def test_shuts_a_deactivated_person_out_at_once(api, owner, staff):
    client = api(owner)
    assert client.get(ME).status_code == 200
    users.deactivate(actor=actor_of_user(staff), user=owner, reason="asked to", now=now())
    refused(client.get(ME))
    refused(api().post(REFRESH, {"refresh_token": client.refresh_token}))


def _unsigned(claims: dict[str, object], header: dict[str, object]) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part(header)}.{part(claims)}."


def test_refuses_every_token_that_is_not_exactly_ours(api, owner):
    client = api(owner)
    token = client.access_token
    claims = jwt.decode(token, options={"verify_signature": False})
    header = jwt.get_unverified_header(token)
    other = tokens.SigningKey.from_seed(b"x" * 32)
    forged = [
        "",
        "x",
        "a.b.c",
        token[:-2],
        token + "x" * 400,
        _unsigned(claims, {**header, "alg": "none"}),
        jwt.encode(claims, other.private, algorithm="EdDSA", headers={"kid": header["kid"]}),
        jwt.encode(claims, other.private, algorithm="EdDSA", headers={"kid": other.kid}),
        jwt.encode(claims, "secret" * 8, algorithm="HS256", headers={"kid": header["kid"]}),
    ]
    for text in forged:
        assert refused(api().carry(text).get(ME)) == "invalid_token"
    basic = api()
    basic.credentials(HTTP_AUTHORIZATION="Basic dXNlcjpwYXNz")
    refused(basic.get(ME))


@pytest.mark.parametrize("change", [{"aud": "other"}, {"iss": "other"}, {"sub": "x"}, {"sid": None}, {"exp": "soon"}])
def test_refuses_claims_that_are_not_ours(api, owner, change):
    claims = jwt.decode(api(owner).access_token, options={"verify_signature": False}) | change
    key = tokens._keys()[0]
    text = jwt.encode(claims, key.private, algorithm="EdDSA", headers={"kid": key.kid})
    refused(api().carry(text).get(ME))


def test_refuses_a_token_after_fifteen_minutes():
    moment = now()
    token = tokens.make_access_token(user_id=new_id(), session_id=new_id(), now=moment)
    tokens.read_access_token(token, moment + timedelta(minutes=14, seconds=58))
    with pytest.raises(InvalidToken):
        tokens.read_access_token(token, moment + timedelta(minutes=15))


def test_tells_nobody_in_by_401_and_a_challenge(api):
    reply = api().get(ME)
    assert (reply.status_code, reply["WWW-Authenticate"]) == (401, "Bearer")


def test_verifies_with_every_key_and_signs_with_the_first(api, owner, settings):
    old = api(owner)
    before = tokens._seeds()
    settings.TOKEN_SIGNING_KEYS = [base64.b64encode(b"n" * 32).decode(), *before]
    assert old.get(ME).status_code == 200
    fresh = api(owner)
    assert jwt.get_unverified_header(fresh.access_token)["kid"] != jwt.get_unverified_header(old.access_token)["kid"]
    published = api().get("/.well-known/jwks.json").json()["keys"]
    assert len(published) == 2
    key = jwt.PyJWK(published[0])
    assert jwt.decode(fresh.access_token, key.key, algorithms=["EdDSA"], audience="api")["iss"] == "countinghouse"
    settings.TOKEN_SIGNING_KEYS = settings.TOKEN_SIGNING_KEYS[:1]
    refused(old.get(ME))


def test_changes_ones_own_name_and_nobody_elses(api, owner):
    client = api(owner)
    assert client.patch(ME, {"name": "Olga New"}).json()["name"] == "Olga New"
    assert client.patch(ME, {"email": "x@example.com"}).status_code == 400
    assert api().patch(ME, {"name": "x"}).status_code == 401


def test_ends_a_session_twice_without_a_second_event(owner, api):
    api(owner)
    session = Session.objects.get()
    ended = sessions.end(actor=SYSTEM, session=session, reason="signed_out", now=now())
    assert sessions.end(actor=SYSTEM, session=session, reason="signed_out", now=now()).ended_at == ended.ended_at


def test_says_which_session_is_the_one_that_asks(api, owner) -> None:
    api(owner)
    here = api(owner).get("/api/v1/auth/sessions").json()["data"]
    assert [each["is_current"] for each in here] == [True, False]
