"""Addresses below /investigate/. Literal paths come before ids."""

from __future__ import annotations

from django.urls import register_converter

LONGEST_ID = 255


class InvestigateIdConverter:
    """An investigate id is opaque; it holds colons, and is one segment of the path.

    What cannot be asked for (a step up the path, control characters, more than a row can hold) names nothing.
    """

    regex = r"[^/]+"

    def to_python(self, value: str) -> str:
        if value in (".", "..") or len(value) > LONGEST_ID or not value.isprintable():
            raise ValueError(value)
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(InvestigateIdConverter, "investigate_id")

# The rooms' addresses use the converter, so they are read after it is registered.
from investigate.actions.urls import urlpatterns as action_urls  # noqa: E402
from investigate.approvals.urls import urlpatterns as approval_urls  # noqa: E402
from investigate.bulk.urls import urlpatterns as bulk_urls  # noqa: E402
from investigate.campaigns.urls import urlpatterns as campaign_urls  # noqa: E402
from investigate.desk.live_urls import urlpatterns as live_urls  # noqa: E402
from investigate.desk.urls import urlpatterns as desk_urls  # noqa: E402
from investigate.exporting.urls import urlpatterns as export_urls  # noqa: E402
from investigate.fixing.urls import urlpatterns as fixing_urls  # noqa: E402
from investigate.memory.urls import urlpatterns as memory_urls  # noqa: E402
from investigate.message.urls import urlpatterns as message_urls  # noqa: E402
from investigate.notices.urls import urlpatterns as notice_urls  # noqa: E402
from investigate.phishguard.urls import urlpatterns as phishguard_urls  # noqa: E402
from investigate.rules.urls import urlpatterns as rule_urls  # noqa: E402
from investigate.saved.urls import urlpatterns as saved_urls  # noqa: E402
from investigate.search.urls import urlpatterns as search_urls  # noqa: E402
from investigate.submissions.urls import urlpatterns as submission_urls  # noqa: E402

app_name = "investigate"
urlpatterns = [
    *search_urls,
    *live_urls,
    *desk_urls,
    *action_urls,
    *approval_urls,
    *bulk_urls,
    *fixing_urls,
    *rule_urls,
    *submission_urls,
    *phishguard_urls,
    *campaign_urls,
    *saved_urls,
    *notice_urls,
    *memory_urls,
    *export_urls,
    *message_urls,
]
