"""The jobs of the assistant."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ai.selectors import questions as selectors
from ai.services import help_pages, questions, retention
from core import clock
from core.actor import SYSTEM
from core.jobs import JobRun, job


@job("ai.give_up_lost")
def give_up_lost(run: JobRun) -> dict[str, Any]:
    """End the questions whose answer was lost, or whose stream nobody opened."""
    found = list(selectors.abandoned(clock.now())[:200])
    for question in found:
        questions.give_up(actor=SYSTEM, question=question, now=run.now)
    return {"questions": len(found)}


@job("ai.publish_help_pages")
def publish_help_pages(run: JobRun) -> dict[str, Any]:
    """Bring the help pages in line with docs/ of this version."""
    return asdict(help_pages.publish(actor=SYSTEM, now=run.now))


@job("ai.forget_old_questions")
def forget_old_questions(run: JobRun) -> dict[str, Any]:
    """Delete what was asked too long ago."""
    return {"forgotten": retention.forget(now=run.now)}
