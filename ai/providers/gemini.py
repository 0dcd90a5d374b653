"""Gemini, by Google's own client (google-genai), which only this module imports.

The protocol is that of ai.google.dev/api/generate-content. The client's own retries, its automatic calling of
functions and its parsing of answers are off: time-outs, retries and the breaker are `core.outside`'s, nothing that a
model writes is carried out, and what it writes is read by `ai.completions`.
"""

from __future__ import annotations

import functools
import html
import math
import re
import ssl
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
from django.conf import settings
from google import genai
from google.genai import errors as theirs
from google.genai import types

from ai import prompts
from ai.completions import AnswerWords, parsed
from ai.costs import Price, Usage, price_of
from ai.errors import (
    AnswerBlocked,
    AnswerBroken,
    AnswerIncomplete,
    AnswerInvalid,
    AnswerLate,
    ProviderQuotaReached,
    RequestRejected,
    spent,
)
from ai.providers.base import Completion, Health, Hear, Source
from core import outside
from core.errors import AppError, ProviderMisconfigured, ProviderUnavailable

MOST_OUTPUT: Final = 4096  # tokens of one answer, what the model thinks before it included
_FRAME: Final = 200  # tokens that the protocol itself may add to what is sent
_ATTEMPTS: Final = 2
_LONGEST_PAUSE: Final = 5.0
_KEY_REASONS: Final = {
    "API_KEY_INVALID",
    "API_KEY_SERVICE_BLOCKED",
    "API_KEY_HTTP_REFERRER_BLOCKED",
    "CONSUMER_SUSPENDED",
}
_DELAY = re.compile(r"(\d+(?:\.\d+)?)s")

_known = outside.declare(outside.Provider("gemini", attempts=_ATTEMPTS, longest_wait=_LONGEST_PAUSE, max_concurrent=8))
# Who asks without a stream holds up a thread of the web, of which there are two to four: most must stay free.
_unheard = threading.BoundedSemaphore(2)


@functools.lru_cache(maxsize=2)
def _client(key: str, address: str) -> genai.Client:
    options = types.HttpOptions(
        base_url=address, retry_options=types.HttpRetryOptions(attempts=1), client_args={"follow_redirects": False}
    )
    return genai.Client(vertexai=False, api_key=key, http_options=options)


@dataclass(slots=True)
class Heard:
    """What came of an answer so far."""

    text: str = ""
    finish: str = ""
    usage: Usage | None = None
    calls: bool = False
    is_heard: bool = False
    words: AnswerWords = field(default_factory=AnswerWords)

    def take(self, piece: types.GenerateContentResponse, hear: Hear | None) -> None:
        """Take one reply, or one piece of a streamed one. Raises AnswerBlocked."""
        if piece.usage_metadata is not None and piece.usage_metadata.prompt_token_count is not None:
            self.usage = _usage(piece.usage_metadata)
        if piece.prompt_feedback is not None and piece.prompt_feedback.block_reason is not None:
            reason = piece.prompt_feedback.block_reason.value
            raise spent(
                AnswerBlocked("The provider's rules of content stopped the question.", reason=reason), self.usage
            )
        for candidate in (piece.candidates or [])[:1]:
            if candidate.finish_reason is not None:
                self.finish = candidate.finish_reason.value
            for part in (candidate.content.parts if candidate.content else None) or []:
                self.calls = self.calls or part.function_call is not None
                if part.text and not part.thought:
                    self._write(part.text, hear)

    def _write(self, text: str, hear: Hear | None) -> None:
        self.text += text
        if hear is not None and (words := self.words.feed(text)):
            self.is_heard = True
            hear(words)


class GeminiProvider:
    """Answers by a Gemini model, in a shape that is asked for by a schema and checked by us."""

    name = "gemini"

    def __init__(self) -> None:
        if not settings.GEMINI_API_KEY:
            raise ProviderMisconfigured("GEMINI_API_KEY is not set.", setting="GEMINI_API_KEY")
        _known.timeout = settings.AI_TIMEOUT
        self.model: str = settings.GEMINI_MODEL
        self.price: Price = price_of(self.model)

    @property
    def seconds(self) -> float:
        return float(_ATTEMPTS * (settings.AI_TIMEOUT + 1) + _LONGEST_PAUSE)

    def bound(self, question: str, sources: Sequence[Source]) -> Usage:
        """No token is shorter than a byte; each attempt may cost as much."""
        sent = len((prompts.SYSTEM + prompts.user_prompt(question, sources) + str(prompts.SCHEMA)).encode())
        return Usage(_ATTEMPTS * (sent + _FRAME), _ATTEMPTS * MOST_OUTPUT)

    def answer(self, question: str, sources: Sequence[Source], *, hear: Hear | None = None) -> Completion:
        """Ask the model; streamed when somebody listens. Raises as the port says."""
        if hear is not None:
            return self._ask(question, sources, hear)
        if not _unheard.acquire(blocking=False):
            raise outside.ProviderBusy(
                "Other questions wait for their answers here. Ask for a stream, or ask again.",
                provider=self.name,
                headers={"Retry-After": "5"},
            )
        try:
            return self._ask(question, sources, None)
        finally:
            _unheard.release()

    @outside.call(provider="gemini", operation="answer", is_repeatable=True, is_interrupted=True)
    def _ask(self, question: str, sources: Sequence[Source], hear: Hear | None) -> Completion:
        heard = Heard()
        with _our_errors(heard):
            for piece in self._pieces(question, sources, is_streamed=hear is not None):
                heard.take(piece, hear)
        _check_end(heard)
        try:
            text, quotes, is_grounded = parsed(heard.text)
        except AnswerInvalid as error:
            raise spent(error, heard.usage) from None
        return Completion(text, quotes, is_grounded, heard.usage, self.model)

    def health(self) -> Health:
        return Health(True, f"{self.model} at {settings.GEMINI_BASE_URL}")

    def _pieces(
        self, question: str, sources: Sequence[Source], *, is_streamed: bool
    ) -> Iterable[types.GenerateContentResponse]:
        models: Any = _client(settings.GEMINI_API_KEY, settings.GEMINI_BASE_URL).models
        asked = {"model": self.model, "contents": prompts.user_prompt(question, sources), "config": _config()}
        return models.generate_content_stream(**asked) if is_streamed else [models.generate_content(**asked)]


def _config() -> types.GenerateContentConfig:
    return types.GenerateContentConfig(
        system_instruction=prompts.SYSTEM,
        response_mime_type="application/json",
        response_json_schema=prompts.SCHEMA,
        max_output_tokens=MOST_OUTPUT,
        candidate_count=1,
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        # A little before the attempt itself is given up, so that it is the client that says what was slow.
        http_options=types.HttpOptions(timeout=max(50, int(outside.time_left() * 1000) - 250)),
    )


def _usage(counted: types.GenerateContentResponseUsageMetadata) -> Usage:
    """Tokens that a model thinks with are paid for as output."""
    given = (counted.prompt_token_count or 0) + (counted.tool_use_prompt_token_count or 0)
    return Usage(given, (counted.candidates_token_count or 0) + (counted.thoughts_token_count or 0))


def _check_end(heard: Heard) -> None:
    """Raise what the end of the answer means, unless it is whole."""
    reason = heard.finish
    if heard.calls or reason in ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"):
        raise spent(AnswerInvalid("The model asked for a tool; it has none."), heard.usage)
    if reason == "MAX_TOKENS":
        raise spent(AnswerIncomplete("The answer was cut off: it is longer than it may be."), heard.usage)
    if not reason and heard.text:
        raise spent(AnswerBroken("The answer broke off in the middle."), heard.usage)
    if reason in ("", "FINISH_REASON_UNSPECIFIED"):
        raise spent(AnswerInvalid("The provider sent no answer."), heard.usage)
    if reason != "STOP":
        raise spent(AnswerBlocked("The provider's rules of content stopped the answer.", reason=reason), heard.usage)


@contextmanager
def _our_errors(heard: Heard) -> Iterator[None]:
    """Turn what the client raises into our errors."""
    try:
        yield
    except AppError:
        raise
    except theirs.APIError as fault:
        raise _refusal(fault) from fault
    except (httpx2.ConnectTimeout, httpx2.PoolTimeout) as fault:
        raise ProviderUnavailable(provider="gemini") from fault
    except httpx2.TimeoutException as fault:
        raise AnswerLate(provider="gemini") from fault
    except httpx2.TransportError as fault:
        raise _no_line(fault) from fault
    except (ValueError, TypeError, KeyError, AttributeError) as fault:
        raise spent(AnswerInvalid("The provider answered in a shape that is not known."), heard.usage) from fault


def _no_line(fault: Exception) -> AppError:
    cause: BaseException | None = fault
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ProviderMisconfigured(
                "The certificate at GEMINI_BASE_URL is not that of its host.", setting="GEMINI_BASE_URL"
            )
        cause = cause.__cause__ or cause.__context__
    if isinstance(fault, httpx2.ConnectError):
        return ProviderUnavailable(provider="gemini")
    return AnswerBroken("The line to the provider broke.", provider="gemini")


def _refusal(fault: theirs.APIError) -> AppError:
    """Return our error for a status that is not 200, with the provider's words in a field of their own."""
    said: dict[str, Any] = {"provider": "gemini", "provider_message": plain(str(fault.message or ""))}
    code = fault.code if isinstance(fault.code, int) else 0
    if code in (401, 403) or _reasons(fault) & _KEY_REASONS:
        return ProviderMisconfigured("The provider does not take GEMINI_API_KEY.", setting="GEMINI_API_KEY", **said)
    if code == 404:
        return ProviderMisconfigured("The provider does not know GEMINI_MODEL.", setting="GEMINI_MODEL", **said)
    if 300 <= code < 400:
        return ProviderMisconfigured("GEMINI_BASE_URL leads elsewhere.", setting="GEMINI_BASE_URL", **said)
    if code == 429:
        wait = _retry_seconds(fault)
        return ProviderQuotaReached(headers={"Retry-After": str(wait)}, retry_after=wait, **said)
    if code in (408, 504):
        return AnswerLate(**said)
    if 400 <= code < 500:
        return RequestRejected(**said)
    return ProviderUnavailable(**said)


def _details(fault: theirs.APIError) -> list[dict[str, Any]]:
    body = fault.details if isinstance(fault.details, dict) else {}
    error = body.get("error")
    details = error.get("details") if isinstance(error, dict) else None
    return [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []


def _reasons(fault: theirs.APIError) -> set[str]:
    """The reasons of google.rpc.ErrorInfo: a wrong key is answered by 400."""
    return {str(one.get("reason")) for one in _details(fault)}


def _retry_seconds(fault: theirs.APIError) -> int:
    """Seconds to wait: google.rpc.RetryInfo in the body ("38.4s"), else the header, else a minute."""
    for one in _details(fault):
        found = _DELAY.fullmatch(str(one.get("retryDelay", "")))
        if found:
            return max(1, math.ceil(float(found[1])))
    header = str(getattr(fault.response, "headers", {}).get("Retry-After", ""))
    return max(1, int(header)) if header.isascii() and header.isdigit() else 60


def plain(words: str) -> str:
    """Return what a provider said as plain text, at most 300 characters."""
    return " ".join(html.unescape(words).replace("\x00", "").split())[:300]
