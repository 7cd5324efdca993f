"""Reading all lists of the account, to keep them or to compare them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.emailsec import errors
from dashboard.emailsec.types import SettingsEntry
from dashboard.upstream.connection import get_client
from dashboard.upstream.parallel import side_by_side
from settings_ui.backup import files
from settings_ui.resources import RESOURCES, Resource
from settings_ui.tables.writing import recorded
from settings_ui.watching.queries import seen_ids
from settings_ui.watching.reading import read_whole


def take(*, actor: Member, request: HttpRequest | None) -> bytes:
    """The file. Raises TooManyExports, and what reading raises: a backup is whole, or there is none."""
    taken = recorded(
        actor=actor,
        action="policy:backup",
        detail={},
        read=read_all,
        counted=lambda found: {"entries": found.number, "missing": list(found.missing)},
        request=request,
    )
    return files.written(taken)


def read_all(resources: Sequence[Resource] = RESOURCES) -> files.Taken:
    """These lists as they are now; what the server does not have is named."""
    at = timezone.now()
    offered = [one for one in resources if get_client().offers(one.name)]
    calls: list[Callable[[], list[SettingsEntry]]] = [_reads(one) for one in offered]
    lists: dict[str, list[SettingsEntry]] = {}
    missing = [one.name for one in resources if one not in offered]
    for resource, found in zip(offered, side_by_side(calls), strict=True):
        if isinstance(found, errors.NotOnThisServer):
            missing.append(resource.name)
        elif isinstance(found, errors.EmailSecurityError):
            raise found
        else:
            lists[resource.name] = found
    return files.Taken(settings.CLOUDFLARE_ACCOUNT_ID, at, lists, missing)


def _reads(resource: Resource) -> Callable[[], list[SettingsEntry]]:
    known = seen_ids(resource.name)
    return lambda: read_whole(resource, known=known)
