"""Payment providers: the port (`base.py`), the embedded default (`local.py`), the choice (`get`)."""

from __future__ import annotations

from billing.providers.base import PaymentProvider
from core.errors import ProviderMisconfigured


def get(name: str) -> PaymentProvider:
    """Return the provider called `name`. Raises ProviderMisconfigured when there is none of that name.

    Vendor SDKs are slow to import, so each provider's module is imported when it is asked for.
    """
    if name == "sandbox":
        from billing.providers.local import SandboxProvider

        return SandboxProvider()
    raise ProviderMisconfigured(f"There is no payment provider called '{name}'; known: sandbox.")
