"""Whatever two connections write, take back and commit in whatever order: what is kept is what the engine answers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import hypothesis.strategies as st
import pytest
from django.db import connection, transaction
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from accounts.permissions import cache, revision
from accounts.permissions.engine import Engine, save_model
from accounts.permissions.language import parse
from accounts.permissions.models import PermissionModel, PermissionStore
from accounts.permissions.tuples import Tuple
from core.ids import new_id

pytestmark = pytest.mark.django_db(transaction=True)

R = TypeVar("R")

MODEL = parse("""model
  schema 1.1
type user
type team
  relations
    define member: [user]
type project
  relations
    define banned: [user]
    define viewer: [user, team#member] but not banned
""")

USERS = [f"user:{name}" for name in ("ann", "bob")]
QUESTIONS = [(user, "viewer", f"project:{number}") for user in USERS for number in range(2)]


def one(target: str, relation: str, user: str) -> Tuple:
    return Tuple.parse({"object": target, "relation": relation, "user": user})


# Each connection has tuples of its own, so that neither waits for the other; the answers follow from those of both.
OF = [
    [one("team:1", "member", user) for user in USERS] + [one("project:0", "banned", user) for user in USERS],
    [one(f"project:{number}", "viewer", who) for number in range(2) for who in ("team:1#member", *USERS)],
]

connections = st.integers(0, 1)
places = st.integers(0, len(QUESTIONS) - 1)


class Kept(RuleBasedStateMachine):
    """Two threads with a connection each, which take turns. Nothing is looked up anew for being old: only commits make
    what is kept give way, so that one that was not noticed shows."""

    def __init__(self) -> None:
        super().__init__()
        self.threads = [ThreadPoolExecutor(1), ThreadPoolExecutor(1)]
        self.open: list[list[Any]] = [[], []]
        self.store = self.on(0, lambda: PermissionStore.objects.create(name=f"kept {new_id()}"))
        self.engine: Engine = self.on(0, lambda: save_model(self.store, MODEL))

    def on(self, number: int, work: Callable[[], R]) -> R:
        return self.threads[number].submit(work).result(30)

    @rule(number=connections)
    def begin(self, number: int) -> None:
        if len(self.open[number]) < 3:
            block = transaction.atomic()
            self.on(number, block.__enter__)
            self.open[number].append(block)

    @rule(number=connections, is_kept=st.booleans())
    def end(self, number: int, is_kept: bool) -> None:
        if self.open[number]:
            self.on(number, lambda: self._leave(self.open[number].pop(), is_kept))

    def _leave(self, block: Any, is_kept: bool) -> None:
        if not is_kept:
            transaction.set_rollback(True)
        block.__exit__(None, None, None)

    @rule(number=connections, place=st.integers(0, 5), is_written=st.booleans())
    def write(self, number: int, place: int, is_written: bool) -> None:
        own = [OF[number][place % len(OF[number])]]
        self.on(number, lambda: self.engine.write(own) if is_written else self.engine.delete(own))

    @rule(number=connections)
    def change_model(self, number: int) -> None:
        self.on(number, lambda: save_model(self.store, MODEL))

    @rule(number=connections, place=places)
    def check(self, number: int, place: int) -> None:
        def both() -> tuple[bool, bool]:
            return cache.checked(self.engine, *QUESTIONS[place]), self.engine.check(*QUESTIONS[place])

        kept, answer = self.on(number, both)
        assert kept == answer

    @rule(number=connections)
    def check_all(self, number: int) -> None:
        def both() -> tuple[Any, Any]:
            return cache.checked_many(self.engine, QUESTIONS), self.engine.check_many(QUESTIONS)

        kept, answer = self.on(number, both)
        assert kept == answer

    @rule(number=connections, user=st.sampled_from(USERS))
    def list(self, number: int, user: str) -> None:
        def both() -> tuple[Any, Any]:
            asked = user, "viewer", "project"
            return cache.objects(self.engine, *asked), tuple(self.engine.list_objects(*asked))

        kept, answer = self.on(number, both)
        assert kept == answer

    @rule(number=connections)
    def ask_for_the_newest_model(self, number: int) -> None:
        def both() -> tuple[Any, Any]:
            newest = PermissionModel.objects.filter(store=self.store).latest("id").pk
            return revision.newest_model_id(self.store.name), newest

        kept, answer = self.on(number, both)
        assert kept == answer

    @invariant()
    def passes_by_only_in_a_transaction(self) -> None:
        for number in range(2):
            assert self.open[number] or not self.on(number, revision.is_written)

    def teardown(self) -> None:
        for number in range(2):
            while self.open[number]:
                self.end(number, is_kept=False)
            self.on(number, lambda: connection.close())
            self.threads[number].shutdown()


def test_keeps_nothing_that_the_engine_would_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revision, "RECHECK_SECONDS", 1e9)
    run_state_machine_as_test(Kept, settings=settings(max_examples=60, stateful_step_count=40, deadline=None))
