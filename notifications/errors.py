"""What goes wrong with notifications. Codes never change once shipped."""

from __future__ import annotations

from core.errors import Conflict, RuleBroken


class TooManyEndpoints(RuleBroken):
    code, title = "too_many_endpoints", "The organisation has as many webhook endpoints as it may have"


class EndpointDisabled(Conflict):
    """What would be sent to a disabled endpoint would not be sent."""

    code, title = "endpoint_disabled", "The webhook endpoint is disabled"


class KindIsMandatory(RuleBroken):
    """What guards an account is always told, at once."""

    code, title = "kind_is_mandatory", "This kind of notification cannot be switched off"


class MailNotResendable(Conflict):
    """It waits for its first delivery, or there is nothing to send any more."""

    code, title = "mail_not_resendable", "The e-mail cannot be sent again"
