"""The `type` of a problem document leads somewhere."""

from __future__ import annotations

import pytest
from django.test import Client

from core.reference import errors_by_code


def test_explains_the_problem_at_its_type(client: Client) -> None:
    problem = client.get("/api/v1/nothing").json()
    page = client.get(problem["type"])
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    text = page.content.decode()
    assert "not_found" in text
    assert "404 (Not Found)" in text
    assert "/docs/errors" in text


@pytest.mark.parametrize(("code", "advice"), [("unavailable", "may succeed later"), ("last_owner", "fails again")])
def test_says_whether_to_send_it_again(client: Client, code: str, advice: str) -> None:
    assert advice in client.get(f"/docs/errors/{code}").content.decode()


def test_has_a_page_for_each_code_and_lists_them(client: Client) -> None:
    index = client.get("/docs/errors").content.decode()
    for code in errors_by_code():
        assert f'href="/docs/errors/{code}"' in index
        assert client.get(f"/docs/errors/{code}").status_code == 200


def test_knows_no_other_code(client: Client) -> None:
    missing = client.get("/docs/errors/<script>")
    assert missing.status_code == 404
    assert b"<script>" not in missing.content


def test_is_for_reading_and_may_be_kept_by_caches(client: Client) -> None:
    assert client.post("/docs/errors/not_found").status_code == 405
    assert "public" in client.get("/docs/errors/not_found").headers["Cache-Control"]
