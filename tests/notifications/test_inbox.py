"""Inboxes: who is told what, once; what they do with it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from accounts.actors import actor_of_user
from accounts.services import api_keys, memberships
from audit.models import Event
from core import clock, context, jobs, personal
from core.access import Role
from core.actor import SYSTEM, Actor, ActorType
from core.errors import Forbidden, NotFound
from core.models import Job
from notifications.models import Mail, Notification
from notifications.selectors import inbox as selectors
from notifications.services import digests, inbox
from tests.cast import new_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def note(owner):
    """One notification of the owner's."""
    inbox.tell(actor=SYSTEM, person=owner, kind="members", subject="News", text="Something.", unique="one")
    return Notification.objects.get()


def test_tells_the_administrators_who_joined(organization, owner, team_mate, stranger, follow, told) -> None:
    follow()
    (row,) = told(owner, kind="members")
    clear = selectors.readable([row])[0]
    assert clear.subject == "Tom Mate joined Acme"
    assert "Tom" not in row.subject + row.text, "what is personal is not stored in clear"
    assert row.organization == organization
    assert not [one for one in told(stranger) if one.organization_id == organization.pk]


def test_tells_each_event_once_however_often_it_is_handed_over(organization, owner, team_mate, follow) -> None:
    first = follow()
    assert first > 0
    assert [follow(), follow()] == [0, 0]
    assert Notification.objects.count() == first
    mails = Mail.objects.count()
    assert Job.objects.filter(kind="notifications.send_mail").count() == mails


def test_adds_the_mail_that_a_killed_process_left_out(owner, organization, follow) -> None:
    _key(organization, owner)
    follow()
    Mail.objects.all().delete()
    Job.objects.filter(kind="notifications.send_mail").delete()
    assert follow() == 0
    assert Mail.objects.count() == Job.objects.filter(kind="notifications.send_mail").count() == 1


def test_takes_an_erased_person_out_of_everybodys_inbox(owner, organization, team_mate, follow, told) -> None:
    follow()
    personal.destroy_key(team_mate)
    (row,) = told(owner, kind="members")
    assert selectors.readable([row])[0].subject == "somebody who was erased joined Acme"


def test_reads_many_with_one_query_for_all_keys(owner, organization, follow, django_assert_num_queries) -> None:
    for number in range(12):
        person = new_person(f"p{number}@example.com", name=f"Person {number}")
        memberships.create(actor=SYSTEM, organization=organization, user=person, role=Role.MEMBER)
    follow()
    rows = list(Notification.objects.filter(person=owner, kind="members"))
    assert len(rows) == 12
    with django_assert_num_queries(1):
        assert {one.subject for one in selectors.readable(rows)} == {f"Person {n} joined Acme" for n in range(12)}


def test_passes_over_what_is_no_news_any_more(owner, organization, team_mate, follow) -> None:
    assert follow(now=clock.now() + inbox.NEWS_FOR + timedelta(seconds=1)) == 0


def test_tells_nobody_who_was_shut_out(owner, organization, follow) -> None:
    _key(organization, owner)
    owner.is_active = False
    owner.save()
    assert follow() == 0


def test_keeps_names_from_writing_marks_and_lines(owner, organization, follow, told) -> None:
    person = new_person("x@example.com", name="Eve ⟦role⟧\r\nBcc: all@example.com")
    memberships.create(actor=SYSTEM, organization=organization, user=person, role=Role.VIEWER)
    follow()
    (row,) = told(owner, kind="members")
    clear = selectors.readable([row])[0]
    assert clear.subject == "Eve [role] Bcc: all@example.com joined Acme"


def test_marks_one_as_read_once(owner, note) -> None:
    actor = actor_of_user(owner)
    at = clock.now()
    row = inbox.mark_read(actor=actor, notification=note, now=at)
    again = inbox.mark_read(actor=actor, notification=note, now=at + timedelta(hours=1))
    assert row.read_at == again.read_at == at
    assert Event.objects.filter(type="notifications.notification.read").count() == 1
    assert inbox.mark_unread(actor=actor, notification=note, now=at).read_at is None
    assert inbox.archive(actor=actor, notification=note, now=at).archived_at == at
    assert selectors.unread_count(actor_of_user(owner)) == 0


def test_marks_everything_with_one_event_that_no_organisation_sees(owner, organization) -> None:
    for number in range(5):
        inbox.tell(actor=SYSTEM, person=owner, kind="members", subject="News", text="", unique=str(number))
    at = clock.now()
    inbox.tell(actor=SYSTEM, person=owner, kind="members", subject="Later", text="", unique="later")
    Notification.objects.filter(unique="later").update(created_at=at + timedelta(minutes=1))
    with context.changed(organization_id=organization.pk):
        assert inbox.mark_all_read(actor=actor_of_user(owner), until=at, now=at + timedelta(hours=1)) == 5
        assert inbox.mark_all_read(actor=actor_of_user(owner), until=at, now=at + timedelta(hours=1)) == 0
    event = Event.objects.get(type="notifications.inbox.read")
    assert (event.data, event.organization_id, event.subject_id) == ({"marked": 5}, None, owner.pk)
    assert selectors.unread_count(actor_of_user(owner)) == 1


@pytest.mark.parametrize("verb", ["mark_read", "mark_unread", "archive"])
def test_refuses_to_touch_what_another_was_told(verb, note, stranger, staff) -> None:
    for person in (stranger, staff):
        with pytest.raises(NotFound):
            getattr(inbox, verb)(actor=actor_of_user(person), notification=note, now=clock.now())


def test_refuses_keys(note, organization) -> None:
    key = Actor(ActorType.API_KEY, id=organization.pk, organization_id=organization.pk)
    with pytest.raises(Forbidden):
        inbox.mark_all_read(actor=key, now=clock.now())
    with pytest.raises(Forbidden):
        inbox.mark_read(actor=key, notification=note, now=clock.now())


def test_lets_only_staff_and_the_system_tell(owner, staff) -> None:
    given = {"person": owner, "kind": "members", "subject": "A", "text": "B", "unique": "u"}
    with pytest.raises(Forbidden):
        inbox.tell(actor=actor_of_user(owner), **given)
    assert inbox.tell(actor=actor_of_user(staff), **given) is not None
    with pytest.raises(LookupError):
        inbox.tell(actor=SYSTEM, **{**given, "kind": "gossip"})


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("/invoices/inv_1", "/invoices/inv_1"),
        ("https://x.example/a", "https://x.example/a"),
        ("javascript:alert(1)", ""),
        ("//elsewhere.example", ""),
        ("/\\elsewhere.example", ""),
        ("data:text/html,x", ""),
    ],
)
def test_keeps_only_addresses_that_may_be_opened(url, kept, owner) -> None:
    row = inbox.tell(actor=SYSTEM, person=owner, kind="members", subject="A", text="", unique="u", url=url)
    assert row is not None
    assert row.url == kept


def _key(organization, owner) -> None:
    api_keys.create(
        actor=actor_of_user(owner), organization=organization, name="robot", scopes=["billing.*"], now=clock.now()
    )


def test_shows_nothing_more_of_an_organisation_that_one_left(organization, owner, team_mate, follow, sink) -> None:
    memberships.change_role(actor=actor_of_user(owner), membership=team_mate.memberships.get(), role=Role.ADMIN)
    _key(organization, owner)
    memberships.create(actor=SYSTEM, organization=organization, user=new_person("n@example.com"), role=Role.VIEWER)
    follow()
    tom = actor_of_user(team_mate)
    assert {row.kind for row in selectors.own(tom)} == {"api_keys", "members"}
    memberships.remove(actor=actor_of_user(owner), membership=team_mate.memberships.get())
    follow()
    assert [row.template for row in selectors.own(tom)] == ["accounts.membership.removed"]
    assert selectors.unread_count(tom) == 1
    jobs.drain()
    assert Mail.objects.get(person=team_mate).reason == "not theirs to read any more"
    assert [str(mail["To"]) for mail in sink.mails] == [owner.email]
    assert digests.make_due(now=clock.now() + timedelta(days=2)) == 3  # the new member too
    row = Notification.objects.get(person=team_mate, digest__isnull=False)
    assert row.template == "accounts.membership.removed"


def test_shows_what_is_for_staff_to_staff_only(staff) -> None:
    inbox.tell(actor=SYSTEM, person=staff, kind="operations", subject="A", text="", unique="a")
    assert selectors.own(actor_of_user(staff)).count() == 1
    staff.is_staff = False
    staff.save()
    assert selectors.own(actor_of_user(staff)).count() == 0
