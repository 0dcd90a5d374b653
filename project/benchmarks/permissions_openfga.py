"""The questions of `bench permissions` on an OpenFGA server, about the same tuples; part of the worker."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from project.benchmarks.permissions_data import BUSY, MODEL, OPEN, Company
from project.benchmarks.stopwatch import median_of, median_when_warm

if TYPE_CHECKING:
    from accounts.permissions.providers.openfga_engine import ServerEngine

_WRITERS = 8


def load(address: str, company: Company) -> ServerEngine:
    """Write the company's tuples to a store of the server, 100 in a request."""
    from accounts.permissions.language import parse
    from accounts.permissions.providers.openfga import OpenFGAProvider
    from accounts.permissions.providers.openfga_http import Address, Server
    from accounts.permissions.tuples import Object, Subject, Tuple

    provider = OpenFGAProvider(Server(Address(address, timeout=100)))
    engine = provider.save_model(f"bench {company.documents}", parse(MODEL))
    rows = list(dict.fromkeys(company.tuples()))
    tuples = [
        Tuple(Object(kind, number), relation, Subject(of, subject, of_relation))
        for kind, number, relation, of, subject, of_relation in rows
    ]
    with ThreadPoolExecutor(_WRITERS) as pool:
        pieces = [tuples[start : start + 100] for start in range(0, len(tuples), 100)]
        for _ in pool.map(lambda piece: engine.push(writes=piece), pieces):
            pass
    return engine


def measure(engine: ServerEngine, company: Company, asked: tuple[list[str], list[str]]) -> dict[str, float]:
    """Return figures under the names of ours: milliseconds from Python and back."""
    checks = [(f"user:{subject}", "viewer", f"document:{target}") for target, subject in zip(*asked, strict=True)]
    small = f"user:{company.people // 2}"
    return {
        "check_with_round_trip_p50_ms": median_of(partial(engine.check, *check) for check in checks),
        "list_objects_many_ms": median_when_warm(partial(_objects, engine, f"user:{BUSY}", "editor")),
        "list_objects_ms": median_when_warm(partial(_objects, engine, small, "viewer")),
        "list_objects_but_not_ms": median_when_warm(partial(_objects, engine, small, "reader")),
        "list_users_ms": median_when_warm(partial(_users, engine, "viewer")),
        "list_users_but_not_ms": median_when_warm(partial(_users, engine, "reader")),
    }


def _objects(engine: ServerEngine, subject: str, relation: str) -> Sequence[object]:
    """The whole list: this server was started so that it cuts nothing off."""
    body = {"user": subject, "relation": relation, "type": "document", "authorization_model_id": engine.model_id}
    found: Sequence[object] = engine.server.post("list-objects", f"/stores/{engine.store_id}/list-objects", body)[
        "objects"
    ]
    return found


def _users(engine: ServerEngine, relation: str) -> Sequence[object]:
    body = {
        "object": {"type": "document", "id": OPEN},
        "relation": relation,
        "user_filters": [{"type": "user"}],
        "authorization_model_id": engine.model_id,
    }
    found: Sequence[object] = engine.server.post("list-users", f"/stores/{engine.store_id}/list-users", body)["users"]
    return found
