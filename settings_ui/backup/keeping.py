"""An uploaded backup between the look at it and the decision: kept here, so that no browser is trusted with it."""

from __future__ import annotations

import datetime as dt
import uuid
import zlib

from django.conf import settings
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.chain import storable_text
from settings_ui.backup.files import Backup, parsed
from settings_ui.models import Upload

KEPT_FOR = dt.timedelta(hours=1)


def keep(member: Member, data: bytes, file_name: str) -> Upload:
    """Keep a backup that can be read; the member's last one goes. Raises Unreadable."""
    parsed(data)
    forget()
    Upload.objects.filter(member=member).delete()
    return Upload.objects.create(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID,
        member=member,
        file_name=storable_text(file_name, limit=200),
        body=zlib.compress(data),
        ends_at=timezone.now() + KEPT_FOR,
    )


def kept(member: Member, upload_id: uuid.UUID) -> tuple[Upload, Backup] | None:
    """The member's own, while it is kept."""
    upload = Upload.objects.filter(
        pk=upload_id, member=member, account_id=settings.CLOUDFLARE_ACCOUNT_ID, ends_at__gt=timezone.now()
    ).first()
    return None if upload is None else (upload, parsed(zlib.decompress(bytes(upload.body))))


def forget() -> None:
    """Delete what is over."""
    Upload.objects.filter(ends_at__lte=timezone.now()).delete()
