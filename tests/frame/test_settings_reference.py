"""What is generated from the table of variables, and the table itself."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from core.config import Environment
from project.settings.variables import VARIABLES


def test_the_written_references_are_up_to_date() -> None:
    call_command("reference", check=True)


def test_production_names_all_missing_secrets_at_once() -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        Environment.read(VARIABLES, {"DATABASE_POOL_MIN": "many"}, kind="production")
    for name in (
        "SECRET_KEY",
        "ENCRYPTION_KEYS",
        "TOKEN_SIGNING_KEYS",
        "DATABASE_URL",
        "REDIS_URL",
        "DATABASE_POOL_MIN",
    ):
        assert f" {name}: " in str(refusal.value)


def test_development_needs_no_variable_at_all() -> None:
    assert Environment.read(VARIABLES, {}, kind="development")["DATABASE_POOL_MAX"] >= 2


def test_each_variable_stands_once() -> None:
    names = [variable.name for variable in VARIABLES]
    assert len(names) == len(set(names))


def test_each_fault_has_a_number_of_its_own_that_later_variables_do_not_move() -> None:
    numbers = [variable.number for variable in VARIABLES]
    assert all(numbers), "give the new variable the next free number"
    assert len(numbers) == len(set(numbers))


GOOD = {
    "SECRET_KEY": "Zq8-oYw1_tRk4VxN7bMj2Lp5Gs0HdFc9AeUi3KyWnQ6XvTzBrOml",
    "ENCRYPTION_KEYS": "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=",
    "TOKEN_SIGNING_KEYS": "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=",
    "DATABASE_URL": "postgresql://app@db/house",
    "REDIS_URL": "redis://cache",
    "MAIL_URL": "smtp://mail",
    "PUBLIC_URL": "https://house.example",
}


def test_production_starts_with_what_it_needs() -> None:
    env = Environment.read(VARIABLES, GOOD, kind="production")
    assert env["DEBUG"] is False


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", "short"),
        ("SECRET_KEY", "ab" * 40),
        ("SECRET_KEY", "development-only-secret-key-development-only-secret-key"),
        ("ENCRYPTION_KEYS", "ZGV2ZWxvcG1lbnQtb25seS1lbmNyeXB0aW9uLWtleSE="),
        ("ENCRYPTION_KEYS", "c2hvcnQ="),
        ("ENCRYPTION_KEYS", ","),
        ("TOKEN_SIGNING_KEYS", "n0t-b4se64"),
        ("DEBUG", "true"),
        ("ALLOWED_HOSTS", "house.example,*"),
        ("PUBLIC_URL", "http://house.example"),
        ("PUBLIC_URL", ""),
    ],
)
def test_production_refuses_what_is_not_safe(name: str, value: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        Environment.read(VARIABLES, {**GOOD, name: value}, kind="production")
    assert f" {name}: " in str(refusal.value)
    assert not value or len(value) < 6 or value not in str(refusal.value), "the value may be a secret"
