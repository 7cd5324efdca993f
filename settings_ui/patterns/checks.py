"""Whether a pattern can stand."""

from __future__ import annotations


def problem_with(pattern: str, pattern_type: str | None, *, is_regex: bool) -> str:
    """What is wrong with a pattern, or ""."""
    raise NotImplementedError


def problem_with_domain(text: str) -> str:
    raise NotImplementedError


def problem_with_network(text: str) -> str:
    raise NotImplementedError


def problem_with_uuid(text: str) -> str:
    raise NotImplementedError
