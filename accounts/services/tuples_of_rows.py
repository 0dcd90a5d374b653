"""The tuples of the permission engine that stand for rows: written and deleted in the transaction of the row."""

from __future__ import annotations

from functools import cache
from typing import Final, TypeAlias

from django.db.models import Q

from accounts.models import CustomRole, Organization, PermissionStore, RelationTuple, ServiceAccount, Team, User
from accounts.permissions import writes
from accounts.permissions.language import Model, parse
from accounts.permissions.tuples import Object, Subject, Tuple
from core import access

# Who, what, to what: ("team:…#member", "viewer", "invoice:…").
Fact: TypeAlias = tuple[str, str, str]

_KINDS: Final[dict[type, str]] = {
    User: "user",
    Team: "team",
    ServiceAccount: "service_account",
    CustomRole: "role",
    Organization: "organization",
}
_AS_SUBJECT: Final = {Team: "#member", CustomRole: "#assignee"}


def object_name(row: User | Team | ServiceAccount | CustomRole | Organization) -> str:
    """Return a row as tuples name it as an object: `team:0190…`."""
    return f"{_KINDS[type(row)]}:{row.pk}"


def subject_name(row: User | Team | ServiceAccount | CustomRole) -> str:
    """Return a row as tuples name it as a subject, a team and a role by those who belong to it: `team:0190…#member`."""
    return object_name(row) + _AS_SUBJECT.get(type(row), "")


def hold(*facts: Fact) -> None:
    """Write tuples that hold from the commit on; those that are there stay."""
    writes.write(_store(), _model(), [_tuple(one) for one in facts], "ignore")


def release(*facts: Fact) -> None:
    """Delete tuples; those that are not there are no fault."""
    writes.delete(_store(), [_tuple(one) for one in facts], "ignore")


def forget(row: Team | ServiceAccount | CustomRole) -> None:
    """Delete every tuple of which the row is the object or the subject."""
    kind, key = _KINDS[type(row)], str(row.pk)
    named = Q(object_type=kind, object_id=key) | Q(subject_type=kind, subject_id=key)
    found = RelationTuple.objects.filter(named, store_id=_store())
    writes.delete(_store(), [_tuple_of(one) for one in found], "ignore")


def _tuple(fact: Fact) -> Tuple:
    subject, relation, target = fact
    return Tuple(Object.parse(target), relation, Subject.parse(subject))


def _tuple_of(row: RelationTuple) -> Tuple:
    return Tuple(
        Object(row.object_type, row.object_id),
        row.relation,
        Subject(row.subject_type, row.subject_id, row.subject_relation),
    )


def _store() -> int:
    return PermissionStore.objects.get_or_create(name="countinghouse")[0].pk


@cache
def _model() -> Model:
    relations = "".join(f"    define {name}: [role#assignee]\n" for name in access.permissions)
    return parse(_TYPES + relations)


_TYPES: Final = """model
  schema 1.1
type customer
  relations
    define viewer: [user, service_account, team#member]
type subscription
  relations
    define viewer: [user, service_account, team#member]
type invoice
  relations
    define viewer: [user, service_account, team#member]
type payment
  relations
    define viewer: [user, service_account, team#member]
type user
type service_account
type team
  relations
    define member: [user, service_account]
type role
  relations
    define assignee: [user, service_account, team#member]
type organization
  relations
    define admin: [user, service_account]
    define billing_manager: [user, service_account]
    define member: [user, service_account]
    define viewer: [user, service_account]
"""
