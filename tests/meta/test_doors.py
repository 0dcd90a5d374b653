"""The addresses that are neither of the API's schema nor of the admin: all of them are known, and none tells anything
of a company's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLResolver, get_resolver

from accounts.models import Organization, User
from tests.billing import factories
from tests.meta.company import company
from tests.meta.operations import all_operations

pytestmark = pytest.mark.django_db
# Each with an address to ask, and what nobody in particular is answered there.
DOORS: dict[str, tuple[str, int]] = {
    "/": ("/", 302),
    "/^api(/.*)?$": ("/api/v1/nowhere", 404),
    "/api/docs": ("/api/docs", 200),
    "/api/redoc": ("/api/redoc", 200),
    "/api/v1/schema": ("/api/v1/schema", 200),
    "/docs/errors": ("/docs/errors", 200),
    "/docs/errors/<str:code>": ("/docs/errors/conflict", 200),
    "/health": ("/health", 200),
    "/health/live": ("/health/live", 200),
    "/health/ready": ("/health/ready", 200),
    "/health/startup": ("/health/startup", 200),
    "/help/": ("/help/", 200),
    "/help/<path:page>": ("/help/nowhere", 404),
    "/mail/stop/<str:token>": ("/mail/stop/made-up", 404),
    "/metrics": ("/metrics", 200),
}


def doors(found: Any = None, before: str = "/") -> Iterator[str]:
    """Walk the addresses of the whole house, save the admin's."""
    for one in (found or get_resolver()).url_patterns:
        path = f"{before}{one.pattern}"
        if not isinstance(one, URLResolver):
            yield path
        elif one.app_name != "admin":
            yield from doors(one, path)


def test_knows_every_door() -> None:
    in_schema = {operation.path.replace("{", "<str:").replace("}", ">") for operation in all_operations()}
    new = set(doors()) - in_schema - DOORS.keys()
    assert not new, f"write into DOORS, with what nobody in particular is answered there: {sorted(new)}"


@pytest.mark.parametrize("who", ["anonymous", "stranger"])
def test_tells_nobody_anything_of_a_company(who: str, organization: Organization, owner: User, stranger: User) -> None:
    ours, client = company(organization, owner, factories.entity()), Client()
    if who == "stranger":
        client.force_login(stranger)
    for address, status in DOORS.values():
        reply = client.get(address)
        assert reply.status_code == status, address
        told = f"{dict(reply.headers)} {reply.content.decode()}"
        # Examples of the schema may be called as ours is; ids and addresses are nobody else's.
        seen = [mark for mark in ours.marks if mark in told and ("@" in mark or "_" in mark or "-" in mark)]
        assert not seen, (address, seen)
