"""Permissions at the desk: why, what if, tuples and models; nothing is changed without a command."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.html import strip_tags

from accounts.models import CustomRole, Organization, User
from accounts.permissions import asking
from accounts.permissions.engine import Engine, save_model
from accounts.permissions.language import parse, to_dsl
from accounts.permissions.models import PermissionModel, RelationTuple
from accounts.permissions.product import STORE
from accounts.permissions.tuples import Tuple
from audit.models import Event
from core.admin.html import admin_url
from tests.admin.conftest import hidden_fields
from tests.billing import factories

pytestmark = pytest.mark.django_db

TUPLES = reverse("admin:accounts_relationtuple_changelist")
WHY = reverse("admin:accounts_permission_why")
WHAT_IF = reverse("admin:accounts_permission_what_if")
NEW_TUPLE = reverse("admin:accounts_relationtuple_new")
NEW_MODEL = reverse("admin:accounts_permissionmodel_new")


@pytest.fixture
def engine() -> Engine:
    return asking.engine()


@pytest.fixture
def tuples(engine: Engine, organization: Organization, stranger: User) -> dict[str, str]:
    """A stranger is a member of a team, which is an admin of the organisation."""
    named = {
        "user": f"user:{stranger.pk}",
        "team": "team:0190a0a0-0000-7000-8000-000000000001",
        "organization": f"organization:{organization.pk}",
    }
    engine.write(
        [
            Tuple.parse({"user": named["user"], "relation": "member", "object": named["team"]}),
            Tuple.parse({"user": f"{named['team']}#member", "relation": "admin", "object": named["organization"]}),
        ]
    )
    return named


@pytest.fixture
def db_role(organization: Organization) -> CustomRole:
    return CustomRole.objects.create(
        organization=organization, name="Book keeper", permissions=["billing.invoice.view"]
    )


def _text(reply: HttpResponse) -> str:
    assert reply.status_code == 200, reply
    return html.unescape(reply.content.decode())


def _words(reply: HttpResponse) -> str:
    """What is read on the page: no tags, single blanks."""
    page = re.sub("</?(td|th|p|li|tr)\\b", " <p", reply.content.decode())
    return " ".join(html.unescape(strip_tags(page)).split())


# why


def test_draws_the_way_that_leads_to_a_yes(desk: Client, tuples: dict[str, str], stranger: User):
    asked = {"subject": tuples["user"], "relation": "member", "target": tuples["organization"]}
    words = _words(desk.get(WHY, asked))
    assert "Yes" in words
    assert f"user:{stranger} is member of team:" in words
    assert "#member is admin of organization:" in words


def test_takes_ids_as_the_pages_show_them(
    desk: Client, tuples: dict[str, str], stranger: User, organization: Organization
):
    asked = {
        "subject": f"user:{stranger.public_id}",
        "relation": "admin",
        "target": f"organization:{organization.public_id}",
    }
    assert "This is the shortest way" in _words(desk.get(WHY, asked))


def test_names_what_was_tried_for_a_no(desk: Client, tuples: dict[str, str], staff: User):
    asked = {"subject": f"user:{staff.pk}", "relation": "owner", "target": tuples["organization"]}
    words = _words(desk.get(WHY, asked))
    assert "These ways were tried" in words
    assert "no tuple" in words


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"subject": "ann", "relation": "member", "target": "organization:1"}, "'ann' is no subject"),
        ({"subject": "user:ann", "relation": "boss", "target": "organization:1"}, "There are: "),
        ({"subject": "user:ann", "relation": "member", "target": "paper:1"}, "There is no type 'paper'."),
        ({"subject": "user:ann", "relation": "member", "target": "organization:1", "context": "[1]"}, "an object"),
        ({"subject": "", "relation": "member", "target": "organization:1"}, "This field is required."),
    ],
)
def test_says_what_is_wrong_with_a_question(desk: Client, engine: Engine, asked: dict[str, str], told: str):
    assert told in _words(desk.get(WHY, asked))


def test_takes_people_by_their_address_and_things_by_their_id(
    desk: Client, tuples: dict[str, str], stranger: User, organization: Organization
):
    for who in (stranger.email, stranger.email.upper(), f"user:{stranger.email}", stranger.public_id):
        asked = {"subject": who, "relation": "admin", "target": organization.public_id}
        assert "This is the shortest way" in _words(desk.get(WHY, asked)), who
        assert str(stranger) in _words(desk.get(TUPLES, {"q": who})), who
    written = f"organization:{organization.public_id}#viewer@user:{stranger.email}"
    assert "Nothing would be otherwise" not in _words(desk.post(WHAT_IF, {"added": written}))
    nobody = {"subject": "nobody@example.com", "relation": "admin", "target": organization.public_id}
    assert "Nobody has the e-mail address 'nobody@example.com'." in _words(desk.get(WHY, nobody))
    assert "Nobody has the e-mail address" in _words(desk.post(WHAT_IF, {"added": "team:1#member@user:x@y.example"}))


def test_says_that_it_does_not_know_whom_or_what_is_meant(desk: Client, engine: Engine, owner: User):
    asked = {"subject": owner.email, "relation": "viewer", "target": "invoice:inv_123"}
    words = _words(desk.get(WHY, asked))
    assert "There is no invoice:inv_123. Is the id whole?" in words
    assert "There is no user:" not in words


def test_names_roles_and_groups_of_staff(
    desk: Client, engine: Engine, owner: User, organization: Organization, db_role: CustomRole
):
    group = Group.objects.create(name="Night shift")
    asking.grant(f"staff_group:{group.pk}#member", "billing.customer.view", "company:this")
    asking.grant(f"user:{owner.pk}", "assignee", f"role:{db_role.pk}")
    words = _words(desk.get(TUPLES))
    assert "role:Book keeper" in words
    assert "staff_group:Night shift #member" in words or "staff_group:Night shift#member" in words
    asked = {"subject": owner.email, "relation": "assignee", "target": f"role:{db_role.public_id}"}
    assert "This is the shortest way" in _words(desk.get(WHY, asked))


def test_names_the_nearest_of_many_relations_at_its_field(desk: Client, engine: Engine):
    asked = {"subject": "user:ann", "relation": "ownr", "target": "organization:1"}
    page = desk.get(WHY, asked)
    assert page.context["form"].errors["relation"] == [
        "There is no relation 'ownr' of 'organization'. Did you mean owner?"
    ]
    assert '<option value="billing.invoice.view">' in _text(page)


def test_writes_no_markup_that_was_asked(desk: Client, engine: Engine):
    asked = {"subject": "user:<b>x</b>", "relation": "member", "target": "organization:<script>"}
    assert b'<script>"' not in desk.get(WHY, asked).content
    assert b"user:<b>x" not in desk.get(WHY, asked).content


def test_brings_along_what_rows_say_by_themselves(desk: Client, owner: User, staff: User, organization: Organization):
    invoice = factories.invoice(factories.customer(organization=organization))
    asked = {"subject": f"user:{owner.pk}", "relation": "viewer", "target": f"invoice:{invoice.pk}"}
    words = _words(desk.get(WHY, asked))
    assert "This is the shortest way" in words
    assert "given" in words
    asked = {"subject": f"user:{staff.pk}", "relation": "staff", "target": "company:this"}
    assert "This is the shortest way" in _words(desk.get(WHY, asked))


# what if


def test_shows_what_tuples_would_give_and_writes_nothing(desk: Client, tuples: dict[str, str], owner: User):
    before = RelationTuple.objects.count()
    added = f"{tuples['team']}#member@user:{owner.pk}"
    words = _words(desk.post(WHAT_IF, {"added": added}))
    assert "Grants gained" in words
    assert f"user:{owner} member team:" in words
    assert RelationTuple.objects.count() == before


def test_shows_what_a_removed_tuple_would_take(desk: Client, tuples: dict[str, str], stranger: User):
    removed = f"{tuples['user']} member {tuples['team']}"
    words = _words(desk.post(WHAT_IF, {"removed": removed}))
    lost = words[words.index("Grants lost") :]
    assert f"user:{stranger} admin organization:" in lost


def test_shows_what_another_model_would_take(desk: Client, engine: Engine, stranger: User):
    more = f"{to_dsl(engine.model)}\ntype paper\n  relations\n    define viewer: [user]\n"
    row = PermissionModel.objects.get(pk=engine.model_id)
    with_paper = save_model(row.store, parse(more))
    with_paper.write([Tuple.parse({"user": f"user:{stranger.pk}", "relation": "viewer", "object": "paper:1"})])
    words = _words(desk.post(WHAT_IF, {"text": to_dsl(engine.model)}))
    assert f"user:{stranger} viewer paper:1" in words[words.index("Grants lost") :]
    less = to_dsl(engine.model).replace("    define owner: [user]\n", "    define owner: [user, team#member]\n")
    assert "The product needs" in _words(desk.post(WHAT_IF, {"text": less}))


def test_applies_tuples_by_the_command(desk: Client, engine: Engine, tuples: dict[str, str], owner: User):
    added = f"{tuples['team']}#member@user:{owner.pk}"
    compared = hidden_fields(desk.post(WHAT_IF, {"added": added}))
    reply = desk.post(WHAT_IF, {**compared, "added": added, "apply": "yes", "reason": "Joined the team"}, follow=True)
    assert "Applied: 1 created." in _words(reply)
    assert engine.check(f"user:{owner.pk}", "admin", tuples["organization"])
    event = Event.objects.filter(type="accounts.relation.changed").latest("id")
    assert event.context["reason"] == "Joined the team"


def test_applies_nothing_but_what_was_compared(desk: Client, engine: Engine, tuples: dict[str, str], owner: User):
    one, other = f"{tuples['team']}#member@user:{owner.pk}", f"{tuples['organization']}#admin@user:{owner.pk}"
    compared, before = hidden_fields(desk.post(WHAT_IF, {"added": one})), RelationTuple.objects.count()
    for added in (other, f"{one}\n{other}"):
        sent = {**compared, "added": added, "apply": "yes", "reason": "Joined"}
        assert "These are other tuples than those that were compared." in _words(desk.post(WHAT_IF, sent))
    without = desk.post(WHAT_IF, {**compared, "added": one, "apply": "yes", "reason": " "})
    assert "Say the reason" in _words(without)
    assert "Grants gained" in _words(without)
    assert RelationTuple.objects.count() == before


def test_says_that_nothing_would_be_otherwise(desk: Client, tuples: dict[str, str], owner: User):
    for sent in (
        {"removed": f"{tuples['team']}#member@user:{owner.pk}"},
        {"added": f"{tuples['team']}#member@{tuples['user']}"},
    ):
        text = _text(desk.post(WHAT_IF, sent))
        assert "Nothing would be otherwise" in text
        assert 'name="apply"' not in text


def test_carries_a_compared_model_into_the_editor(desk: Client, engine: Engine):
    more = f"{to_dsl(engine.model)}\ntype paper\n  relations\n    define viewer: [user]\n"
    assert f'formaction="{NEW_MODEL}"' in _text(desk.post(WHAT_IF, {"text": more}))
    assert "type paper" in _text(desk.post(NEW_MODEL, {"text": more, "back": "yes"}))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({}, "Say what would be otherwise"),
        ({"added": "nonsense"}, "Line 1: 'nonsense' is no tuple"),
        ({"added": "organization:1#member@paper:1"}, "not an allowed type restriction"),
        ({"text": "model\n  schema 1.1\ntype user\n  relations\n    define x: y"}, "5:"),
        ({"added": "organization:1#member@user:ann with nothing {"}, "is no tuple"),
    ],
)
def test_says_what_cannot_be_compared(desk: Client, engine: Engine, data: dict[str, str], told: str):
    assert told in _words(desk.post(WHAT_IF, data))


# tuples


def test_lists_tuples_with_names_and_filters(desk: Client, tuples: dict[str, str], stranger: User):
    words = _words(desk.get(TUPLES))
    assert f"user:{stranger}" in words
    found = _text(desk.get(TUPLES, {"q": tuples["user"]}))
    assert str(stranger) in found
    assert "#admin" not in found
    by_relation = _words(desk.get(TUPLES, {"relation": "admin"}))
    assert "#member" in by_relation
    for term in (stranger.public_id, str(stranger.pk), f"{tuples['team']}#member", "nobody", "user:nobody"):
        assert desk.get(TUPLES, {"q": term}).status_code == 200


@pytest.mark.django_db(transaction=True)  # what may be done is kept in the process, but not in a transaction that wrote
def test_asks_as_little_for_many_tuples_as_for_few(desk: Client, engine: Engine, organization: Organization):
    target = f"organization:{organization.pk}"
    counts = []
    for start in (0, 5):
        engine.write(
            [
                Tuple.parse({"user": f"user:{number}", "relation": "member", "object": target})
                for number in range(start, start * 4 + 5)
            ]
        )
        desk.get(TUPLES)
        with CaptureQueriesContext(connection) as queries:
            desk.get(TUPLES)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def _give(desk: Client, address: str, **answers: Any) -> HttpResponse:
    """Fill in a form and confirm it."""
    form = desk.get(address)
    preview = desk.post(address, {**hidden_fields(form), **answers})
    if b'name="confirm"' not in preview.content:
        return preview
    return desk.post(address, {**hidden_fields(preview), "confirm": "yes"}, follow=True)


def test_adds_a_tuple_after_a_confirmation(
    desk: Client, engine: Engine, owner: User, organization: Organization, stranger: User
):
    answers = {
        "subject": f"user:{stranger.public_id}",
        "relation": "member",
        "target": f"organization:{organization.public_id}",
        "reason": "A guest",
    }
    reply = _give(desk, NEW_TUPLE, **answers)
    assert "The tuple was written." in _words(reply)
    assert engine.check(f"user:{stranger.pk}", "member", f"organization:{organization.pk}")
    again = _words(_give(desk, NEW_TUPLE, **answers))
    assert "already exists" in again


@pytest.mark.parametrize("address", [NEW_TUPLE, NEW_MODEL])
def test_begins_with_an_empty_form_that_leads_nowhere_wrong(desk: Client, engine: Engine, address: str):
    text = _text(desk.get(address))
    assert "/None/change/" not in text
    assert ":#@:" not in text
    assert ">null<" not in re.sub(r"\s", "", text)
    assert "<title>New " in " ".join(text.split()).replace("<title> ", "<title>")


def test_warns_of_what_nobody_knows_or_what_stands_already(
    desk: Client, engine: Engine, tuples: dict[str, str], stranger: User, organization: Organization
):
    answers = {"subject": "user:nobody", "relation": "member", "target": organization.public_id, "reason": "x"}
    form = desk.get(NEW_TUPLE)
    words = _words(desk.post(NEW_TUPLE, {**hidden_fields(form), **answers}))
    assert "There is no user:nobody. Is the id whole?" in words
    written = f"organization:{organization.public_id}#member@user:nobody"
    assert "There is no user:nobody. Is the id whole?" in _words(desk.post(WHAT_IF, {"added": written}))
    answers |= {"subject": stranger.email, "target": tuples["team"]}
    text = _text(desk.post(NEW_TUPLE, {**hidden_fields(form), **answers}))
    assert "stands already" in text
    assert f"<dd>{stranger.email}</dd>" in text  # as it was said
    assert "<dd>{}</dd>" not in text


def test_drops_no_context_that_belongs_to_no_condition(desk: Client, tuples: dict[str, str], stranger: User):
    answers = {"subject": stranger.email, "relation": "member", "target": tuples["team"], "reason": "x"}
    page = desk.post(NEW_TUPLE, {**answers, "context": '{"hour": 9}'})
    assert "A context is for a condition: name that too." in _words(page)


def test_is_headed_with_the_whole_tuple(desk: Client, tuples: dict[str, str], stranger: User):
    row = RelationTuple.objects.get(
        subject_type="user", subject_id=str(stranger.pk), relation="member", object_type="team"
    )
    assert f"user:{stranger} is member of team:" in _words(desk.get(admin_url(row)))


def test_says_which_subjects_a_relation_takes(desk: Client, engine: Engine):
    words = _words(
        _give(desk, NEW_TUPLE, subject="organization:1", relation="owner", target="organization:2", reason="x")
    )
    assert "allowed: user" in words


def test_removes_a_tuple_after_a_confirmation(
    desk: Client, engine: Engine, tuples: dict[str, str], give: Callable[..., HttpResponse]
):
    row = RelationTuple.objects.get(relation="admin", subject_type="team")
    assert "The tuple was removed." in _words(give(row, "remove", reason="No longer"))
    assert not RelationTuple.objects.filter(pk=row.pk).exists()
    assert not engine.check(tuples["user"], "admin", tuples["organization"])


def test_names_the_tuples_of_a_person_and_of_an_organization(
    desk: Client, tuples: dict[str, str], stranger: User, organization: Organization
):
    for obj, term in ((stranger, tuples["user"]), (organization, tuples["organization"])):
        text = _text(desk.get(admin_url(obj)))
        assert f"q={term.replace(':', '%3A')}" in text


# models


def test_shows_a_version_and_what_is_different(desk: Client, engine: Engine):
    row = PermissionModel.objects.filter(store__name=STORE).latest("pk")
    text = _text(desk.get(admin_url(row)))
    assert "ch-dsl__keyword" in text
    more = to_dsl(engine.model) + "\ntype paper\n  relations\n    define viewer: [user]\n"
    newer = PermissionModel.objects.get(pk=save_model(row.store, parse(more)).model_id)
    assert admin_url(newer) in _text(desk.get(reverse("admin:accounts_permissionmodel_changelist")))
    reply = desk.get(admin_url(newer), {"with": row.pk})
    assert "ch-dsl__line--added" in _text(reply)
    assert desk.get(admin_url(newer), {"with": "0"}).status_code == 404
    assert desk.get(admin_url(newer).replace(str(newer.pk), newer.public_id)).status_code == 200


def test_saves_a_new_version_by_the_command(desk: Client, engine: Engine):
    number = PermissionModel.objects.count()
    text = _text(desk.get(NEW_MODEL)).partition("</textarea>")[0].rpartition(">")[2].lstrip("\n")
    more = f"{text}\ntype paper\n  relations\n    define viewer: [user]\n"
    reply = _give(desk, NEW_MODEL, text=more, reason="Papers too")
    assert "The model has a new version." in _words(reply)
    assert PermissionModel.objects.count() == number + 1
    event = Event.objects.filter(type="accounts.permission_model.created").latest("id")
    assert event.context["reason"] == "Papers too"


def test_shows_each_fault_with_its_line(desk: Client, engine: Engine):
    faulty = "model\n  schema 1.1\ntype user\ntype paper\n  relations\n    define viewer: [nobody]\n"
    text = _text(_give(desk, NEW_MODEL, text=faulty, reason="x"))
    assert 'data-line="6"' in text
    assert "`nobody`" in text or "nobody" in text
    assert PermissionModel.objects.filter(store__name=STORE).count() == 1
    answer = desk.post(reverse("admin:accounts_permissionmodel_validate"), {"text": faulty})
    assert answer.json()["faults"][0]["line"] == 6


def test_makes_no_version_that_is_equal_to_the_newest(desk: Client, engine: Engine):
    words = _words(_give(desk, NEW_MODEL, text=to_dsl(engine.model), reason="x"))
    assert "Nothing is different from the version in force" in words


def test_begins_with_no_version_that_is_not_there(desk: Client, engine: Engine):
    assert desk.get(NEW_MODEL, {"version": "zzz"}).status_code == 404
    assert desk.get(NEW_MODEL, {"version": str(engine.model_id)}).status_code == 200


def test_looks_into_no_text_that_is_too_long(desk: Client, engine: Engine):
    huge = "x" * 300_000
    reply = desk.post(reverse("admin:accounts_permissionmodel_validate"), {"text": huge})
    [fault] = reply.json()["faults"]
    assert fault["message"] == "The text has 300,000 characters; a model has 262,144 at most."
    assert fault["message"] in _words(_give(desk, NEW_MODEL, text=huge, reason="x"))


def test_quotes_of_a_long_word_its_beginning(desk: Client, engine: Engine):
    reply = desk.post(reverse("admin:accounts_permissionmodel_validate"), {"text": "x" * 2_000})
    assert len(reply.json()["faults"][0]["message"]) < 200


def test_tells_the_first_faults_of_a_compared_model(desk: Client, engine: Engine):
    lacking = "model\n  schema 1.1\n\ntype user\ntype organization\n  relations\n    define owner: [user]\n"
    words = _words(desk.post(WHAT_IF, {"text": lacking}))
    assert "Line 4: The product needs 'user#oneself' as it ships it." in words
    assert words.count("The product needs") == 10
    assert re.search("And [0-9]+ more.", words)


# who may


@pytest.mark.parametrize("address", [WHY, WHAT_IF, TUPLES, NEW_TUPLE, NEW_MODEL])
def test_is_for_staff_alone(owner: User, address: str):
    client = Client()
    client.force_login(owner)
    assert client.get(address).status_code in (302, 403)
    assert Client().get(address).status_code == 302


def test_stands_in_the_menu(desk: Client, engine: Engine):
    text = _text(desk.get(reverse("admin:index")))
    for address in (WHY, WHAT_IF, TUPLES, reverse("admin:accounts_permissionmodel_changelist")):
        assert f'href="{address}"' in text
