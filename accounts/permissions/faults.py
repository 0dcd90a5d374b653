"""What the engine refuses, under OpenFGA's own codes (openfga/api, errors_ignore.proto)."""

from __future__ import annotations

from enum import IntEnum
from typing import Any


class Code(IntEnum):
    """Numbers that programs written for OpenFGA know."""

    VALIDATION = 2000
    MODEL_NOT_FOUND = 2001
    TOO_COMPLEX = 2002
    INVALID_WRITE = 2003
    DUPLICATE_TUPLES = 2004
    INVALID_CURSOR = 2007  # invalid_continuation_token
    WRITE_FAILED = 2017
    TYPE_NOT_FOUND = 2021
    RELATION_NOT_FOUND = 2022
    INVALID_TUPLE = 2027
    INVALID_MODEL = 2056


class Refused(ValueError):
    """The question or the tuple cannot be taken; `code` is OpenFGA's, `allowed` what would have been right. `member` is
    the part of a tuple that is wrong (user, relation, object, condition), `about` the tuple of a request it speaks of,
    where they are known."""

    def __init__(
        self, code: Code, message: str, allowed: tuple[str, ...] = (), *, member: str = "", about: Any = None
    ) -> None:
        self.code = code
        self.allowed = allowed
        self.member = member
        self.about = about
        super().__init__(message)
