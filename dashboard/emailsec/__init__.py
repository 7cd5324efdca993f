"""A thin typed client for Cloudflare's Email Security API. Knows HTTP and the API's contract, nothing of Django."""

from dashboard.emailsec.client import EmailSecurityClient
from dashboard.emailsec.credentials import Credentials, KeyCredentials, TokenCredentials
from dashboard.emailsec.features import MissingFeatures, RememberedHere
from dashboard.emailsec.groups import every
from dashboard.emailsec.requests import BulkSearch, MissedDetection, NewAllowPolicy, Reclassification, SearchQuery
from dashboard.emailsec.rows import MessageRow, decode_rows
from dashboard.emailsec.settings import KINDS, MOST_IN_BATCH, Kind
from dashboard.emailsec.transport import Meter, Priority, RetryTransport, priority_of

__all__ = [
    "KINDS",
    "MOST_IN_BATCH",
    "BulkSearch",
    "Credentials",
    "EmailSecurityClient",
    "KeyCredentials",
    "Kind",
    "MessageRow",
    "Meter",
    "MissedDetection",
    "MissingFeatures",
    "NewAllowPolicy",
    "Priority",
    "Reclassification",
    "RememberedHere",
    "RetryTransport",
    "SearchQuery",
    "TokenCredentials",
    "decode_rows",
    "every",
    "priority_of",
]
