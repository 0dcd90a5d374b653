"""Payment providers: the port (`base.py`), the embedded default (`local.py`), the choice (`get`)."""

from __future__ import annotations

from billing.providers.base import PaymentProvider
from core import health
from core.errors import ProviderMisconfigured

DEFAULT = "sandbox"


def get(name: str) -> PaymentProvider:
    """Return the provider called `name`. Raises ProviderMisconfigured when there is none of that name.

    Vendor SDKs are slow to import, so each provider's module is imported when it is asked for.
    """
    if name == DEFAULT:
        from billing.providers.local import SandboxProvider

        return SandboxProvider()
    raise ProviderMisconfigured(f"There is no payment provider called '{name}'; known: sandbox.")


@health.probe("payments")
def payments() -> health.Finding:
    """The payment provider can be reached. Nothing waits for it: what is unknown is asked for again."""
    provider = get(DEFAULT)
    found = provider.health()
    status = health.Status.OK if found.is_healthy else health.Status.WARNING
    detail = "" if found.is_healthy else "The payment provider cannot be reached."
    return health.Finding(status, detail, {"provider": provider.name, "detail": found.detail})
