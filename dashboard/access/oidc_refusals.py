"""Why somebody was not signed in through the provider: in words for the person, and as a cause for the audit trail."""

from __future__ import annotations

from dataclasses import dataclass

from allauth.socialaccount.providers.oauth2.client import OAuth2Error

from dashboard.access.models import Member


@dataclass(frozen=True)
class Words:
    """What a person reads when single sign-on did not work; {name} is the provider's."""

    title: str
    sentence: str
    advice: str
    status: int


AWAY = Words(
    "{name} does not answer.",
    "Nobody was signed in. Sessions that are open go on.",
    "Try again in a moment. If it stays, tell whoever runs {name}.",
    503,
)
CANCELLED = Words(
    "You were not signed in.", "The sign-in was cancelled at {name}.", "Sign in again when you want.", 403
)
DECLINED = Words(
    "{name} did not sign you in.",
    "It answered with an error.",
    "Try again. If it stays, tell an admin the reference.",
    502,
)
STALE = Words(
    "This sign-in cannot go on.",
    "It began in another browser or too long ago, or it was used already.",
    "Sign in again; it takes one click.",
    400,
)
NOT_TRUSTED = Words(
    "The answer of {name} could not be trusted.",
    "It does not fit this sign-in, so nobody was signed in.",
    "Try again. If it stays, tell an admin the reference.",
    403,
)
NOT_LET_IN = Words(
    "You have no access to this desk.",
    "{name} knows you, but no group you are in opens this desk, or your access has ended.",
    "Ask whoever manages the team for access.",
    403,
)


class Refusal(OAuth2Error):  # type: ignore[misc]
    """Nobody is signed in: `cause` is for the audit trail and the log, `words` are for the person."""

    def __init__(self, words: Words, cause: str, *, member: Member | None = None, subject: str = "") -> None:
        super().__init__(f"{cause} {subject}".strip())
        self.words, self.cause, self.member, self.subject = words, cause, member, subject
