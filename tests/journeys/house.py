"""The product as it runs for a journey."""

from __future__ import annotations

import email
import email.message
import email.policy
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.cast import PASSWORD
from tests.support.processes import Web

STAFF = "stella@countinghouse.example"


@dataclass
class House:
    """The running product: `web` answers, mails lie in `mails`."""

    web: Web
    mails: Path

    @property
    def url(self) -> str:
        return self.web.url

    def client(self, token: str = "", **headers: str) -> httpx.Client:
        """Return a client, of the person whose access token it is given."""
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=60)

    def sign_in(self, address: str, password: str = PASSWORD) -> dict[str, Any]:
        """Return the tokens of a sign-in."""
        with self.client() as nobody:
            reply = nobody.post("/auth/login", json={"email": address, "password": password})
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def token_mailed_to(self, address: str, patience: float = 60) -> str:
        """Wait for a mail to `address` and return the token in it."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            for file in sorted(self.mails.glob("*.log")):
                mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
                body = mail.get_body(("plain",))
                found = re.search(r"^Token: (\S+)$", body.get_content() if body else "", re.MULTILINE)
                if mail["To"] == address and found:
                    return found[1]
            time.sleep(0.1)
        raise AssertionError(f"no mail to {address} came")

    def mails_to(self, address: str) -> list[email.message.EmailMessage]:
        """Return what was mailed to `address`, the oldest first."""
        found = []
        for file in sorted(self.mails.glob("*.log"), key=lambda file: file.stat().st_mtime):
            mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
            if mail["To"] == address:
                found.append(mail)
        return found


def ok(reply: httpx.Response, status: int = 200) -> dict[str, Any]:
    """Return the body of a reply that has the status."""
    assert reply.status_code == status, f"{reply.request.method} {reply.url}: {reply.status_code} {reply.text}"
    return dict(reply.json())


def soon(ask: Callable[[], Any], patience: float = 60, what: str = "it") -> Any:
    """Return the first answer of `ask` that says something."""
    deadline = time.monotonic() + patience
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.2)
    return answer
