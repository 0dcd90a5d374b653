"""Which row an id means that may be shared, and with whom. The rows belong to higher floors: they are found by the
prefix of their id, and what may be shared is what the permission model says can have a viewer."""

from __future__ import annotations

from uuid import UUID

from accounts.models import Organization, ServiceAccount, Share, Team, User, UserManager
from accounts.permissions import product
from accounts.permissions.names import entity_of
from accounts.selectors import recipients
from accounts.selectors.people import is_proven
from core import ids
from core.access import visible
from core.actor import Actor
from core.errors import InvalidInput
from core.models import Entity
from core.models.base import entities_by_prefix


def is_shareable(model: type[Entity]) -> bool:
    """Whether rows of this kind may be shared one by one: the permission model gives them viewers."""
    is_of_organization = model.organization_path not in (None, "id")
    return is_of_organization and product.shipped().relation(product.type_of(model), "viewer") is not None


def find_row(actor: Actor, text: str, pointer: str) -> Entity:
    """Return the row that a public id means, of those that the actor sees. Raises `InvalidInput` at `pointer`."""
    try:
        prefix, key = ids.split(text)
    except ids.MalformedId as fault:
        raise InvalidInput.at(pointer, str(fault), "malformed_id") from None
    model = entities_by_prefix.get(prefix)
    if model is None or not is_shareable(model):
        known = sorted(f"{one.id_prefix}_…" for one in entities_by_prefix.values() if is_shareable(one))
        raise InvalidInput.at(pointer, f"What may be shared has an id of the form {', '.join(known)}.", "not_shareable")
    row: Entity | None = visible(actor, model._default_manager.filter(pk=key)).first()
    if row is None:
        missing = f"There is no such {model._meta.verbose_name}, or you may not see it."
        raise InvalidInput.at(pointer, missing, "does_not_exist")
    return row


def organization_id_of(row: Entity, pointer: str) -> UUID:
    """Return to which organisation a row belongs. Raises `InvalidInput` at `pointer` for one that belongs to none."""
    found = product.organization_of(row)
    if found is None:
        raise InvalidInput.at(pointer, "It belongs to no organisation that could share it.", "not_shareable")
    return found


def has_organization(row: Entity) -> bool:
    """Whether the row belongs to an organisation, which could share it."""
    return product.organization_of(row) is not None


def find_recipient(organization: Organization, text: str, pointer: str) -> User | Team | ServiceAccount:
    """Return with whom something may be shared: anybody by their e-mail address, which whoever shares must know;
    people, teams and service accounts of the organisation by id too. Raises `InvalidInput` at `pointer`."""
    if "@" not in text:
        found = recipients.find(organization, text, pointer=pointer)
        if not isinstance(found, User):
            return found
        person: User | None = found
    else:
        person = User.objects.filter(email=UserManager.normalize_email(text)).first()
    if person is None or not person.is_active or not is_proven(person):
        raise InvalidInput.at(pointer, "There is nobody of this id or address.", "does_not_exist")
    return person


def public_id_of(share: Share) -> str:
    """Return the id of the row that is shared."""
    return ids.encode(model_of(share).id_prefix, share.object_id)


def model_of(share: Share) -> type[Entity]:
    """Return of which table the row is that is shared."""
    found = entity_of(share.object_type)
    assert found is not None
    return found
