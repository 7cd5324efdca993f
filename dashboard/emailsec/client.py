"""EmailSecurityClient: one method per operation of Cloudflare's Email Security API."""

from __future__ import annotations

import httpx

from dashboard.emailsec.analytics import AnalyticsGroup
from dashboard.emailsec.bulk import BulkGroup
from dashboard.emailsec.core import Caller
from dashboard.emailsec.credentials import Credentials
from dashboard.emailsec.features import MissingFeatures, RememberedHere
from dashboard.emailsec.investigate import InvestigateGroup
from dashboard.emailsec.settings import SettingsGroup
from dashboard.emailsec.submissions import SubmissionsGroup
from dashboard.emailsec.transport import Meter, RetryTransport

BASE_URL = "https://api.cloudflare.com/client/v4"


class EmailSecurityClient(InvestigateGroup, SubmissionsGroup, BulkGroup, AnalyticsGroup, SettingsGroup):
    """The API of one account; make one and share it between threads.

    Every method takes `budget` (seconds for the call with all its repeats) and `priority` (for the meter). GETs are
    signed with `read_credentials` where given. `transport` replaces the network (tests put the simulator there); a
    RetryTransport is used as it is and then carries its own meter. Nothing is read from the environment, no redirect
    is followed. Errors are those of `errors.py`, and ValueError for arguments that could never be right.
    """

    def __init__(
        self,
        *,
        account_id: str,
        credentials: Credentials,
        base_url: str = BASE_URL,
        read_credentials: Credentials | None = None,
        transport: httpx.BaseTransport | None = None,
        meter: Meter | None = None,
        missing: MissingFeatures | None = None,
        user_agent: str = "Mailwarden",
    ) -> None:
        if isinstance(transport, RetryTransport) and meter is not None:
            raise ValueError("a RetryTransport already has its meter")
        self._api = Caller(
            account_id=account_id,
            base_url=base_url,
            credentials=credentials,
            read_credentials=read_credentials,
            transport=transport if isinstance(transport, RetryTransport) else RetryTransport(transport, meter=meter),
            missing=missing if missing is not None else RememberedHere(),
            user_agent=user_agent,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(account_id={self._api.account_id!r}, base_url={self._api.base_url!r})"

    def close(self) -> None:
        """Close idle connections."""
        self._api.close()
