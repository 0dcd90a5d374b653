"""HTTP over a connection to the very address that was judged, within one deadline. httpcore is imported here alone: it
is slow to start, and only workers need it."""

from __future__ import annotations

import functools
import ssl
import time
from collections.abc import Iterable, Mapping
from typing import Any

import httpcore2

from notifications.providers import addresses
from notifications.states import AttemptOutcome

LONGEST_BODY = 2048


def exchange(url: str, headers: Mapping[str, str], body: bytes, deadline: float) -> tuple[int, dict[bytes, bytes], str]:
    """POST `body` before `deadline` (of the monotonic clock) and return status, headers by their small names, and the
    beginning of the body. Raises what `outcome_of` knows."""
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


def outcome_of(fault: Exception) -> AttemptOutcome:
    """Return how an attempt ended that raised `fault`. Raises it again when it is none of the other side's."""
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
