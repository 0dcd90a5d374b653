"""What may be spent in a day: reserved before a provider is asked, settled when its answer is known.

A row for each payer and day is the lock: of two questions at the same instant one waits for the other, and the last of
the budget is promised once.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F

from ai import telemetry
from ai.errors import BudgetReached
from ai.models import DailySpend, Question


def reserve(question: Question, *, micro: int, now: datetime) -> None:
    """Promise `micro` of today's budget (UTC) to the question (locked or new; the caller saves it), in the present
    transaction. Raises BudgetReached with the seconds until tomorrow."""
    question.reserved_micro, question.reserved_on = micro, now.date() if micro else None
    if not micro:
        return
    DailySpend.objects.bulk_create([DailySpend(payer=question.payer, day=now.date())], ignore_conflicts=True)
    row = DailySpend.objects.select_for_update().get(payer=question.payer, day=now.date())
    if row.spent_micro + row.reserved_micro + micro > settings.AI_DAILY_BUDGET:
        wait = _seconds_until_tomorrow(now)
        raise BudgetReached(
            "What may be spent on answers today is spent, or promised to questions under way.",
            headers={"Retry-After": str(wait)},
            retry_after=wait,
            budget_micro=settings.AI_DAILY_BUDGET,
            spent_micro=row.spent_micro,
            currency=settings.AI_CURRENCY,
        )
    DailySpend.objects.filter(pk=row.pk).update(reserved_micro=F("reserved_micro") + micro)


def settle(question: Question, *, micro: int) -> None:
    """Count `micro` as spent by the question (locked; the caller saves it), and take its promise back."""
    if question.reserved_on is not None:
        DailySpend.objects.filter(payer=question.payer, day=question.reserved_on).update(
            spent_micro=F("spent_micro") + micro, reserved_micro=F("reserved_micro") - question.reserved_micro
        )
    question.cost_micro += micro
    telemetry.COST.labels(question.provider, question.currency).inc(micro)
    question.reserved_micro, question.reserved_on = 0, None


def _seconds_until_tomorrow(now: datetime) -> int:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return max(1, int((midnight - now).total_seconds()))
