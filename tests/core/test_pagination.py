"""Pages by signed cursors: each row once, at the same cost however deep."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from core import clock
from core.models import Job
from tests.core import toy

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.core.toy")]


@pytest.fixture
def api() -> Client:
    return Client(headers={"Authorization": "Bearer 7"})


@pytest.fixture(params=[("-id",), ("priority", "-id"), ("-priority", "kind", "id"), ("-created_at", "-id")])
def ordering(request: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    monkeypatch.setattr(toy.JobViewSet, "ordering", request.param)
    return request.param


def make(count: int) -> None:
    moment = clock.now()
    Job.objects.bulk_create(
        Job(kind=f"k{number % 2}", priority=number % 3, created_at=moment, requested_by_type="user")
        for number in range(count)
    )


def walk(api: Client, address: str, link: str = "next") -> list[list[str]]:
    pages = []
    while address:
        body = api.get(address).json()
        pages.append([row["id"] for row in body["data"]])
        address = body[link]
        last = body
    assert last[link] is None
    return pages


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 23])
def test_shows_each_row_once_in_order(api: Client, ordering: tuple[str, ...], count: int) -> None:
    make(count)
    expected = [row.public_id for row in Job.objects.order_by(*ordering)]
    pages = walk(api, "/api/v1/jobs?limit=5")
    assert [row for page in pages for row in page] == expected
    assert len(pages) == max(1, -(-count // 5))


def test_leads_back_the_same_way(api: Client, ordering: tuple[str, ...]) -> None:
    make(23)
    pages = walk(api, "/api/v1/jobs?limit=5")
    address = "/api/v1/jobs?limit=5"
    while address:
        body = api.get(address).json()
        address = body["next"]
    back = walk(api, body["previous"], "previous")
    assert list(reversed(back)) == pages[:-1]


def test_has_no_page_before_the_first(api: Client) -> None:
    make(3)
    body = api.get("/api/v1/jobs").json()
    assert body["previous"] is None
    assert body["next"] is None


def test_keeps_its_place_while_rows_come_and_go(api: Client) -> None:
    make(10)
    body = api.get("/api/v1/jobs?limit=5").json()
    Job.objects.filter(pk=Job.objects.order_by("-id")[4].pk).delete()
    expected = [row.public_id for row in Job.objects.order_by("-id")[4:9]]
    make(3)
    assert [row["id"] for row in api.get(body["next"]).json()["data"]] == expected


def test_counts_only_when_asked(api: Client) -> None:
    make(7)
    assert "total" not in api.get("/api/v1/jobs?limit=2").json()
    assert api.get("/api/v1/jobs?limit=2&include_total=true").json()["total"] == 7


def test_keeps_the_filters_in_its_links(api: Client) -> None:
    make(9)
    pages = walk(api, "/api/v1/jobs?limit=2&kind=k0")
    assert [len(page) for page in pages] == [2, 2, 1]


def test_filters_by_moment(api: Client) -> None:
    make(1)
    Job.objects.update(created_at=clock.now() - timedelta(hours=1))
    make(1)
    middle = (clock.now() - timedelta(minutes=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert len(api.get(f"/api/v1/jobs?created_after={middle}").json()["data"]) == 1
    assert len(api.get(f"/api/v1/jobs?created_before={middle}").json()["data"]) == 1
    assert len(api.get("/api/v1/jobs").json()["data"]) == 2


def test_takes_any_offset_and_refuses_what_lies_beyond_time(api: Client) -> None:
    assert api.get("/api/v1/jobs?created_after=4083-03-13T00:32:48-17:23").status_code == 200
    assert api.get("/api/v1/jobs?created_after=9999-12-31T23:00:00-17:23").status_code == 400


@pytest.mark.parametrize(
    "change",
    [
        lambda link: link[:-2] + ("A" if link[-2] != "A" else "B") + link[-1],
        lambda link: link + "&kind=k0",
        lambda link: link.replace("limit=2", "limit=3&created_after=2020-01-01T00:00:00Z"),
        lambda link: "/api/v1/jobs?cursor=",
        lambda link: "/api/v1/jobs?cursor=" + "A" * 40,
        lambda link: "/api/v1/jobs?cursor=====",
    ],
)
def test_refuses_a_cursor_made_for_something_else(api: Client, change: Any) -> None:
    make(5)
    link = api.get("/api/v1/jobs?limit=2").json()["next"]
    response = api.get(change(link))
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "?cursor"


def test_refuses_a_cursor_of_another_order(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    make(5)
    link = api.get("/api/v1/jobs?limit=2").json()["next"]
    monkeypatch.setattr(toy.JobViewSet, "ordering", ("id",))
    assert api.get(link).status_code == 400


def test_lets_the_size_of_the_page_change_on_the_way(api: Client) -> None:
    make(9)
    link = api.get("/api/v1/jobs?limit=2").json()["next"]
    assert len(api.get(link.replace("limit=2", "limit=4")).json()["data"]) == 4


def test_takes_as_many_queries_for_fifty_rows_as_for_five(api: Client) -> None:
    make(50)
    counts = []
    for limit in (5, 50):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert len(api.get(f"/api/v1/jobs?limit={limit}").json()["data"]) == limit
        counts.append(len(queries))
    assert counts == [1, 1]


def test_enters_the_index_at_the_cursor(api: Client) -> None:
    make(30)
    link = api.get("/api/v1/jobs?limit=2").json()["next"]
    with CaptureQueriesContext(connection) as queries:
        api.get(link)
    assert '"id" < ' in queries[0]["sql"]
    assert "OFFSET" not in queries[0]["sql"]


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1e1", "000000001999", "0000000019", "9" * 5000, "٣"])
def test_shows_a_hundred_rows_at_most_however_the_limit_is_written(api: Client, limit: str) -> None:
    reply = api.get("/api/v1/jobs", {"limit": limit})
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "?limit")
