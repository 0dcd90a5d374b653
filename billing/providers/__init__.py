"""Payment providers: the port (`base.py`), the embedded default (`local.py`), the choice (`get`)."""

from __future__ import annotations

from django.conf import settings

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


def check_takes_payments(name: str) -> None:
    """Raise ProviderMisconfigured when no new payment may go by the provider called `name`: in production nobody shall
    pay with the sandbox's pretend money unless `SANDBOX_PAYMENTS` says so. What it has begun is still settled."""
    get(name)
    if name == DEFAULT and not settings.SANDBOX_PAYMENTS:
        raise ProviderMisconfigured("The sandbox takes pretend money and is off here (SANDBOX_PAYMENTS).")


@health.probe("payments")
def payments() -> health.Finding:
    """The payment provider can be reached. Nothing waits for it: what is unknown is asked for again."""
    provider = get(DEFAULT)
    found = provider.health()
    status = health.Status.OK if found.is_healthy else health.Status.WARNING
    detail = "" if found.is_healthy else "The payment provider cannot be reached."
    return health.Finding(status, detail, {"provider": provider.name, "detail": found.detail})
