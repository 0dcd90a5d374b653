"""One POST to an address that somebody else chose: checked, bounded in time and size, without redirects or proxies."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from notifications.providers import addresses
from notifications.states import AttemptOutcome

_FIXED_HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": "Countinghouse-Webhooks/1.0",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one POST. `body` is the beginning of the answer's body, `retry_after` what 429 and 503 ask for."""

    outcome: AttemptOutcome
    duration: timedelta
    status_code: int | None = None
    body: str = ""
    error: str = ""
    retry_after: timedelta | None = None

    @property
    def is_delivered(self) -> bool:
        return self.outcome == AttemptOutcome.DELIVERED

    @property
    def is_outage(self) -> bool:
        """Whether the endpoint itself did not work: what its breaker counts."""
        return self.status_code is None or self.status_code >= 500


def post(url: str, *, headers: Mapping[str, str], body: bytes, timeout: float) -> Answer:
    """Send `body` and return what came of it; never raises for what the other side does. `timeout` seconds bound the
    whole: name, connection, TLS, answer. Host header, SNI and certificate are those of the URL's name."""
    from notifications.providers import checked_http  # slow to import, and only workers need it

    started = time.monotonic()
    try:
        addresses.check_url(url)
        status, named, text = checked_http.exchange(url, {**_FIXED_HEADERS, **headers}, body, started + timeout)
    except Exception as fault:
        outcome = checked_http.outcome_of(fault)
        return Answer(outcome, _since(started), error=_words(fault))
    asked = _retry_after(named.get(b"retry-after", b"")) if status in (429, 503) else None
    return Answer(_outcome_of_status(status), _since(started), status, text, retry_after=asked)


def _since(started: float) -> timedelta:
    return timedelta(seconds=time.monotonic() - started)


def _outcome_of_status(status: int) -> AttemptOutcome:
    if 200 <= status < 300:
        return AttemptOutcome.DELIVERED
    if status == 410:
        return AttemptOutcome.GONE
    return AttemptOutcome.REDIRECTED if 300 <= status < 400 else AttemptOutcome.REJECTED


def _words(fault: Exception) -> str:
    """The fault in words, without addresses of our own network."""
    if isinstance(fault, addresses.Unresolved):
        return "The name has no address."
    return (str(fault) or type(fault).__name__)[:300].replace("\x00", "\ufffd")


def _retry_after(header: bytes) -> timedelta | None:
    """Return what Retry-After asks for (RFC 9110, section 10.2.3): seconds or a date."""
    text = header.decode("ascii", "replace").strip()
    if text.isascii() and text.isdigit() and len(text) < 8:
        return timedelta(seconds=int(text))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return max(timedelta(0), (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime.now(UTC))
