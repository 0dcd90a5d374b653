"""The side of `manage.py bench streams` that works inside the product: makes people, issues tickets, tells news.

`{"do": "people", "count": 200}` makes people with a session each, and an access token of the first;
`{"do": "tickets", "first": 0, "count": 20, "each": 10}` issues tickets for some of them and answers their addresses;
`{"do": "tell", "person": 7}` tells one of them something and answers when it was committed (monotonic seconds).
"""

from __future__ import annotations

import sys
import time
from typing import Any
from uuid import UUID

from project.benchmarks.worker import serve

_people: list[tuple[Any, UUID]] = []


def people(count: int) -> dict[str, Any]:
    from datetime import timedelta

    from django.db import transaction

    from accounts.models import Session, User
    from accounts.services import sessions
    from core import clock

    now = clock.now()
    made = [User(email=f"reader-{number}@example.com", is_active=True) for number in range(count)]
    User.objects.bulk_create(made)
    rows = [Session(user=user, last_used_at=now, expires_at=now + timedelta(days=1)) for user in made]
    Session.objects.bulk_create(rows)
    _people.extend(zip(made, (row.pk for row in rows), strict=True))
    with transaction.atomic():
        token = sessions.issue(user=made[0], now=now).access_token
    return {"token": token}


def tickets(first: int, count: int, each: int) -> dict[str, Any]:
    from accounts.actors import actor_of_user
    from core.streams.tickets import issue

    chosen = [one for one in _people[first : first + count] for _ in range(each)]
    return {"urls": [issue(stream="notifications", actor=actor_of_user(*one)).url for one in chosen]}


def tell(person: int) -> dict[str, Any]:
    from core.actor import SYSTEM
    from core.ids import new_id
    from notifications.services import inbox

    inbox.tell(
        actor=SYSTEM,
        person=_people[person][0],
        kind="members",
        subject="Something happened",
        text="This is what happened, in a line or two.",
        unique=new_id().hex,
    )
    return {"at": time.monotonic()}


if __name__ == "__main__":
    serve(sys.argv[1], {"people": people, "tickets": tickets, "tell": tell})
