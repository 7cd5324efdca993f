"""Repeating, waiting, deadlines, sizes, counting."""

from __future__ import annotations

import gzip
import itertools
import threading

import httpx
import pytest

from dashboard.emailsec import Priority, RetryTransport, errors, priority_of
from dashboard.emailsec.transport import JSON_LIMIT
from dashboard.emailsec.types import MailboxDestination

from .samples import CURRENT_MESSAGE
from .upstream import Clock, Ledger, Pieces, Upstream, make_client, ok, refused

FOUND = ok(CURRENT_MESSAGE)
MOVED = ok([{"success": True}])


def move(client, **kwargs):
    return client.move("a", MailboxDestination.INBOX, **kwargs)


@pytest.mark.parametrize(
    "fault", [httpx.ConnectError("x"), httpx.ReadError("x"), httpx.ReadTimeout("x"), refused(503), refused(408)]
)
def test_a_read_is_repeated_until_it_succeeds(fault):
    clock = Clock()
    upstream = Upstream(fault, fault, FOUND)
    assert make_client(upstream, clock=clock).message("a").id == CURRENT_MESSAGE["id"]
    assert clock.slept == [0.25, 0.5]


def test_waiting_never_leaves_the_budget():
    clock = Clock()
    upstream = Upstream(refused(503))
    with pytest.raises(errors.Unavailable):
        make_client(upstream, clock=clock).message("a", budget=0.6)
    assert clock.now - 1000 < 0.6
    assert len(upstream.requests) == 2


@pytest.mark.matrix(49)
@pytest.mark.parametrize("fault", [httpx.ConnectError("x"), httpx.ConnectTimeout("x"), httpx.PoolTimeout("x")])
def test_a_write_that_never_left_is_repeated_and_in_the_end_known_as_not_sent(fault):
    assert move(make_client(Upstream(fault, MOVED)))[0].success

    with pytest.raises(errors.Unavailable):
        move(make_client(Upstream(fault)))


@pytest.mark.parametrize(
    "fault",
    [httpx.ReadTimeout("x"), httpx.ReadError("x"), httpx.WriteError("x"), httpx.RemoteProtocolError("x"), OSError("x")],
)
def test_a_write_whose_answer_is_lost_is_unknown_and_never_repeated(fault):
    upstream = Upstream(fault, MOVED)
    with pytest.raises(errors.OutcomeUnknown):
        move(make_client(upstream))
    assert len(upstream.requests) == 1


def test_drawing_a_picture_is_a_read_although_it_is_a_post():
    picture = ok({"screenshot": "iVBORw0KGgo="})
    upstream = Upstream(refused(500), picture)
    assert make_client(upstream).render_preview("a").startswith(b"\x89PNG")
    assert len(upstream.requests) == 2


def test_a_429_is_waited_for_only_if_that_fits():
    clock = Clock()
    assert move(make_client(Upstream(refused(429, headers={"retry-after": "2"}), MOVED), clock=clock))
    assert clock.slept == [2.0]

    clock = Clock()
    with pytest.raises(errors.RateLimited):
        move(make_client(Upstream(refused(429, headers={"retry-after": "20"}), MOVED), clock=clock))
    assert clock.slept == []


def test_a_503_with_retry_after_is_obeyed():
    clock = Clock()
    make_client(Upstream(refused(503, headers={"retry-after": "3"}), FOUND), clock=clock).message("a")
    assert clock.slept == [3.0]


@pytest.mark.matrix(48)
def test_a_trickle_is_cut_at_the_deadline():
    clock = Clock()
    trickle = httpx.Response(200, stream=Pieces(itertools.repeat(b" "), clock, seconds=4))
    with pytest.raises(errors.Unavailable):
        make_client(Upstream(lambda _: trickle), clock=clock).message("a", budget=10)
    assert clock.now - 1000 <= 14

    clock = Clock()
    trickle = httpx.Response(200, stream=Pieces(itertools.repeat(b" "), clock, seconds=4))
    with pytest.raises(errors.OutcomeUnknown):
        move(make_client(Upstream(lambda _: trickle), clock=clock))


def test_a_refusal_is_known_by_its_status_even_if_its_text_breaks_off():
    def broken():
        yield b'{"success": fa'
        raise httpx.ReadError("reset")

    answer = httpx.Response(422, stream=Pieces(broken()))
    with pytest.raises(errors.Rejected):
        move(make_client(Upstream(lambda _: answer)))


@pytest.mark.matrix(48)
@pytest.mark.parametrize("write", [False, True])
def test_an_endless_body_is_cut_at_the_limit(write):
    chunk = b" " * 1_000_000
    taken = 0

    def endless():
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield chunk

    upstream = Upstream(lambda _: httpx.Response(200, stream=Pieces(endless())))
    client = make_client(upstream)
    with pytest.raises(errors.OutcomeUnknown if write else errors.UnexpectedReply):
        move(client) if write else client.message("a")
    assert taken <= JSON_LIMIT / len(chunk) + 1
    assert len(upstream.requests) == 1, "asking again would bring the same"


@pytest.mark.matrix(48)
def test_a_gzip_bomb_is_measured_unpacked():
    bomb = gzip.compress(b"\0" * (JSON_LIMIT + 1))
    assert len(bomb) < 100_000
    answer = httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Pieces([bomb]))
    with pytest.raises(errors.UnexpectedReply):
        make_client(Upstream(lambda _: answer)).message("a")


def test_gzip_is_read_and_a_cut_or_false_one_is_noticed():
    packed = gzip.compress(FOUND.content)

    def answer(body, encoding="gzip"):
        return Upstream(
            lambda _: httpx.Response(200, headers={"content-encoding": encoding}, stream=Pieces([body[:10], body[10:]]))
        )

    assert make_client(answer(packed)).message("a").subject == "Overdue invoice"
    with pytest.raises(errors.Unavailable):
        make_client(answer(packed[:-20])).message("a")
    with pytest.raises(errors.UnexpectedReply):
        make_client(answer(b"this is not gzip at all")).message("a")
    with pytest.raises(errors.UnexpectedReply):
        make_client(answer(packed, "br")).message("a")


def test_the_meter_counts_every_attempt_and_sees_the_priority():
    ledger = Ledger()
    make_client(Upstream(refused(503), httpx.ConnectError("x"), FOUND), meter=ledger).message(
        "a", priority=Priority.REFRESH
    )
    assert [priority_of(request) for request in ledger.before_calls] == [Priority.REFRESH] * 3
    assert ledger.after_calls == [503, 200]


def test_nothing_is_sent_once_the_budget_is_used_up():
    class Empty(Ledger):
        def before(self, request):  # noqa: ARG002  the protocol has it
            raise errors.BudgetExhausted(retry_after=17.0)

    upstream = Upstream(MOVED)
    with pytest.raises(errors.BudgetExhausted) as caught:
        move(make_client(upstream, meter=Empty()))
    assert upstream.requests == []
    assert caught.value.retry_after == 17.0
    assert caught.value.operation == "POST /investigate/{investigate_id}/move"


def test_an_answer_is_not_lost_because_it_could_not_be_counted(caplog):
    class Broken(Ledger):
        def after(self, response_headers, status):  # noqa: ARG002  the protocol has them
            raise RuntimeError("database is locked")

    assert move(make_client(Upstream(MOVED), meter=Broken()))[0].success


def test_redirects_are_not_followed():
    upstream = Upstream(httpx.Response(307, headers={"location": "https://elsewhere.example/"}), FOUND)
    with pytest.raises(errors.UnexpectedReply):
        make_client(upstream).message("a")
    assert len(upstream.requests) == 1


def test_one_client_serves_many_threads():
    upstream = Upstream(lambda request: ok({**CURRENT_MESSAGE, "id": request.url.path.rpartition("/")[2]}))
    client = make_client(upstream)
    seen: list[str] = []
    threads = [threading.Thread(target=lambda n=n: seen.append(client.message(str(n)).id)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen, key=int) == [str(n) for n in range(16)]


def test_two_meters_are_one_too_many():
    from dashboard.emailsec import EmailSecurityClient, TokenCredentials

    with pytest.raises(ValueError, match="meter"):
        EmailSecurityClient(
            account_id="a", credentials=TokenCredentials("t"), transport=RetryTransport(Upstream(FOUND)), meter=Ledger()
        )
