"""What an organisation gives beyond roles: teams, roles of its own, accounts for programs, rows that it shares.

Each row stands for tuples of the permission engine, which follow it (`accounts.permissions.mirrors`).
"""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models.functions import Lower

from accounts.models.people import Organization, User
from core.access import Role
from core.models import Entity

# A program never owns an organisation.
SERVICE_ROLE_CHOICES = [(one.value, one.value.replace("_", " ").capitalize()) for one in Role if one is not Role.OWNER]


class ServiceAccount(Entity):
    """A program of an organisation, that acts in its own name by API keys of its own. What it may do it is given as
    people are: a role (never owner), roles of the organisation's own, teams, rows that are shared with it."""

    id_prefix = "sva"

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="service_accounts")
    name = models.CharField(max_length=100)
    role = models.CharField(max_length=20, choices=SERVICE_ROLE_CHOICES, blank=True, default="")
    deactivated_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        verbose_name = "service account"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(role__in=["", *(value for value, _ in SERVICE_ROLE_CHOICES)]),
                name="accounts_known_service_role",
            )
        ]
        indexes = [models.Index(OpClass(Lower("name"), "text_pattern_ops"), name="accounts_program_name_begins")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_active(self) -> bool:
        """Whether its keys open anything."""
        return self.deactivated_at is None


class Team(Entity):
    """Some of an organisation's members and service accounts, to whom things are given together."""

    id_prefix = "tem"

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="teams")
    name = models.CharField(max_length=100)

    class Meta:
        constraints = [models.UniqueConstraint("organization", Lower("name"), name="accounts_one_team_of_a_name")]
        indexes = [models.Index(OpClass(Lower("name"), "text_pattern_ops"), name="accounts_team_name_begins")]

    def __str__(self) -> str:
        return self.name


class CustomRole(Entity):
    """A set of permissions under a name that an organisation chose."""

    id_prefix = "rol"

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="custom_roles")
    name = models.CharField(max_length=100)
    description = models.CharField(max_length=500, blank=True, default="")
    permissions = ArrayField(models.CharField(max_length=80), help_text="in the order of their names")

    class Meta:
        verbose_name = "custom role"
        constraints = [models.UniqueConstraint("organization", Lower("name"), name="accounts_one_role_of_a_name")]
        indexes = [models.Index(OpClass(Lower("name"), "text_pattern_ops"), name="accounts_role_name_begins")]

    def __str__(self) -> str:
        return self.name


class Recipient(models.Model):
    """To whom something is given: exactly one of a person, a team and a service account."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    service_account = models.ForeignKey(
        ServiceAccount, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )

    class Meta:
        abstract = True
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=(
                    models.Q(user__isnull=False, team__isnull=True, service_account__isnull=True)
                    | models.Q(user__isnull=True, team__isnull=False, service_account__isnull=True)
                    | models.Q(user__isnull=True, team__isnull=True, service_account__isnull=False)
                ),
                name="%(app_label)s_%(class)s_has_one_recipient",
            )
        ]

    @property
    def recipient(self) -> User | Team | ServiceAccount:
        """The person, team or service account."""
        found = self.user or self.team or self.service_account
        assert found is not None
        return found


class TeamMember(Entity):
    """That a person or a service account belongs to a team."""

    id_prefix = "tmb"
    organization_path = "team__organization_id"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    service_account = models.ForeignKey(
        ServiceAccount, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )

    class Meta:
        verbose_name = "team member"
        constraints = [
            models.UniqueConstraint(fields=["team", "user"], name="accounts_one_team_member_each"),
            models.UniqueConstraint(fields=["team", "service_account"], name="accounts_one_team_program_each"),
            models.CheckConstraint(
                condition=(
                    models.Q(user__isnull=False, service_account__isnull=True)
                    | models.Q(user__isnull=True, service_account__isnull=False)
                ),
                name="accounts_team_member_is_one",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.member} in {self.team}"

    @property
    def member(self) -> User | ServiceAccount:
        """The person or service account."""
        found = self.user or self.service_account
        assert found is not None
        return found


class RoleAssignment(Recipient, Entity):
    """That somebody holds a custom role."""

    id_prefix = "ras"
    organization_path = "role__organization_id"

    role = models.ForeignKey(CustomRole, on_delete=models.CASCADE, related_name="assignments")

    class Meta(Recipient.Meta):
        verbose_name = "role assignment"
        constraints = [
            *Recipient.Meta.constraints,
            models.UniqueConstraint(fields=["role", "user"], name="accounts_one_role_each"),
            models.UniqueConstraint(fields=["role", "team"], name="accounts_one_role_for_a_team"),
            models.UniqueConstraint(fields=["role", "service_account"], name="accounts_one_role_for_a_program"),
        ]

    def __str__(self) -> str:
        return f"{self.role} for {self.recipient}"


class Share(Recipient, Entity):
    """That an organisation lets somebody see one row of its own. The row is named as the permission model names
    it, by the type of its kind (`payment_method`) and its key: what is shared belongs to higher floors."""

    id_prefix = "shr"

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="shares")
    object_type = models.CharField(max_length=50)
    object_id = models.UUIDField()
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta(Recipient.Meta):
        constraints = [
            *Recipient.Meta.constraints,
            models.UniqueConstraint(fields=["object_type", "object_id", "user"], name="accounts_one_share_each"),
            models.UniqueConstraint(fields=["object_type", "object_id", "team"], name="accounts_one_share_for_a_team"),
            models.UniqueConstraint(
                fields=["object_type", "object_id", "service_account"], name="accounts_one_share_for_a_program"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.object_type} {self.object_id} for {self.recipient}"
