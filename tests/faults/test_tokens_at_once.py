"""One refresh token, eight threads, the real web server; and a Valkey that forgets everything."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest

from accounts.errors import RefreshTokenReused
from accounts.models import RefreshToken, Session
from accounts.services import sessions
from core import clock, redis
from tests.cast import PASSWORD
from tests.support.processes import Processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]


def test_have_one_successor_and_die_with_their_family(processes: Processes, owner: Any) -> None:
    web = processes.web(workers=2, threads=4)
    url = f"{web.url}/api/v1/auth"
    first = httpx.post(f"{url}/login", json={"email": owner.email, "password": PASSWORD}, timeout=30).json()

    def refresh(token: str) -> httpx.Response:
        return httpx.post(f"{url}/refresh", json={"refresh_token": token}, timeout=30)

    def status_of(access_token: str) -> int:
        headers = {"Authorization": f"Bearer {access_token}"}
        return httpx.get(f"{web.url}/api/v1/me", headers=headers, timeout=30).status_code

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(refresh, [first["refresh_token"]] * 8))
    assert sorted(reply.status_code for reply in replies) == [200] + [409] * 7
    assert {reply.json()["code"] for reply in replies if reply.status_code == 409} == {"token_already_rotated"}
    winner = next(reply.json() for reply in replies if reply.status_code == 200)
    assert RefreshToken.objects.count() == 2
    assert status_of(winner["access_token"]) == 200
    second = refresh(winner["refresh_token"]).json()

    with pytest.raises(RefreshTokenReused):  # the thief comes eleven seconds later
        sessions.refresh(refresh_token=first["refresh_token"], now=clock.now() + timedelta(seconds=11))
    tokens = [first["access_token"], winner["access_token"], second["access_token"]]
    assert [status_of(token) for token in tokens] == [401] * 3
    redis.client().flushall()
    assert [status_of(token) for token in tokens] == [401] * 3
    assert refresh(second["refresh_token"]).status_code == 401
    assert Session.objects.get().ended_reason == "token_reused"
    another = httpx.post(f"{url}/login", json={"email": owner.email, "password": PASSWORD}, timeout=30)
    assert status_of(another.json()["access_token"]) == 200
