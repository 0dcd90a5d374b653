"""Invitations: an offer by mail to join an organisation with a role."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from accounts import events
from accounts.errors import AlreadyInvited, AlreadyMember, InvalidMailToken, InvitationForAnother, InvitationNotPending
from accounts.models import Invitation, Membership, Organization, User, UserManager
from accounts.providers import mail, tokens
from accounts.services import memberships
from accounts.services.locks import lock_organization
from accounts.states import InvitationStatus
from audit import record
from core import jobs
from core.access import Role, require
from core.actor import Actor
from core.commands import command
from core.errors import Forbidden

LIFETIME = timedelta(days=7)
JOB = "accounts.send_invitation"


@command("accounts.invitation.create")
def create(*, actor: Actor, organization: Organization, email: str, role: Role, now: datetime) -> Invitation:
    """Invite an address; the mail goes by a job. Writes `accounts.invitation.created`. Raises `AlreadyMember` and
    `AlreadyInvited`; only owners invite owners."""
    require(actor, "accounts.invitation.manage", organization)
    lock_organization(organization.pk)
    memberships.require_for_role(actor, organization, role)
    email = UserManager.normalize_email(email)
    if Membership.objects.filter(organization=organization, user__email=email).exists():
        raise AlreadyMember
    open_ones = Invitation.objects.filter(organization=organization, email=email, status=InvitationStatus.PENDING)
    if open_ones.filter(expires_at__gt=now).exists():
        raise AlreadyInvited
    open_ones.update(status=InvitationStatus.REVOKED, token_hash=None)
    invitation = Invitation.objects.create(
        organization=organization,
        email=email,
        role=role,
        expires_at=now + LIFETIME,
        invited_by_id=actor.person_id,
    )
    after = {"email": email, "role": str(role)}
    record(events.INVITATION_CREATED, actor=actor, subject=invitation, after=after, occurred_at=now)
    jobs.enqueue(
        JOB,
        {"invitation_id": str(invitation.pk)},
        actor=actor,
        unique_key=f"{JOB}:{invitation.pk}",
        organization_id=organization.pk,
    )
    return invitation


def send(invitation_id: UUID) -> bool:
    """Make the token and send it; False when the invitation is not open any more. Run by the job: the secret stands in
    the mail alone. Sent again, the last mail is the one that opens."""
    token = tokens.new_secret()
    open_ones = Invitation.objects.filter(pk=invitation_id, status=InvitationStatus.PENDING)
    if not open_ones.update(token_hash=tokens.hash_of(token)):
        return False
    invitation = Invitation.objects.select_related("organization", "invited_by").get(pk=invitation_id)
    values = {"invitation": invitation, "organization": mail.one_line(invitation.organization.name), "token": token}
    mail.send("invitation", invitation.email, values)
    return True


@command("accounts.invitation.revoke")
def revoke(*, actor: Actor, invitation: Invitation) -> Invitation:
    """Take an invitation back. Writes `accounts.invitation.revoked`. Raises `InvitationNotPending`."""
    require(actor, "accounts.invitation.manage", invitation)
    invitation = invitation.refreshed_for_update()
    if invitation.status != InvitationStatus.PENDING:
        raise InvitationNotPending
    invitation.status, invitation.token_hash = InvitationStatus.REVOKED, None
    invitation.save(update_fields=["status", "token_hash"])
    record(events.INVITATION_REVOKED, actor=actor, subject=invitation)
    return invitation


@command("accounts.invitation.accept")
def accept(*, actor: Actor, token: str, now: datetime) -> Membership:
    """Join by the token out of the mail, as the person to whose address it went. Writes `accounts.invitation.accepted`
    and `accounts.membership.created`. Raises `InvalidMailToken`, `InvitationForAnother`, `AlreadyMember`."""
    if actor.person_id is None:
        raise Forbidden("Only people accept invitations.")
    sent = Invitation.objects.select_related("organization").filter(token_hash=tokens.hash_of(token))
    organization_id = sent.values_list("organization_id", flat=True).first()
    if organization_id is not None:
        lock_organization(organization_id)
    is_open = {"status": InvitationStatus.PENDING, "expires_at__gt": now}
    invitation = sent.select_for_update(of=("self",)).filter(**is_open).first()
    if invitation is None:
        raise InvalidMailToken("The invitation is wrong, used, taken back or too old. Ask for a new one.")
    user = User.objects.get(pk=actor.person_id)
    if user.email != invitation.email:
        raise InvitationForAnother
    invitation.status, invitation.token_hash = InvitationStatus.ACCEPTED, None
    invitation.accepted_by, invitation.accepted_at = user, now
    invitation.save(update_fields=["status", "token_hash", "accepted_by", "accepted_at"])
    record(events.INVITATION_ACCEPTED, actor=actor, subject=invitation, occurred_at=now)
    role = Role(invitation.role)
    return memberships.join(actor=actor, organization=invitation.organization, user=user, role=role)
