"""Who answers questions of permission: the port (`base.py`), our engine (`local.py`), an OpenFGA server (`openfga.py`),
PostgreSQL with such a server beside it (`carried.py`), the choice (`get`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core import checks

from accounts.permissions.providers.base import Provider
from core import health
from core.errors import AppError, ProviderMisconfigured

if TYPE_CHECKING:
    from accounts.permissions.providers.openfga import OpenFGAProvider

LOCAL, OPENFGA = "local", "openfga"
_PATIENT = 5.0  # seconds


def get(name: str = "") -> Provider:
    """Return the provider called `name` (PERMISSIONS_PROVIDER unless given). Raises ProviderMisconfigured when there is
    none. OpenFGA's client is slow to import, so each provider's module is imported when it is asked for."""
    wanted = name or settings.PERMISSIONS_PROVIDER
    if wanted == LOCAL:
        from accounts.permissions.providers.local import LocalProvider

        return LocalProvider()
    if wanted == OPENFGA:
        from accounts.permissions.providers.carried import CarriedProvider
        from accounts.permissions.providers.openfga import OpenFGAProvider

        return CarriedProvider(OpenFGAProvider.of_settings())
    raise ProviderMisconfigured(f"There is no provider of permissions called '{wanted}'; known: local, openfga.")


def server() -> OpenFGAProvider:
    """Return the OpenFGA server itself, for whoever works on it and can wait: its stores hold what was carried or
    written there. Raises ProviderMisconfigured when OPENFGA_URL is not set."""
    from accounts.permissions.providers.openfga import OpenFGAProvider

    return OpenFGAProvider.of_settings(timeout=_PATIENT)


@health.probe("permissions")
def permissions() -> health.Finding:
    """Whoever answers questions of permission can be asked. Without its server the product asks PostgreSQL."""
    provider = get()
    found = provider.health()
    status = health.Status.OK if found.is_healthy else health.Status.WARNING
    inner = {"provider": provider.name} | ({"where": found.detail} if found.is_healthy else {})
    return health.Finding(status, "" if found.is_healthy else found.detail, inner)


@checks.register("permissions")
def address_is_openfgas(app_configs: Any = None, **_: Any) -> Iterable[checks.CheckMessage]:
    """With an OpenFGA server chosen: its address is asked once at start, so that a wrong one stops it by its setting's
    name. A server that is down stops nothing: PostgreSQL answers meanwhile."""
    if settings.PERMISSIONS_PROVIDER != OPENFGA:
        return []
    from accounts.permissions.providers.openfga import OpenFGAProvider

    try:
        OpenFGAProvider.of_settings().store_id(settings.OPENFGA_STORE)
    except ProviderMisconfigured as fault:
        number = _NUMBERS.get(str(fault.extra.get("setting")), 71)
        return [checks.Error(fault.detail, hint=_HINT, id=f"countinghouse.E{number:03d}")]
    except AppError as fault:
        detail = f"The OpenFGA server at OPENFGA_URL does not answer as it should: {fault.detail}."
        return [
            checks.Warning(detail, hint="Questions are asked of PostgreSQL until it does.", id="countinghouse.W071")
        ]
    return []


_NUMBERS = {"OPENFGA_URL": 71, "OPENFGA_STORE": 72, "OPENFGA_TOKEN": 73}
_HINT = (
    "Or set PERMISSIONS_PROVIDER=local: our engine in PostgreSQL needs no server. See docs/how-to/openfga-server.md."
)
