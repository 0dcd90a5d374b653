"""What an `EntitySerializer` compiles writes what REST framework itself would write."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from rest_framework import serializers

import project.urls  # noqa: F401  # imports every serializer
from core.api.replies import encode
from core.api.serializers import EntitySerializer
from core.reading import read

AT_LEAST = {"SubscriptionSerializer", "CustomerSerializer", "InvoiceSerializer", "PaymentSerializer", "PriceSerializer"}


def written_by_rest_framework(kind: type[EntitySerializer], row: Any) -> str:
    return encode(dict(serializers.ModelSerializer.to_representation(kind(), row)))


@pytest.mark.django_db(transaction=True)
def test_writes_every_row_as_rest_framework_does() -> None:
    call_command("demo")
    compared = set()
    for kind in EntitySerializer.__subclasses__():
        for row in read(kind.Meta.model._base_manager.order_by("pk")[:30]):
            assert encode(kind.represent(row)) == written_by_rest_framework(kind, row), kind.__name__
            compared.add(kind.__name__)
    assert compared >= AT_LEAST
