"""Whether what changed meanwhile was one of us."""

from __future__ import annotations

from django.conf import settings

from settings_ui.models import Line, LineState, Verb
from settings_ui.resources.description import Resource, Values, alike


def who_changed(resource: Resource, entry_id: str, *, was: Values, theirs: Values) -> str:
    """The member whose change made at least some of the difference, as its row says; "" where none of ours did."""
    lines = Line.objects.filter(
        upstream_id=entry_id,
        verb=Verb.CHANGE,
        state=LineState.DONE,
        change__resource=resource.name,
        change__account_id=settings.CLOUDFLARE_ACCOUNT_ID,
    )
    last = lines.select_related("change").order_by("-pk").first()
    if last is None:
        return ""
    stands = all(alike(theirs.get(name), value) for name, value in last.values.items())
    is_news = any(not alike(was.get(name), value) for name, value in last.values.items())
    return last.change.actor_name if stands and is_news else ""
