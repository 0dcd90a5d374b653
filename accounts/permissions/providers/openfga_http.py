"""One OpenFGA server over HTTP, by OpenFGA's own client (openfga-sdk), which only this module imports.

Its retries, its measuring and its typed models are off: time-outs, retries and the breaker are `core.outside`'s, and
bodies pass as JSON. TLS is always verified; OPENFGA_CA_FILE names the authority of an installation of its own.
"""

from __future__ import annotations

import functools
import html
import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import urllib3
from django.conf import settings
from openfga_sdk import Configuration
from openfga_sdk.configuration import RetryParams
from openfga_sdk.credentials import CredentialConfiguration, Credentials
from openfga_sdk.exceptions import ApiException
from openfga_sdk.sync import ApiClient
from openfga_sdk.sync.open_fga_api import OpenFgaApi
from urllib3 import exceptions as theirs

from accounts.permissions.faults import Code, Refused
from core import outside
from core.errors import ProviderAnswerInvalid, ProviderMisconfigured, ProviderUnavailable
from core.outside import ProviderTimedOut

_NAME: Final = "openfga"
_LONGEST: Final = 100.0  # seconds; the client takes more for milliseconds
# Bodies and refusals come back as JSON, read into nothing of the client's.
_AS_JSON: Final = dict.fromkeys((200, 201, 400, 401, 403, 404, 409, 422, 429, 500, 501, 502, 503, 504), "object")
# openfga/api, errors_ignore.proto: the names that bodies carry, and the numbers that programs know them by.
_CODES: Final = {
    "validation_error": Code.VALIDATION,
    "authorization_model_not_found": Code.MODEL_NOT_FOUND,
    "latest_authorization_model_not_found": Code.MODEL_NOT_FOUND,
    "authorization_model_resolution_too_complex": Code.TOO_COMPLEX,
    "invalid_write_input": Code.INVALID_WRITE,
    "cannot_allow_duplicate_tuples_in_one_request": Code.DUPLICATE_TUPLES,
    "write_failed_due_to_invalid_input": Code.WRITE_FAILED,
    "type_not_found": Code.TYPE_NOT_FOUND,
    "relation_not_found": Code.RELATION_NOT_FOUND,
    "invalid_tuple": Code.INVALID_TUPLE,
    "invalid_contextual_tuple": Code.INVALID_TUPLE,
    "duplicate_contextual_tuple": Code.INVALID_TUPLE,
    "invalid_authorization_model": Code.INVALID_MODEL,
}

# One more attempt, soon: PostgreSQL knows the answer too, and who carries tuples comes again by itself.
outside.declare(outside.Provider(_NAME, timeout=3, attempts=2, first_wait=0.05, longest_wait=0.2, max_concurrent=32))


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is and what it wants of those who ask."""

    url: str
    token: str = ""
    ca_file: str = ""
    timeout: float = 3.0

    @classmethod
    def of_settings(cls, timeout: float = 0.0) -> Address:
        """Return the address that is set, with the `timeout` of questions unless one is given. Raises
        ProviderMisconfigured when OPENFGA_URL is not set."""
        if not settings.OPENFGA_URL:
            raise ProviderMisconfigured("OPENFGA_URL is not set.", setting="OPENFGA_URL")
        seconds = timeout or settings.OPENFGA_TIMEOUT
        return cls(settings.OPENFGA_URL, settings.OPENFGA_TOKEN, settings.OPENFGA_CA_FILE, seconds)


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A 400: an answer, which leaves `outside` as a value (a ValueError would be a fault there)."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Server:
    """Sends requests. Raises Refused for what OpenFGA refuses, ProviderMisconfigured naming the setting when whoever
    answers is no OpenFGA, is not who the address says or does not take the token, and what `outside.call` raises."""

    address: Address

    def get(self, operation: str, path: str, **query: Any) -> dict[str, Any]:
        return self._asked(operation, "GET", path, None, query, is_repeatable=True)

    def post(self, operation: str, path: str, body: Mapping[str, Any], *, is_repeatable: bool = True) -> dict[str, Any]:
        return self._asked(operation, "POST", path, dict(body), {}, is_repeatable=is_repeatable)

    def delete(self, operation: str, path: str) -> dict[str, Any]:
        return self._asked(operation, "DELETE", path, None, {}, is_repeatable=True)

    def _asked(self, operation: str, method: str, path: str, body: Any, query: Any, *, is_repeatable: bool) -> Any:
        call = _call(operation, is_repeatable, self.address.timeout)
        found = call(self.address, operation, method, path, body, query)
        if isinstance(found, _Refusal):
            raise Refused(_CODES.get(found.code, Code.VALIDATION), found.message)
        return found


@functools.lru_cache(maxsize=64)
def _call(operation: str, is_repeatable: bool, timeout: float) -> Callable[..., dict[str, Any] | _Refusal]:
    decorated = outside.call(provider=_NAME, operation=operation, timeout=timeout, is_repeatable=is_repeatable)
    return decorated(_send)


def _send(address: Address, operation: str, method: str, path: str, body: Any, query: Any) -> dict[str, Any] | _Refusal:
    try:
        found = _client(address, os.getpid()).execute_api_request(
            operation_name=operation,
            method=method,
            path=path,
            body=body,
            query_params=query,
            response_types_map=_AS_JSON,
            options={"_request_timeout": min(outside.time_left(), _LONGEST)},
        )
    except theirs.HTTPError as fault:
        raise _no_line(fault) from fault
    except Exception as fault:
        # The client fails over its own measuring when a refusal is no JSON: what matters stands behind the fault.
        refused = next((each for each in _behind(fault) if isinstance(each, ApiException)), None)
        if refused is not None:
            return _refusal(refused)
        if isinstance(fault, UnicodeDecodeError):
            raise no_openfga() from fault
        raise
    if method == "DELETE" and found is None:
        return {}
    if not isinstance(found, dict):
        raise no_openfga()
    return found


@functools.lru_cache(maxsize=8)
def _client(address: Address, process: int) -> OpenFgaApi:
    """Return the client for an address, in this process: a line is not shared with those forked from it."""
    credentials = None
    if address.token:
        kept = CredentialConfiguration(api_token=address.token)
        credentials = Credentials(method="api_token", configuration=kept)
    configuration = Configuration(
        api_url=address.url.rstrip("/"),
        credentials=credentials,
        retry_params=RetryParams(max_retry=0),  # type: ignore[no-untyped-call]
        ssl_ca_cert=address.ca_file or None,
        telemetry={},
    )
    configuration.retries = urllib3.Retry(0, redirect=False, raise_on_redirect=False)  # type: ignore[assignment]
    return OpenFgaApi(ApiClient(configuration))  # type: ignore[no-untyped-call]


def _refusal(fault: ApiException) -> _Refusal:
    """Return what a status that is not 2xx says, or raise what it means."""
    said = fault.parsed_exception if isinstance(fault.parsed_exception, dict) else {}
    status = fault.status if isinstance(fault.status, int) else 0
    code, message = str(said.get("code") or ""), plain(str(said.get("message") or ""))
    extra: dict[str, Any] = {"provider": _NAME, "provider_message": message}
    if status in (401, 403):
        raise ProviderMisconfigured("The OpenFGA server does not take OPENFGA_TOKEN.", setting="OPENFGA_TOKEN", **extra)
    if code == "store_id_not_found":
        raise ProviderMisconfigured("The OpenFGA server has no store OPENFGA_STORE.", setting="OPENFGA_STORE", **extra)
    if status == 400 and code:
        return _Refusal(code, message)
    if status == 409:  # it is there under another condition, or somebody else writes it just now
        return _Refusal("write_failed_due_to_invalid_input", message)
    if 300 <= status < 400:
        raise ProviderMisconfigured("OPENFGA_URL leads elsewhere.", setting="OPENFGA_URL", **extra)
    if code == "deadline_exceeded" or status == 504:
        raise ProviderTimedOut(**extra)
    if status in (422, 429) or (status >= 500 and status != 501):
        raise ProviderUnavailable(**extra)
    raise no_openfga()


def no_openfga() -> ProviderMisconfigured:
    """The error for whoever answers as no OpenFGA server does."""
    return ProviderMisconfigured(
        "What answers at OPENFGA_URL is no OpenFGA server. Set it to the HTTP address of one (port 8080 as shipped).",
        setting="OPENFGA_URL",
        provider=_NAME,
    )


def _no_line(fault: Exception) -> Exception:
    """Return our error for a line that could not be opened, or broke."""
    causes = list(_behind(fault))
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in causes):
        return ProviderMisconfigured(
            "The certificate at OPENFGA_URL is not that of its host, or of an authority that is not trusted. Set "
            "OPENFGA_URL to the name that the certificate bears, OPENFGA_CA_FILE to the authority that signed it.",
            setting="OPENFGA_URL",
            provider=_NAME,
        )
    if any(isinstance(each, ssl.SSLError) and each.reason == "WRONG_VERSION_NUMBER" for each in causes):
        return ProviderMisconfigured(
            "OPENFGA_URL says https:// and what answers there speaks no TLS.", setting="OPENFGA_URL", provider=_NAME
        )
    if any("BadStatusLine" in repr(each) for each in causes):
        return no_openfga()
    if any(isinstance(each, theirs.ConnectTimeoutError) for each in causes):
        return ProviderUnavailable(provider=_NAME)
    if any(isinstance(each, theirs.TimeoutError) for each in causes):
        return ProviderTimedOut(provider=_NAME)
    return ProviderUnavailable(provider=_NAME)


def _behind(fault: BaseException) -> Iterator[BaseException]:
    """A fault and all that it came from, also what urllib3 keeps as its reason."""
    waiting: list[BaseException | None] = [fault]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            reason = getattr(one, "reason", None)
            waiting += [reason if isinstance(reason, BaseException) else None, one.__cause__, one.__context__]


def plain(words: str) -> str:
    """Return what the server said as plain text, at most 500 characters."""
    return " ".join(html.unescape(words).replace("\x00", "").split())[:500]


def member(body: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
    """Return a member of an answer. Raises ProviderAnswerInvalid when it is not there, or of another kind."""
    found = body.get(name)
    if not isinstance(found, kind):
        raise ProviderAnswerInvalid(f"The OpenFGA server's answer has no '{name}'.", provider=_NAME)
    return found
