"""The one exception tree of the client.

Each class says in its docstring what may have happened upstream, because that decides what a caller may do next:
only what surely was not carried out may be sent again.
"""

from __future__ import annotations

from typing import ClassVar


class EmailSecurityError(Exception):
    """Anything that can go wrong in a call. Attributes hold what the API said; none of them holds a credential.

    `str()` names the operation, status and ray id and is safe to log. `api_message` is the API's own text: it may
    repeat what a person typed, so it belongs on the page (escaped) or in a log field of its own, not in a sentence.
    """

    summary: ClassVar[str] = "The call failed."

    def __init__(
        self,
        detail: str = "",
        *,
        operation: str = "",
        status: int | None = None,
        codes: tuple[int, ...] = (),
        api_message: str = "",
        ray_id: str | None = None,
        retry_after: float | None = None,
        pointers: list[tuple[str, str]] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.operation = operation
        self.status = status
        self.codes = codes
        self.api_message = api_message
        self.ray_id = ray_id
        self.retry_after = retry_after
        """Seconds until another try makes sense, where that is known."""
        self.pointers: list[tuple[str, str]] = pointers if pointers is not None else []
        """(JSON pointer into the body we sent, what is wrong there): for the fields of a form."""

    def __str__(self) -> str:
        text = self.detail or self.summary
        if self.operation:
            text = f"{self.operation}: {text}"
        known = [f"status {self.status}"] if self.status else []
        if self.codes:
            known.append("code " + ", ".join(map(str, self.codes)))
        if self.ray_id:
            known.append(f"ray {self.ray_id}")
        return f"{text} ({'; '.join(known)})" if known else text


class Unavailable(EmailSecurityError):
    """No usable answer: no connection, a 5xx, or silence until the deadline.

    Raised for reads, and for a write only when not one byte of it left. Nothing happened upstream.
    """

    summary = "The service could not be reached or did not answer in time."


class RateLimited(EmailSecurityError):
    """The API refused the call for lack of budget (429). Nothing happened; `retry_after` is always set."""

    summary = "The API asks us to wait before the next call."


class BudgetExhausted(RateLimited):
    """Our own meter held the call back. Nothing was sent."""

    summary = "The shared call budget is used up; nothing was sent."


class ShareUsedUp(BudgetExhausted):
    """The collector has made the calls it may make in five minutes. Nothing was sent; others go on."""

    summary = "The collector has used up its share of the call budget; nothing was sent."


class OutcomeUnknown(EmailSecurityError):
    """A write without an answer we can trust. It may have been carried out: look before deciding, never repeat it."""

    summary = "The request may or may not have been carried out."


class NotFound(EmailSecurityError):
    """The API does not know the object (404). Nothing happened."""

    summary = "The API does not know this object."


class Rejected(EmailSecurityError):
    """The API read the request and refused it (400, 409, 422 and other 4xx). Nothing happened; see `pointers`."""

    summary = "The API refused the request."


class CredentialsRefused(EmailSecurityError):
    """The API does not accept the credentials (401). Nothing happened, and nothing will until they are changed."""

    summary = "The API does not accept the credentials."


class NotPermitted(EmailSecurityError):
    """The credentials lack a right, or the account lacks the product (403). Nothing happened."""

    summary = "The credentials do not permit this."

    @property
    def not_subscribed(self) -> bool:
        """Whether the account has not bought the feature; known only from the wording of the API's message."""
        return "not available in the current subscription" in self.api_message.casefold()


class NotOnThisServer(EmailSecurityError):
    """The server does not have this operation at all (an older generation). Nothing happened; remembered for a day."""

    summary = "This server does not offer the operation."


class UnexpectedReply(EmailSecurityError):
    """A read was answered with something that is not the API's: HTML, a cut-off body, a missing envelope.

    Nothing happened upstream. A write with such an answer is `OutcomeUnknown` instead.
    """

    summary = "The answer is not one the API is known to give."


class SearchExpired(EmailSecurityError):
    """The results of a slow search are no longer kept (the poll answered 404 or 410). Searching again is safe."""

    summary = "The results of this search are no longer kept."


class ForeignLocation(EmailSecurityError):
    """A slow search pointed somewhere our credentials must not go. Nothing was sent there."""

    summary = "The search pointed to an address outside this account; it was not followed."


# A write with one of these answers surely was not carried out, and will not be when it is sent again as it is.
REFUSED = (CredentialsRefused, NotPermitted, NotFound, Rejected, NotOnThisServer)
# Of those, what whoever runs the installation can mend: then the same call goes through.
MENDABLE = (CredentialsRefused, NotPermitted)
