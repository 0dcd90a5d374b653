"""Routes without a closing slash: `/api/v1/subscriptions/{id}/cancel`."""

from __future__ import annotations

from rest_framework.routers import SimpleRouter


class Router(SimpleRouter):
    def __init__(self) -> None:
        super().__init__(trailing_slash=False)
