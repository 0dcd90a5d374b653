"""A permission for an action of a plain `ModelAdmin`: rows on which who asks may not do it are left out, and said."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest

from core.access import allows


def permitted(permission: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let an admin action run on those of the chosen rows on which the staff member holds `permission`.

    @admin.action(description="Close")
    @permitted("billing.invoice.void")
    def close(model_admin, request, queryset): ...
    """

    def decorate(action: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(action)
        def run(model_admin: Any, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
            actor = model_admin.admin_site.actor_of(request)
            chosen = list(queryset)
            allowed = [row.pk for row in chosen if allows(actor, permission, row)]
            if len(allowed) < len(chosen):
                refused = len(chosen) - len(allowed)
                messages.error(
                    request, f"{refused} of {len(chosen)} left out: they need the permission '{permission}'."
                )
            return action(model_admin, request, queryset.filter(pk__in=allowed)) if allowed else None

        return run

    return decorate
