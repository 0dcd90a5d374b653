"""A worker is killed with -9 while it writes an export: another one writes it, and there is one file."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from accounts.actors import actor_of_user
from accounts.models import User
from audit.models import Event
from billing.models import Customer
from core import clock
from core.exports import commands, files
from core.exports.listings import listing_of
from core.models import Export, Job
from tests.billing import factories
from tests.faults.house import eventually
from tests.support.processes import Processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

ROWS = 20_000


def test_ends_with_one_file_and_one_event_when_the_worker_dies_in_the_middle(processes: Processes, staff: User) -> None:
    entity = factories.entity()
    Customer.objects.bulk_create(
        Customer(name=f"Customer {number}", email="c@example.com", currency="USD", billing_entity=entity)
        for number in range(ROWS)
    )
    actor = actor_of_user(staff)
    listing = listing_of(actor=actor, name="billing.customer", query="")
    columns = [column.name for column in listing.columns]
    export = commands.request(
        actor=actor, listing=listing, columns=columns, file_format="csv", has_mark=False, key="once", now=clock.now()
    )
    worker = processes.worker()
    processes.relay()

    worker.wait_until(lambda: 0 < Job.objects.get(pk=export.job_id).progress_done < ROWS, "a part of the rows")
    worker.kill()
    job = Job.objects.get(pk=export.job_id)
    assert (job.state, job.attempts) == ("running", 1), "it was killed too late to prove anything"

    processes.worker()
    eventually(lambda: Export.objects.get().completed_at is not None, "the whole file", 180)
    eventually(lambda: Job.objects.get(pk=export.job_id).state == "succeeded", "the end of the job", 20)
    export.refresh_from_db()
    place = Path(files.storage().path(export.pk.hex))
    assert [path.name for path in place.iterdir()] == [export.file_key.split("/")[1]]
    assert Event.objects.filter(type="core.export.completed").count() == 1
    with files.opened(export) as content:
        rows = list(csv.reader(content.read().decode().splitlines()))
    assert len({row[6] for row in rows[1:]}) == len(rows) - 1 == export.rows == ROWS
