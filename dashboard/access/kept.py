"""The cache of sign-in: a table, so that what it remembers survives a restart and holds for every process.

Values are JSON: a row that somebody else wrote can be wrong, but never runs as code.
"""

from __future__ import annotations

import json
import time
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.db import IntegrityError, transaction

_FOREVER = 10 * 365 * 86_400.0


class KeptCache(BaseCache):
    """Django's cache on the table of `Kept`."""

    def __init__(self, _location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        row = self._rows(key, version).filter(ends_at__gt=time.time()).values_list("value", flat=True).first()
        return default if row is None else json.loads(row)

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        fields = {"value": json.dumps(value), "ends_at": self._end(timeout)}
        self._rows(key, version).model.objects.update_or_create(
            key=self.make_and_validate_key(key, version=version), defaults=fields
        )

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Set what is not there yet. Of several that try at once, one gets True."""
        fields = {"value": json.dumps(value), "ends_at": self._end(timeout)}
        rows = self._rows(key, version)
        if rows.filter(ends_at__lte=time.time()).update(**fields):
            return True
        try:
            with transaction.atomic():
                rows.model.objects.create(key=self.make_and_validate_key(key, version=version), **fields)
        except IntegrityError:
            return False
        return True

    def touch(self, key: str, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return bool(self._rows(key, version).filter(ends_at__gt=time.time()).update(ends_at=self._end(timeout)))

    def delete(self, key: str, version: int | None = None) -> bool:
        return bool(self._rows(key, version).delete()[0])

    def clear(self) -> None:
        from dashboard.access.models import Kept

        Kept.objects.all().delete()

    def _rows(self, key: str, version: int | None) -> Any:
        from dashboard.access.models import Kept  # the cache is made before the models are

        return Kept.objects.filter(key=self.make_and_validate_key(key, version=version))

    def _end(self, timeout: Any) -> float:
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        return time.time() + (_FOREVER if timeout is None else timeout)
