"""What a generator of valid requests cannot know: we sign the cursors, and organisation and version must be real."""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis import GenerationMode

UNKNOWABLE = {"x-organization", "if-match"}


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Leave them out of requests that are meant to be valid; the invalid ones go as they are."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    case.query.pop("cursor", None)
    for name in [name for name in case.headers if name.lower() in UNKNOWABLE]:
        case.headers.pop(name)
