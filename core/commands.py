"""The one idea: every change to the business is one command, in one transaction, with one event.

    @command("billing.subscription.cancel")
    def cancel(*, actor: Actor, subscription: Subscription, reason: str, now: datetime) -> Subscription: ...

A view, an admin action, a task and a management command each translate in, call one such function, translate out.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from django.db import models, transaction

from core import context
from core.actor import ANONYMOUS, Actor
from core.errors import AppError, LimitReached
from core.events import EventType, Subject, record
from core.ids import new_id

P = ParamSpec("P")
R = TypeVar("R")

commands: dict[str, Callable[..., object]] = {}

COMMAND_REFUSED = EventType("core.command.refused", "*", "A command was refused.")


@dataclass(slots=True)
class Refusal:
    """What is to be recorded once the refused command has rolled back."""

    command: str
    command_id: object
    actor: Actor
    subject: models.Model | None
    is_recorded: bool = False


def command(name: str, *, is_durable: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a keyword-only function a command: `app.object.verb`.

    It runs in one transaction and all its events share a `command_id` (a command called by a command joins it). A
    durable command (`is_durable`) calls providers: it opens its transactions itself, and refuses to run inside another.
    An `AppError` leaves it with a `refusal`, which the edge records by `record_refusal` after the rollback.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            assert not args, f"{name} takes keyword arguments only"
            if is_durable and transaction.get_connection().in_atomic_block and not _in_test_case():
                raise RuntimeError(f"{name} calls a provider and must not run inside a transaction.")
            if context.current().command_id is not None:
                return _in_transaction(function, is_durable, kwargs)
            command_id = new_id()
            with context.changed(command_id=command_id):
                try:
                    return _in_transaction(function, is_durable, kwargs)
                except AppError as error:
                    actor, subject = kwargs.get("actor"), _subject(kwargs)
                    if not hasattr(error, "refusal"):
                        error.refusal = Refusal(  # type: ignore[attr-defined]
                            name, command_id, actor if isinstance(actor, Actor) else ANONYMOUS, subject
                        )
                    raise

        commands[name] = run
        run.command_name = name  # type: ignore[attr-defined]
        return run

    return decorate


def _in_transaction(function: Callable[..., R], is_durable: bool, kwargs: dict[str, object]) -> R:
    if is_durable:
        return function(**kwargs)
    with transaction.atomic():
        return function(**kwargs)


def _in_test_case() -> bool:
    """Django's TestCase wraps each test in a transaction that it marks itself."""
    return any(getattr(block, "_from_testcase", False) for block in transaction.get_connection().atomic_blocks)


def _subject(kwargs: dict[str, object]) -> models.Model | None:
    """The first row among the arguments is what the command was about."""
    return next((value for value in kwargs.values() if isinstance(value, models.Model)), None)


def record_refusal(error: AppError) -> None:
    """Record that a command was refused, in a transaction of its own. Safe to call twice; call it outside of any
    transaction that rolls back. Writes `core.command.refused` about the object that the command was given."""
    refusal: Refusal | None = getattr(error, "refusal", None)
    if refusal is None or refusal.is_recorded or isinstance(error, LimitReached):
        return  # what a limit turns away is counted by the limit: a flood must not become a flood of events
    refusal.is_recorded = True
    subject = refusal.subject or Subject("command", refusal.command_id)  # type: ignore[arg-type]
    data = {"command": refusal.command, "code": error.code, "status": error.status}
    for member in ("current_status", "allowed_commands", "permission"):
        if member in error.extra:
            data[member] = error.extra[member]
    with context.changed(command_id=refusal.command_id), transaction.atomic():
        record(COMMAND_REFUSED, actor=refusal.actor, subject=subject, data=data)
