"""In what context something happens: made at the edge, carried to jobs, written into events, logs and traces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from core.ids import new_id


@dataclass(frozen=True, slots=True)
class Context:
    """One request, job or command line. `source` is `api`, `admin`, `job` or `command`."""

    source: str = "command"
    request_id: str = field(default_factory=lambda: new_id().hex)
    trace_id: str = ""
    organization_id: UUID | None = None
    ip: str = ""
    user_agent: str = ""
    idempotency_key: str = ""
    reason: str = ""
    command_id: UUID | None = None

    def as_payload(self) -> dict[str, Any]:
        """Return what is carried to a job (JSON-ready): what traces it back, nothing personal."""
        return {
            "request_id": self.request_id,
            "trace_id": self.trace_id,
            "organization_id": str(self.organization_id) if self.organization_id else None,
            "reason": self.reason,
        }

    @classmethod
    def from_payload(cls, payload: dict[str, Any], *, source: str = "job") -> Context:
        """Rebuild the context that `as_payload` wrote down."""
        organization = payload.get("organization_id")
        return cls(
            source=source,
            request_id=payload.get("request_id") or new_id().hex,
            trace_id=payload.get("trace_id", ""),
            organization_id=UUID(organization) if organization else None,
            reason=payload.get("reason", ""),
        )


_current: ContextVar[Context | None] = ContextVar("countinghouse_context", default=None)


def current() -> Context:
    """Return the context of what runs now; a fresh one when no edge has made any."""
    context = _current.get()
    if context is None:
        context = Context()
        _current.set(context)
    return context


@contextmanager
def use(context: Context) -> Iterator[Context]:
    """Make `context` the current one inside the block."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


def changed(**changes: Any) -> Any:
    """Return a block in which the current context has `changes` (field names of `Context`)."""
    return use(replace(current(), **changes))
