"""Random commands at random moments: no subscription leaves the table, and the database agrees with it."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from billing.errors import NothingToChange
from billing.models import Invoice, Price, Subscription
from billing.services import lifecycle, renewals, subscriptions
from billing.services.beginnings import Line
from billing.states import PUBLIC_COMMANDS, Status, allowed_commands, pairs
from core.actor import SYSTEM
from core.errors import InvalidTransition
from tests.billing import factories

COMMANDS = sorted(PUBLIC_COMMANDS)
STEPS = ["activate", "mark_past_due", "mark_unpaid", "expire_incomplete", "start"]


class Machine(RuleBasedStateMachine):
    """One subscription, its clock, and whoever commands it."""

    prices: list[Price]
    row: Subscription
    now: datetime

    @initialize(trial=st.integers(0, 20), ahead=st.integers(0, 3))
    def begin(self, trial: int, ahead: int) -> None:
        self.now = factories.NOW
        self.prices = [factories.price(amount_minor=100), factories.price(amount_minor=900, interval="year")]
        self.row = subscriptions.create(
            actor=SYSTEM,
            customer=factories.customer(),
            lines=[Line(self.prices[0])],
            trial_days=trial,
            starts_at=self.now + timedelta(days=ahead) if ahead else None,
            now=self.now,
        )

    @rule(days=st.integers(0, 45), hours=st.integers(0, 23))
    def time_passes(self, days: int, hours: int) -> None:
        self.now += timedelta(days=days, hours=hours)
        for _ in range(3):
            end = self.row.current_period_end
            renewals.renew(actor=SYSTEM, subscription=self.row, period_end=end, now=self.now)
            self.row.refresh_from_db()

    @rule(command=st.sampled_from(COMMANDS), choice=st.integers(0, 1))
    def somebody_asks(self, command: str, choice: int) -> None:
        self.now += timedelta(seconds=1)
        was, allowed = self.row.status, allowed_commands(self.row)
        if command in allowed:
            with suppress(NothingToChange):
                self._ask(command, choice)
        else:
            with pytest.raises(InvalidTransition) as caught:
                self._ask(command, choice)
            assert caught.value.extra["allowed_commands"] == allowed
        self._look(was)

    @rule(step=st.sampled_from(STEPS))
    def something_happens(self, step: str) -> None:
        was = self.row.status
        with suppress(InvalidTransition), transaction.atomic():
            getattr(lifecycle, step)(actor=SYSTEM, subscription=self.row, now=self.now)
        self._look(was)

    @rule(status=st.sampled_from(list(Status)))
    def somebody_writes_the_status(self, status: Status) -> None:
        was = self.row.status
        rows = Subscription.objects.filter(pk=self.row.pk)
        fault = ""
        try:
            with transaction.atomic():
                rows.update(status=status)
                transaction.set_rollback(True)
        except IntegrityError as error:
            fault = str(error)
        # The trigger says no where the table does; else at most an end would be without its date.
        assert ("no command leads from" in fault) == (status != was and (was, str(status)) not in pairs())
        assert not fault or "no command leads from" in fault or "billing_subscription_ended" in fault

    def _ask(self, command: str, choice: int) -> None:
        common: dict[str, Any] = {"actor": SYSTEM, "subscription": self.row, "now": self.now}
        with transaction.atomic():
            if command in ("cancel", "cancel_at_period_end"):
                subscriptions.cancel(**common, at_period_end=command != "cancel")
            elif command == "change_plan":
                subscriptions.change_plan(**common, price=self.prices[choice])
            elif command == "suspend":
                subscriptions.suspend(**common, reason="?")
            else:
                getattr(subscriptions, command)(**common)

    def _look(self, was: str) -> None:
        self.row.refresh_from_db()
        assert self.row.status == was or (was, self.row.status) in pairs()

    @invariant()
    def stands_in_one_piece(self) -> None:
        if not hasattr(self, "row"):
            return
        assert self.row.current_period_start < self.row.current_period_end
        assert (self.row.ended_at is None) == (self.row.status not in ("canceled", "incomplete_expired"))
        assert not (self.row.cancel_at_period_end and self.row.status == "canceled")
        starts = Invoice.objects.filter(lines__subscription=self.row).values_list("lines__period_start", flat=True)
        assert len(starts) == len(set(starts))


@pytest.mark.django_db
def test_never_leaves_the_table() -> None:
    def fresh() -> Machine:
        return Machine()

    run_state_machine_as_test(
        fresh,
        settings=settings(
            max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
