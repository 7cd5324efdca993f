"""What the forms of all rooms have in common."""

from __future__ import annotations

from django.core.validators import RegexValidator

# A key made with a form, which makes its second sending the same decision and not another one.
check_key = RegexValidator(r"\A[0-9A-Za-z-]{8,64}\Z")
