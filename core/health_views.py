"""The health routes: no sign-in, no limit, no session, never cached by anybody outside.

`/health/live`: the process answers. `/health/ready` (and `/health/startup`): it may be sent requests; 503 names what
fails. `/health`: everything in detail; 503 only when something that gates fails.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from core import health
from core.guard import is_trusted
from core.health import Finding, Status


def _reply(body: dict[str, object], status: int = 200) -> JsonResponse:
    reply = JsonResponse(body, status=status)
    reply["Cache-Control"] = "no-store"
    return reply


@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """The process answers; asks nothing else, so that a database outage restarts no process."""
    return _reply({"status": "live"})


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """200 when all that gates is well, else 503 with the names of what fails."""
    gating = [each.name for each in health.probes.values() if each.gates]
    failed = {name: found.detail for name, found in health.ask(gating).items() if found.status is Status.FAILED}
    if failed:
        return _reply({"status": "unavailable", "failed": failed}, 503)
    return _reply({"status": "ready"})


@require_safe
def detail(request: HttpRequest) -> HttpResponse:
    """Every probe. Versions and faults are for the trusted: this machine, METRICS_TOKEN, signed-in staff."""
    found = health.ask()
    shows_inner = is_trusted(request) or _is_staff(request)
    checks = {name: _check(finding, shows_inner) for name, finding in found.items()}
    if any(found[each.name].status is Status.FAILED for each in health.probes.values() if each.gates):
        return _reply({"status": "unavailable", "checks": checks}, 503)
    is_well = all(finding.status is Status.OK for finding in found.values())
    return _reply({"status": "ok" if is_well else "degraded", "checks": checks})


def _check(finding: Finding, shows_inner: bool) -> dict[str, object]:
    check: dict[str, object] = {"status": str(finding.status), "milliseconds": finding.milliseconds}
    if finding.detail:
        check["detail"] = finding.detail
    return check | finding.inner if shows_inner else check


def _is_staff(request: HttpRequest) -> bool:
    """Ask the session only when there is one, so that probes cause no query."""
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return False
    try:
        return bool(getattr(request, "user", None) and request.user.is_staff)
    except Exception:  # the database that holds the session may be what is unwell
        return False


_EARLY = {"/health/live": live, "/health/ready": ready, "/health/startup": ready}


class EarlyHealthMiddleware:
    """Answers the probes before anything else looks at the request: an orchestrator asks by the address of the
    container, without TLS, and must be answered also while the rest of the stack cannot."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        view = _EARLY.get(request.path_info)
        return view(request) if view else self.get_response(request)
