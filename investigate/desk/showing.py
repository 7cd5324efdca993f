"""The places of a page that show what the team does with a message, written anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from dashboard.access.decorators import MemberRequest
from investigate.actions.queries import ActionView, JobItemView, states_for
from investigate.desk.cases import stands_alone
from investigate.desk.cells import marks_for
from investigate.message.visible import known_among
from investigate.search.rendering import cell


@dataclass(frozen=True)
class Piece:
    """One message's cell in a list; for the open message also the state in its head."""

    investigate_id: str
    cell: Markup
    view: ActionView | JobItemView | None
    is_open: bool
    may_undo: bool
    has_message: bool  # a report may stand alone on the desk; then there is nothing to act on


def pieces_for(request: MemberRequest, ids: Sequence[str], *, open_id: str = "") -> list[Piece]:
    """Those of the messages that this member may know of, in their order."""
    member = request.user
    known = known_among(member, ids)
    states, marks = states_for(known, member.scope), marks_for(known, member)
    return [
        Piece(
            investigate_id=name,
            cell=cell(request, states.get(name), marks.get(name)),
            view=states.get(name),
            is_open=name == open_id,
            may_undo=name in states and states[name].may_undo(member),
            has_message=name != open_id or not stands_alone(name),
        )
        for name in known
    ]
