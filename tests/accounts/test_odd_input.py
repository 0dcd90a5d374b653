"""Whatever is sent, the answer is a refusal and never a crash."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

pytestmark = pytest.mark.django_db
few = hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
odd = st.one_of(
    st.text(max_size=60), st.integers(), st.none(), st.lists(st.text(max_size=3), max_size=2), st.booleans()
)
tokens = st.one_of(odd, st.from_regex(r"[0-9a-z]{1,40}-[0-9a-z]{1,8}-[0-9a-f]{0,40}", fullmatch=True))


@pytest.fixture(autouse=True)
def _wide_limits(settings):
    settings.RATE_LIMIT_SCALE = 10_000.0


@few
@given(token=tokens, password=odd)
def test_survives_odd_tokens_out_of_mails(api, token, password):
    client = api()
    for path, body in (
        ("verify-email", {"token": token}),
        ("password-reset/confirm", {"token": token, "password": password}),
        ("refresh", {"refresh_token": token}),
    ):
        assert client.post(f"/api/v1/auth/{path}", body).status_code in (400, 401)


@few
@given(email=odd, password=odd, name=odd)
def test_survives_odd_people(api, email, password, name):
    client = api()
    assert client.post("/api/v1/auth/login", {"email": email, "password": password}).status_code in (400, 401)
    body = {"email": email, "password": password, "name": name}
    assert client.post("/api/v1/auth/sign-up", body).status_code in (202, 400)
    assert client.post("/api/v1/auth/password-reset", {"email": email}).status_code in (202, 400)


@few
@given(
    credential=st.one_of(
        st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=80),
        st.from_regex(r"ck_live_[ -~]{0,60}", fullmatch=True),
        st.from_regex(r"[A-Za-z0-9_-]{1,40}\.[A-Za-z0-9_-]{1,40}\.[A-Za-z0-9_-]{0,40}", fullmatch=True),
    )
)
def test_survives_odd_credentials(api, credential):
    reply = api().carry(credential).get("/api/v1/me")
    assert reply.status_code == 401
    assert reply["WWW-Authenticate"].startswith("Bearer")
