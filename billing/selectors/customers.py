"""Finding customers."""

from __future__ import annotations

from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

from billing.models import Customer
from core import ids


def search(rows: QuerySet[Customer], text: str) -> QuerySet[Customer]:
    """Return the customers whose name, e-mail or external id begins with `text` in any case, or whose id it is. Each of
    the three has an index made for it."""
    text = text.strip()
    try:
        return rows.filter(pk=ids.decode(Customer.id_prefix, text))
    except ids.MalformedId:
        pass
    begin = text.lower()
    named = rows.alias(by_name=Lower("name"), by_email=Lower("email"), by_external_id=Lower("external_id"))
    return named.filter(
        Q(by_name__startswith=begin) | Q(by_email__startswith=begin) | Q(by_external_id__startswith=begin)
    )
