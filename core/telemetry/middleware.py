"""One figure and one access line for each request."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from django.db import connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from core.telemetry import metrics, queries

log = structlog.get_logger("access")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_POOL_SECONDS = 1.0


class ObserveMiddleware:
    """Time the request from end to end. Stands right behind the context, so that the line carries its ids."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.pool_seen_at = 0.0

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        structlog.contextvars.clear_contextvars()
        counted = queries.Tally()
        token = queries.tally.set(counted)
        started = time.perf_counter()
        status = 500
        try:
            response = self.get_response(request)
            status = response.status_code
            return response
        finally:
            queries.tally.reset(token)
            self._observe(request, status, time.perf_counter() - started, counted.count)
            structlog.contextvars.clear_contextvars()

    def _observe(self, request: HttpRequest, status: int, seconds: float, count: int) -> None:
        match = request.resolver_match
        route = "/" + match.route.lstrip("^").rstrip("$") if match else "unmatched"
        method = request.method if request.method in _METHODS else "OTHER"
        metrics.HTTP_SECONDS.labels(method, route, status).observe(seconds)
        user = getattr(request, "_cached_user", None)
        if user is not None and user.is_authenticated:
            structlog.contextvars.bind_contextvars(actor=f"{'staff' if user.is_staff else 'user'}:{user.pk}")
        log.info(
            "http.request",
            method=method,
            route=route,
            status=status,
            milliseconds=round(seconds * 1000, 2),
            queries=count,
        )
        now = time.monotonic()
        if now - self.pool_seen_at > _POOL_SECONDS:
            self.pool_seen_at = now
            observe_pool()


def observe_pool() -> None:
    """Write down how this process's pool stands (nothing where there is none)."""
    pool = getattr(connections["default"], "pool", None)
    if pool is None:
        return
    stats = pool.get_stats()
    size, free = stats.get("pool_size", 0), stats.get("pool_available", 0)
    metrics.POOL.labels("active").set(size - free)
    metrics.POOL.labels("free").set(free)
    metrics.POOL.labels("waiting").set(stats.get("requests_waiting", 0))
    metrics.POOL_ERRORS.set(stats.get("requests_errors", 0))
