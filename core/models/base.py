"""What the tables of all apps share."""

from __future__ import annotations

from typing import Any, ClassVar, Self, TypeVar, cast
from uuid import UUID

from django.db import models
from django.utils import timezone

from core import ids
from core.actor import Actor

_E = TypeVar("_E", bound=models.Model)

entities_by_prefix: dict[str, type[Entity]] = {}
entities_by_type: dict[str, type[Entity]] = {}


class EntityQuerySet(models.QuerySet[_E]):
    """Rows that can be bounded by who asks."""

    def visible_to(self, actor: Actor, relation: str = "viewer") -> Self:
        """Return those to which `actor` has `relation` in the permission model; see `core.access.related`."""
        from core import access

        return cast("Self", access.related(actor, self, relation))


class Entity(models.Model):
    """A thing with an id that people see. Every subclass names its `id_prefix`.

    `version` rises with each save and is the ETag of what can be edited. `organization_path` is the lookup that leads
    to the organisation's id, by which `core.access` bounds what is visible; None means that only staff see it.
    """

    id_prefix: ClassVar[str] = ""
    organization_path: ClassVar[str | None] = "organization_id"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    version = models.PositiveIntegerField(default=1, editable=False)

    objects = EntityQuerySet.as_manager()

    class Meta:
        abstract = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.id_prefix and "id_prefix" in cls.__dict__:
            known = entities_by_prefix.setdefault(cls.id_prefix, cls)
            assert known.__qualname__ == cls.__qualname__, f"id prefix {cls.id_prefix} is taken by {known}"
            entities_by_type[cls.__name__.lower()] = cls

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        """The id as people see it: `sub_01h455vb4pex5vsknk084sn02q`."""
        return ids.encode(self.id_prefix, self.id)

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            self.version += 1
            fields = kwargs.get("update_fields")
            if fields is not None:
                kwargs["update_fields"] = {*fields, "version", "updated_at"}
        super().save(*args, **kwargs)

    def refreshed_for_update(self) -> Self:
        """Return this row as it stands now, locked until the transaction ends. Related rows that were loaded stay
        loaded, where it still names the same ones: they are not locked, and asking for them again costs a query."""
        row = type(self)._base_manager.select_for_update(of=("self",)).get(pk=self.pk)
        for relation in self._meta.concrete_fields:
            if not isinstance(relation, models.ForeignKey) or not relation.is_cached(self):
                continue
            if getattr(row, relation.attname) == getattr(self, relation.attname):
                relation.set_cached_value(row, relation.get_cached_value(self))
        return row


def with_public_ids(value: Any, name: str = "") -> Any:
    """Return JSON in which members that name an object (`invoice_id`, `default_payment_method_id`) hold its public id,
    by which the API knows it. What names no kind of ours stays."""
    if isinstance(value, dict):
        return {member: with_public_ids(inner, member) for member, inner in value.items()}
    if isinstance(value, list):
        return [with_public_ids(inner, name.removesuffix("s")) for inner in value]
    if not isinstance(value, str) or not name.endswith("_id"):
        return value
    words = name.removesuffix("_id").split("_")
    kinds = (entities_by_type.get("".join(words[first:])) for first in range(len(words)))
    kind = next(filter(None, kinds), None)
    try:
        return ids.encode(kind.id_prefix, UUID(value)) if kind is not None else value
    except ValueError:
        return value


class AppendOnly(models.Model):
    """Rows that are written once. Triggers refuse update, delete and truncate (`core.migration_operations`), and the
    role under which the product runs is not granted them."""

    is_append_only: ClassVar[bool] = True

    class Meta:
        abstract = True


class AdminSubmission(models.Model):
    """That a form of the admin was sent: one row for each one-time token, so that two clicks take effect once."""

    key = models.CharField(primary_key=True, max_length=80)
    principal = models.CharField(max_length=80)
    sent_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.key
