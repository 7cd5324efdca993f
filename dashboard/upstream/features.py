"""Which operations this account's server lacks, remembered for a day for all processes."""

from __future__ import annotations

import datetime as dt

import structlog
from django.db import Error as AnyDatabaseError
from django.db import transaction
from django.utils import timezone

from dashboard.upstream.models import MissingFeature

log = structlog.get_logger("mailwarden.features")

BELIEVED_FOR = dt.timedelta(days=1)


class SharedMissingFeatures:
    """The client asks here before it tries an operation, and tells what it learned.

    It only spares calls: a database that does not answer costs one call more, never the answer of one.
    """

    def __init__(self, account_id: str) -> None:
        self.account_id = account_id

    def is_missing(self, feature: str) -> bool:
        known = MissingFeature.objects.filter(account_id=self.account_id, feature=feature, until__gt=timezone.now())
        try:
            return known.exists()
        except AnyDatabaseError as exc:
            log.warning("missing_features_not_read", error=type(exc).__name__)
            return False

    def remember(self, feature: str) -> None:
        until = timezone.now() + BELIEVED_FOR
        try:
            with transaction.atomic():
                MissingFeature.objects.update_or_create(
                    account_id=self.account_id, feature=feature, defaults={"until": until}
                )
        except AnyDatabaseError as exc:
            log.warning("missing_feature_not_kept", feature=feature, error=type(exc).__name__)
