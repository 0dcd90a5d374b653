"""The product on a real OpenFGA server: what is written to PostgreSQL is carried there, and asked there."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from accounts.permissions import asking, cache, carrying, providers
from accounts.permissions.engine import Engine, save_model
from accounts.permissions.language import parse
from accounts.permissions.models import OpenFGACopy, PermissionStore, RelationTuple
from accounts.permissions.providers.carried import CarriedEngine, _looked, _rests_until
from accounts.permissions.providers.openfga_engine import ServerEngine
from accounts.permissions.tuples import Tuple
from core import clock, health, redis
from core.ids import new_id
from core.relay.lease import HeldLease, NotLeading
from tests.accounts.permissions import over_http
from tests.accounts.permissions.test_openfga_address import somebody
from tests.contracts.test_permissions import MODEL, t
from tests.support.openfga import OpenFGA, start
from tests.support.processes import free_port

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def chosen(openfga: OpenFGA, settings: Any) -> Iterator[None]:
    settings.PERMISSIONS_PROVIDER, settings.OPENFGA_URL = "openfga", openfga.address
    settings.OPENFGA_STORE = f"carried {new_id().hex}"
    carrying._known = carrying._Known()
    yield
    _rests_until.clear()
    _looked.clear()
    carrying._known = carrying._Known()


@pytest.fixture
def lease() -> HeldLease:
    found = HeldLease.for_this_process("relay")
    assert found.take()
    return found


@pytest.fixture
def engine() -> Engine:
    store, _ = PermissionStore.objects.get_or_create(name=carrying.STORE)  # the product's own model is its first
    return save_model(store, parse(MODEL))


def carry(lease: HeldLease) -> None:
    for _ in range(200):
        if not carrying.step(lease, providers.server(), carrying.STORE):
            return
    raise AssertionError("no end")


def server() -> ServerEngine:
    copy = OpenFGACopy.objects.select_related("model").get()
    opened = providers.server().newest(copy.server_store)
    assert opened is not None
    assert opened.model_id == copy.server_model
    return opened


def held() -> list[str]:
    return sorted(map(str, server().stored()))


def check(*arguments: str) -> tuple[int, dict[str, Any]]:
    output = StringIO()
    try:
        call_command("openfga_check", "--json", *arguments, stdout=output)
    except SystemExit as ended:
        return int(str(ended.code)), json.loads(output.getvalue())
    return 0, json.loads(output.getvalue())


def test_carries_model_and_tuples_that_were_there_and_then_what_changes(engine: Engine, lease: HeldLease) -> None:
    before = [t(f"document:{number}#owner@user:ann") for number in range(620)]
    engine.write(before)
    carry(lease)
    assert held() == sorted(map(str, before))
    assert server().model == engine.model
    engine.write([t("document:new#shared@user:bob", "older_than", limit=18)])
    engine.delete(before[:615])
    carry(lease)
    assert held() == sorted([*map(str, before[615:]), "document:new#shared@user:bob with older_than"])
    assert check() == (0, {"tuples": 6, "repaired": 0, "missing": [], "extra": [], "otherwise": []})


def test_asks_the_server_once_it_has_all(engine: Engine, lease: HeldLease) -> None:
    engine.write([t("document:1#owner@user:ann")])
    assert isinstance(providers.get().open(carrying.STORE), Engine), "the server has nothing yet"
    carry(lease)
    opened = providers.get().open(carrying.STORE)
    assert isinstance(opened, CarriedEngine)
    server().push(writes=[t("document:1#owner@user:only-there")])  # what only the server knows tells who answered
    assert opened.check("user:only-there", "viewer", "document:1")
    assert opened.check_many([("user:only-there", "viewer", "document:1")]) == [True]
    assert opened.list_users("document:1", "viewer", "user") == ["user:ann", "user:only-there"]
    assert opened.list_objects("user:only-there", "viewer", "document") == ["document:1"]
    owner = ("document", "owner")
    assert opened.objects_by_relation("user:only-there", [owner]) == {owner: ["document:1"]}
    assert "only-there" in json.dumps(opened.expand("document:1", "owner").as_json())
    assert not opened.local.check("user:only-there", "viewer", "document:1")


def test_asks_postgresql_inside_a_transaction(engine: Engine, lease: HeldLease) -> None:
    carry(lease)
    opened = providers.get().open(carrying.STORE)
    with transaction.atomic():
        assert opened.write([t("document:1#owner@user:ann")]) == ["created"]
        assert opened.check("user:ann", "viewer", "document:1"), "it sees what it wrote itself"
        transaction.set_rollback(True)
    assert not opened.check("user:ann", "viewer", "document:1")
    carry(lease)
    assert held() == []


def test_says_at_the_desk_what_would_be_otherwise(lease: HeldLease, staff: Any) -> None:
    over_http.engine()
    carry(lease)
    assert isinstance(asking.engine(), CarriedEngine)
    browser = Client()
    browser.force_login(staff)
    thought_of = {"added": "document:1#editor@user:ann", "removed": "", "text": "", "context": ""}
    reply = browser.post(reverse("admin:accounts_permission_what_if"), thought_of)
    assert reply.status_code == 200
    assert [str(grant) for grant in reply.context["found"].gained] == [
        "document:1#editor@user:ann",
        "document:1#viewer@user:ann",
    ]
    assert held() == []


def test_asks_postgresql_for_a_list_that_the_server_cuts_off(engine: Engine, lease: HeldLease) -> None:
    engine.write([t(f"document:{number:04}#owner@user:ann") for number in range(1005)])
    carry(lease)
    opened = providers.get().open(carrying.STORE)
    assert isinstance(opened, CarriedEngine)
    assert len(opened.list_objects("user:ann", "owner", "document")) == 1005
    assert opened.page_of_objects("user:ann", "owner", "document", limit=2).items == ("document:0000", "document:0001")


def test_asks_postgresql_when_more_is_given_than_the_server_takes(engine: Engine, lease: HeldLease) -> None:
    carry(lease)
    given = [t(f"document:{number}#owner@user:ann") for number in range(150)]
    assert providers.get().open(carrying.STORE).check("user:ann", "owner", "document:149", given=given)


def test_asks_postgresql_while_the_server_is_down_and_goes_on_when_it_is_back(
    engine: Engine, lease: HeldLease, settings: Any, openfga: OpenFGA
) -> None:
    engine.write([t("document:1#owner@user:ann")])
    carry(lease)
    settings.OPENFGA_URL = f"http://127.0.0.1:{free_port()}"
    engine.write([t("document:1#owner@user:bob")])
    assert providers.get().open(carrying.STORE).check("user:bob", "viewer", "document:1")
    assert carrying.carry(lease) == 0, "the relay does its other duties"
    health.forget()
    assert health.ask(["permissions"])["permissions"].status is health.Status.WARNING
    settings.OPENFGA_URL = openfga.address
    redis.client().flushdb()  # the breaker
    carrying._known.rests_until = 0
    assert carrying.carry(lease) == 1
    assert len(held()) == 2
    health.forget()
    assert health.ask(["permissions"])["permissions"].status is health.Status.OK


def test_asks_postgresql_and_leaves_alone_what_answers_in_the_servers_place(
    engine: Engine, lease: HeldLease, settings: Any
) -> None:
    engine.write([t("document:1#owner@user:ann")])
    carry(lease)
    with somebody() as another:
        settings.OPENFGA_URL = another.url
        opened = providers.get().open(carrying.STORE)
        assert [opened.check("user:ann", "viewer", "document:1") for _ in range(3)] == [True] * 3
        assert len(another.asked) == 1
        assert carrying.carry(lease) == 0


def test_asks_postgresql_when_nothing_was_carried_for_long(engine: Engine, lease: HeldLease) -> None:
    carry(lease)
    assert isinstance(providers.get().open(carrying.STORE), CarriedEngine)
    OpenFGACopy.objects.update(carried_at=clock.now() - timedelta(seconds=31))
    assert isinstance(providers.get().open(carrying.STORE), Engine)
    assert "Does a relay run?" in providers.get().health().detail


def test_carries_a_new_model_and_what_it_allows_again(engine: Engine, lease: HeldLease) -> None:
    engine.write([t("document:1#shared@user:*"), t("document:1#owner@user:ann")])
    carry(lease)
    store = PermissionStore.objects.get()
    narrower = MODEL.replace("define shared: [user, user:*, group#member,", "define shared: [user, group#member,")
    save_model(store, parse(narrower))
    assert isinstance(providers.get().open(carrying.STORE), Engine), "the server does not know the newest model yet"
    engine.write([t("document:2#shared@user:*")])  # by the older one
    carry(lease)
    assert "document:2#shared@user:*" not in held()
    assert check()[0] == 0
    save_model(store, parse(MODEL))
    carry(lease)
    opened = providers.get().open(carrying.STORE)
    assert isinstance(opened, CarriedEngine)
    assert opened.check("user:anybody", "viewer", "document:2")
    assert check()[0] == 0


def test_gives_no_model_twice_when_killed_in_between(engine: Engine, lease: HeldLease) -> None:
    carry(lease)
    OpenFGACopy.objects.update(model=None, server_model="")
    carry(lease)
    assert len(providers.server().models(OpenFGACopy.objects.get().server_store)) == 1


def test_begins_anew_on_a_server_that_lost_its_memory(
    engine: Engine, lease: HeldLease, settings: Any, tmp_path: Path
) -> None:
    port = free_port()
    server_of_it, running = start(tmp_path, port=port)
    try:
        settings.OPENFGA_URL = server_of_it.address
        engine.write([t("document:1#owner@user:ann")])
        carry(lease)
        running.kill()
        server_of_it, running = start(tmp_path, port=port)
        redis.client().flushdb()  # the breaker
        engine.write([t("document:2#owner@user:ann")])
        assert carrying.carry(lease) == 0
        assert providers.get().open(carrying.STORE).check("user:ann", "viewer", "document:2")
        carrying._known.rests_until = 0
        carry(lease)
        assert held() == ["document:1#owner@user:ann", "document:2#owner@user:ann"]
    finally:
        running.kill()


def test_replaces_a_condition(engine: Engine, lease: HeldLease) -> None:
    engine.write([t("document:1#shared@user:ann")])
    carry(lease)
    engine.write([t("document:1#shared@user:ann", "older_than", limit=18)], on_duplicate="replace")
    carry(lease)
    assert held() == ["document:1#shared@user:ann with older_than"]
    assert check()[0] == 0


def test_carries_what_has_committed_though_an_older_transaction_is_open(engine: Engine, lease: HeldLease) -> None:
    carry(lease)
    began, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            engine.write([t("document:9#owner@user:slow")])
            began.set()
            may_end.wait(20)
        connection.close()

    other = threading.Thread(target=hold)
    other.start()
    try:
        assert began.wait(20)
        engine.write([t("document:1#owner@user:ann")])
        OpenFGACopy.objects.update(carried_at=None)
        carry(lease)
        assert held() == ["document:1#owner@user:ann"]
        assert OpenFGACopy.objects.get().carried_at is not None
        engine.delete([t("document:1#owner@user:ann")])
        carry(lease)
        assert held() == []
    finally:
        may_end.set()
        other.join()
    carry(lease)
    assert held() == ["document:9#owner@user:slow"]


def test_carries_two_writers_of_one_tuple_in_the_order_of_what_they_did(engine: Engine, lease: HeldLease) -> None:
    """The transaction that began first does last: in the log's order its change stands first."""
    carry(lease)
    one = t("document:1#owner@user:ann")
    began, may_go_on = threading.Event(), threading.Event()

    def first() -> None:
        with transaction.atomic():
            engine.write([t("document:2#owner@user:ann")])  # takes the lower number
            began.set()
            may_go_on.wait(20)
            engine.delete([one])
        connection.close()

    other = threading.Thread(target=first)
    other.start()
    assert began.wait(20)
    engine.write([one])
    may_go_on.set()
    other.join()
    carry(lease)
    assert held() == ["document:2#owner@user:ann"]


def test_writes_nothing_once_another_relay_leads(engine: Engine, lease: HeldLease) -> None:
    carry(lease)
    engine.write([t("document:1#owner@user:ann")])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE core_lease SET token = token + 1, holder = 'another'")
    with pytest.raises(NotLeading):
        carry(lease)
    assert held() == []


def test_goes_on_past_a_tuple_that_only_the_server_refuses(engine: Engine, lease: HeldLease) -> None:
    carry(lease)
    long = Tuple.parse({"user": "user:ann", "relation": "owner", "object": f"document:{'x' * 255}"})
    engine.write([long, t("document:1#owner@user:ann")])
    carry(lease)
    assert held() == ["document:1#owner@user:ann"]
    assert check()[0] == 1


def test_finds_and_repairs_what_differs(engine: Engine, lease: HeldLease) -> None:
    engine.write([t(f"document:{number}#owner@user:ann") for number in range(5)])
    engine.write([t("document:1#shared@user:ann", "older_than", limit=18)])
    carry(lease)
    server().push(deletes=[t("document:0#owner@user:ann"), t("document:1#shared@user:ann")])
    server().push(writes=[t("document:7#owner@user:eve"), t("document:1#shared@user:ann", "older_than", limit=3)])
    code, found = check()
    assert code == 1
    assert found["missing"] == ["document:0#owner@user:ann"]
    assert found["extra"] == ["document:7#owner@user:eve"]
    assert found["otherwise"] == ["document:1#shared@user:ann"]
    code, found = check("--repair")
    assert (code, found["repaired"], found["missing"], found["extra"]) == (0, 3, [], [])
    assert len(held()) == RelationTuple.objects.count() == 6


@pytest.mark.parametrize(("chosen", "why"), [("local", "PERMISSIONS_PROVIDER"), ("openfga", "does a relay run")])
def test_says_that_nothing_was_carried_yet(engine: Engine, settings: Any, chosen: str, why: str) -> None:
    settings.PERMISSIONS_PROVIDER = chosen
    with pytest.raises(CommandError, match=f"Nothing was carried.*{why}") as caught:
        call_command("openfga_check")
    assert caught.value.returncode == 2


def test_answers_over_http_by_the_server_and_of_now_by_postgresql(lease: HeldLease, api: Any, staff: Any) -> None:
    over_http.engine()  # the product's own model, and some types beside it: the server takes all of it
    client = api(staff)
    carry(lease)
    asked = over_http.key("user:only-there")
    server().push(writes=[Tuple.parse(asked)])
    assert client.post("/api/v1/permissions/check", asked).json() == {"allowed": True}
    of_now = {**asked, "consistency": "higher"}
    assert client.post("/api/v1/permissions/check", of_now).json() == {"allowed": False}


def test_asks_the_server_who_may_do_what_in_the_product(lease: HeldLease, owner: Any, organization: Any) -> None:
    carry(lease)
    place = f"organization:{organization.pk}"
    question = (f"user:{owner.pk}", "owner", place)
    assert asking.check(*question)
    server().push(deletes=[Tuple.parse({"user": question[0], "relation": "owner", "object": place})])
    assert not asking.check(*question), "the server was asked"
    assert asking.check(*question, consistency="higher")
    with transaction.atomic():
        assert asking.check(*question)


def test_keeps_no_answer_of_the_server(engine: Engine, lease: HeldLease) -> None:
    carry(lease)
    opened = providers.get().open(carrying.STORE)
    question = ("user:ann", "viewer", "document:1")
    engine.write([t("document:1#owner@user:ann")])
    assert not cache.checked(opened, *question), "not carried yet"  # type: ignore[arg-type]
    carry(lease)
    assert cache.checked(opened, *question)  # type: ignore[arg-type]
