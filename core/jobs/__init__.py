"""Work still to be done: written in a transaction, run by Celery, never lost.

@job("billing.renew_subscription", max_attempts=3, backoff=2.0, time_limit=300)
def renew(run: JobRun) -> dict[str, Any] | None: ...

jobs.enqueue("billing.renew_subscription", {"subscription": str(id)}, actor=actor, unique_key="renew:…")
"""

from __future__ import annotations

from core.jobs.queue import enqueue, enqueue_many
from core.jobs.registry import JobRun, Priority, job, kinds
from core.jobs.runner import drain, run_inline

__all__ = ["JobRun", "Priority", "drain", "enqueue", "enqueue_many", "job", "kinds", "run_inline"]
