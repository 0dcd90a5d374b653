"""Lists of teams, custom roles, service accounts and shares cost the same for five rows and for fifty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import CustomRole, Organization, RoleAssignment, ServiceAccount, Share, Team, TeamMember, User
from core.ids import new_id

pytestmark = pytest.mark.django_db


@pytest.fixture
def people(db: None) -> list[User]:
    return User.objects.bulk_create(User(email=f"p{place}@example.com") for place in range(50))


@pytest.fixture
def paths(organization: Organization, people: list[User]) -> dict[str, tuple[str, Callable[[range], Any]]]:
    base = f"/api/v1/organizations/{organization.public_id}"
    team = Team.objects.create(organization=organization, name="One")
    role = CustomRole.objects.create(organization=organization, name="One", permissions=["accounts.team.view"])
    rows: dict[str, tuple[str, Callable[[int], Any]]] = {
        "teams": (f"{base}/teams", lambda at: Team(organization=organization, name=f"T{at}")),
        "members": (f"/api/v1/teams/{team.public_id}/members", lambda at: TeamMember(team=team, user=people[at])),
        "roles": (
            f"{base}/roles",
            lambda at: CustomRole(organization=organization, name=f"R{at}", permissions=["accounts.team.view"]),
        ),
        "assignees": (
            f"/api/v1/roles/{role.public_id}/assignees",
            lambda at: RoleAssignment(role=role, user=people[at]),
        ),
        "service accounts": (
            f"{base}/service-accounts",
            lambda at: ServiceAccount(organization=organization, name=f"S{at}"),
        ),
        "shares": (
            "/api/v1/shares",
            lambda at: Share(
                organization=organization, object_type="invoice", object_id=new_id(), user=people[at % 50]
            ),
        ),
    }

    def filler(make: Callable[[int], Any]) -> Callable[[range], Any]:
        def fill(places: range) -> None:
            made = [make(at) for at in places]
            type(made[0])._default_manager.bulk_create(made)

        return fill

    return {name: (path, filler(make)) for name, (path, make) in rows.items()}


@pytest.mark.parametrize("name", ["teams", "members", "roles", "assignees", "service accounts", "shares"])
def test_asks_as_little_for_fifty_as_for_five(api, owner, paths, name):
    client, (path, fill) = api(owner), paths[name]
    counts = []
    for places in (range(5), range(5, 50)):
        fill(places)
        client.get(path)
        with CaptureQueriesContext(connection) as queries:
            shown = client.get(f"{path}?limit=100").json()["data"]
        counts.append((len(shown) >= places.stop, len(queries)))
    assert counts[0] == counts[1] == (True, counts[0][1])
    assert counts[0][1] <= 6, [query["sql"] for query in queries.captured_queries]
