"""What the views of all settings rooms share."""

from __future__ import annotations

from django.http import Http404

from dashboard.upstream.connection import get_client
from dashboard.web.errors import ErrorText
from settings_ui.resources import BY_SLUG, Resource

LONGEST_ID = 100  # as long as rows can hold


def is_id(text: str) -> bool:
    """Whether an entry can be asked for by this: no step up the path, no control characters, nothing endless."""
    return text not in ("", ".", "..") and len(text) <= LONGEST_ID and text.isprintable()


def resource_or_404(slug: str) -> Resource:
    """The list an address names. What nobody knows and what the account's server lacks are both 404, in words."""
    resource = BY_SLUG.get(slug)
    if resource is None:
        raise Http404
    if not get_client().offers(resource.name):
        raise Http404(not_offered(resource))
    return resource


def not_offered(resource: Resource) -> ErrorText:
    """What the page of a list says where the account's server does not have it."""
    return ErrorText(
        f"This account's API has no {resource.title[0].lower()}{resource.title[1:]}.",
        "Its server answered that it does not know this list.",
        "Mailwarden asks again tomorrow. Everything else goes on working.",
        404,
    )
