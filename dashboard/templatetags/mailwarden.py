"""What every template has: filters for hostile text, times and defanged indicators, and `once` for fixed markup."""

from __future__ import annotations

import datetime as dt

from django import template
from django.template.base import Node, NodeList, Parser, Token
from django.template.context import Context

from dashboard.web import text, times

register = template.Library()


@register.filter
def visible(value: object, limit: int | None = None) -> str:
    return text.visible(value, limit=limit)


@register.filter
def defang(value: str) -> str:
    return text.visible(text.defang(value or ""))


@register.filter
def punycode(domain: str) -> str:
    return text.punycode(domain or "")


@register.filter
def clock(value: dt.datetime | None) -> str:
    """01:03:07"""
    return times.clock(value)


@register.filter
def moment(value: dt.datetime | None) -> str:
    """21 Nov 2026 01:03:07 UTC (02:03 in Berlin)"""
    return times.moment(value)


@register.filter
def iso(value: dt.datetime | None) -> str:
    """For `<time datetime>`."""
    return "" if value is None else value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@register.filter
def age(value: dt.datetime | None) -> str:
    """4 s, 12 min, 3 h, 2 days"""
    return times.age(value)


@register.filter
def size(value: int | None) -> str:
    """Bytes as kB with one decimal where it matters."""
    if value is None:
        return ""
    return (
        f"{value} B"
        if value < 1000
        else f"{value / 1000:.1f} kB"
        if value < 1_000_000
        else f"{value / 1_000_000:.1f} MB"
    )


@register.filter
def dom_id(investigate_id: str) -> str:
    return text.dom_id(investigate_id)


class OnceNode(Node):
    def __init__(self, nodes: NodeList) -> None:
        self.nodes = nodes
        self.written: str | None = None

    def render(self, context: Context) -> str:
        if self.written is None:
            self.written = self.nodes.render(context)
        return self.written


@register.tag
def once(parser: Parser, token: Token) -> OnceNode:  # noqa: ARG001
    """Markup that is the same for every request (addresses of files and pages): a process renders it once.

    Whatever depends on the request, the member or the context must stay outside.
    """
    nodes = parser.parse(("endonce",))
    parser.delete_first_token()
    return OnceNode(nodes)
