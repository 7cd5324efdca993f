"""Campaigns: groups of remembered messages, and one of them with all that can be done about it."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from dashboard.access.decorators import MemberRequest, requires
from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.emailsec.enums import Disposition
from dashboard.web import errors
from dashboard.web.errors import ErrorText
from dashboard.web.htmx import wants_partial
from investigate.actions.queries import states_for
from investigate.bulk import jobs, offers
from investigate.bulk.facts import is_id
from investigate.bulk.forms import MOST_TICKED
from investigate.bulk.selecting import bar_for
from investigate.campaigns import asking, deciding, following, listing, queries, showing, words
from investigate.campaigns.forms import DecideForm, FollowForm, NamedForm, RuleForm
from investigate.campaigns.listing import Filters
from investigate.desk import words as desk_words
from investigate.desk.cells import marks_for
from investigate.message.wording import verdict_word
from investigate.models import CampaignBy, CampaignRule, FollowMode, JobSource, OwnVerdict
from investigate.search.rendering import cell

USUAL_HOURS = 24
USUAL_MOST = 20
FARTHEST_PAGE = 1_000  # of a campaign's messages


@require_safe
@requires(Permission.MESSAGE_READ)
def campaigns(request: MemberRequest) -> HttpResponse:
    """Groups of a range, the biggest first."""
    member, filters = request.user, Filters.from_query(request.GET.dict())
    shown = listing.shown(member, filters)
    context = {
        "filters": filters,
        "shown": shown,
        "kinds": [(kind.value, label, filters.query(by=kind.value)) for kind, label in words.KINDS.items()],
        "explained": words.EXPLAINED[filters.by],
        "presets": [(last, listing.words_for(last)) for last in listing.PRESETS],
        "dispositions": [(one.value, verdict_word(one)) for one in Disposition],
        "next": filters.query(page=str(filters.page + 1)) if shown.has_more else "",
        "previous": filters.query(page=str(filters.page - 1)) if filters.page > 1 else "",
    }
    return render(request, "investigate/campaigns/list.html", context)


@require_safe
@requires(Permission.MESSAGE_READ)
def campaign(request: MemberRequest) -> HttpResponse:
    """One campaign: how far it reaches, and what can be done about it."""
    form = NamedForm(request.GET)
    if not form.is_valid():
        raise Http404
    return _page(request, CampaignBy(form.cleaned_data["by"]), form.cleaned_data["key"])


@require_POST
@requires(Permission.MESSAGE_READ)
def ask_campaign(request: MemberRequest) -> HttpResponse:
    """One bounded search, whose answer goes into the memory."""
    form = NamedForm(request.POST)
    if not form.is_valid():
        return errors.bad_request(request)
    by, key = CampaignBy(form.cleaned_data["by"]), form.cleaned_data["key"]
    group = queries.group_of(request.user, by, key)
    if group is None:
        raise Http404
    if why := asking.why_not(group):
        return errors.answer(request, ErrorText("Cloudflare was not asked.", why, "", 422))
    answer = asking.ask_again(request.user, group)
    return _back(
        by, key, asked="slow" if answer.is_slow else "cut" if not answer.is_complete else "all", new=answer.new
    )


@require_POST
@requires(Permission.JOB_RUN)
def decide_campaign(request: MemberRequest) -> HttpResponse:
    """Begin a rehearsal with these messages, or say the team's verdict of each."""
    member, form = request.user, DecideForm(request.POST)
    if not form.is_valid():
        return errors.answer(request, ErrorText("Nothing was decided.", form.problem, "Nothing was sent.", 422))
    found = form.cleaned_data
    by, key = CampaignBy(found["by"]), found["key"]
    alike = queries.members_of(member, by, key)
    rows = alike.filter(pk__lte=found["last_row"]) if found["all"] else alike.filter(investigate_id__in=found["ids"])
    if form.verdict:
        return _say(request, by, key, rows[: deciding.MOST_VERDICTS + 1], form.verdict)
    ids = list(rows.values_list("investigate_id", flat=True)[: MOST_TICKED + 1])
    if not ids or len(ids) > MOST_TICKED:
        told = f"{MOST_TICKED:,} messages are the most at once." if ids else "None of these is part of it any more."
        return errors.answer(request, ErrorText("No rehearsal was begun.", told, "Nothing was sent.", 422))
    try:
        job = jobs.begin(
            actor=member,
            source=JobSource.SELECTION,
            **offers.decided(found["what"]),
            terms=[("investigate_id", one) for one in sorted(ids)],
            operation_key=found["operation_key"],
            request=request,
        )
    except jobs.Conflict as conflict:
        return errors.answer(
            request, ErrorText("No rehearsal was begun.", str(conflict), "Reload the page to begin another.", 409)
        )
    return _go(request, reverse("investigate:job", args=[job.pk]))


@require_POST
@requires(Permission.JOB_RUN)
def follow_campaign(request: MemberRequest) -> HttpResponse:
    """A rule for those who come later."""
    member, named = request.user, NamedForm(request.POST)
    if not named.is_valid():
        return errors.bad_request(request)
    by, key = CampaignBy(named.cleaned_data["by"]), named.cleaned_data["key"]
    group = queries.group_of(member, by, key)
    if group is None:
        raise Http404
    form = FollowForm(member, request.POST)
    if not form.is_valid():
        return _page(request, by, key, form=form, status=422)
    try:
        following.follow(actor=member, title=group.title, request=request, **form.wish())
    except following.NotPossible as reason:
        form.add_error(None, str(reason))
        return _page(request, by, key, form=form, status=422)
    except following.Conflict as conflict:
        form.add_error(None, str(conflict))
        return _page(request, by, key, form=form, status=409)
    return _back(by, key, anchor="later")


@require_POST
@requires(Permission.JOB_RUN)
def end_following(request: MemberRequest) -> HttpResponse:
    """The rule takes nothing more."""
    rule = _rule(request)
    following.end(actor=request.user, rule=rule, request=request)
    return _back(CampaignBy(rule.by), rule.key, anchor="later")


@require_POST
@requires(Permission.JOB_RUN)
def take_later(request: MemberRequest) -> HttpResponse:
    """Do with later messages what the rule says: one of them, or all that wait."""
    rule, ids = _rule(request), _waiting(request)
    by, key = CampaignBy(rule.by), rule.key
    if len(ids) > following.MOST_CLICKED:
        return errors.answer(
            request,
            ErrorText(
                "These are too many for one click.",
                f"{following.MOST_CLICKED} are the most; tick them in the list of messages and rehearse it.",
                "Nothing was sent.",
                422,
            ),
        )
    decided = following.take(actor=request.user, rule=rule, ids=ids, request=request)
    if decided.told:
        told = " ".join(dict.fromkeys(decided.told))
        title = f"{decided.acted} of {decided.acted + len(decided.told)} later copies are on their way."
        return errors.answer(request, ErrorText(title, told, "The campaign says what became of each.", 409))
    return _back(by, key, anchor="waiting")


@require_POST
@requires(Permission.JOB_RUN)
def leave_later(request: MemberRequest) -> HttpResponse:
    """Leave later messages as they are."""
    rule = _rule(request)
    following.leave(actor=request.user, rule=rule, ids=_waiting(request), request=request)
    return _back(CampaignBy(rule.by), rule.key, anchor="waiting")


def _page(
    request: MemberRequest, by: CampaignBy, key: str, *, form: FollowForm | None = None, status: int = 200
) -> HttpResponse:
    member = request.user
    found = showing.campaign_for(member, by, key)
    if found is None:
        return render(request, "investigate/campaigns/none.html", {}, status=404)
    page = min(max(1, _number(request, "page")), FARTHEST_PAGE)
    rows = list(queries.members_of(member, by, key)[(page - 1) * showing.PER_PAGE : page * showing.PER_PAGE + 1])
    shown = rows[: showing.PER_PAGE]
    ids = [row.investigate_id for row in shown]
    states, marks = states_for(ids, member.scope), marks_for(ids, member)
    decided = {*states, *(name for name, mark in marks.items() if mark.verdict)}
    bar = bar_for(member)
    context = {
        "campaign": found,
        "group": found.group,
        "kind": words.KINDS[by],
        "explained": words.EXPLAINED[by],
        "rows": [
            (row, cell(request, states.get(row.seen.investigate_id), marks.get(row.seen.investigate_id)))
            for row in showing.message_rows(member, shown, decided)
        ],
        "page": page,
        "older": page + 1 if len(rows) > showing.PER_PAGE else 0,
        "bar": bar,
        "verdicts": [
            (value, str(label).capitalize(), number)
            for number, (value, label) in enumerate(OwnVerdict.choices, start=1)
        ]
        if bar is not None and member.may(Permission.CASE_WORK)
        else [],
        "form": form or _follow_form(member, by, key) if bar is not None and found.rule is None else None,
        "rule_command": words.command(found.rule) if found.rule else "",
        "handled": showing.handled_of(member, found.rule) if found.rule else (0, 0),
        "may_end": found.rule is not None and bar is not None and following.may_end(member, found.rule),
        "waiting_of": _by_rule(found),
        "is_limited": not member.scope.is_whole,
        "why_not_ask": asking.why_not(found.group),
        "told": _told(request),
    }
    return render(request, "investigate/campaigns/campaign.html", context, status=status)


def _follow_form(member: Member, by: CampaignBy, key: str) -> FollowForm:
    """The form as it is first shown: what was decided about the campaign last is what is offered for later ones."""
    initial = {
        "by": by.value,
        "key": key,
        "operation_key": uuid.uuid4().hex,
        "mode": FollowMode.OFFER.value,
        "hours": USUAL_HOURS,
        "most": USUAL_MOST,
        "what": showing.last_decision(member, by, key) or "move:JunkEmail",
    }
    return FollowForm(member, initial=initial)


def _by_rule(found: showing.Campaign) -> list[tuple[CampaignRule, str, list[showing.Waiting], bool]]:
    """Those who wait, by the rule that offers them: rule, what it would do, they, whether one click can take them."""
    rules = {one.member.rule_id: one.member.rule for one in found.waiting}
    groups = [(rule, [one for one in found.waiting if one.member.rule_id == rule.pk]) for rule in rules.values()]
    return [(rule, words.command(rule), waiting, len(waiting) <= following.MOST_CLICKED) for rule, waiting in groups]


def _say(request: MemberRequest, by: CampaignBy, key: str, rows: Any, verdict: str) -> HttpResponse:
    member, found = request.user, list(rows)
    if not member.may(Permission.CASE_WORK):
        raise PermissionDenied(Permission.CASE_WORK.value)
    if not found or len(found) > deciding.MOST_VERDICTS:
        told = (
            f"{deciding.MOST_VERDICTS} are the most at once: tick fewer." if found else "None is part of it any more."
        )
        return errors.answer(request, ErrorText("No verdict was given.", told, "Nothing was changed.", 422))
    said = deciding.say_verdict(actor=member, by=by, key=key, rows=found, verdict=verdict, request=request)
    if said.kept:
        title = f"{desk_words.verdict(verdict).capitalize()}: said of {said.said} of {len(found)}."
        return errors.answer(request, ErrorText(title, " ".join(said.kept[:3]), "The others keep theirs.", 409))
    return _go(request, f"{queries.address_of(by, key)}&said={said.said}#messages")


def _told(request: MemberRequest) -> str:
    """What an earlier click came to, in one sentence; only numbers and known words are taken from the address."""
    new, said = _number(request, "new"), _number(request, "said")
    match request.GET.get("asked", ""):
        case "slow":
            return "Cloudflare would take long to search and was not waited for. What you see is from the memory."
        case "cut":
            return f"Cloudflare was asked; it has more than one answer holds. New of this campaign: {new:,}."
        case "all":
            return f"Cloudflare was asked. New of this campaign: {new:,}."
    return f"Our verdict was given to {said:,} message{'' if said == 1 else 's'}." if said else ""


def _number(request: MemberRequest, name: str) -> int:
    value = request.GET.get(name, "")[:9]
    return int(value) if value.isascii() and value.isdigit() else 0


def _rule(request: MemberRequest) -> CampaignRule:
    """The rule a form names, where its campaign is there for this member."""
    form, member = RuleForm(request.POST), request.user
    if not form.is_valid():
        raise Http404
    ours = CampaignRule.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID).select_related("owner")
    rule = get_object_or_404(ours, pk=form.cleaned_data["rule"])
    if rule.owner_id != member.pk and not queries.members_of(member, CampaignBy(rule.by), rule.key).exists():
        raise Http404
    return rule


def _waiting(request: MemberRequest) -> list[str]:
    """The later messages a form means: one, or all that its page showed."""
    return [one for one in dict.fromkeys(request.POST.getlist("message")) if is_id(one)][: showing.PER_PAGE]


def _back(by: CampaignBy, key: str, *, anchor: str = "", **more: object) -> HttpResponse:
    asked = "".join(f"&{name}={value}" for name, value in more.items())
    address = f"{queries.address_of(by, key)}{asked}{f'#{anchor}' if anchor else ''}"
    return HttpResponse(status=303, headers={"Location": address})


def _go(request: MemberRequest, address: str) -> HttpResponse:
    if wants_partial(request):
        return HttpResponse(headers={"HX-Redirect": address})
    return HttpResponse(status=303, headers={"Location": address})
