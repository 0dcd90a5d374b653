"""What Django needs to know of a database, from its URL."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from core.config import Environment

CONNECT_SECONDS = 10


def database(url: str, **options: Any) -> dict[str, Any]:
    """Return Django's settings for `url`; its query may carry any option of libpq, `host=/folder` among them."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "core.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", unquote(parts.hostname or "")),
        "PORT": str(parts.port or query.pop("port", "")),
        "OPTIONS": {"connect_timeout": CONNECT_SECONDS, **query, **options},
        "ATOMIC_REQUESTS": False,
        "CONN_HEALTH_CHECKS": True,
    }


def databases(env: Environment) -> dict[str, Any]:
    """Return DATABASES. The web keeps a pool and bounds each statement; jobs and commands have limits of their own."""
    options: dict[str, Any] = {}
    if env["COUNTINGHOUSE_PROCESS"] == "web":
        options["pool"] = {"min_size": env["DATABASE_POOL_MIN"], "max_size": env["DATABASE_POOL_MAX"], "timeout": 10}
        options["options"] = f"-c statement_timeout={env['DATABASE_STATEMENT_TIMEOUT_MS']}"
    return {"default": database(env["DATABASE_URL"] or "postgresql:///countinghouse", **options)}
