"""The coarse outer door of the HTML pages: django-ratelimit counts every POST to the staff sign-in, by address.

It stands before sessions, forms and password hashing; the fine limit (failures by account) is inside, in `core.limits`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.cache.backends.locmem import LocMemCache
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django_ratelimit.core import get_usage

from core import context, limits, redis

POLICY = "admin_door"


class DoorCache(LocMemCache):
    """What django-ratelimit counts in: Redis while it answers, else this process, so that the door never stands open
    and never answers 500."""

    def add(self, key: Any, value: Any, timeout: Any = None, version: int | None = None) -> bool:
        name = self.make_key(key, version)
        try:
            return bool(redis.ask(lambda server: server.set(name, value, nx=True, ex=timeout)))
        except redis.Unavailable:
            return super().add(key, value, timeout, version)

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        name = self.make_key(key, version)
        try:
            return int(redis.ask(lambda server: server.incrby(name, delta)))
        except redis.Unavailable:
            super().add(key, 0, 3600, version)
            return int(super().incr(key, delta, version))


def _rate(group: str, request: HttpRequest) -> str:
    policy = limits.POLICIES[POLICY]
    return f"{max(1, round(policy.limit * settings.RATE_LIMIT_SCALE))}/{policy.window}s"


def _address(group: str, request: HttpRequest) -> str:
    return limits.address(context.current().ip or request.META.get("REMOTE_ADDR", ""))


class DoorMiddleware:
    """Answers 429 with a page that says when to come back."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.method != "POST" or request.path_info != reverse("admin:login"):
            return self.get_response(request)
        usage = get_usage(request, group=POLICY, key=_address, rate=_rate, method="POST", increment=True)
        if usage is None or not usage["should_limit"]:
            return self.get_response(request)
        seconds = max(1, usage["time_left"])
        minutes = -(-seconds // 60)
        reply = render(request, "429.html", {"minutes": minutes}, status=429)
        reply.headers["Retry-After"] = str(seconds)
        reply.headers["Cache-Control"] = "no-store"
        return reply
