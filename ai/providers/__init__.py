"""Who answers questions: the port (`base.py`), the embedded default (`local.py`), Gemini, the choice (`get`)."""

from __future__ import annotations

from django.conf import settings

from ai.providers.base import AnswerProvider
from core import health
from core.errors import ProviderMisconfigured


def get(name: str = "") -> AnswerProvider:
    """Return the provider called `name` (AI_PROVIDER unless given). Raises ProviderMisconfigured when there is none.

    Vendor SDKs are slow to import, so each provider's module is imported when it is asked for.
    """
    wanted = name or settings.AI_PROVIDER
    if wanted == "local":
        from ai.providers.local import LocalProvider

        return LocalProvider()
    if wanted == "gemini":
        from ai.providers.gemini import GeminiProvider

        return GeminiProvider()
    raise ProviderMisconfigured(f"There is no provider of answers called '{wanted}'; known: gemini, local.")


@health.probe("assistant")
def assistant() -> health.Finding:
    """Whoever answers questions is set up; nothing is asked that costs."""
    provider = get()
    found = provider.health()
    status = health.Status.OK if found.is_healthy else health.Status.WARNING
    inner = {"provider": provider.name, "model": provider.model, "detail": found.detail}
    return health.Finding(status, "" if found.is_healthy else "The assistant cannot answer.", inner)
