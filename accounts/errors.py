"""What goes wrong with people, sessions and keys. Codes never change once shipped."""

from __future__ import annotations

from typing import Any

from core.errors import Conflict, Forbidden, InvalidInput, NotFound, RuleBroken, Unauthenticated


class InvalidCredentials(Unauthenticated):
    """Unknown address, wrong password and a deactivated account all read the same."""

    code, title = "invalid_credentials", "E-mail address or password are wrong"


class InvalidToken(Unauthenticated):
    """The bearer token does not let in: malformed, forged, expired, or its session has ended."""

    code, title = "invalid_token", "The token is not valid"

    def __init__(self, detail: str = "", **extra: Any) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'}, **extra)


class RefreshTokenReused(InvalidToken):
    """A spent refresh token came back later than a retry can: somebody else has it. Its session has been ended."""

    code, title = "refresh_token_reused", "The refresh token was used before; the session has been ended"


class TokenAlreadyRotated(Conflict):
    """A second use within seconds: a retry, or two tabs. Nothing has changed; use the successor."""

    code, title = "token_already_rotated", "The refresh token has just been replaced"


class InvalidMailToken(InvalidInput):
    """A token out of a mail: wrong, used or too old."""

    code, title = "invalid_mail_token", "The token from the mail is not valid any more"


class LastOwner(Conflict):
    code, title = "last_owner", "An organisation keeps at least one owner"


class LastStaffMember(Conflict):
    code, title = "last_staff_member", "Somebody must stay a staff member"


class OwnStaffRights(Conflict):
    code, title = "own_staff_rights", "Nobody takes their own staff rights"


class NotFitForStaff(RuleBroken):
    """Deactivated, or the e-mail address is not proven."""

    code, title = "not_fit_for_staff", "This person cannot become a staff member"


class AlreadyMember(Conflict):
    code, title = "already_member", "This person already belongs to the organisation"


class AlreadyInvited(Conflict):
    code, title = "already_invited", "This address has already been invited"


class InvitationForAnother(Forbidden):
    code, title = "invitation_for_another", "The invitation was sent to another address"


class InvitationNotPending(Conflict):
    code, title = "invitation_not_pending", "The invitation is not open any more"


class ApiKeyNotLive(Conflict):
    code, title = "api_key_not_live", "The API key has been revoked or has expired"


class ScopeNotHeld(RuleBroken):
    code, title = "scope_not_held", "An API key cannot do more than its maker"


class NameTaken(Conflict):
    code, title = "name_taken", "Another one has this name"


class PermissionNotHeld(RuleBroken):
    """`permissions` names what is missing."""

    code, title = "permission_not_held", "Nobody gives what they do not hold"


class ServiceAccountInactive(Conflict):
    code, title = "service_account_inactive", "The service account is deactivated"


class ServiceAccountActive(Conflict):
    code, title = "service_account_active", "The service account is active"


# --- what the permission engine refuses; the words are OpenFGA's, and stand beside its numbers (`openfga_code`) -------


class QuestionInvalid(InvalidInput):
    code, title = "validation_error", "The question or the tuple does not fit the model"


class PermissionModelNotFound(NotFound):
    code, title = "authorization_model_not_found", "There is no such permission model"


class QuestionTooComplex(InvalidInput):
    code, title = "authorization_model_resolution_too_complex", "The answer lies more tuples away than are followed"


class WriteInvalid(InvalidInput):
    code, title = "invalid_write_input", "There is nothing to write or to delete"


class DuplicateTuples(InvalidInput):
    code, title = "cannot_allow_duplicate_tuples_in_one_request", "The same tuple stands in the request twice"


class CursorInvalid(InvalidInput):
    code, title = "invalid_continuation_token", "The cursor was not made for this list"


class TupleWriteFailed(Conflict):
    """The tuple is there already, or is not there, and the request asked to be told so."""

    code, title = "write_failed_due_to_invalid_input", "A tuple is there already, or is not there"


class TypeNotFound(InvalidInput):
    code, title = "type_not_found", "The model has no such type"


class RelationNotFound(InvalidInput):
    code, title = "relation_not_found", "The type has no such relation"


class TupleInvalid(InvalidInput):
    code, title = "invalid_tuple", "The model does not allow a tuple that was brought along"


class PermissionModelInvalid(InvalidInput):
    code, title = "invalid_authorization_model", "The permission model has faults"


class NotEveryMemberChanged(Conflict):
    """A strict bulk request: nothing was changed, since not all of it could be."""

    code, title = "not_every_member_changed", "Not every person could be granted or revoked the role"
