"""The log, its followers, jobs and schedules in the admin: seen by staff, changed by commands with events only."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

import audit
from accounts.actors import actor_of_user
from audit.models import Event, Follower
from core import clock, context
from core.events import Subject
from core.ids import new_id
from core.models import Job, Schedule

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(staff) -> Client:
    client = Client()
    client.force_login(staff)
    return client


@pytest.fixture
def event(thing_tried, owner) -> Event:
    with context.use(context.Context(ip="192.0.2.9", reason="because")), transaction.atomic():
        key = audit.record(
            thing_tried, actor=actor_of_user(owner), subject=Subject("thing", new_id()), after={"email": "a@b.example"}
        )
    return Event.objects.get(pk=key)


def test_shows_an_event_in_clear_to_staff(desk, event) -> None:
    page = desk.get(reverse("admin:audit_event_change", args=[event.pk]))
    text = page.content.decode()
    assert page.status_code == 200
    for part in ("a@b.example", "192.0.2.9", "because", "A thing was tried."):
        assert part in text


def test_offers_no_way_to_change_an_event(desk, event) -> None:
    for action in ("change", "delete"):
        reply = desk.post(reverse(f"admin:audit_event_{action}", args=[event.pk]), {"type": "x", "post": "yes"})
        assert reply.status_code in (200, 403)
    assert Event.objects.get(pk=event.pk).type == "tests.thing.tried"
    assert desk.get(reverse("admin:audit_event_add")).status_code == 403


@pytest.mark.parametrize(
    "query", ["", "type=tests.thing.tried", "actor_type=user", "within=day", "q={subject}", "q={actor}"]
)
def test_finds_events_by_who_what_and_when(desk, event, query) -> None:
    wanted = query.format(subject=event.subject_id, actor=event.actor_id)
    page = desk.get(f"{reverse('admin:audit_event_changelist')}?{wanted}")
    assert page.status_code == 200
    assert event.pk in [row.pk for row in page.context["cl"].result_list]


@pytest.mark.parametrize(
    "query", ["type=core.job.died", "actor_type=system", f"q={new_id()}", f"subject_id={new_id()}"]
)
def test_leaves_out_events_that_do_not_match(desk, event, query) -> None:
    page = desk.get(f"{reverse('admin:audit_event_changelist')}?{query}")
    assert page.status_code == 200
    assert event.pk not in [row.pk for row in page.context["cl"].result_list]


def test_lists_many_events_with_as_many_questions_as_few(desk, event, thing_tried, owner) -> None:
    address = reverse("admin:audit_event_changelist")
    desk.get(address)
    counts = []
    for number in (5, 40):
        for _ in range(number):
            with transaction.atomic():
                audit.record(thing_tried, actor=actor_of_user(owner), subject=Subject("thing", new_id()))
        with CaptureQueriesContext(connection) as captured:
            desk.get(address)
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_replays_a_dead_job_with_a_reason(desk, staff) -> None:
    job = Job.objects.create(kind="tests.x", state="dead", attempts=3, requested_by_type="system", error={"code": "x"})
    assert desk.get(reverse("admin:core_job_change", args=[job.pk])).status_code == 200
    assert desk.get(f"{reverse('admin:core_job_changelist')}?state__exact=dead").status_code == 200
    address = reverse("admin:core_job_command", args=[job.pk, "replay"])
    assert desk.get(address).status_code == 200
    desk.post(address, {"reason": "fixed", "confirm": "1", "token": "t1"})
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("queued", 0)
    recorded = Event.objects.get(type="core.job.replayed")
    assert (recorded.actor_id, recorded.context["reason"]) == (staff.pk, "fixed")


def test_changes_a_schedule_with_an_event(desk) -> None:
    row = Schedule.objects.create(name="tests.x", kind="tests.x", cron="* * * * *", next_run_at=clock.now())
    assert desk.get(reverse("admin:core_schedule_changelist")).status_code == 200
    assert desk.get(reverse("admin:core_schedule_change", args=[row.pk])).status_code == 200
    address = reverse("admin:core_schedule_command", args=[row.pk, "change"])
    refused = desk.post(address, {"reason": "r", "cron": "nonsense", "confirm": "1", "token": "t2"})
    assert refused.status_code == 400
    desk.post(address, {"reason": "r", "cron": "0 4 * * *", "is_enabled": "on", "confirm": "1", "token": "t3"})
    row.refresh_from_db()
    assert (row.cron, row.next_run_at.hour, row.next_run_at.minute) == ("0 4 * * *", 4, 0)
    assert row.next_run_at - clock.now() <= timedelta(days=1)
    assert Event.objects.filter(type="core.schedule.changed", subject_id=row.pk).count() == 1


def test_shows_followers(desk) -> None:
    row = Follower.objects.create(name="tests.x", state="parked", error="ValueError: poison")
    assert desk.get(reverse("admin:audit_follower_changelist")).status_code == 200
    page = desk.get(reverse("admin:audit_follower_change", args=[row.pk]))
    assert "poison" in page.content.decode()
