"""The figures of jobs, breakers and health that are read at the scrape."""

from __future__ import annotations

from django.db.models import Count, Min

from core import clock, outside
from core.models import Job, JobState
from core.telemetry.metrics import business_gauge


def _queue_depth() -> dict[str, float]:
    states = (JobState.QUEUED, JobState.RUNNING, JobState.DEAD)
    found = Job.objects.filter(state__in=states).values_list("state").annotate(number=Count("id"))
    return {str(state): 0.0 for state in states} | {state: float(number) for state, number in found}


def _oldest_due_seconds() -> float:
    now = clock.now()
    due = Job.objects.filter(state=JobState.QUEUED, run_at__lte=now).aggregate(oldest=Min("run_at"))["oldest"]
    return (now - due).total_seconds() if due else 0.0


def _breakers() -> dict[str, float]:
    value = {"closed": 0.0, "half_open": 1.0, "open": 2.0}
    return {name: value[known.breaker.state()] for name, known in list(outside.providers.items())}


def register() -> None:
    """Register them; called once, when the apps are ready."""
    business_gauge("job_queue_depth", "Jobs not done, by state.", _queue_depth, label="state")
    business_gauge("job_queue_oldest_age_seconds", "How long the oldest due job has waited.", _oldest_due_seconds)
    business_gauge("circuit_breaker_state", "0 closed, 1 half open, 2 open.", _breakers, label="provider")
