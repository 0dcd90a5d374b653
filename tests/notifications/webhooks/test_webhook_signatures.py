"""Signatures: what we sign, the standard's own package verifies, whatever the body."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from notifications.providers import standard_webhooks

IDS = st.from_regex(r"\A[a-z]{3}_[0-9a-z]{1,40}\Z")


@given(key=st.binary(min_size=24, max_size=64), message_id=IDS, text=st.text())
def test_signs_as_the_standard_does(key: bytes, message_id: str, text: str) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    now = datetime.now(UTC)
    made = standard_webhooks.signature(
        secret, message_id=message_id, timestamp=int(now.timestamp()), body=text.encode("utf-8", "replace")
    )
    body = text.encode("utf-8", "replace").decode()
    assert made == Webhook(secret).sign(message_id, now.replace(microsecond=0), body)


@given(body=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5)), flip=st.integers(0, 10_000))
def test_is_refused_when_anything_is_altered(body: dict[str, object], flip: int) -> None:
    import json

    raw = json.dumps(body).encode()
    secret, other = standard_webhooks.new_secret(), standard_webhooks.new_secret()
    stamp = int(datetime.now(UTC).timestamp())
    headers = standard_webhooks.headers([other, secret], message_id="evt_1", timestamp=stamp, body=raw)
    assert Webhook(secret).verify(raw, headers) == body
    assert Webhook(other).verify(raw, headers) == body
    place = flip % len(raw)
    altered = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
    for changed, with_headers in (
        (altered, headers),
        (raw, {**headers, "webhook-id": "evt_2"}),
        (raw, {**headers, "webhook-timestamp": str(stamp - 1)}),
    ):
        with pytest.raises((WebhookVerificationError, UnicodeDecodeError)):
            Webhook(secret).verify(changed, with_headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(standard_webhooks.new_secret()).verify(raw, headers)


def test_knows_the_example_of_the_specification() -> None:
    made = standard_webhooks.signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_makes_secrets_of_the_standards_size() -> None:
    made = {standard_webhooks.new_secret() for _ in range(100)}
    assert len(made) == 100
    for secret in made:
        assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) <= 64
