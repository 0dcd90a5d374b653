"""People, organisations, and what lets a program in: sessions, refresh tokens, API keys.

Of every secret only a hash is stored. Secrets that we make ourselves carry 256 random bits, so a plain SHA-256 keeps
them (guessing is hopeless); passwords, which people make, go through argon2id.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import OpClass
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils.functional import cached_property

from accounts import events
from accounts.states import EndedReason, InvitationStatus
from core.access import Role
from core.actor import SYSTEM
from core.models import Entity

ROLE_CHOICES = [(role.value, role.value.replace("_", " ").capitalize()) for role in Role]


class UserManager(BaseUserManager["User"]):
    """Finds people by e-mail address, whatever its case."""

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        """Return the address as it is stored: without blanks around it, in lower case."""
        return (email or "").strip().lower()

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=self.normalize_email(username))

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Make a row; the command that signs people up is `services.users.sign_up`."""
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Make a staff member with all rights, whose address is taken as proven (`manage.py createsuperuser`). Django
        knows no other door for the first one, so the event `accounts.user.created` is written here."""
        from allauth.account.models import EmailAddress

        from audit import record

        with transaction.atomic():
            user = self.create_user(email, password, **{**fields, "is_staff": True, "is_superuser": True})
            EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
            known = {"email": user.email, "name": user.name}
            record(events.USER_CREATED, actor=SYSTEM, subject=user, after=known, data={"is_staff": True})
        return user


class User(Entity, AbstractBaseUser, PermissionsMixin):
    """A person. Signs in by e-mail; `is_staff` makes them one of the company's own people."""

    id_prefix = "usr"
    organization_path = None

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=150, blank=True)
    is_staff = models.BooleanField("staff", default=False, help_text="May work in the admin.")
    is_active = models.BooleanField("active", default=True, help_text="May sign in.")
    last_login = models.DateTimeField("last signed in", blank=True, null=True)

    objects: ClassVar[UserManager] = UserManager()  # type: ignore[assignment]

    EMAIL_FIELD = "email"
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = "person"
        verbose_name_plural = "people"
        constraints = [
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="accounts_user_email_is_lower_case")
        ]
        indexes = [
            models.Index(OpClass(Lower("email"), "text_pattern_ops"), name="accounts_user_email_begins"),
            models.Index(OpClass(Lower("name"), "text_pattern_ops"), name="accounts_user_name_begins"),
        ]

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        self.email = UserManager.normalize_email(self.email)

    @cached_property
    def staff_groups(self) -> frozenset[int] | None:
        """What bounds a staff member: ids of groups, None for an administrator. One query, once for this object; none
        where the groups were fetched with it."""
        return None if self.is_superuser else frozenset(group.pk for group in self.groups.all())

    def get_full_name(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        return self.name.split(" ")[0] if self.name else self.email


class Organization(Entity):
    """A buyer's account: the tenant. What belongs to one is seen by its members and by staff only."""

    id_prefix = "org"
    organization_path = "id"

    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=80, unique=True)
    billing_email = models.EmailField(blank=True)

    class Meta:
        verbose_name = "organisation"
        verbose_name_plural = "organisations"
        indexes = [models.Index(OpClass(Lower("name"), "text_pattern_ops"), name="accounts_org_name_begins")]

    def __str__(self) -> str:
        return self.name


class Membership(Entity):
    """That a person belongs to an organisation, and as what."""

    id_prefix = "mem"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=ROLE_CHOICES, default=Role.MEMBER)

    class Meta:
        verbose_name = "member"
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="accounts_one_membership_each"),
            models.CheckConstraint(condition=models.Q(role__in=[r.value for r in Role]), name="accounts_known_role"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.organization} ({self.role})"


class Invitation(Entity):
    """An offer, sent by e-mail, to join an organisation with a role."""

    id_prefix = "ivt"

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=20, choices=ROLE_CHOICES, default=Role.MEMBER)
    status = models.CharField(max_length=10, choices=InvitationStatus.choices, default=InvitationStatus.PENDING)
    token_hash = models.BinaryField(max_length=32, unique=True, null=True, editable=False)
    expires_at = models.DateTimeField()
    invited_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    accepted_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    accepted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "email"],
                condition=models.Q(status=InvitationStatus.PENDING),
                name="accounts_one_pending_invitation",
            )
        ]

    def __str__(self) -> str:
        return f"{self.email} to {self.organization}"


class Session(Entity):
    """One sign-in on one device: the family of refresh tokens that descend from it."""

    id_prefix = "ses"
    organization_path = None

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    user_agent = models.CharField(max_length=300, blank=True)
    ip = models.GenericIPAddressField("address", null=True, blank=True)
    last_used_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_reason = models.CharField(max_length=20, choices=EndedReason.choices, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["user", "-last_used_at"], condition=models.Q(ended_at=None), name="accounts_live_sessions"
            )
        ]

    def is_live(self, now: datetime) -> bool:
        """Whether its tokens hold at `now`."""
        return self.ended_at is None and now < self.expires_at


class RefreshToken(models.Model):
    """One refresh token of a session. Spent once (`rotated_at`), then replaced by its successor."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="refresh_tokens")
    token_hash = models.BinaryField(max_length=32, unique=True)
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    rotated_at = models.DateTimeField(null=True)
    successor = models.OneToOneField("self", on_delete=models.SET_NULL, null=True, related_name="predecessor")

    def __str__(self) -> str:
        return f"refresh token {self.pk}"


class ApiKey(Entity):
    """What lets a program act for an organisation: `ck_live_<lookup>_<secret>`, the secret shown once."""

    id_prefix = "key"

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    lookup = models.CharField(max_length=16, unique=True, editable=False)
    secret_hash = models.BinaryField(max_length=32, editable=False)
    scopes = ArrayField(models.CharField(max_length=80), help_text="none for the key of a service account")
    service_account = models.ForeignKey(
        "accounts.ServiceAccount", on_delete=models.CASCADE, null=True, blank=True, related_name="api_keys"
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} (ck_live_{self.lookup}…)"

    def is_live(self, now: datetime) -> bool:
        """Whether it opens anything at `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)
