"""The transition table: what it allows, what errors say, and that the database agrees."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.db import connection

from billing.states import PUBLIC_COMMANDS, TRANSITIONS, TRIGGER, Access, Status, allowed_commands, target
from core.errors import InvalidTransition


@dataclass
class Row:
    status: str = Status.ACTIVE
    access: str = Access.GRANTED
    cancel_at_period_end: bool = False


def test_lets_a_cancelled_subscription_only_be_reactivated() -> None:
    assert allowed_commands(Row(Status.CANCELED)) == ["reactivate"]
    assert allowed_commands(Row(Status.CANCELED, Access.SUSPENDED)) == ["reactivate"]


@pytest.mark.parametrize("command", sorted(PUBLIC_COMMANDS - {"reactivate"}))
def test_names_a_cancelled_subscription_cancelled(command: str) -> None:
    with pytest.raises(InvalidTransition) as caught:
        target(Row(Status.CANCELED), command)
    assert caught.value.extra["current_status"] == "canceled"
    assert caught.value.extra["allowed_commands"] == ["reactivate"]
    assert caught.value.extra["command"] == command


@pytest.mark.parametrize("command", ["change_plan", "pause", "reactivate", "suspend"])
def test_names_a_suspended_subscription_suspended(command: str) -> None:
    with pytest.raises(InvalidTransition) as caught:
        target(Row(Status.ACTIVE, Access.SUSPENDED), command)
    error = caught.value
    assert error.extra["current_status"] == "suspended"
    assert error.extra["subscription_status"] == "active"
    assert error.extra["access"] == "suspended"
    assert error.extra["allowed_commands"] == ["cancel", "cancel_at_period_end", "unsuspend"]
    assert "cancel" not in error.detail.split("Allowed")[0]


def test_refuses_a_second_cancellation_at_the_period_end() -> None:
    row = Row(cancel_at_period_end=True)
    with pytest.raises(InvalidTransition):
        target(row, "cancel_at_period_end")
    assert "undo_cancel" in allowed_commands(row)


def test_ends_nothing_twice() -> None:
    assert allowed_commands(Row(Status.INCOMPLETE_EXPIRED)) == []


@pytest.mark.parametrize("command", sorted(TRANSITIONS))
@pytest.mark.parametrize("status", list(Status))
def test_goes_where_the_table_says_or_raises(command: str, status: Status) -> None:
    row = Row(status, Access.SUSPENDED if command == "unsuspend" else Access.GRANTED, command == "undo_cancel")
    if status in TRANSITIONS[command]:
        assert target(row, command) == TRANSITIONS[command][status]
    else:
        with pytest.raises(InvalidTransition):
            target(row, command)


@pytest.mark.django_db
def test_stands_in_the_database_as_it_stands_here() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = %s", [TRIGGER.function])
        (source,) = cursor.fetchone()
    body = TRIGGER.function_sql().split("$$")[1]
    assert source == body, "billing/states.py changed: write a migration with Trigger().function_sql()"
