"""The shape of a store file (`*.fga.yaml`) and of the files of tuples that it names.

What is misspelt is told with its place: a test that says `checks` for `check` would ask nothing, and pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping whose members are known: those that `needed` names, one of each group in `one_of`, and others."""

    members: Mapping[str, Any]
    needed: tuple[str, ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()


# A shape is a Record, a type, [shape of each item], {str: shape of each value}, or `object` for anything.
_CONDITION: Final = Record({"name": str, "context": dict}, needed=("name",))
TUPLES: Final = [
    Record(
        {"user": str, "relation": str, "object": str, "condition": _CONDITION}, needed=("user", "relation", "object")
    )
]
_TUPLES: Final = {"tuples": TUPLES, "tuple_file": str, "tuple_files": [str]}
_CHECK: Final = Record(
    {"user": str, "users": [str], "object": str, "objects": [str], "context": dict, "assertions": {str: bool}},
    needed=("assertions",),
    one_of=(("user", "users"), ("object", "objects")),
)
_LIST_OBJECTS: Final = Record(
    {"user": str, "type": str, "context": dict, "assertions": {str: [str]}}, needed=("user", "type", "assertions")
)
_LIST_USERS: Final = Record(
    {
        "object": str,
        "user_filter": [Record({"type": str, "relation": str}, needed=("type",))],
        "context": dict,
        "assertions": {str: Record({"users": [str]})},
    },
    needed=("object", "user_filter", "assertions"),
)
_TEST: Final = Record(
    {
        "name": object,
        "description": object,
        **_TUPLES,
        "check": [_CHECK],
        "list_objects": [_LIST_OBJECTS],
        "list_users": [_LIST_USERS],
    }
)
STORE_FILE: Final = Record(
    {"name": object, "model": str, "model_file": str, **_TUPLES, "tests": [_TEST]}, needed=("tests",)
)
_NAMES: Final[Mapping[Any, str]] = {str: "a text", bool: "true or false", dict: "a mapping"}


def faults(value: Any, shape: Any, place: str = "") -> Iterator[str]:
    """Yield what is not of a shape, each with its place (`tests[0].check[1].assertions`)."""
    if isinstance(shape, Record):
        yield from _faults_of_record(value, shape, place)
    elif isinstance(shape, list):
        if isinstance(value, list):
            for number, item in enumerate(value):
                yield from faults(item, shape[0], f"{place}[{number}]")
        else:
            yield f"{_here(place)}expected a list"
    elif isinstance(shape, dict):
        ((_, inner),) = shape.items()
        if isinstance(value, dict):
            for name, item in value.items():
                if item is not None or inner is bool:
                    yield from faults(item, inner, f"{place}.{name}")
        else:
            yield f"{_here(place)}expected a mapping"
    elif not isinstance(value, shape):
        yield f"{_here(place)}expected {_NAMES[shape]}"


def _faults_of_record(value: Any, shape: Record, place: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{_here(place)}expected a mapping"
        return
    there = {name for name, item in value.items() if item is not None}
    for names in (*((name,) for name in shape.needed), *shape.one_of):
        if not there.intersection(names):
            yield f"{_here(place)}{' or '.join(map(repr, names))} is missing"
    for name, item in value.items():
        if name not in shape.members:
            yield f"{_here(place)}there is no '{name}' here; there are {', '.join(shape.members)}"
        elif item is not None:
            yield from faults(item, shape.members[name], f"{place}.{name}" if place else name)


def _here(place: str) -> str:
    return f"{place}: " if place else ""
