"""One POST to an address that somebody else chose: checked, bounded in time and size, without redirects or proxies."""

from __future__ import annotations

import functools
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpcore2

from notifications.providers import addresses
from notifications.states import AttemptOutcome

LONGEST_BODY = 2048
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
    started = time.monotonic()
    try:
        addresses.check_url(url)
        status, named, text = _exchange(url, {**_FIXED_HEADERS, **headers}, body, started + timeout)
    except Exception as fault:
        outcome = _outcome_of_fault(fault)
        return Answer(outcome, _since(started), error=_words(fault))
    asked = _retry_after(named.get(b"retry-after", b"")) if status in (429, 503) else None
    return Answer(_outcome_of_status(status), _since(started), status, text, retry_after=asked)


def _exchange(
    url: str, headers: Mapping[str, str], body: bytes, deadline: float
) -> tuple[int, dict[bytes, bytes], str]:
    left = deadline - time.monotonic()
    limits = {"timeout": {"connect": left, "read": left, "write": left, "pool": left}}
    with (
        httpcore2.ConnectionPool(
            ssl_context=_tls(), network_backend=_CheckedBackend(deadline), max_connections=1, retries=0
        ) as pool,
        pool.stream("POST", url, headers=list(headers.items()), content=body, extensions=limits) as response,
    ):
        named = {name.lower(): value for name, value in response.headers}
        return response.status, named, _beginning(response.iter_stream())


def _beginning(stream: Iterable[bytes]) -> str:
    """Read as much of the body as is kept. The status has come by now: a body that breaks off changes nothing."""
    kept = b""
    try:
        for part in stream:
            kept += part
            if len(kept) >= LONGEST_BODY:
                break
    except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError, OSError):
        pass
    return kept[:LONGEST_BODY].decode("utf-8", "replace").replace("\x00", "\ufffd")


class _CheckedBackend(httpcore2.NetworkBackend):
    """Connects to an address of the name that was judged, within the deadline."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._plain = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        fault: Exception | None = None
        for address in addresses.resolve(host, port, _left(self._deadline)):
            try:
                stream = self._plain.connect_tcp(address, port, _left(self._deadline), local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                fault = error
                continue
            return _TimedStream(stream, self._deadline)
        assert fault is not None
        raise fault


class _TimedStream(httpcore2.NetworkStream):
    """A stream whose every step ends with the deadline: an answer that trickles in does not hold a worker."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline))
        return _TimedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


@functools.cache
def _tls() -> ssl.SSLContext:
    """The certificates of the system, or those that SSL_CERT_FILE names."""
    return ssl.create_default_context()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout("The time is up.")
    return left


def _since(started: float) -> timedelta:
    return timedelta(seconds=time.monotonic() - started)


def _outcome_of_status(status: int) -> AttemptOutcome:
    if 200 <= status < 300:
        return AttemptOutcome.DELIVERED
    if status == 410:
        return AttemptOutcome.GONE
    return AttemptOutcome.REDIRECTED if 300 <= status < 400 else AttemptOutcome.REJECTED


def _outcome_of_fault(fault: Exception) -> AttemptOutcome:
    if isinstance(fault, addresses.Unresolved):
        return AttemptOutcome.UNRESOLVED
    if isinstance(fault, addresses.ForbiddenAddress | ValueError):
        return AttemptOutcome.FORBIDDEN_ADDRESS
    if isinstance(fault, httpcore2.TimeoutException | TimeoutError):
        return AttemptOutcome.TIMED_OUT
    if isinstance(fault, ssl.SSLError) or isinstance(fault.__cause__ or fault.__context__, ssl.SSLError):
        return AttemptOutcome.BAD_CERTIFICATE
    if isinstance(fault, httpcore2.ProtocolError):
        return AttemptOutcome.BAD_ANSWER
    if isinstance(fault, httpcore2.NetworkError | OSError):
        return AttemptOutcome.UNREACHABLE
    raise fault


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
    except ValueError:
        return None
    return max(timedelta(0), (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime.now(UTC))
