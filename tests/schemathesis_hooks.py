"""What a generator of requests cannot know: cursors are signed by us, and an organisation has to be one's own."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.hook
def map_query(context: Any, query: dict[str, Any] | None) -> dict[str, Any] | None:
    return {name: value for name, value in query.items() if name != "cursor"} if query else query


@schemathesis.hook
def map_headers(context: Any, headers: dict[str, Any] | None) -> dict[str, Any] | None:
    dropped = {"x-organization", "if-match"}
    return {name: value for name, value in headers.items() if name.lower() not in dropped} if headers else headers
