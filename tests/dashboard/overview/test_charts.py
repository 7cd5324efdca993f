"""What charts draw: heights and widths that mean their numbers."""

from __future__ import annotations

import pytest

from dashboard.charts import fills
from dashboard.charts.bars import Row, Share, bars, pieces
from dashboard.charts.columns import HEIGHT, Columns, Series, Step, rounded_up


@pytest.mark.parametrize(
    ("value", "end"),
    [(0, 1), (1, 1), (7, 8), (10, 10), (11, 12), (12, 12), (13, 15), (61, 80), (100, 100), (101, 120), (999, 1000),
     (1001, 1200), (123_456, 150_000)],
)  # fmt: skip
def test_an_axis_ends_at_a_round_number_that_holds_the_tallest(value: int, end: int) -> None:
    assert rounded_up(value) == end


def test_parts_of_a_column_lie_upon_one_another_in_proportion() -> None:
    series = [Series(fills.DISPOSITIONS["MALICIOUS"], [3, 0]), Series(fills.DISPOSITIONS["SPAM"], [5, 0])]
    chart = Columns("c", "title", "Day", [Step("Mon"), Step("Tue")], series)

    full, empty = chart.columns

    bottom, top = full.parts
    assert full.total == chart.most == 8
    assert bottom.height + top.height == pytest.approx(HEIGHT, abs=0.02)
    assert bottom.height / top.height == pytest.approx(3 / 5, abs=0.001)
    assert bottom.y + bottom.height == pytest.approx(chart.base, abs=0.02)
    assert top.y + top.height == pytest.approx(bottom.y, abs=0.02)
    assert empty.parts == ()
    assert not empty.is_numbered


def test_columns_fill_the_width_without_touching() -> None:
    steps = [Step(str(number)) for number in range(30)]
    columns = Columns("c", "", "Day", steps, [Series(fills.OTHER, range(30))]).columns

    ends = [(one.x, one.x + one.width) for one in columns]
    assert ends[0][0] >= 0
    assert ends[-1][1] <= 100
    assert all(before[1] < after[0] for before, after in zip(ends, ends[1:], strict=False))  # noqa: RUF007
    assert [one.is_numbered for one in columns].count(True) == 1  # of so many only the tallest has room for its number


def test_bars_of_a_list_share_one_scale() -> None:
    long, short = bars([Row("a", [Share(fills.WORST, 6), Share(fills.REST, 2)]), Row("b", [Share(fills.REST, 4)])])

    assert [(piece.x, piece.width) for piece in long.pieces] == [(0, 75), (75, 25)]
    assert [(piece.x, piece.width) for piece in short.pieces] == [(0, 50)]


def test_a_whole_of_nothing_draws_nothing() -> None:
    assert pieces([Share(fills.OPEN, 0)], 0) == []
    assert bars([]) == []
