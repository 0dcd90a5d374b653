"""What an OpenFGA server says and hears, in our words: tuples, subjects, trees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from accounts.permissions.expanding import ComputedLeaf, Content, Node, Operator, TuplesetLeaf, Users
from accounts.permissions.faults import Refused
from accounts.permissions.providers.openfga_http import member
from accounts.permissions.tuples import Subject, Tuple
from core.errors import ProviderAnswerInvalid


def differs(was: Tuple, one: Tuple) -> bool:
    """Whether a tuple stands under another condition."""
    return (was.condition, was.context or None) != (one.condition, one.context or None)


def key_of(one: Tuple, *, is_bare: bool = False) -> dict[str, Any]:
    """A tuple as the server writes it; deletes and reads name no condition."""
    key: dict[str, Any] = {"user": str(one.subject), "relation": one.relation, "object": str(one.object)}
    if one.condition and not is_bare:
        key["condition"] = {"name": one.condition, "context": dict(one.context or {})}
    return key


def tuple_of(key: Mapping[str, Any]) -> Tuple:
    """Read a tuple key. Raises ProviderAnswerInvalid."""
    try:
        return Tuple.parse(key)
    except Refused as refused:
        raise ProviderAnswerInvalid(f"The OpenFGA server's answer has a tuple that is none: {refused}") from refused


def moment_of(one: Mapping[str, Any]) -> datetime:
    """RFC 3339, perhaps with nanoseconds, which Python cuts."""
    try:
        return datetime.fromisoformat(member(one, "timestamp", str))
    except ValueError as fault:
        raise ProviderAnswerInvalid("The OpenFGA server's answer has a moment that is none.") from fault


def subject_of(user: Any) -> Subject:
    """A user of list-users: {"object": {...}}, {"userset": {...}} or {"wildcard": {"type": ...}}."""
    for name in ("object", "userset", "wildcard"):
        held = user.get(name) if isinstance(user, dict) else None
        if isinstance(held, dict):
            return Subject(member(held, "type", str), str(held.get("id") or "*"), str(held.get("relation") or ""))
    raise ProviderAnswerInvalid("The OpenFGA server's answer has a user that is none.", provider="openfga")


def node_of(node: Mapping[str, Any]) -> Node:
    """Read a node of expand's tree. Raises ProviderAnswerInvalid."""
    return Node(member(node, "name", str), _content(node))


def _content(node: Mapping[str, Any]) -> Content:
    if isinstance(found := node.get("difference"), dict):
        return Operator("difference", (node_of(found["base"]), node_of(found["subtract"])))
    for name in ("union", "intersection"):
        if isinstance(found := node.get(name), dict):
            return Operator(name, tuple(node_of(each) for each in member(found, "nodes", list)))
    leaf = member(node, "leaf", dict)
    if isinstance(found := leaf.get("users"), dict):
        return Users(tuple(member(found, "users", list)))
    if isinstance(found := leaf.get("computed"), dict):
        return ComputedLeaf(member(found, "userset", str))
    found = member(leaf, "tupleToUserset", dict)
    return TuplesetLeaf(member(found, "tupleset", str), tuple(_usersets(member(found, "computed", list))))


def _usersets(found: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    return (member(one, "userset", str) for one in found)
