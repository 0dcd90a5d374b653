"""People who use the API while it is shot at: each sends a request again, with the same key, until it is answered."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from core.ids import new_id

FINAL = (200, 201, 202, 402)
# Cards of the sandbox and how often they are met. One of the two seldom ones loses its answer until it is asked again.
TOKENS = ["tok_success"] * 6 + ["tok_card_declined", "tok_timeout_after_charge", "tok_timeout_before_charge"]
_PATIENCE = 150.0
_IN_PROGRESS = ("request_in_progress",)


@dataclass(slots=True)
class Sent:
    """One request with its key and its final answer."""

    path: str
    body: dict[str, Any]
    key: str
    status: int = 0
    content: bytes = b""


@dataclass
class Load:
    """`people` threads that make customers, subscriptions and payments until `stop`, at most `most` stories."""

    url: str
    token: str
    price_id: str
    people: int = 6
    most: int = 400
    sent: list[Sent] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    longest_seconds: float = 0.0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._begun = 0
        self._threads = [threading.Thread(target=self._live, name=f"person-{n}") for n in range(self.people)]

    def start(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """Let everybody end the story that they are in, and wait for them."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def send_again(self, sent: Sent) -> httpx.Response:
        """Send a request once more, as it was."""
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": sent.key}
        return httpx.post(f"{self.url}/{sent.path}", json=sent.body, headers=headers, timeout=60)

    def _live(self) -> None:
        with httpx.Client(headers={"Authorization": f"Bearer {self.token}"}, timeout=40) as client:
            while not self._stop.is_set():
                with self._lock:
                    self._begun += 1
                    number = self._begun
                if number > self.most:
                    return
                try:
                    self._story(client, number)
                except Exception as fault:
                    self.faults.append(f"story {number}: {fault!r}")
                    return

    def _story(self, client: httpx.Client, number: int) -> None:
        """Somebody becomes a customer and subscribes; every other one pays the first invoice later, by a request of its
        own."""
        card = {"token": TOKENS[number % len(TOKENS)]}
        customer = self._post(client, "customers", {"name": f"Customer {number}", "currency": "USD"})["id"]
        subscribe = {"customer_id": customer, "items": [{"price_id": self.price_id}]}
        if number % 2:
            self._post(client, f"customers/{customer}/payment-methods", card)
            self._post(client, "subscriptions", subscribe)
            return
        self._post(client, "subscriptions", subscribe)
        self._post(client, f"customers/{customer}/payment-methods", card)
        invoice = self._ask(client, "GET", f"invoices?customer_id={customer}").json()["data"][0]["id"]
        self._post(client, "payments", {"invoice_id": invoice})

    def _post(self, client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
        sent = Sent(path, body, new_id().hex)
        reply = self._ask(client, "POST", path, json=body, headers={"Idempotency-Key": sent.key})
        sent.status, sent.content = reply.status_code, reply.content
        self.sent.append(sent)
        found: dict[str, Any] = reply.json()
        return found

    def _ask(self, client: httpx.Client, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask until there is a final answer: through refused and broken connections, 409 in progress and 5xx."""
        began = time.monotonic()
        while True:
            try:
                reply = client.request(method, f"{self.url}/{path}", **options)
            except httpx.TransportError as fault:
                self._note(type(fault).__name__)
                reply = None
            if reply is not None:
                self._note(str(reply.status_code))
                if reply.status_code in FINAL:
                    self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)
                    return reply
                is_in_progress = reply.status_code == 409 and reply.json()["code"] in _IN_PROGRESS
                if reply.status_code < 500 and not is_in_progress:
                    raise AssertionError(f"{method} {path} answered {reply.status_code}: {reply.text[:300]}")
                if reply.status_code == 500:
                    self.faults.append(f"{method} {path} answered 500: {reply.text[:300]}")
            if time.monotonic() - began > _PATIENCE:
                raise AssertionError(f"{method} {path} was not answered within {_PATIENCE} s")
            time.sleep(0.3)

    def _note(self, answer: str) -> None:
        with self._lock:
            self.answers[answer] += 1
