"""What a generator of valid requests cannot know: who asks, which ids there are, and what only we can sign.

SCHEMATHESIS_EMAIL, SCHEMATHESIS_PASSWORD   who signs in, and again when the session has ended (nobody when unset)
SCHEMATHESIS_IDS                            real ids, separated by commas: half of the valid requests name them
"""

from __future__ import annotations

import os
import random
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import requests
import schemathesis
from schemathesis import GenerationMode

EMAIL, PASSWORD = os.environ.get("SCHEMATHESIS_EMAIL", ""), os.environ.get("SCHEMATHESIS_PASSWORD", "")
UNKNOWABLE = {"x-organization", "if-match"}
TOKEN_LIFE = 600.0  # seconds; it holds for 900

IDS: dict[str, list[str]] = defaultdict(list)
for public_id in filter(None, os.environ.get("SCHEMATHESIS_IDS", "").split(",")):
    IDS[public_id.partition("_")[0]].append(public_id)


class SignedIn:
    """The access token of one person, fetched anew when it grows old or its session was ended by what is tested."""

    token, fetched_at = "", 0.0

    def get(self, case: Any, context: Any) -> str:
        if not SignedIn.token or time.monotonic() - SignedIn.fetched_at > TOKEN_LIFE:
            reply = requests.post(
                f"{case.operation.base_url.rstrip('/')}/api/v1/auth/login",
                json={"email": EMAIL, "password": PASSWORD},
                timeout=30,
            )
            reply.raise_for_status()
            SignedIn.token, SignedIn.fetched_at = reply.json()["access_token"], time.monotonic()
        return SignedIn.token

    def set(self, case: Any, data: str, context: Any) -> None:
        case.headers["Authorization"] = f"Bearer {data}"


if EMAIL:
    schemathesis.auth(refresh_interval=None)(SignedIn)


@schemathesis.hook
def map_case(context: Any, case: Any) -> Any:
    """Let half of the valid requests name what there is."""
    if not _is_valid(case):
        return case
    chance = random.Random(repr((case.path_parameters, case.query, case.body)))
    if chance.random() < 0.5:
        case.path_parameters = _named(case.path_parameters, chance.choice)
        case.query = _named(case.query, chance.choice)
        case.body = _named(case.body, chance.choice)
    return case


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Leave what is ours to sign or to count out of requests that are meant to be valid, and act in one organisation:
    who founds others on the way would otherwise act in none."""
    if not _is_valid(case):
        return
    case.query.pop("cursor", None)
    for name in [name for name in case.headers if name.lower() in UNKNOWABLE]:
        case.headers.pop(name)
    if EMAIL and IDS["org"] and case.headers.get("Authorization"):
        case.headers["X-Organization"] = IDS["org"][0]


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Sign in again after what ends sessions."""
    ends = case.operation.path.startswith("/api/v1/auth/") and case.method.upper() != "GET"
    if ends and response.status_code < 300:
        SignedIn.token = ""


def _is_valid(case: Any) -> bool:
    return case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE


def _named(value: Any, choose: Callable[[list[str]], str]) -> Any:
    """Return `value` with each public id replaced by one of the same kind that exists."""
    if isinstance(value, dict):
        return {name: _named(inner, choose) for name, inner in value.items()}
    if isinstance(value, list):
        return [_named(inner, choose) for inner in value]
    if isinstance(value, str):
        known = IDS.get(value.partition("_")[0]) if "_" in value else None
        return choose(known) if known else value
    return value


# A fault of a value whose form is right. No schema can say it, so a request with it may be refused with 400.
UNSAYABLE = {
    "does_not_exist": "an id of the right form that names nothing",
    "not_of_customer": "a payment method of somebody else",
    "staff_only": "a member that only staff may send",
    "needs_amount": "one member asks for another (OpenAPI 3.0 has no dependentRequired)",
    "needs_currency": "the same",
    "needs_scopes": "the same",
    "needs_role": "the same",
    "not_allowed": "one member shuts another out",
    "choose_one": "may be left out while there is only one",
    "duplicate": "two items with the same price",
    "taken": "somebody else has it",
    "unstorable_character": "NUL, in any text",
    "blank": "a text of nothing but white space",
    "unknown_scope": "scopes come with the permissions",
    "unknown_permission": "so do the permissions of custom roles",
    "not_shareable": "not every kind of thing is shared one by one",
    "in_the_past": "a moment that has to lie ahead",
    "in_the_future": "a moment that has to lie behind",
    "invalid_url": "an address is more than a pattern",
    "too_long": "all members together",
    "password_too_short": "passwords are judged together with name and address",
    "password_too_similar": "the same",
    "password_too_common": "the same",
    "password_entirely_numeric": "the same",
    "invalid_mail_token": "only we can sign it",
    "invalid_cursor": "the same, in a body",
    "too_deep": "OpenAPI has no depth of nesting",
    "out_of_range": "a number deep inside of what may be anything",
}


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Keep a refusal of a valid request as a finding unless each of its reasons is one that no schema can say, and an
    accepted invalid request unless nothing in it is invalid (an optional body that was left out)."""
    if failure.code == "ST201":
        return case.meta is None or case.meta.phase.data.description != "Positive test case"
    if failure.code != "ST202" or response.status_code != 400:
        return True
    problem = response.json()
    if "openfga_code" in problem:
        return False  # what a permission model has and allows no schema can say
    codes = [fault["code"] for fault in problem.get("errors", [])] or [problem["code"]]
    return not set(codes) <= set(UNSAYABLE)
