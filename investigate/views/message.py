"""One message: its page, its pane beside the list, its parts, and the bodies it can be handed out as."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlencode, urlsplit

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST, require_safe

from dashboard.access.decorators import MemberRequest, requires
from dashboard.access.models import Member
from dashboard.access.roles import Permission, roles_with
from dashboard.audit.recorder import recording
from dashboard.audit.refusals import record_refusal
from dashboard.emailsec.errors import EmailSecurityError, NotFound
from dashboard.emailsec.types import Message
from dashboard.web.errors import ErrorText, answer, explain
from dashboard.web.htmx import wants_partial
from dashboard.web.text import dom_id, visible
from investigate.actions.queries import ActionView, foot, states_for
from investigate.desk import changes, presence
from investigate.desk.bar import bar_for
from investigate.memory.evidence import of_message
from investigate.message import parts, privacy, sample
from investigate.message.head import head
from investigate.message.parts import NeedsClick, NotOffered, Opened
from investigate.message.preview import UnsafePicture
from investigate.message.privacy import UncoverForm
from investigate.message.tabs import FIRST_TAB, MOST_RAW_TEXT, TABS, Context, Tab, Visit, why_of
from investigate.message.visible import opened_for, seen_for

NOT_OFFERED = ErrorText("There is nothing to show.", "", "Open the message to see what there is.", 404)
COVERED = ErrorText(
    "What the sender wrote is covered.",
    "Nothing of it is shown before you say why you have to read it.",
    "Open the message, choose a reason under Preview or Raw, then come back.",
    403,
)
PLAIN = "text/plain; charset=utf-8"
RAW_TEXT_ENDS = "\n\n[Mailwarden shows the first 1 MB. The .eml holds the whole message: download it.]\n"


@require_safe
@requires(Permission.MESSAGE_READ)
def message(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """A message as a page of its own, with the tab that `?tab=` names."""
    return _opened(request, investigate_id, "investigate/message.html")


@require_safe
@requires(Permission.MESSAGE_READ)
def pane(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """A message beside the list: head and reasons in one answer; the other parts come when they are opened."""
    return _opened(request, investigate_id, "investigate/_pane.html")


def _opened(request: MemberRequest, investigate_id: str, template: str) -> HttpResponse:
    tab = TABS.get(request.GET.get("tab", FIRST_TAB), TABS[FIRST_TAB])
    try:
        opened = opened_for(request.user, investigate_id)
    except EmailSecurityError as error:
        return _not_opened(request, investigate_id, template, error)
    member = request.user
    presence.looks_at(member, opened.message.id)
    why = why_of(request, member, opened) | {"detections_failed": _failed(opened.detections_error)}
    acted = states_for([opened.message.id], member.scope).get(opened.message.id)
    panel_template, panel_context = "", Context()
    if tab.name != FIRST_TAB:
        panel_template, panel_context, _ = _state(request, opened.message, tab)
    context = {
        **panel_context,
        "head": head(opened.message, opened.detections),
        "bar": bar_for(member, opened.message.id, queue=request.GET.get("queue", "")),
        "tabs": TABS.values(),
        "selected": tab.name,
        "counts": _counts(opened, shows_body=why["shows_body"]),
        "panel_template": panel_template,
        "investigate_id": opened.message.id,
        "foot": foot(opened.message, member),
        "view": acted,
        "rests": isinstance(acted, ActionView) and acted.action.actor_id != member.pk,
        "here": presence.said(opened.message.id, member),
        "latest": changes.latest,  # asked for by whole pages only
        "way_back": lambda: _way_back(request),  # the same
        "may_undo": acted is not None and acted.may_undo(member),
        "message": opened.message,
        **why,
    }
    return render(request, template, context)


def _way_back(request: MemberRequest) -> tuple[str, str]:
    """(words, address) of the list somebody came from: as they left it where the browser says how."""
    before = urlsplit(request.headers.get("Referer", ""))
    queue, search = reverse("investigate:queue"), reverse("investigate:search")
    was_here = before.netloc == request.get_host()
    if tab := request.GET.get("queue", ""):
        query = before.query if was_here and before.path == queue else urlencode({"list": tab})
        return "Back to the queue", f"{queue}?{query}"
    if was_here and before.path == queue:
        return "Back to the queue", f"{queue}?{before.query}"
    if was_here and before.path == search and before.query:
        return "Back to the search", f"{search}?{before.query}"
    return "To the search", search


def _not_opened(request: MemberRequest, investigate_id: str, template: str, error: EmailSecurityError) -> HttpResponse:
    """The state of a message that is gone or cannot be read now, in the place where it was asked for."""
    failed = explain(error)
    is_gone = isinstance(error, NotFound)
    kept = of_message(request.user, investigate_id) if is_gone else []
    context = {"explained": failed, "is_gone": is_gone, "kept": kept, "investigate_id": investigate_id}
    is_page = template == "investigate/message.html"
    page = "investigate/message_failed.html" if is_page else "investigate/_pane_failed.html"
    return _in_place(render(request, page, context, status=failed.status), "#detail")


@require_safe
@requires(Permission.MESSAGE_READ)
def part(request: MemberRequest, investigate_id: str, part: str) -> HttpResponse:
    """One part, alone: it loads, fails and is tried again by itself."""
    tab = TABS.get(part)
    if tab is None:
        raise Http404
    if not wants_partial(request):
        return redirect(f"{reverse('investigate:message', args=[investigate_id])}?tab={tab.name}")
    try:
        found = seen_for(request.user, investigate_id)
    except EmailSecurityError as error:
        return _shown(request, tab, *_failure(investigate_id, tab, error))
    return _panel(request, found, tab)


def _panel(request: MemberRequest, found: Message, tab: Tab) -> HttpResponse:
    return _shown(request, tab, *_state(request, found, tab))


def _state(request: MemberRequest, found: Message, tab: Tab) -> tuple[str, Context, int]:
    """Template, context and status of a part: shown, not offered, forbidden, or failed."""
    member = request.user
    context: Context = {"message": found, "investigate_id": found.id}
    if not member.may(tab.permission):
        record_refusal(request, tab.permission.value)
        holders = [role.value.replace("_", " ") for role in roles_with(tab.permission)]
        return "investigate/_part_forbidden.html", {**context, "holders": holders}, 403
    if _is_covered(member, tab, found):
        return "investigate/_part_covered.html", {**context, "tab": tab, "uncover_form": UncoverForm()}, 200
    try:
        context |= tab.read(Visit(request, member, found))
    except NeedsClick as needed:
        return "investigate/_part_needs_click.html", {**context, "why_not": str(needed)}, 200
    except NotOffered as reason:
        return "investigate/_part_not_offered.html", {**context, "why_not": str(reason)}, 200
    except UnsafePicture as unsafe:
        return "investigate/_part_unsafe.html", {**context, "sentence": str(unsafe)}, 200
    except EmailSecurityError as error:
        return _failure(found.id, tab, error)
    # Errors that leave a part standing become words here, because only views know how errors are worded.
    context["detections_failed"] = _failed(context.get("detections_error"))
    context["log_failed"] = _failed(context.get("log_error"))
    return tab.template, context, 200


def _failure(investigate_id: str, tab: Tab, error: EmailSecurityError) -> tuple[str, Context, int]:
    failed = explain(error)
    url = reverse("investigate:part", args=[investigate_id, tab.name])
    return (
        "errors/_upstream.html",
        {"explained": failed, "retry_url": url, "target": f"#panel-{tab.name}"},
        failed.status,
    )


def _is_covered(member: Member, tab: Tab, found: Message) -> bool:
    return tab.permission == Permission.MESSAGE_READ_BODY and privacy.is_covered(member, found.id)


def _shown(request: MemberRequest, tab: Tab, template: str, context: Context, status: int) -> HttpResponse:
    response = render(request, template, context, status=status)
    return response if status == 200 else _in_place(response, f"#panel-{tab.name}")


@require_POST
@requires(Permission.MESSAGE_READ_BODY)
def render_preview(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """Ask Cloudflare to render clean mail, which its log and ours keep."""
    tab = TABS["preview"]
    is_partial = wants_partial(request)
    try:
        found = seen_for(request.user, investigate_id)
        if _is_covered(request.user, tab, found):
            return answer(request, COVERED)
        with recording(request.user, "message:render_preview", targets=[found.id], request=request) as event:
            try:
                picture = parts.render(found)
            except UnsafePicture as unsafe:
                event.phase, event.detail = "failed", {"refused": str(unsafe)}
                if is_partial:
                    return render(request, "investigate/_part_unsafe.html", {"sentence": str(unsafe)})
                return answer(request, replace(NOT_OFFERED, sentence=str(unsafe)))
    except EmailSecurityError as error:
        if not is_partial:
            raise
        return _shown(request, tab, *_failure(investigate_id, tab, error))
    if not is_partial:
        page = f"{reverse('investigate:message', args=[found.id])}?tab=preview"
        return HttpResponse(status=303, headers={"Location": page})
    return render(request, tab.template, {"picture": picture, "message": found, "investigate_id": found.id, "tab": tab})


@require_POST
@requires(Permission.MESSAGE_READ_BODY)
def uncover(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """Take the reason for reading what the sender wrote; then show the part where it was asked for."""
    tab = TABS.get(request.POST.get("tab", ""), TABS["preview"])
    is_partial, member = wants_partial(request), request.user
    try:
        found = seen_for(member, investigate_id)
    except EmailSecurityError as error:
        if not is_partial:
            raise
        return _shown(request, tab, *_failure(investigate_id, tab, error))
    form = UncoverForm(request.POST)
    if not form.is_valid():
        template = "investigate/_part_covered.html" if is_partial else "investigate/uncover.html"
        context: Context = {"investigate_id": found.id, "tab": tab, "uncover_form": form}
        return _shown(request, tab, template, context, 422)
    if privacy.is_covered(member, found.id):
        privacy.uncover(actor=member, message=found, reason=form.reason, request=request)
    if not is_partial:
        page = f"{reverse('investigate:message', args=[found.id])}?tab={tab.name}"
        return HttpResponse(status=303, headers={"Location": page})
    response = _panel(request, found, tab)
    response["HX-Trigger-After-Swap"] = "uncovered"  # the other covered parts of the page ask for themselves again
    return response


@require_GET
@requires(Permission.MESSAGE_READ_BODY)
def preview_image(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """The picture, drawn anew by us."""
    found = seen_for(request.user, investigate_id)
    if privacy.is_covered(request.user, found.id):
        return answer(request, COVERED)
    if why_not := parts.why_no_preview(found):
        return answer(request, replace(NOT_OFFERED, sentence=why_not))
    with recording(request.user, "message:preview", targets=[found.id], request=request) as event:
        try:
            picture = parts.preview(found)
        except UnsafePicture as unsafe:
            event.phase, event.detail = "failed", {"refused": str(unsafe)}
            return answer(request, replace(NOT_OFFERED, sentence=str(unsafe)))
        event.detail = {"width": picture.width, "height": picture.height}
    return body_answer(picture.png, "image/png", 'inline; filename="preview.png"')


@require_GET
@requires(Permission.MESSAGE_READ_BODY)
def raw_text(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """The raw message as text for the sandboxed frame, with invisible characters shown as marks."""
    return _raw_as(request, investigate_id, "message:raw", _as_text)


@require_GET
@requires(Permission.MESSAGE_READ_BODY)
def download_eml(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """The message byte for byte."""
    return _raw_as(request, investigate_id, "message:download_eml", _as_eml)


@require_GET
@requires(Permission.MESSAGE_READ_BODY)
def download_sample(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """The message in an AES zip with the usual password."""
    return _raw_as(request, investigate_id, "message:download_sample", _as_sample)


def _raw_as(
    request: MemberRequest, investigate_id: str, action: str, handed_out: Callable[[Visit, bytes], HttpResponse]
) -> HttpResponse:
    """The raw message in one of its forms, written down before it is fetched."""
    found = seen_for(request.user, investigate_id)
    if privacy.is_covered(request.user, found.id):
        return answer(request, COVERED)
    if why_not := parts.why_no_raw(found):
        return answer(request, replace(NOT_OFFERED, sentence=why_not))
    with recording(request.user, action, targets=[found.id], request=request) as event:
        raw = parts.raw(found)
        event.detail = {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    return handed_out(Visit(request, request.user, found), raw)


def _as_text(visit: Visit, raw: bytes) -> HttpResponse:
    """The first megabyte: a browser shows more of it badly, and marks make text up to eight times as long."""
    is_cut = len(raw) > MOST_RAW_TEXT
    whole_characters = codecs.getincrementaldecoder("utf-8")("replace")
    shown = whole_characters.decode(raw[:MOST_RAW_TEXT], final=not is_cut)
    text = visible(shown.replace("\r\n", "\n"))
    if "numbers" in visit.request.GET:
        lines = text.split("\n")
        width = len(str(len(lines)))
        text = "\n".join(f"{number:>{width}}  {line}" for number, line in enumerate(lines, start=1))
    if is_cut:
        text += RAW_TEXT_ENDS
    return body_answer(text.encode("utf-8", "replace"), PLAIN, 'inline; filename="raw.txt"', framed=True)


def _as_eml(visit: Visit, raw: bytes) -> HttpResponse:
    return body_answer(raw, "message/rfc822", f'attachment; filename="message-{dom_id(visit.message.id)}.eml"')


def _as_sample(visit: Visit, raw: bytes) -> HttpResponse:
    archive = sample.pack(raw).archive
    return body_answer(archive, "application/zip", f'attachment; filename="sample-{dom_id(visit.message.id)}.zip"')


def body_answer(content: bytes, content_type: str, disposition: str, *, framed: bool = False) -> HttpResponse:
    """What a sender wrote, in a form no browser runs: sandboxed, never sniffed, never shown inside another site."""
    response = HttpResponse(content, content_type=content_type)
    ancestors = "'self'" if framed else "'none'"
    response["Content-Security-Policy"] = f"sandbox; default-src 'none'; frame-ancestors {ancestors}"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Disposition"] = disposition
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    response["X-Frame-Options"] = "SAMEORIGIN" if framed else "DENY"
    return response


def _counts(opened: Opened, *, shows_body: bool) -> dict[str, int]:
    """Numbers on the tabs, where they are known already."""
    if opened.detections is None or not shows_body:
        return {}
    return {"links": len(opened.detections.links), "attachments": len(opened.detections.attachments)}


def _failed(error: EmailSecurityError | None) -> ErrorText | None:
    return None if error is None else explain(error)


def _in_place(response: HttpResponse, target: str) -> HttpResponse:
    """An error swaps into the place it belongs to, not into the notice line where htmx puts other errors."""
    response["HX-Retarget"] = target
    response["HX-Reswap"] = "innerHTML"
    return response
