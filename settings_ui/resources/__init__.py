"""Every resource of the account's settings, in the order in which they are shown. A ninth is one more file and line."""

from __future__ import annotations

from settings_ui.resources.allow_policies import ALLOW_POLICIES
from settings_ui.resources.block_senders import BLOCK_SENDERS
from settings_ui.resources.content_policies import CONTENT_POLICIES
from settings_ui.resources.description import Field, Resource, Values, Wrong
from settings_ui.resources.domains import DOMAINS
from settings_ui.resources.impersonation_registry import IMPERSONATION_REGISTRY
from settings_ui.resources.sending_domain_restrictions import SENDING_DOMAIN_RESTRICTIONS
from settings_ui.resources.trusted_domains import TRUSTED_DOMAINS
from settings_ui.resources.url_ignore_patterns import URL_IGNORE_PATTERNS

RESOURCES: tuple[Resource, ...] = (
    ALLOW_POLICIES,
    BLOCK_SENDERS,
    TRUSTED_DOMAINS,
    IMPERSONATION_REGISTRY,
    SENDING_DOMAIN_RESTRICTIONS,
    DOMAINS,
    CONTENT_POLICIES,
    URL_IGNORE_PATTERNS,
)

BY_SLUG = {resource.slug: resource for resource in RESOURCES}
BY_NAME = {resource.name: resource for resource in RESOURCES}

__all__ = ["BY_NAME", "BY_SLUG", "RESOURCES", "Field", "Resource", "Values", "Wrong"]
