"""Criteria, their URL and their line say the same thing."""

from __future__ import annotations

import datetime as dt
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from investigate.search import criteria as criteria_module
from investigate.search.criteria import Criteria, TooManyBranches, branch_name
from investigate.search.line import WRITTEN, read_line, write_line
from investigate.search.values import ACTIONS, DISPOSITIONS, STATUSES
from investigate.search.window import Window, say_range

NOW = dt.datetime(2026, 11, 21, 1, 20, 30, 123456, tzinfo=dt.UTC)

texts = st.text(max_size=40)
several = st.lists(texts, max_size=3)
moments = st.integers(1_000_000_000, 4_000_000_000).map(lambda at: dt.datetime.fromtimestamp(at, dt.UTC).isoformat())
queries = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("sender", "recipient", "domain"), several),
        **{name: st.lists(texts, max_size=1) for name in ("q", "subject", "smtp_helo_ip", "alert_id", "message_id")},
        "disposition": st.lists(st.sampled_from(DISPOSITIONS), max_size=3),
        "status": st.lists(st.sampled_from(STATUSES), max_size=3),
        "action": st.lists(st.sampled_from(ACTIONS), max_size=3),
        "last": st.lists(st.sampled_from(["90m", "1h", "24h", "7d", "0h", "week"]), max_size=1),
        "start": st.lists(moments, max_size=1),
        "end": st.lists(moments, max_size=1),
        "clean": st.lists(st.sampled_from(["0", "1", "yes"]), max_size=1),
    },
)


def of_url(text: str) -> Criteria:
    return Criteria.from_query(parse_qs(text, keep_blank_values=True))


@given(queries)
def test_a_url_reproduces_the_search(query):
    criteria = Criteria.from_query(query)
    again = of_url(criteria.query())
    assert again == criteria
    assert again.ignored == ()


@given(queries)
def test_a_line_reproduces_the_search(query):
    criteria = Criteria.from_query(query)
    again = read_line(write_line(criteria))
    assert again == criteria
    assert again.ignored == ()


@given(st.text(max_size=200))
def test_any_line_is_read_and_settles(line):
    criteria = read_line(line)
    assert read_line(write_line(criteria)) == criteria
    assert of_url(criteria.query()) == criteria


@given(st.dictionaries(texts, several, max_size=5))
def test_any_url_is_read(query):
    Criteria.from_query(query).query()


def test_the_line_understands_the_words_of_the_field():
    criteria = read_line(
        'from:pay-pal.example to:"bea@corp.example" is:malicious,spoof status:quarantined action:moved '
        'ip:192.0.2.1 alert:a-1 id:<x@y.example> subject:"urgent invoice" last:7d has:clean overdue payment'
    )
    assert criteria == Criteria(
        q="overdue payment",
        sender=("pay-pal.example",),
        recipient=("bea@corp.example",),
        disposition=("MALICIOUS", "SPOOF"),
        status=("quarantined",),
        action=("MOVED",),
        smtp_helo_ip="192.0.2.1",
        alert_id="a-1",
        message_id="<x@y.example>",
        subject="urgent invoice",
        last="7d",
        clean=True,
    )


def test_pasted_defanged_text_is_understood():
    criteria = read_line(
        "from:billing[@]pay-pal[.]example domain:evil[.]example hxxps://evil[.]example/login 192.0.2[.]1"
    )
    assert criteria.sender == ("billing@pay-pal.example",)
    assert criteria.domain == ("evil.example",)
    assert criteria.q == "https://evil.example/login 192.0.2.1"


def test_an_address_copied_with_its_name_is_understood():
    assert read_line('from:"Bea Ruiz <bea@corp.example>"').sender == ("bea@corp.example",)


@pytest.mark.parametrize(
    "line",
    ["Re: invoice", "https://evil.example/a:b", "mailto:x@y.example", "2001:db8::1", "fd00::1", "a - b", "12:30"],
)
def test_text_that_only_looks_like_a_filter_is_text(line):
    criteria = read_line(line)
    assert criteria.mistakes == ()
    assert criteria.q == line


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("foo:bar last:7d", "There is no key “foo:”; there are is:, status:,"),
        ('re:"two words"', 'Quote “re:"two words"” to search for the words.'),
        ("sha256:abc", "There is no key “sha256:”"),
        ("-is:spam last:7d", "The search cannot exclude “is:spam”. Quote “-is:spam” to search for the words."),
        ("is:evil", "There is no verdict “evil”; possible are malicious, suspicious, spoof, spam, bulk, clean."),
        ("is:spam,nonsense", "There is no verdict “nonsense”"),
        ("is:bec", "Cloudflare's search cannot filter the verdict MALICIOUS-BEC: search without a verdict"),
        ("is:external", "Cloudflare's search cannot filter the verdict EXTERNAL"),
        ("status:gone", "There is no status “gone”; possible are delivered,"),
        ("action:x", "There is no action “x”; possible are "),
        ("last:never", "The range “never” cannot be read; write 90m, 24h or 7d, 366d at most."),
        ("since:yesterday", "The start of the range “yesterday” cannot be read; write 2026-11-20"),
        ("has:links", "There is no “has:links”; has:clean includes clean mail."),
        ("from: a@b.example", "Nothing follows “from:”"),
        ("subject:a subject:b", "There can be only one subject; “b” is one too many."),
        ("from:<>", "The sender “<>” holds nothing to search for."),
        ("x" * 1001, "1,000 characters is the most."),
        ("is:spam " * 600, "The line is too long"),
    ],
)
def test_a_word_that_cannot_be_used_is_no_search(line, sentence):
    assert sentence in read_line(line).problem(NOW)


def test_quoted_words_are_text_whatever_they_look_like():
    criteria = read_line('"foo:bar" "-is:spam" "is:evil"')
    assert criteria.q == "foo:bar -is:spam is:evil"
    assert criteria.mistakes == ()
    assert read_line(write_line(criteria)) == criteria


def test_a_comma_list_in_the_line_means_each_of_its_values():
    assert read_line("is:spam,bulk").disposition == ("SPAM", "BULK")
    assert read_line('is:"spam, bulk" status:moved,delivered').disposition == ("SPAM", "BULK")


def test_a_value_of_the_url_that_cannot_be_used_is_no_search():
    criteria = of_url("disposition=MALICIOUS-BEC&last=30d&foo=bar&filters=open&open=x&tab=links")
    assert "cannot filter the verdict MALICIOUS-BEC" in criteria.problem(NOW)
    assert criteria.ignored == ("foo=bar",)
    assert write_line(criteria) == "last:30d is:MALICIOUS-BEC"


def test_everything_wrong_is_named_up_to_a_few_sentences():
    problem = read_line("is:evil is:worse last:never status:x").problem(NOW)
    assert [word in problem for word in ("“evil”", "“worse”", "“never”", "“x”")] == [True, True, True, False]


def test_an_exact_range_wins_over_a_relative_one():
    criteria = of_url("last=24h&start=2026-11-20T00:00Z")
    assert criteria.last == ""
    assert criteria.ignored == ("last=24h",)
    assert read_line("last:7d since:2026-11-20").ignored == ("last=7d",)


def test_a_field_of_the_panel_takes_several_values():
    assert of_url("sender=a.example, b@c.example").sender == ("a.example", "b@c.example")


def test_a_plus_sign_that_became_a_blank_is_still_a_zone():
    assert of_url("start=2026-11-20T02:00 02:00").start == dt.datetime(2026, 11, 20, tzinfo=dt.UTC)


def test_ranges_are_pinned_to_whole_seconds():
    window = Criteria(last="90m").window(NOW)
    assert window == Window(dt.datetime(2026, 11, 20, 23, 50, 30, tzinfo=dt.UTC), NOW.replace(microsecond=0))
    assert say_range(window, dt.UTC) == "20 Nov 23:50:30 to 21 Nov 01:20:30"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("start=2026-11-21T00:00Z&end=2026-11-20T00:00Z", "The range ends before it starts."),
        ("start=2027-01-01&end=2027-01-02", "The range starts in the future."),
        (
            urlencode([("disposition", value) for value in DISPOSITIONS] + [("sender", f"{n}.example") for n in "abc"]),
            "These filters make 18 searches side by side; 12 is the most. Take some values away.",
        ),
        ("", ""),
    ],
)
def test_a_search_that_cannot_be_asked_says_why(url, sentence):
    assert of_url(url).problem(NOW) == sentence


def test_several_values_are_several_searches():
    criteria = of_url("disposition=SPAM&disposition=BULK&sender=a.example&sender=b.example&q=invoice")
    assert criteria.branches() == [
        {"detections_only": True, "query": "invoice", "sender": sender, "final_disposition": disposition}
        for sender in ("a.example", "b.example")
        for disposition in ("SPAM", "BULK")
    ]
    assert branch_name(criteria.branches()[1], criteria) == "a.example, BULK"


@pytest.mark.matrix(66)
def test_too_many_branches_are_counted_not_built():
    wide = Criteria(sender=tuple(f"{n}.example" for n in range(200)), recipient=tuple(f"{n}.test" for n in range(200)))
    with pytest.raises(TooManyBranches, match="40,000"):
        wide.branches()


def test_clean_mail_is_asked_for_with_clean_mail_included():
    criteria = of_url("disposition=clean&disposition=SPAM")
    assert criteria.clean
    assert [branch["detections_only"] for branch in criteria.branches()] == [False, False]
    assert not criteria.without("disposition", "NONE").clean
    assert criteria.with_clean(clean=False).disposition == ("SPAM",)


def test_a_chip_removes_one_value():
    criteria = of_url("disposition=SPAM&disposition=BULK&q=x")
    assert criteria.without("disposition", "SPAM") == of_url("disposition=BULK&q=x")
    assert criteria.without("q", "x") == of_url("disposition=SPAM&disposition=BULK")


def test_the_same_length_of_time_is_the_same_range():
    assert Criteria(last="24h").range_key() == Criteria(last="1d").range_key()


def test_every_field_has_a_word():
    assert set(WRITTEN) | {"q"} == set(criteria_module.FIELDS)


def test_no_null_byte_reaches_the_database():
    assert of_url("q=a%00b&sender=x%00@y.example") == Criteria(q="a b", sender=("x @y.example",))


def test_the_same_value_twice_is_no_mistake():
    assert of_url("clean=1&clean=1&q=x&q=x&last=7d&last=7d").mistakes == ()
    assert [mistake[:2] for mistake in of_url("clean=1&clean=0&q=x&q=y").mistakes] == [("clean", "0"), ("q", "y")]
