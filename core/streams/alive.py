"""Does the process of the live streams answer? Asked by `/health` and `manage.py doctor`; it gates nothing."""

from __future__ import annotations

import urllib.error
import urllib.request

from django.conf import settings

from core.health import Finding, Status, probe

_SECONDS = 2.0


@probe("streams")
def streams() -> Finding:
    """Something answers as the process of the streams does, at the address that clients are told."""
    address = f"{settings.STREAMS_URL or settings.PUBLIC_URL.rstrip('/')}/streams/"
    try:
        with urllib.request.urlopen(address, timeout=_SECONDS) as reply:  # noqa: S310 - the operator's own setting
            is_ours = reply.headers.get_content_type() == "application/json" and b'"live"' in reply.read(1000)
    except (OSError, ValueError) as fault:
        return Finding(Status.WARNING, "Live streams do not answer.", {"address": address, "fault": str(fault)[:200]})
    if not is_ours:
        return Finding(Status.WARNING, "Something else answers in place of live streams.", {"address": address})
    return Finding(inner={"address": address})
