"""One payment fails, and everything follows: the index, the inbox, a mail, the live stream, a webhook, the assistant.

Over HTTP alone, against web, worker, relay and live streams as processes of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from tests.journeys.house import House, ok, soon
from tests.support.events import Events
from tests.support.receiver import Came, Receiver, Says

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.journey]

GRACE = {"email": "grace@compilers.example", "password": "a nanosecond of <b>wire</b> 1952", "name": "Grace Hopper"}
EVE = {"email": "eve@elsewhere.example", "password": "listening on the wire 1978", "name": "Eve"}
FAILED = "billing.payment.failed"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


def test_is_found_told_sent_and_explained_after_a_payment_fails(house: House, receiver: Receiver) -> None:
    with member_of(house, GRACE, "Compilers") as grace, member_of(house, EVE, "Elsewhere") as eve:
        endpoint = _listen(grace, receiver)
        stream = _open_stream(grace, "notifications")
        try:
            invoice, payment = fail_to_pay(grace)
            _is_found(grace, eve, invoice, payment)
            told = _is_told(house, grace, stream, invoice)
            _is_sent_once_it_can_be(grace, receiver, endpoint, payment)
            _is_explained(grace, eve, invoice)
            _is_sent_again_when_asked(grace, eve, receiver, endpoint)
            _is_read(grace, eve, stream, told)
        finally:
            stream.close()
        _is_all_in_the_log(grace, payment)


def member_of(house: House, person: dict[str, str], organization: str) -> httpx.Client:
    """Sign up by mail, found an organisation, and return a client that acts for it."""
    with house.client() as nobody:
        ok(nobody.post("/auth/sign-up", json=person), 202)
        ok(nobody.post("/auth/verify-email", json={"token": house.token_mailed_to(person["email"])}))
    token = house.sign_in(person["email"], person["password"])["access_token"]
    with house.client(token) as client:
        made = ok(client.post("/organizations", json={"name": organization}), 201)
    return house.client(token, **{"X-Organization": made["id"]})


def _listen(client: httpx.Client, receiver: Receiver) -> dict[str, Any]:
    """Set up an endpoint for what concerns payments, and try it; its receiver is down for the first real event."""
    types = ok(client.get("/webhooks/event-types"))["data"]
    assert FAILED in [each["name"] for each in types]
    endpoint = ok(
        client.post("/webhooks/endpoints", json={"url": f"{receiver.url}/hook", "event_types": ["billing.payment.*"]}),
        201,
    )
    tried = ok(client.post(f"/webhooks/endpoints/{endpoint['id']}/send-test"))
    assert tried["status"] == "succeeded", tried
    assert _verified(endpoint, receiver.came[0])["type"] == "notifications.webhook_endpoint.tested"
    receiver.answers[:] = [Says(503), Says(204)]
    return endpoint


def _verified(endpoint: dict[str, Any], came: Came) -> dict[str, Any]:
    """Return what came, its signature checked by the standard's own package."""
    found = Webhook(endpoint["secret"]).verify(came.body, {name.lower(): value for name, value in came.headers.items()})
    return dict(found)


def _open_stream(client: httpx.Client, name: str) -> Events:
    ticket = ok(client.post("/streams/tickets", json={"stream": name}), 201)
    stream = Events(ticket["url"], patience=60)
    first = stream.next()
    assert first is not None
    assert first.event == "ready"
    spent = Events(ticket["url"])
    assert spent.status == 401  # a ticket lets in once
    spent.close()
    return stream


def fail_to_pay(client: httpx.Client) -> tuple[dict[str, Any], dict[str, Any]]:
    """Subscribe with a card that is declined. Return the open invoice and the failed payment."""
    seller = ok(client.get("/billing-entities"))["data"][0]
    body = {"name": "Compilers Inc.", "email": "bills@compilers.example", "billing_entity_id": seller["id"]}
    customer = ok(client.post("/customers", json=body), 201)
    ok(client.post(f"/customers/{customer['id']}/payment-methods", json={"token": "tok_card_declined"}), 201)
    price = ok(client.get("/prices", params={"lookup_key": "team-usd-month"}))["data"][0]
    order = {"customer_id": customer["id"], "items": [{"price_id": price["id"]}]}
    subscription = ok(client.post("/subscriptions", json=order, headers={"Idempotency-Key": str(uuid4())}), 201)

    def failed() -> Any:
        return ok(client.get("/payments", params={"subscription_id": subscription["id"], "status": "failed"}))["data"]

    if not failed():
        invoice = ok(client.get("/invoices", params={"subscription_id": subscription["id"]}))["data"][0]
        key = {"Idempotency-Key": str(uuid4())}
        assert client.post(f"/invoices/{invoice['id']}/pay", json={}, headers=key).status_code == 402
    payment = soon(failed, what="the failed payment")[0]
    invoice = ok(client.get("/invoices", params={"subscription_id": subscription["id"]}))["data"][0]
    assert invoice["status"] == "open"
    return invoice, payment


def _is_found(client: httpx.Client, stranger: httpx.Client, invoice: dict[str, Any], payment: dict[str, Any]) -> None:
    """The index follows: by number, by the words of a name, by id; never for another organisation."""

    def found(q: str, who: httpx.Client = client) -> dict[str, Any]:
        return ok(who.get("/search", params={"q": q}))

    soon(lambda: found(invoice["number"])["data"], what="the index")
    hit = found(invoice["number"])["data"][0]
    assert (hit["type"], hit["id"]) == ("invoice", invoice["id"])
    assert hit["url"] == f"/api/v1/invoices/{invoice['id']}"
    assert ok(client.get(hit["url"].removeprefix("/api/v1")))["id"] == invoice["id"]
    soon(lambda: [each for each in found(payment["id"])["data"] if each["id"] == payment["id"]], what="the payment")
    results = found("compilers")
    kinds = {each["value"]: each["count"] for each in results["facets"]["type"]}
    assert {"customer", "organization"} <= set(kinds), results
    assert sum(kinds.values()) == results["total"]
    for q in (invoice["number"], payment["id"], "compilers"):
        nothing = found(q, stranger)
        assert [each for each in nothing["data"] if each["type"] != "help_page"] == [], q


def _is_told(house: House, client: httpx.Client, stream: Events, invoice: dict[str, Any]) -> dict[str, Any]:
    """In the inbox, on the stream as it happens, and by mail, whose words agree. Returns the notification."""

    def told() -> Any:
        rows = ok(client.get("/notifications", params={"is_read": "false"}))["data"]
        return [each for each in rows if each["event_type"] == FAILED]

    (row,) = soon(told, what="the notification")
    assert (row["kind"], row["url"], row["is_read"]) == ("billing", f"/invoices/{invoice['id']}", False)
    live = stream.next()
    while live is not None and live.data.get("event_type") != FAILED:
        live = stream.next()
    assert live is not None
    assert live.data["id"] == row["id"]
    assert live.data["subject"] == row["subject"]

    def mailed() -> Any:
        return [mail for mail in house.mails_to(GRACE["email"]) if mail["Subject"] == row["subject"]]

    (mail,) = soon(mailed, what="the mail")
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert "card declined" in plain.get_content()
    return dict(row)


def _is_sent_once_it_can_be(
    client: httpx.Client, receiver: Receiver, endpoint: dict[str, Any], payment: dict[str, Any]
) -> None:
    """The first attempt met a receiver that was down; the second, five seconds later, did not."""

    def came() -> list[Came]:
        found = [one for one in receiver.came[1:] if one.json["type"] == FAILED]
        return found if len(found) >= 2 else []

    first, second = soon(came, what="the second attempt")[:2]
    assert first.id == second.id
    body = _verified(endpoint, second)
    assert body["data"]["subject"] == {"type": "payment", "id": payment["id"]}, body
    assert body["data"]["data"]["customer_id"] == payment["customer_id"]
    assert second.at - first.at >= 3

    def delivered() -> Any:
        rows = ok(client.get("/webhooks/deliveries", params={"event_type": FAILED}))["data"]
        return rows if rows[0]["status"] == "succeeded" else None

    delivery = soon(delivered, what="the delivery")[0]
    attempts = ok(client.get(f"/webhooks/deliveries/{delivery['id']}"))["attempt_log"]
    assert [each["status_code"] for each in attempts] == [204, 503]  # the newest first


def _is_explained(client: httpx.Client, stranger: httpx.Client, invoice: dict[str, Any]) -> None:
    """The assistant answers from what its asker may see, and cites it; the same as a stream."""
    question = f"What is the status of invoice {invoice['number']}?"
    answer = ok(client.post("/ai/ask", json={"question": question}))
    assert answer["status"] == "answered", answer
    assert answer["is_grounded"]
    cited = [each for each in answer["citations"] if each["id"] == invoice["id"]]
    assert cited, answer
    assert f"[{cited[0]['number']}]" in answer["answer"]
    assert f"Invoice {invoice['number']} for Compilers Inc. over $49.00: open" in answer["answer"]
    assert cited[0]["quote"]
    assert cited[0]["end"] - cited[0]["start"] == len(cited[0]["quote"])
    assert answer["usage"]["tokens_in"] >= 0
    assert ok(client.get(f"/ai/questions/{answer['id']}"))["answer"] == answer["answer"]

    promised = ok(client.post("/ai/ask", json={"question": question, "stream": True}), 201)
    stream = Events(promised["url"], patience=60)
    messages = stream.rest()
    stream.close()
    names = [each.event for each in messages]
    assert (names[0], names[-1]) == ("delta", "done"), names
    assert invoice["id"] in [each.data["id"] for each in messages if each.event == "citation"]
    assert messages[-1].data["id"] == promised["question_id"]
    assert messages[-1].data["answer"] == answer["answer"]

    foreign = ok(stranger.post("/ai/ask", json={"question": question}))
    assert invoice["id"] not in str(foreign)
    assert stranger.get(f"/ai/questions/{answer['id']}").status_code == 404


def _is_sent_again_when_asked(
    client: httpx.Client, stranger: httpx.Client, receiver: Receiver, endpoint: dict[str, Any]
) -> None:
    """A replay is the same message under the same id, signed anew; also with the secret that replaced the first."""
    delivery = ok(client.get("/webhooks/deliveries", params={"event_type": FAILED}))["data"][0]
    assert stranger.post(f"/webhooks/deliveries/{delivery['id']}/replay").status_code == 404
    rotated = ok(client.post(f"/webhooks/endpoints/{endpoint['id']}/rotate-secret", json={}))
    before = len(receiver.came)
    reply = client.post(f"/webhooks/deliveries/{delivery['id']}/replay")
    assert reply.status_code in (200, 202), reply.text
    soon(lambda: len(receiver.came) > before, what="the replay")
    again = receiver.came[before]
    first = next(one for one in receiver.came if one.json["type"] == FAILED)
    assert (again.id, again.json["data"]) == (first.id, first.json["data"])
    assert _verified(rotated, again) == _verified(endpoint, again)


def _is_read(client: httpx.Client, stranger: httpx.Client, stream: Events, told: dict[str, Any]) -> None:
    """One mark, seen on the stream too; then all of them."""
    assert stranger.post(f"/notifications/{told['id']}/mark-read").status_code == 404
    marked = ok(client.post(f"/notifications/{told['id']}/mark-read"))
    assert marked["is_read"]
    live = stream.next()
    while live is not None and not (live.data["id"] == told["id"] and live.data["is_read"]):
        live = stream.next()
    assert live is not None
    ok(client.post("/notifications/mark-all-read", json={}))
    assert ok(client.get("/notifications/summary"))["unread"] == 0


def _is_all_in_the_log(client: httpx.Client, payment: dict[str, Any]) -> None:
    events = ok(client.get("/audit/events", params={"subject": payment["id"], "limit": 100}))["data"]
    assert FAILED in [each["type"] for each in events]
