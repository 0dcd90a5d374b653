"""Fills and empties teams until it is killed: `python -m tests.faults.team_writer <organisation's id>`.

For each line on its input it forks a process that writes (the product is loaded once). That one says its number once it
has begun.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from typing import NoReturn

import django


def main(organization_id: str) -> None:
    django.setup()
    from django.db import connections

    import accounts.services.teams  # noqa: F401 - what is loaded here is not loaded by each child
    from accounts.permissions import asking

    asking.engine()
    connections.close_all()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        if os.fork() == 0:
            write(organization_id, random.Random(int(line)))


def write(organization_id: str, chance: random.Random) -> NoReturn:
    """Each step is a command of its own, or several that commit together, or are taken back together."""
    from django.db import transaction

    from accounts.models import Organization, Team, TeamMember, User
    from accounts.services import teams
    from core.actor import SYSTEM

    organization = Organization.objects.get(pk=organization_id)
    people = list(User.objects.filter(memberships__organization=organization))

    def step() -> None:
        found = Team.objects.filter(organization=organization)
        if found.count() < 3:
            teams.create(actor=SYSTEM, organization=organization, name=f"team {chance.random()}")
            return
        team, member = chance.choice(found), chance.choice(people)
        row = TeamMember.objects.filter(team=team, user=member).first()
        if chance.random() < 0.05:
            teams.delete(actor=SYSTEM, team=team)
        elif row is None:
            teams.add_member(actor=SYSTEM, team=team, member=member)
        else:
            teams.remove_member(actor=SYSTEM, member=row)

    step()
    sys.stdout.write(f"{os.getpid()}\n")
    sys.stdout.flush()
    while True:
        with transaction.atomic():
            for _ in range(chance.choice((1, 1, 1, 4))):
                step()
            transaction.set_rollback(chance.random() < 0.1)


if __name__ == "__main__":
    main(sys.argv[1])
