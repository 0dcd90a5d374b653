"""One side of a comparison: a process that answers requests of its own making and says what CPU they took.

Reads lines of JSON, answers one line each:
`{"do": "prepare", "rows": 50}` makes what is read, through the product's own services (on its side only);
`{"do": "token", "user": id}` makes an access token of this side;
`{"do": "read", "path", "token", "times"}` reads and answers CPU seconds, statuses and the size of the last reply.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

WSGIApplication = Any


def environ(path: str, token: str) -> dict[str, Any]:
    """Return a WSGI environment (PEP 3333) of an authenticated GET."""
    path, _, query = path.partition("?")
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        "HTTP_ACCEPT": "application/json",
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


def read(application: WSGIApplication, path: str, token: str, times: int) -> dict[str, Any]:
    """Make the same request `times` times and return what it cost this process (CPU seconds)."""
    seen: set[str] = set()
    size = 0
    start = time.process_time()
    for _ in range(times):
        response = application(environ(path, token), lambda status, _headers: seen.add(status))
        size = sum(len(part) for part in response)
        response.close()
    return {"cpu": time.process_time() - start, "status": sorted(seen), "size": size}


def prepare(rows: int) -> dict[str, Any]:
    """Make an organisation whose owner may read `rows` subscriptions; return its ids and the owner's token."""
    from django.core.wsgi import get_wsgi_application
    from django.db import transaction

    from accounts.actors import actor_of_user
    from accounts.providers import session_cache
    from accounts.services import organizations, sessions, users
    from billing.services import billing_entities, customers, prices, products, subscriptions
    from billing.services.beginnings import Line
    from core import clock
    from core.actor import SYSTEM
    from core.money import Money

    owner = users.create(actor=SYSTEM, email="owner@example.com", password=secrets.token_urlsafe(), name="Owner")
    organization = organizations.create(actor=actor_of_user(owner), name="Bench")
    entity = billing_entities.create(
        actor=SYSTEM, legal_name="Bench Ltd", country="US", default_currency="USD", invoice_prefix="BENCH"
    )
    product = products.create(actor=SYSTEM, name="Plan")
    price = prices.create(actor=SYSTEM, product=product, money=Money(0, "USD"))
    customer = customers.create(actor=SYSTEM, organization=organization, billing_entity=entity, name="Bench")
    line, now = Line(price), clock.now()
    made = [subscriptions.create(actor=SYSTEM, customer=customer, lines=[line], now=now) for _ in range(rows)]
    with transaction.atomic():
        token = sessions.issue(user=owner, now=now).access_token
    read(get_wsgi_application(), f"/api/v1/subscriptions/{made[0].public_id}", token, 3)
    session_cache.trust.restore()  # as in a process that has been up for half a minute
    return {"user": str(owner.pk), "token": token, "id": str(made[0].pk), "public_id": made[0].public_id}


def simple_token(user: str) -> dict[str, Any]:
    """Make an access token as simplejwt does."""
    from django.contrib.auth import get_user_model
    from rest_framework_simplejwt.tokens import AccessToken

    return {"token": str(AccessToken.for_user(get_user_model().objects.get(pk=user)))}


def serve(settings_module: str, more: Mapping[str, Callable[..., dict[str, Any]]] | None = None) -> None:
    """Take orders until standard input ends; `more` are orders beside those above."""
    os.environ["DJANGO_SETTINGS_MODULE"] = settings_module
    from django.core.wsgi import get_wsgi_application

    application = get_wsgi_application()
    deeds: dict[str, Callable[..., dict[str, Any]]] = {
        "prepare": prepare,
        "token": simple_token,
        "read": lambda **order: read(application, **order),
        **(more or {}),
    }
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(deeds[order.pop("do")](**order)), flush=True)  # noqa: T201


if __name__ == "__main__":
    serve(sys.argv[1])
