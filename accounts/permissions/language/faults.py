"""What is wrong with a model, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class FaultType(StrEnum):
    """The names that OpenFGA's own tools use (openfga/language, `errors`), odd spelling included."""

    SYNTAX = "invalid-syntax"
    SCHEMA_VERSION_REQUIRED = "schema-version-required"
    SCHEMA_VERSION_UNSUPPORTED = "schema-version-unsupported"
    INVALID_SCHEMA = "invalid-schema"
    RESERVED_TYPE = "reserved-type-keywords"
    RESERVED_RELATION = "reserved-relation-keywords"
    INVALID_NAME = "invalid-name"
    MISSING_DEFINITION = "missing-definition"
    INVALID_RELATION_TYPE = "invalid-relation-type"
    INVALID_TYPE = "invalid-type"
    NO_ENTRY_POINT = "relation-no-entry-point"
    CYCLE = "relation-cycle"  # ours: OpenFGA's server refuses such a model without a name for the fault
    TUPLESET_NOT_DIRECT = "tupleuset-not-direct"
    DUPLICATED = "duplicated-error"
    NOT_ASSIGNABLE = "assignable-relation-must-have-type"
    WILDCARD_AND_RELATION = "type-wildcard-relation"
    CONDITION_NOT_DEFINED = "condition-not-defined"
    CONDITION_NOT_USED = "condition-not-used"
    CONDITION_NAME_DIFFERS = "different-nested-condition-name"
    CONDITION_INVALID = "invalid-condition"
    MODULES_IN_ONE_FILE = "multiple-modules-in-single-file"
    EXTENDED_TYPE_UNKNOWN = "extended-type-not-found"
    NEEDED = "needed-by-the-product"  # ours: the product's own model was changed


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in the text: `line` and the columns `start` to `end` (exclusive), counted from 1; `file`
    of a modular model. What was read from JSON stands nowhere: line 0."""

    line: int = 0
    start: int = 0
    end: int = 0
    file: str = ""


NOWHERE: Final = Place()


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: what kind, in a sentence for people, at which word."""

    type: FaultType
    message: str
    place: Place = NOWHERE
    symbol: str = ""

    def __str__(self) -> str:
        if not self.place.line:
            return f"{self.type}: {self.message}"
        file = f"{self.place.file}:" if self.place.file else ""
        return f"{file}{self.place.line}:{self.place.start}: {self.type}: {self.message}"


class Faulty(ValueError):
    """The model cannot be used; `faults` says why, all at once, in the order of the text."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, faults)))
