"""Gemini: the real client against a loopback server of the recorded shapes, and every way in which it may fail."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ai import providers
from ai.costs import Usage
from ai.errors import (
    AnswerBlocked,
    AnswerBroken,
    AnswerIncomplete,
    AnswerInvalid,
    AnswerLate,
    ProviderQuotaReached,
    RequestRejected,
    spent_on,
)
from ai.prompts import SCHEMA, SYSTEM
from ai.providers.base import Completion, Hear, Quote, Source
from core import outside
from core.errors import AppError, ProviderMisconfigured, ProviderUnavailable
from tests.support.gemini import Gemini, Reply, piece, quota, refusal, streamed, usage, whole, written, wrong_key

SOURCES = [Source("Refunds", "Refunds take five working days."), Source("Plans", "Plans renew each month.")]
ANSWER = written("Five working days. [1]", (1, "five working days"))


def ask(hear: Hear | None = None) -> Completion:
    return providers.get().answer("How long does a refund take?", SOURCES, hear=hear)


def refused(kind: type[AppError], hear: Hear | None = None) -> AppError:
    with pytest.raises(kind) as caught:
        ask(hear)
    assert type(caught.value) is kind
    return caught.value


def test_answers_with_quotations_and_what_it_used(google: Gemini) -> None:
    google.answers(whole(ANSWER, tokens_in=812, tokens_out=55, thoughts=30))
    found = ask()
    assert found.text == "Five working days. [1]"
    assert found.quotes == [Quote(1, "five working days")]
    assert found.is_grounded
    assert found.usage == Usage(812, 85)  # thinking is paid for as output


def test_sends_passages_as_data_and_offers_no_tools(google: Gemini) -> None:
    google.answers(whole(ANSWER))
    ask()
    (asked,) = google.asked
    assert asked.path.endswith("models/gemini-test:generateContent")
    assert asked.key == "key-of-the-tests"
    assert asked.body["systemInstruction"]["parts"][0]["text"] == SYSTEM
    assert asked.prompt["passages"][1] == {"passage": 2, "title": "Plans", "text": "Plans renew each month."}
    assert asked.body["generationConfig"]["responseMimeType"] == "application/json"
    assert asked.body["generationConfig"]["responseJsonSchema"] == SCHEMA
    assert asked.body["generationConfig"]["maxOutputTokens"] == 4096
    assert "tools" not in asked.body
    assert "toolConfig" not in asked.body


def test_streams_the_words_of_the_answer_and_not_its_json(google: Gemini) -> None:
    text = written('He said: "día 5" 😀\n[1]', (1, "five working days"))
    google.answers(Reply(pieces=streamed(text, size=3)))
    heard: list[str] = []
    found = ask(heard.append)
    assert "".join(heard) == found.text == 'He said: "día 5" 😀\n[1]'
    assert len(heard) > 5
    assert google.asked[0].is_streamed
    assert found.usage == Usage(900, 100)


SHAPES: dict[str, Any] = {
    "no candidates": {"usageMetadata": usage()},
    "nothing at all": {},
    "no JSON in the text": piece("Five working days.", "STOP", usage()),
    "another JSON": piece('{"reply": "Five"}', "STOP", usage()),
    "no citations": piece('{"answer": "Five", "grounded": true}', "STOP", usage()),
    "citations of another kind": piece('{"answer": "Five", "grounded": true, "citations": ["one"]}', "STOP", usage()),
    "a number as answer": piece('{"answer": 5, "grounded": true, "citations": []}', "STOP", usage()),
    "an empty answer": piece('{"answer": " ", "grounded": true, "citations": []}', "STOP", usage()),
    "candidates of another kind": {"candidates": "five"},
    "a list": [1, 2],
    "empty parts": {"candidates": [{"content": {"role": "model"}, "finishReason": "STOP"}]},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("is_streamed", [False, True])
def test_says_502_to_every_shape_that_was_not_expected(google: Gemini, shape: str, is_streamed: bool) -> None:
    google.answers(Reply(body=SHAPES[shape], pieces=[SHAPES[shape]]))
    error = refused(AnswerInvalid, (lambda words: None) if is_streamed else None)
    assert (error.status, error.code) == (502, "provider_answer_invalid")
    assert len(google.asked) == 1  # it was paid for: it is not asked for again


def test_says_502_to_a_page_in_place_of_json(google: Gemini) -> None:
    google.answers(Reply(raw=b"<html>Welcome to the hotel</html>"))
    refused(AnswerInvalid)


def test_carries_out_no_function_that_the_model_calls(google: Gemini) -> None:
    part = {"functionCall": {"name": "delete_customer", "args": {"id": "cus_1"}}}
    google.answers(Reply(body={"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]}))
    assert "tool" in refused(AnswerInvalid).detail
    assert len(google.asked) == 1


@pytest.mark.parametrize("reason", ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "SPII", "BLOCKLIST", "OTHER"])
def test_names_the_reason_of_an_answer_that_was_stopped(google: Gemini, reason: str) -> None:
    google.answers(Reply(body={"candidates": [{"finishReason": reason}], "usageMetadata": usage(500, 0, 7)}))
    error = refused(AnswerBlocked)
    assert (error.status, error.code, error.extra["reason"]) == (502, "answer_blocked", reason)
    assert spent_on(error) == Usage(500, 7)


def test_names_the_reason_of_a_question_that_was_stopped(google: Gemini) -> None:
    google.answers(Reply(body={"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": usage(500, 0, 0)}))
    error = refused(AnswerBlocked)
    assert error.extra["reason"] == "SAFETY"
    assert spent_on(error) == Usage(500, 0)


def test_takes_no_part_of_an_answer_for_the_whole(google: Gemini) -> None:
    google.answers(Reply(body=piece(ANSWER, "MAX_TOKENS", usage())))
    error = refused(AnswerIncomplete)
    assert (error.status, error.code) == (502, "answer_incomplete")
    assert spent_on(error) == Usage(900, 100)


def test_passes_the_wait_of_a_used_up_quota_on(google: Gemini) -> None:
    google.answers(quota("38.4s"))
    error = refused(ProviderQuotaReached)
    assert (error.status, error.code) == (429, "provider_quota_reached")
    assert error.headers["Retry-After"] == "39"
    assert error.extra["provider_message"] == "You exceeded your current quota, please check your plan 'free'."
    assert "quota, please" not in error.detail
    assert len(google.asked) == 1


def test_takes_the_wait_from_the_header_where_the_body_has_none(google: Gemini) -> None:
    google.answers(refusal(429, "Slow down.", "RESOURCE_EXHAUSTED", Retry_After="12"))
    google.next = lambda body: Reply(429, {"error": {"code": 429, "message": "x"}}, headers={"Retry-After": "12"})
    assert refused(ProviderQuotaReached).headers["Retry-After"] == "12"


@pytest.mark.parametrize("reply", [wrong_key(), refusal(403, "Denied.", "PERMISSION_DENIED")])
def test_names_the_setting_of_a_key_that_is_not_taken(google: Gemini, reply: Reply) -> None:
    google.answers(reply)
    error = refused(ProviderMisconfigured)
    assert error.extra["setting"] == "GEMINI_API_KEY"
    assert "key-of-the-tests" not in str(error.extra) + error.detail


def test_names_the_setting_of_a_model_that_is_not_there(google: Gemini) -> None:
    google.answers(refusal(404, "models/gemini-test is not found", "NOT_FOUND"))
    assert refused(ProviderMisconfigured).extra["setting"] == "GEMINI_MODEL"


def test_follows_no_redirect_with_its_key(google: Gemini) -> None:
    google.answers(Reply(302, {}, headers={"Location": "http://127.0.0.1:9/"}))
    assert refused(ProviderMisconfigured).extra["setting"] == "GEMINI_BASE_URL"


def test_shows_a_rejection_as_plain_text_in_a_field_of_its_own(google: Gemini) -> None:
    google.answers(refusal(400, "Dev Error: the request&#39;s\n  <b>shape</b>", "INVALID_ARGUMENT"))
    error = refused(RequestRejected)
    assert (error.status, error.code) == (502, "provider_rejected_request")
    assert error.extra["provider_message"] == "Dev Error: the request's <b>shape</b>"
    assert "Dev Error" not in error.detail


def test_tries_once_more_when_the_provider_is_down(google: Gemini) -> None:
    google.answers(refusal(503, "The model is overloaded.", "UNAVAILABLE"), whole(ANSWER))
    assert ask().is_grounded
    assert len(google.asked) == 2


def test_says_503_when_it_stays_down_and_leaves_it_alone_after_a_while(google: Gemini) -> None:
    google.answers(refusal(500, "Internal.", "INTERNAL"))
    for _ in range(5):
        refused(ProviderUnavailable)
    asked = len(google.asked)
    error = refused(ProviderUnavailable)
    assert error.extra["breaker"] == "open"
    assert len(google.asked) == asked
    assert asked <= 7  # five calls, and no more retries than the budget has


def test_gives_a_slow_provider_up(google: Gemini, settings: Any) -> None:
    settings.AI_TIMEOUT = 1
    google.answers(Reply(body=piece(ANSWER, "STOP", usage()), seconds=8))
    started = time.monotonic()
    assert refused(AnswerLate).status == 503
    assert time.monotonic() - started < 6
    assert len(google.asked) == 1


def test_gives_up_one_that_drips_for_ever(google: Gemini, settings: Any) -> None:
    settings.AI_TIMEOUT = 1
    google.answers(Reply(pieces=streamed(ANSWER, size=1), pause=0.3))
    with pytest.raises(ProviderUnavailable):
        ask(lambda words: None)


def test_does_not_ask_again_when_a_stream_breaks_in_the_middle(google: Gemini) -> None:
    google.answers(Reply(pieces=streamed(ANSWER), breaks_after=4))
    heard: list[str] = []
    error = refused(AnswerBroken, heard.append)
    assert (error.status, error.code) == (503, "answer_broken")
    assert "".join(heard)
    assert len(google.asked) == 1


def test_does_not_ask_again_when_the_line_drops_before_the_answer(google: Gemini) -> None:
    google.answers(Reply(drops_line=True))
    refused(AnswerBroken)
    assert len(google.asked) == 1


def test_says_503_when_nobody_listens(google: Gemini, settings: Any) -> None:
    settings.GEMINI_BASE_URL = "http://127.0.0.1:9"
    refused(ProviderUnavailable)


def test_names_the_setting_of_an_address_with_anothers_certificate(
    google: Gemini, settings: Any, tmp_path: Path
) -> None:
    with Gemini(another_certificate(tmp_path)) as server:
        settings.GEMINI_BASE_URL = server.url
        error = refused(ProviderMisconfigured)
        assert error.extra["setting"] == "GEMINI_BASE_URL"
        assert not server.asked


def another_certificate(folder: Path) -> Path:
    """Return a file with a key and a certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody.else.example")])
    today = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    signed = made.not_valid_before(today).not_valid_after(today + timedelta(days=1)).sign(key, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "other.pem").write_bytes(private + signed.public_bytes(Encoding.PEM))
    return folder / "other.pem"


def test_leaves_room_for_other_requests_where_nobody_listens(google: Gemini) -> None:
    google.answers(Reply(body=piece(ANSWER, "STOP", usage()), seconds=1.5, pieces=streamed(ANSWER)))
    ask(lambda words: None)  # the client is loaded
    found: list[str] = []

    def run() -> None:
        try:
            found.append(ask().text)
        except outside.ProviderBusy as error:
            found.append(error.code)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert ask(lambda words: None).is_grounded  # a stream has places of its own
    for thread in threads:
        thread.join()
    assert sorted(found) == ["Five working days. [1]"] * 2 + ["provider_busy"] * 2


def test_never_spends_more_than_its_bound(google: Gemini) -> None:
    provider = providers.get()
    bound = provider.bound("How long?", SOURCES)
    assert bound.tokens_in >= 2 * sum(len(source.text) for source in SOURCES)
    assert provider.price.bound(bound) > 0
    assert outside.provider("gemini").attempts == 2
