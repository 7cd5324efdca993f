"""Where a form may send somebody afterwards: a path of ours, and nothing that a browser could read otherwise."""

from __future__ import annotations

import re

from django.utils.http import url_has_allowed_host_and_scheme

# A path from the root in printable ASCII. Browsers read a backslash as a slash and drop tabs and line feeds, so
# that "/\evil.example" and "/<tab>/evil.example" would leave the site.
_PATH = re.compile(r"/(?![/\\])[\x21\x23-\x5b\x5d-\x7e]*")
_LONGEST = 2_000


def safe_path(value: str | None, default: str) -> str:
    """`value` when it is a path on this site, `default` otherwise."""
    if not value or len(value) > _LONGEST or not _PATH.fullmatch(value):
        return default
    if value.startswith("/account/log") or not url_has_allowed_host_and_scheme(value, allowed_hosts=None):
        return default  # back to sign-in or sign-out would be a circle
    return value
