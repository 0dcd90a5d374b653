"""Signing up, proving the address, signing in."""

from __future__ import annotations

import re

import pytest
from django.core import mail

from core import jobs
from tests.cast import PASSWORD

pytestmark = pytest.mark.django_db

SIGN_UP = "/api/v1/auth/sign-up"
LOGIN = "/api/v1/auth/login"


def token_in(message: mail.EmailMessage) -> str:
    found = re.search(r"^Token: (\S+)$", message.body, re.MULTILINE)
    assert found, message.body
    return found[1]


def sent() -> list[mail.EmailMessage]:
    """Run what is queued and return the mails that went out since the last call."""
    jobs.drain()
    messages, mail.outbox[:] = list(mail.outbox), []
    return messages


def test_lets_somebody_in_once_the_address_is_proven(api):
    client = api()
    reply = client.post(SIGN_UP, {"email": "New@Example.com", "password": PASSWORD, "name": "Nina"})
    assert (reply.status_code, reply.json()) == (202, {"status": "verification_pending"})
    (message,) = sent()
    assert message.to == ["new@example.com"]

    pending = client.post(LOGIN, {"email": "new@example.com", "password": PASSWORD})
    assert (pending.status_code, pending.json()) == (202, {"status": "verification_pending"})

    proven = client.post("/api/v1/auth/verify-email", {"token": token_in(message)})
    assert (proven.status_code, proven.json()) == (200, {"status": "verified"})
    tokens = client.post(LOGIN, {"email": "NEW@example.com", "password": PASSWORD}).json()
    assert set(tokens) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 900)
    assert len(tokens["access_token"]) <= 400
    client.carry(tokens["access_token"])
    assert client.get("/api/v1/me").json()["email"] == "new@example.com"
