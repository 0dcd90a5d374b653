"""Whom an id or an address means, when something is given in an organisation."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from accounts.models import Membership, Organization, Recipient, ServiceAccount, Team, User, UserManager
from core import ids
from core.errors import InvalidInput

Found = User | Team | ServiceAccount
_COLUMNS: Final[dict[type[Found], str]] = {User: "user", Team: "team", ServiceAccount: "service_account"}


def find(organization: Organization, text: str, *, pointer: str) -> Found:
    """Return the member, team or service account of the organisation that an id means (`usr_…`, `tem_…`, `sva_…`).
    Raises `InvalidInput` at `pointer`, for what is of another organisation as for what is not there."""
    return _find((User, Team, ServiceAccount), organization, text, pointer)


def find_one(organization: Organization, text: str, *, pointer: str) -> User | ServiceAccount:
    """Return a member or a service account as `find` does: who is one, and no team."""
    found = _find((User, ServiceAccount), organization, text, pointer)
    assert not isinstance(found, Team)
    return found


def find_by_word(organization: Organization, text: str, *, pointer: str) -> Found:
    """Return whom an id or the e-mail address of a member means, as `find` does."""
    if "@" not in text:
        return find(organization, text, pointer=pointer)
    address = UserManager.normalize_email(text)
    member = Membership.objects.select_related("user").filter(organization=organization, user__email=address).first()
    if member is None:
        raise InvalidInput.at(pointer, "Nobody in the organisation has this address.", "does_not_exist")
    return member.user


def is_of(organization_id: UUID, recipient: Found) -> bool:
    """Whether somebody belongs to the organisation: asked again by commands, under its lock."""
    if isinstance(recipient, User):
        return Membership.objects.filter(organization_id=organization_id, user=recipient).exists()
    return recipient.organization_id == organization_id and type(recipient).objects.filter(pk=recipient.pk).exists()


def column_of(recipient: Found) -> dict[str, Any]:
    """Return the column that says to whom a row is given (`Recipient`, `TeamMember`), with its value."""
    return {_COLUMNS[type(recipient)]: recipient}


def told(row: Recipient) -> dict[str, str]:
    """Return to whom a row is given, as events tell it: `user_id`, `team_id` or `service_account_id`."""
    ids = {f"{name}_id": getattr(row, f"{name}_id") for name in _COLUMNS.values()}
    return {name: str(value) for name, value in ids.items() if value}


def _find(kinds: tuple[type[Found], ...], organization: Organization, text: str, pointer: str) -> Found:
    kind, key = _kind(kinds, text, pointer)
    where = {"memberships__organization": organization} if kind is User else {"organization": organization}
    found: Found | None = kind._default_manager.filter(pk=key, **where).first()
    if found is None:
        raise InvalidInput.at(pointer, "There is nobody of this id in the organisation.", "does_not_exist")
    return found


def _kind(kinds: tuple[type[Found], ...], text: str, pointer: str) -> tuple[type[Found], UUID]:
    try:
        prefix, key = ids.split(text)
        return next(one for one in kinds if one.id_prefix == prefix), key
    except (ids.MalformedId, StopIteration):
        forms = " or ".join(f"'{one.id_prefix}_…'" for one in kinds)
        raise InvalidInput.at(pointer, f"This is not an id of the form {forms}.") from None
