"""Structured logs: one line of JSON per event in production, readable lines in development.

Each line carries the request and trace id, the organisation, who acts and, inside a job, which; secrets never. The
standard library's loggers (Django, Celery, granian) go the same way.
"""

from __future__ import annotations

import logging
import logging.config
import re
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import structlog

from core import context

REDACTED = "[redacted]"
_SECRET_NAMES = re.compile(
    r"pass(word|wd|phrase)?$|secret|token|authori[sz]ation|cookie|api_?key$|private_?key|credential|signature|otp$|cvc",
    re.IGNORECASE,
)
_SECRET_TEXTS = re.compile(
    r"(?P<scheme>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=\-]{8,}"
    r"|\beyJ[A-Za-z0-9_\-]{4,}\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]*"
    r"|(?P<url>\b[a-z][a-z0-9+.\-]*://[^\s:/@]*:)[^\s@/]+(?=@)"
    r"|(?P<pair>\b(?:password|secret|token|api_key)=)[^\s&,;'\"]+",
    re.IGNORECASE,
)
# Names that look like secrets and are none: they name a kind, not a value.
_HARMLESS = frozenset({"token_type", "token_kind"})


def _hide(match: re.Match[str]) -> str:
    return next((kept for kept in (match["scheme"], match["url"], match["pair"]) if kept), "") + REDACTED


def redacted(value: Any, depth: int = 0) -> Any:
    """Return `value` without secrets: by the names of members, and by shape inside texts."""
    if isinstance(value, str):
        return _SECRET_TEXTS.sub(_hide, value)
    if depth < 5 and isinstance(value, dict):
        return {name: _member(str(name), inner, depth) for name, inner in value.items()}
    if depth < 5 and isinstance(value, list | tuple | set | frozenset):
        return [redacted(inner, depth + 1) for inner in value]
    return value


def _member(name: str, value: Any, depth: int) -> Any:
    if _SECRET_NAMES.search(name) and name not in _HARMLESS and isinstance(value, str | bytes | dict | list | tuple):
        return REDACTED
    return redacted(value, depth + 1)


def _redact(logger: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: _member(name, value, 0) for name, value in line.items()}


def _add_context(logger: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What the edge or the job runner knows; a line outside of both says so by an empty id."""
    now = context.current()
    line.setdefault("request_id", now.request_id)
    line.setdefault("trace_id", now.trace_id)
    line.setdefault("actor", "")
    line.setdefault("organization", str(now.organization_id) if now.organization_id else "")
    return line


def bind(**values: Any) -> None:
    """Put `values` (`actor=...`) on every line until the request ends."""
    structlog.contextvars.bind_contextvars(**values)


@contextmanager
def bound(**values: Any) -> Iterator[None]:
    """Put `values` (`job=...`) on every line inside the block."""
    with structlog.contextvars.bound_contextvars(**values):
        yield


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    _add_context,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.stdlib.ExtraAdder(allow=["duration_ms", "status_code"]),
]


def configuration(*, is_json: bool, level: str = "INFO") -> dict[str, Any]:
    """Return the setting LOGGING."""
    last: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if is_json:
        last += [structlog.processors.format_exc_info, _redact, structlog.processors.JSONRenderer(default=str)]
    else:
        last += [_redact_keeping_exception, _for_people, _renderer()]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "lines": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": last,
            }
        },
        "handlers": {"lines": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": {"handlers": ["lines"], "level": level},
        "loggers": {
            "django": {"handlers": [], "level": level, "propagate": True},
            # Our access line and the error handler say these already, once.
            "django.request": {"handlers": [], "level": "CRITICAL", "propagate": True},
            # Our own line tells how each job ended.
            "celery.worker.strategy": {"handlers": [], "level": "WARNING", "propagate": True},
            "celery.app.trace": {"handlers": [], "level": "WARNING", "propagate": True},
            "django.server": {"handlers": [], "level": "WARNING", "propagate": False},
            # With Redis down each look at the cache would write a traceback.
            "core.cache.redis": {"handlers": [], "level": "CRITICAL", "propagate": True},
        },
    }


# What a person at a terminal has no use for as long as all is well.
_NOT_FOR_PEOPLE = frozenset({"request_id", "trace_id"})
_LONGEST_FOR_PEOPLE = 160
_OURS = frozenset({"access", "streams", "core", "audit", "accounts", "billing", "project"})


def _for_people(logger: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Shorten a line for the terminal: the time of day, no empty values, no id unless something is wrong."""
    is_fault = line.get("level") in ("error", "critical")
    shown: dict[str, Any] = {}
    for name, value in line.items():
        if value == "" or (name in _NOT_FOR_PEOPLE and not is_fault):
            continue
        is_long = isinstance(value, str) and name != "event" and len(value) > _LONGEST_FOR_PEOPLE and not is_fault
        shown[name] = value[: _LONGEST_FOR_PEOPLE - 1] + "\u2026" if is_long else value
    moment = shown.get("timestamp")
    if isinstance(moment, str):
        shown["timestamp"] = datetime.fromisoformat(moment).astimezone().strftime("%H:%M:%S")
    if str(shown.get("logger", "")).split(".")[0] in _OURS:
        del shown["logger"]
    return shown


def _renderer() -> Any:
    # structlog's pretty tracebacks show local variables: passwords and tokens among them.
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), pad_event_to=24, exception_formatter=structlog.dev.plain_traceback
    )


def _redact_keeping_exception(logger: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    exception = line.pop("exc_info", None)
    found = _redact(logger, method, line)
    if exception:
        found["exc_info"] = exception
    return found


def configure(config: dict[str, Any]) -> None:
    """Set up both structlog and logging; named as LOGGING_CONFIG, so that Django calls it once at the start."""
    logging.config.dictConfig(config)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
