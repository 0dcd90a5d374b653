"""A model in the product's store, for tests of the routes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from accounts.permissions.engine import Engine, save_model
from accounts.permissions.language import parse
from accounts.permissions.models import PermissionStore
from accounts.permissions.product import STORE, shipped

PERMISSIONS = "/api/v1/permissions"

TEXT = """model
  schema 1.1

type user

type api_key

type group
  relations
    define member: [user, group#member]

type project
  relations
    define organization: [group]

type document
  relations
    define project: [project]
    define editor: [user]
    define viewer: [user, user:*, user with in_hours, api_key, group#member] or editor

condition in_hours(hour: int) {
  hour < 18
}
"""


def engine(text: str = TEXT) -> Engine:
    """Make the newest model of the product's store what the product needs and `text` besides."""
    own, ours = parse(text), shipped()
    model = replace(ours, types={**own.types, **ours.types}, conditions=own.conditions)
    return save_model(PermissionStore.objects.get_or_create(name=STORE)[0], model)


def key(user: Any, relation: Any = "viewer", object: Any = "document:1", **rest: Any) -> dict[str, Any]:  # noqa: A002
    return {"user": user, "relation": relation, "object": object, **rest}


def in_hours(**context: Any) -> dict[str, Any]:
    return {"name": "in_hours", "context": context}


def results(reply: Any, kind: str = "writes") -> list[str]:
    assert reply.status_code == 200, reply.content
    return [item["result"] for item in reply.json()[kind]]


def pointers(reply: Any) -> list[str]:
    return [fault["pointer"] for fault in reply.json()["errors"]]
