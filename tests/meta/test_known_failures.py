"""What went wrong elsewhere, and the test that keeps it from happening here.

`BUILT` maps each known failure that belongs to a part that stands to the tests of the right answer; `LATER` names the
part with which the others come. A case moves up when its part is built.
"""

from __future__ import annotations

import ast
from functools import cache

import pytest

from tests.support.processes import ROOT

BUILT: dict[str, list[str]] = {
    "a provider's rejection is shown with HTML entities and its own jargon": [
        "tests/billing/test_money_api.py::test_shows_what_the_provider_said_as_plain_text_in_a_field_of_its_own",
        "tests/billing/test_payments.py::test_keeps_a_decline_with_its_code",
        "tests/ai/test_gemini.py::test_shows_a_rejection_as_plain_text_in_a_field_of_its_own",
        "tests/ai/test_gemini.py::test_shows_a_rejection_as_plain_text_in_a_field_of_its_own",
    ],
    "an error after the reply was sent makes a second reply": [
        "tests/core/test_problems.py::test_tells_a_crash_in_one_reply_and_one_line",
        "tests/core/test_problems.py::test_tells_a_crash_of_the_frame_in_one_reply_and_one_line",
        "tests/ai/test_stream.py::test_ends_with_the_problem_and_keeps_it",
    ],
    "a suspended subscription is called cancelled": [
        "tests/billing/test_subscription_api.py::test_names_a_suspended_subscription_suspended",
        "tests/billing/test_states.py::test_names_a_suspended_subscription_suspended",
        "tests/billing/test_states.py::test_lets_a_cancelled_subscription_only_be_reactivated",
    ],
    "a provider answers in a shape that is not expected": [
        "tests/core/test_outside.py::test_turns_an_answer_of_unknown_shape_into_a_clear_error",
        "tests/billing/test_money_api.py::test_says_502_when_the_provider_speaks_of_something_else",
        "tests/ai/test_gemini.py::test_says_502_to_every_shape_that_was_not_expected",
        "tests/ai/test_gemini.py::test_says_502_to_a_page_in_place_of_json",
        "tests/ai/test_api.py::test_says_502_with_a_code_to_an_answer_of_unknown_shape",
        "tests/ai/test_gemini.py::test_says_502_to_every_shape_that_was_not_expected",
        "tests/ai/test_api.py::test_says_502_with_a_code_to_an_answer_of_unknown_shape",
    ],
    "a body is empty or of another shape": [
        "tests/core/test_problems.py::test_refuses_a_body_that_is_no_object",
        "tests/core/test_problems.py::test_points_at_every_fault_of_the_body",
        "tests/billing/test_subscription_api.py::test_points_at_a_list_that_is_missing_or_no_list",
    ],
    "an invalid token is answered with 403": [
        "tests/accounts/test_sessions.py::test_refuses_every_token_that_is_not_exactly_ours",
        "tests/accounts/test_sessions.py::test_tells_nobody_in_by_401_and_a_challenge",
        "tests/accounts/test_api_keys.py::test_refuses_a_made_up_key",
    ],
    "a scheduled run outlasts its lock and runs twice": [
        "tests/core/test_jobs.py::test_writes_nothing_once_another_worker_has_the_job",
        "tests/core/test_jobs.py::test_tells_a_worker_that_lost_its_lease_at_the_next_progress",
        "tests/core/test_relay.py::test_keeps_the_next_one_out_until_what_is_written_has_committed",
        "tests/core/test_relay.py::test_make_the_job_once_also_when_the_moment_is_taken_twice",
        "tests/audit/test_sealing.py::test_refuses_to_seal_without_the_lease",
        "tests/notifications/webhooks/test_webhook_dispatch.py::test_writes_nothing_for_a_job_that_has_been_replaced",
        "tests/admin/test_exports.py::test_leaves_no_file_when_another_worker_has_the_job",
        "tests/faults/test_export_killed.py::test_ends_with_one_file_and_one_event_when_the_worker_dies_in_the_middle",
    ],
    "a password with <b> in it is changed before it is kept": [
        "tests/accounts/test_sign_up.py::test_takes_a_password_as_typed",
    ],
    "a cached reply has other fields, or another's data": [
        "tests/core/test_cache.py::test_asks_once_and_answers_the_same_bytes_ever_after",
        "tests/core/test_cache.py::test_never_answers_one_what_another_asked",
    ],
    "one product is updated and a thousand keys are scanned and dropped": [
        "tests/core/test_cache.py::test_forgets_one_object_and_its_lists_and_nothing_else",
    ],
    "a revoked token works for days once the cache is flushed": [
        "tests/faults/test_tokens_at_once.py::test_have_one_successor_and_die_with_their_family",
        "tests/accounts/test_sessions.py::test_signs_out_at_once",
        "tests/accounts/test_api_keys.py::test_stops_at_once_when_revoked_also_after_a_flush",
    ],
    "a job's payload is shown to anyone, and gone on completion": [
        "tests/core/test_jobs_api.py::test_tells_its_owner_how_it_goes",
        "tests/core/test_jobs_api.py::test_hides_it_from_everybody_else",
        "tests/core/test_jobs_api.py::test_shows_its_owner_the_problem_and_not_the_exception",
    ],
    "ten processes at a window's edge let ten times the limit through": [
        "tests/core/test_limits.py::test_is_one_for_ten_processes",
        "tests/core/test_limits.py::test_slides_and_gives_one_place_back_after_an_interval",
    ],
    "a live stream is asked for with another's id": [
        "tests/notifications/test_stream.py::test_is_refused_with_the_id_of_another",
        "tests/notifications/test_stream.py::test_is_refused_at_the_door_with_the_id_of_another",
        "tests/notifications/test_stream.py::test_keeps_to_its_reader",
    ],
    "a tuple is written that exists, or deleted that does not": [
        "tests/accounts/permissions/test_http_tuples.py::test_says_what_became_of_each_in_the_order_of_the_request",
        "tests/accounts/permissions/test_http_tuples.py::test_refuses_what_is_there_or_not_there_when_asked_to_and_says_which",
        "tests/accounts/permissions/test_http_tuples.py::test_refuses_the_same_twice_in_one_request_when_asked_to",
    ],
    "a subject type that the model does not allow": [
        "tests/accounts/permissions/test_http_tuples.py::test_names_the_types_that_are_allowed_in_place_of_one_that_is_not",
        "tests/accounts/permissions/test_http_tuples.py::test_fills_in_the_type_of_a_subject_when_exactly_one_fits",
    ],
    "a type that is undefined, a body without its list of tuples": [
        "tests/accounts/permissions/test_http_tuples.py::test_refuses_what_a_program_writes_for_nothing_and_names_the_types",
        "tests/accounts/permissions/test_http_tuples.py::test_refuses_a_body_without_its_list_or_with_one_of_other_shape",
        "tests/accounts/permissions/test_http_tuples.py::test_answers_once_and_writes_nothing_when_something_breaks",
    ],
    "the OpenFGA address shows another's certificate": [
        "tests/accounts/permissions/test_openfga_address.py::"
        "test_names_the_setting_of_an_address_with_anothers_certificate",
        "tests/accounts/permissions/test_openfga_address.py::"
        "test_names_the_setting_of_an_address_that_speaks_something_else",
        "tests/accounts/permissions/test_openfga_address.py::"
        "test_asks_a_real_server_over_tls_that_its_own_authority_vouches_for",
    ],
}
LATER: dict[str, str] = {
    "a pipeline or index is created that exists": "the pipelines of Elasticsearch",
    "a pipeline is named that does not exist": "the pipelines of Elasticsearch",
    "a document is empty or missing": "the routes that write documents",
    "_id or _index inside one document of a batch": "the routes that write documents",
    "bulk: all items fail": "the routes that write documents",
    "bulk through a pipeline answers nothing": "the pipelines of Elasticsearch",
    "a large list is streamed": "the export of the event log",
    "a file named ../../x is uploaded": "files",
}
CASES_OF_THE_TABLE = 25


@cache
def names_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize("case", BUILT)
def test_cannot_happen_here(case: str) -> None:
    assert BUILT[case]
    for test in BUILT[case]:
        file, _, name = test.partition("::")
        assert name in names_in(file), f"{test} is gone: which test shows the right answer now?"


def test_are_all_spoken_for() -> None:
    assert not set(BUILT) & set(LATER)
    assert len(BUILT) + len(LATER) >= CASES_OF_THE_TABLE
