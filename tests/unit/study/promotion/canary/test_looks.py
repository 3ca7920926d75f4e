"""What two looks at the counters of both sides make of the requests between them."""

from math import inf, nan

import pytest

from tuning_study.promotion.canary.looks import Block, Sides, Unread, step

from .canaries import sides

BEFORE = step(None, sides(5.0, 1000.0, 1.0, 100.0)).standings


def test_the_first_look_only_says_where_the_counters_stand() -> None:
    first = step(None, sides(5.0, 1000.0, 1.0, 100.0))
    assert first.block is None
    assert "counted from here on" in first.reason


def test_a_block_is_what_came_since_then() -> None:
    taken = step(BEFORE, sides(7.0, 1090.0, 2.0, 110.0))
    assert taken.block == Block(2.0, 90.0, 1.0, 10.0)
    assert taken.reason == ""


def test_errors_that_nobody_has_counted_are_none_as_long_as_there_is_traffic() -> None:
    before = step(None, sides(None, 1000.0, None, 100.0)).standings
    assert step(before, sides(None, 1090.0, 3.0, 110.0)).block == Block(0.0, 90.0, 3.0, 10.0)


UNKNOWN = [
    ("stable-absent", sides(None, None, 30.0, 110.0), "no traffic on stable: the query of `total` answers with no"),
    ("canary-absent", sides(7.0, 1090.0, None, None), "no traffic on the canary: the query of `total` answers with no"),
    ("no-requests", sides(7.0, 1090.0, 1.0, 100.0), "no traffic on the canary since the last look"),
    ("timeout", sides(7.0, Unread("no answer in 10s"), 1.0, 110.0), "`total` of stable: no answer in 10s"),
    ("timeout-of-bad", sides(7.0, 1090.0, Unread("no answer"), 110.0), "`bad` of the canary: no answer"),
    ("nan", sides(7.0, 1090.0, nan, 110.0), "`bad` of the canary is nan"),
    ("infinite", sides(7.0, inf, 1.0, 110.0), "`total` of stable is inf"),
    ("negative", sides(7.0, 1090.0, 1.0, -1.0), "which no counter can be"),
    ("more-bad-than-all", sides(7.0, 1090.0, 50.0, 110.0), "write a `bad` that counts some of what `total` counts"),
    ("errors-vanish", sides(None, 1090.0, 1.0, 110.0), "`bad` of stable was 5 and is not there now"),
]


@pytest.mark.parametrize(("now", "words"), [pytest.param(*case[1:], id=case[0]) for case in UNKNOWN])
def test_what_cannot_be_read_whole_is_left_to_the_next_look(now: Sides, words: str) -> None:
    taken = step(BEFORE, now)
    assert taken.block is None
    assert words in taken.reason
    assert step(taken.standings, sides(8.0, 1200.0, 2.0, 120.0)).block == Block(3.0, 200.0, 1.0, 20.0)


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(sides(7.0, 1090.0, 0.0, 10.0), id="canary-restarted"),
        pytest.param(sides(2.0, 500.0, 2.0, 110.0), id="stable-restarted"),
        pytest.param(sides(2.0, 1090.0, 2.0, 110.0), id="fewer-errors-alone"),
        pytest.param(sides(7.0, 1090.0, None, 10.0), id="restarted-without-errors"),
    ],
)
def test_a_counter_that_began_anew_is_told_apart_and_counts_from_there(now: Sides) -> None:
    taken = step(BEFORE, now)
    assert taken.reset and taken.block is None
    standings = taken.standings
    assert standings is not None
    grown = sides(
        standings.stable.bad + 1, standings.stable.total + 9, standings.canary.bad, standings.canary.total + 3
    )
    assert step(standings, grown).block == Block(1.0, 9.0, 0.0, 3.0)
