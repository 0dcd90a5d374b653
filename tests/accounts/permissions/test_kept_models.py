"""A model that is read back from the database is the one that was saved."""

from __future__ import annotations

import pytest

from accounts.permissions.compiler import compile_model
from accounts.permissions.engine import save_model
from accounts.permissions.language import from_json, parse, to_dsl
from accounts.permissions.models import PermissionModel, PermissionStore
from accounts.permissions.providers.local import LocalProvider
from accounts.permissions.tuples import Tuple

pytestmark = pytest.mark.django_db

# PostgreSQL keeps the members of an object by length and then by letters: these come in another order.
TEXT = """model
  schema 1.1

type user

type zoo
  relations
    define visitor: [user] but not banned
    define keeper: [user] and trained
    define a: [user]
    define banned: [user]
    define trained: [user]

type document
  relations
    define viewer: [user, zoo#keeper]
"""


def test_answers_as_before_when_it_is_read_back() -> None:
    store = PermissionStore.objects.create(name="kept")
    saved = save_model(store, parse(TEXT))
    read = LocalProvider().open("kept")
    assert read.program == saved.program
    assert read.program.relations == compile_model(parse(TEXT)).relations
    keys = [("ann", "keeper", "zoo:1"), ("ann", "trained", "zoo:1"), ("bob", "keeper", "zoo:1")]
    read.write([Tuple.parse({"user": f"user:{who}", "relation": what, "object": of}) for who, what, of in keys])
    read.write([Tuple.parse({"user": "zoo:1#keeper", "relation": "viewer", "object": "document:1"})])
    assert read.check("user:ann", "viewer", "document:1")
    assert not read.check("user:bob", "viewer", "document:1")


def test_is_written_as_it_was_read() -> None:
    save_model(PermissionStore.objects.create(name="kept"), parse(TEXT))
    assert to_dsl(from_json(PermissionModel.objects.get(store__name="kept").document)) == TEXT
