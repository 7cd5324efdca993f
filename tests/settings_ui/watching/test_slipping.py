"""An entry that slips between two pages of a list is neither gone nor new: nothing is decided about it by mistake."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dashboard.access.models import Member
from dashboard.emailsec.transport import Priority
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from settings_ui.changes import services
from settings_ui.forms.removing import removal_of
from settings_ui.models import Change, ChangeState
from settings_ui.resources import BY_NAME
from settings_ui.tables import dry_run, importing
from settings_ui.tables.planning import Mode
from settings_ui.watching import read_whole, reading
from tests.settings_ui.changes.conftest import EVIL, additions, imported, key, looked, stand, worked  # noqa: F401
from tests.settings_ui.watching.conftest import Between, read, seed, take_away

pytestmark = pytest.mark.django_db

BLOCK = BY_NAME["block_senders"]
Import = Callable[..., Change]


@pytest.fixture
def ids(emailsec: Simulator, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Twenty entries, on pages of five."""
    monkeypatch.setattr(reading, "PER_PAGE", 5)
    return seed(emailsec, 20)


@pytest.fixture
def slip(emailsec: Simulator, between: Between, ids: list[str]) -> Callable[[], None]:
    """From now on one goes and one comes after the first page: the server's count stays the same."""

    def one_goes(page: int) -> None:
        if page == 1:
            take_away(emailsec, ids[0])
            emailsec.settings.seed_entry("block_senders", emailsec.clock(), **EVIL)

    def begin() -> None:
        between.pages, between.happens = 0, one_goes

    return begin


def test_it_is_removed_with_the_others(
    emailsec: Simulator, pia: Member, ids: list[str], slip: Callable[[], None]
) -> None:
    entries = [get_client().entry("block_senders", one) for one in ids[1:]]
    change = services.remove(actor=pia, resource=BLOCK, entries=entries, operation_key=key(), request=None)
    slip()

    change = worked(change, after=60)

    assert change.state == ChangeState.DONE
    assert not set(ids) & set(stand(emailsec)), "nothing counts as removed that stands"


@pytest.mark.usefixtures("pia")
def test_it_is_shown_among_those_that_will_go(ids: list[str], slip: Callable[[], None]) -> None:
    chosen = [*ids[1:], "no-such-id", "nor-this-one"]
    slip()

    removal = removal_of(BLOCK, chosen)

    assert [one.entry.id for one in removal.going] == ids[1:]
    assert removal.gone == 2


def test_a_file_does_not_add_it_again(pia: Member, ids: list[str], slip: Callable[[], None]) -> None:
    read()
    names = "\n".join(f"bad{place}.example,DOMAIN,no,ticket 7" for place in range(1, 20))
    slip()

    change = importing.dry_run(
        actor=pia,
        resource=BLOCK,
        data=f"pattern,pattern_type,is_regex,comments\n{names}\n".encode(),
        mode=Mode.ADD_AND_CHANGE,
        file_name="bad.csv",
        operation_key=key(),
        request=None,
    )

    counts = dry_run.of(change)
    assert not change.lines.filter(verb="add").exists(), counts.sentence


def test_a_removal_without_an_answer_is_not_taken_for_carried_out(
    emailsec: Simulator, pia: Member, ids: list[str], slip: Callable[[], None]
) -> None:
    entries = [get_client().entry("block_senders", one) for one in ids[1:]]
    change = services.remove(actor=pia, resource=BLOCK, entries=entries, operation_key=key(), request=None)
    emailsec.faults.next("block_senders.batch", applied=False, lose_answer=True)
    change = worked(change, after=60)
    assert change.state == ChangeState.RUNNING
    slip()

    change = looked(change, after=40)

    assert change.state == ChangeState.RUNNING
    assert not change.lines.filter(state="done").exists(), "each of them stands"


def test_many_that_do_not_come_although_they_stand_are_no_reading(emailsec: Simulator, between: Between) -> None:
    ids = seed(emailsec, 60)
    emailsec.faults.next(
        "block_senders.list",
        body='{"success":true,"errors":[],"messages":[],"result":[],"result_info":{"page":1}}',
        content_type="application/json",
        status=200,
        times=None,
    )

    with pytest.raises(reading.Incomplete):
        read_whole(BLOCK, Priority.READ, known=ids)


@pytest.mark.usefixtures("ids")
def test_a_server_without_counts_is_read_twice(emailsec: Simulator, between: Between) -> None:
    between.is_silent_about_totals = True

    assert len(read_whole(BLOCK)) == len(stand(emailsec))
    assert between.pages == 2 * (len(stand(emailsec)) // 5 + 1)
