"""A notice as its receiver gets it, made from the row. What senders wrote comes out of here inert, in every format."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from dashboard.web import times
from investigate.actions.words import disposition
from investigate.campaigns.queries import address_of
from investigate.models import Channel, Notice
from investigate.notices import words
from investigate.notices.inert import bare, inert

SUBJECT, SENDER, RECIPIENT = 200, 120, 120  # characters of each that go along
IN_A_CHAT = 10  # groups; Teams takes 28 kB, Slack fifty blocks
_NO_SUBJECT = "(no subject)"


@dataclass(frozen=True)
class Shown:
    """A group of a notice, in words without life."""

    subject: str
    sender: str
    to: str
    verdict: str
    count: int
    when: str
    path: str
    is_campaign: bool

    @property
    def url(self) -> str:
        return absolute(self.path)

    @property
    def facts(self) -> str:
        """Everything but the subject, on one line."""
        many = f"{self.count} messages" if self.count > 1 else ""
        return " · ".join(filter(None, (self.verdict, many, f"from {self.sender}", f"to {self.to}", self.when)))

    @property
    def link_text(self) -> str:
        return "Open the campaign" if self.is_campaign else "Open the message"


@dataclass(frozen=True)
class Text:
    """A notice in words."""

    headline: str
    summary: str
    groups: list[Shown]
    left_out: str
    known: str
    owner: str
    view_url: str
    change_url: str
    is_test: bool


def absolute(path: str) -> str:
    return f"{settings.ADDRESS}{path}"


def view_path(query: str) -> str:
    found = reverse("investigate:search")
    return f"{found}?{query}" if query else found


def text_of(notice: Notice, *, most: int = 1_000) -> Text:
    content = notice.content
    groups = [_shown(group) for group in content["groups"][:most]]
    return Text(
        headline=words.headline(content, inert(notice.view_name, 80)),
        summary=words.summary(content),
        groups=groups,
        left_out=words.left_out(content, len(groups)),
        known=words.known(content),
        owner=inert(notice.owner.display_name if notice.owner else "", 80),
        view_url=absolute(view_path(content["query"])),
        change_url=_change_url(notice),
        is_test=bool(content.get("test")),
    )


def _shown(group: dict[str, Any]) -> Shown:
    recipients = [inert(address, RECIPIENT) for address in group["recipients"]]
    more = group["more_recipients"]
    return Shown(
        subject=inert(group["subject"], SUBJECT) or _NO_SUBJECT,
        sender=inert(group["sender"], SENDER) or "nobody named",
        to=", ".join(recipients) + (f" and {more} more" if more else "") or "nobody named",
        verdict=inert(disposition(group["disposition"]), 40),
        count=group["count"],
        when=times.moment(dt.datetime.fromisoformat(group["last_at"]).astimezone(dt.UTC)),
        path=_group_path(group),
        is_campaign=bool(group["campaign"]),
    )


def _group_path(group: dict[str, Any]) -> str:
    by, _, key = group["campaign"].partition(":")
    if key:
        return address_of(by, key)
    return reverse("investigate:message", args=[group["messages"][0]])


def _change_url(notice: Notice) -> str:
    if notice.rule_id is None:
        return absolute(reverse("investigate:notices"))
    return absolute(reverse("investigate:notice", args=[notice.rule_id]))


def mail(notice: Notice, address: str) -> EmailMultiAlternatives:
    """The mail; its Message-ID is the notice's own, so that a second copy can be told from a second notice."""
    text = text_of(notice)
    host = urlsplit(settings.ADDRESS).hostname or "mailwarden.invalid"
    message = EmailMultiAlternatives(
        f"Mailwarden: {text.headline}",
        render_to_string("mail/notice.txt", {"notice": text}),
        None,
        [address],
        headers={
            "Message-ID": f"<notice-{notice.pk}@{host}>",
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
        },
    )
    message.attach_alternative(render_to_string("mail/notice.html", {"notice": text}), "text/html")
    return message


def payload(notice: Notice) -> bytes:
    """The body of a POST, as its channel wants it."""
    making = {Channel.WEBHOOK: _webhook, Channel.SLACK: _slack, Channel.TEAMS: _teams}[Channel(notice.channel)]
    return json.dumps(making(notice), ensure_ascii=False).encode()


def _webhook(notice: Notice) -> dict[str, Any]:
    content, text = notice.content, text_of(notice)
    return {
        "type": "mailwarden.notice",
        "version": 1,
        "id": str(notice.pk),
        "test": text.is_test,
        "made_at": notice.created_at.isoformat(),
        "headline": text.headline,
        "view": {"name": inert(notice.view_name, 80), "url": text.view_url},
        "messages": content["messages"],
        "campaigns": content["campaigns"],
        "groups": [
            {
                "campaign": inert(group["campaign"], 300),
                "url": shown.url,
                "count": group["count"],
                "subject": inert(group["subject"], SUBJECT),
                "sender": inert(group["sender"], SENDER),
                "recipients": [inert(address, RECIPIENT) for address in group["recipients"]],
                "more_recipients": group["more_recipients"],
                "disposition": inert(group["disposition"], 40),
                "first_at": group["first_at"],
                "last_at": group["last_at"],
                "messages": group["messages"],
            }
            for group, shown in zip(content["groups"], text.groups, strict=True)
        ],
        "more_groups": content["all_groups"] - len(content["groups"]),
        "known": content["known"],
        "change_url": text.change_url,
    }


def _slack(notice: Notice) -> dict[str, Any]:
    """Hostile text in `plain_text` alone, which knows no markup. `text`, which does, holds counts and names of ours."""
    text = text_of(notice, most=IN_A_CHAT)
    headline = words.headline(notice.content, bare(notice.view_name, 80))
    blocks = [_plain(text.headline)]
    if text.summary:
        blocks.append(_plain(text.summary))
    for group in text.groups:
        blocks += [_plain(f"{group.subject}\n{group.facts}"), _link(group.url, group.link_text)]
    blocks += [_plain(told) for told in (text.left_out, text.known) if told]
    blocks.append(_link(text.view_url, "Open the view", text.change_url, "Change this notice"))
    return {
        "text": f"{headline}: {_slack_link(text.view_url, 'open the view')}",
        "blocks": blocks,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _plain(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "plain_text", "text": text[:3000], "emoji": False}}


def _link(*pairs: str) -> dict[str, Any]:
    links = [_slack_link(url, name) for url, name in zip(pairs[::2], pairs[1::2], strict=True)]
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": " · ".join(links)}]}


def _slack_link(url: str, name: str) -> str:
    safe = url.replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E").replace("|", "%7C")
    return f"<{safe}|{name}>"


def _teams(notice: Notice) -> dict[str, Any]:
    """An Adaptive Card as the workflow "Post to a channel when a webhook request is received" takes it.

    Text stands in runs of a RichTextBlock: unlike a TextBlock, it knows no markup.
    """
    text = text_of(notice, most=IN_A_CHAT)
    body = [_runs({"text": text.headline, "size": "Medium", "weight": "Bolder"})]
    if text.summary:
        body.append(_runs({"text": text.summary}))
    for group in text.groups:
        body.append(_runs({"text": group.subject, "weight": "Bolder"}) | {"separator": True})
        opens = {"type": "Action.OpenUrl", "url": group.url}
        body.append(_runs({"text": f"{group.facts} · "}, {"text": group.link_text, "selectAction": opens}))
    body += [_runs({"text": told}) for told in (text.left_out, text.known) if told]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": [
            {"type": "Action.OpenUrl", "title": "Open the view", "url": text.view_url},
            {"type": "Action.OpenUrl", "title": "Change this notice", "url": text.change_url},
        ],
    }
    attached = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attached]}


def _runs(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", **run} for run in runs]}
