"""The security headers. A reply..."""

from __future__ import annotations

import gzip
import shutil

import pytest
from django.http import HttpResponse
from django.template import Context, Engine
from django.test import Client

from accounts.models import User
from core import limits, redis
from core.headers import CompressMiddleware, SecurityHeadersMiddleware
from core.middleware_door import DoorCache
from project.settings.operations import security

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PASSWORD = "a long phrase for the test"


@pytest.fixture(autouse=True)
def open_door():
    for name in redis.client().scan_iter("door:*"):
        redis.client().delete(name)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/admin/login/", "/api/v1/nothing", "/nothing", "/health"])
def test_carries_the_headers_whatever_it_is(client, path):
    reply = client.get(path)
    assert reply["X-Content-Type-Options"] == "nosniff"
    assert reply["Referrer-Policy"] == "same-origin"
    assert reply["X-Frame-Options"] == "DENY"
    assert reply["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in reply["Permissions-Policy"]
    assert "frame-ancestors 'none'" in reply["Content-Security-Policy"]
    assert "default-src 'none'" in reply["Content-Security-Policy"]


@pytest.mark.django_db
def test_allows_the_scripts_of_a_page_by_nonce_only(client):
    first, second = client.get("/admin/login/"), client.get("/admin/login/")
    policy = first["Content-Security-Policy"]
    nonce = policy.split("'nonce-")[1].split("'")[0]
    assert f'nonce="{nonce}"' in first.content.decode()
    assert nonce not in second["Content-Security-Policy"]
    script = next(part for part in policy.split(";") if part.strip().startswith("script-src"))
    assert "'unsafe-inline'" not in script
    assert "'unsafe-eval'" in script


def test_asks_for_tls_for_a_year_where_the_public_address_has_it(settings, rf):
    def header() -> str | None:
        reply = SecurityHeadersMiddleware(lambda request: HttpResponse())(rf.get("/"))
        return reply.headers.get("Strict-Transport-Security")

    assert header() is None
    settings.PUBLIC_URL = "https://house.example"
    assert header() == "max-age=31536000; includeSubDomains; preload"


@pytest.mark.django_db
def test_refuses_a_body_beyond_ten_megabytes_before_reading_it(client):
    reply = client.post("/api/v1/nothing", b"{}", content_type="application/json", CONTENT_LENGTH=str(10 * 2**20 + 1))
    assert reply.status_code == 413
    assert reply.json()["code"] == "too_large"


@pytest.mark.django_db
def test_is_compressed_from_one_kilobyte_and_never_where_secrets_are(client):
    page = client.get("/admin/login/", HTTP_ACCEPT_ENCODING="gzip")
    assert page["Content-Encoding"] == "gzip"
    assert b"csrfmiddlewaretoken" in gzip.decompress(page.content)
    assert "Content-Encoding" not in client.get("/health/live", HTTP_ACCEPT_ENCODING="gzip")
    schema = client.get("/api/v1/schema", HTTP_ACCEPT_ENCODING="gzip")
    assert schema["Content-Encoding"] == "gzip"


@pytest.mark.parametrize(
    ("path", "holds_secret", "is_compressed"),
    [("/api/v1/auth/login", False, False), ("/api/v1/api-keys", True, False), ("/api/v1/products", False, True)],
)
def test_is_not_compressed_where_it_holds_a_secret(rf, path, holds_secret, is_compressed):
    reply = HttpResponse(b"a" * 5000)
    reply._holds_secret = holds_secret
    answered = CompressMiddleware(lambda request: reply)(rf.get(path, HTTP_ACCEPT_ENCODING="gzip"))
    assert ("Content-Encoding" in answered) is is_compressed


@pytest.mark.django_db
def test_opens_the_api_to_listed_origins_only(client, settings):
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]
    asked = {"HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST", "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "idempotency-key"}
    good = client.options("/api/v1/products", HTTP_ORIGIN="https://app.example", **asked)
    assert good["Access-Control-Allow-Origin"] == "https://app.example"
    assert "idempotency-key" in good["Access-Control-Allow-Headers"]
    bad = client.options("/api/v1/products", HTTP_ORIGIN="https://evil.example", **asked)
    assert "Access-Control-Allow-Origin" not in bad
    page = client.get("/admin/login/", HTTP_ORIGIN="https://app.example")
    assert "Access-Control-Allow-Origin" not in page


def test_gives_no_nonce_to_what_data_brings_in():
    from core.headers import _OPENS, _WITH_NONCE

    source = _OPENS.sub(_WITH_NONCE, '<script src="a.js"></script><style>b{}</style>{{ name|safe }}<scripture>')
    shown = (
        Engine()
        .from_string(source)
        .render(Context({"request": {"csp_nonce": "N"}, "name": "<script>alert(1)</script>"}))
    )
    assert shown == (
        '<script nonce="N" src="a.js"></script><style nonce="N">b{}</style><script>alert(1)</script><scripture>'
    )


# --- the outer door ---


@pytest.mark.django_db
def test_shuts_the_door_of_the_staff_after_many_tries_and_says_when_to_come_back(client, monkeypatch):
    monkeypatch.setitem(limits.POLICIES, "admin_door", limits.Policy("admin_door", 3, 900, is_guard=True))
    tried = [client.post("/admin/login/", {}, REMOTE_ADDR="192.0.2.77").status_code for _ in range(3)]
    assert 429 not in tried
    reply = client.post("/admin/login/", {}, REMOTE_ADDR="192.0.2.77")
    assert reply.status_code == 429
    assert 0 < int(reply["Retry-After"]) <= 900
    assert "Come back in" in reply.content.decode()
    assert client.get("/admin/login/", REMOTE_ADDR="192.0.2.77").status_code == 200
    assert client.post("/admin/login/", {}, REMOTE_ADDR="192.0.2.78").status_code != 429


@pytest.mark.django_db
def test_keeps_the_door_without_redis(client, own_valkey, monkeypatch):
    monkeypatch.setitem(limits.POLICIES, "admin_door", limits.Policy("admin_door", 3, 900, is_guard=True))
    DoorCache("door", {}).clear()
    own_valkey.kill()
    answers = [client.post("/admin/login/", {}, REMOTE_ADDR="192.0.2.79").status_code for _ in range(5)]
    assert answers[3:] == [429, 429]
    assert 429 not in answers[:3]


# --- in a real browser ---


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")
def test_breaks_no_page_of_the_admin_in_a_browser(processes):
    from playwright.sync_api import sync_playwright

    staff = User.objects.create_superuser("staff@house.example", PASSWORD)
    web = processes.web(RATE_LIMIT_SCALE="1000")
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda message: complaints.append(f"{page.url}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        page.goto(f"{web.url}/admin/login/")
        page.fill("input[name=username]", staff.email)
        page.fill("input[name=password]", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url(f"{web.url}/admin/")
        for path in ("", "accounts/user/", f"accounts/user/{staff.pk}/change/", "core/job/"):
            assert page.goto(f"{web.url}/admin/{path}").status == 200, path
            page.wait_for_load_state("networkidle")
        browser.close()
    violations = [text for text in complaints if "Content Security Policy" in text or "Error" in text]
    assert not violations, "\n".join(violations)


@pytest.mark.django_db
@pytest.mark.parametrize(("origin", "status"), [("https://house.example", 302), ("https://elsewhere.example", 403)])
def test_takes_forms_of_the_public_address_behind_a_proxy_that_ends_tls(settings, staff, origin, status):
    for name, value in security("https://house.example", []).items():
        setattr(settings, name, value)
    browser = Client(enforce_csrf_checks=True)
    page = browser.get("/admin/login/").content.decode()
    token = page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    form = {"username": staff.email, "password": "correct horse battery staple", "csrfmiddlewaretoken": token}
    reply = browser.post("/admin/login/", form, headers={"Origin": origin})
    assert reply.status_code == status
    if status == 302:
        cookie = reply.cookies["sessionid"]
        assert cookie["secure"]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"
