"""The one Celery task: it runs a job that is written in the database. A message delivered twice does nothing."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from core.jobs.publishing import TASK
from core.jobs.runner import run_inline


@shared_task(name=TASK)
def run_job(job_id: str) -> None:
    """Run one attempt of the job, if it is due and free."""
    run_inline(UUID(job_id))
