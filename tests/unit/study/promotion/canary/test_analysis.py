"""Whole canaries: what is decided after which looks, and what is told of it."""

import json
import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_study.promotion.canary.analysis import CanaryState, begin, judge, observe
from tuning_study.promotion.canary.looks import Answer, Block, Look, Pods, Sides, Unread

from .canaries import EACH, START, after, counted, counters, guard, looks, make_canary, sides, verdict


def blocks(
    number: int, *, stable: float = 0.05, canary: float = 0.05, requests: int = 300, seed: int = 0
) -> list[Block]:
    rng = np.random.default_rng(seed)
    drawn = rng.binomial(requests, [stable, canary], (number, 2))
    return [Block(float(a), requests, float(b), requests) for a, b in drawn]


WELL = blocks(25)
WORSE = blocks(25, canary=0.15)


class TestHarm:
    def test_is_told_as_soon_as_it_is_shown_with_its_numbers(self) -> None:
        found = verdict(make_canary(), looks(counters(WORSE[:4])))
        assert (found.outcome, found.cause) == ("Harm", "Worse")
        [errors] = found.metrics
        assert errors.samples == errors.stable_samples == 1200
        assert errors.e is not None and errors.threshold == 20 and errors.e >= 20
        assert errors.effect == pytest.approx(0.1, abs=0.02)
        assert errors.interval is not None and errors.interval[0] is not None and errors.interval[0] >= 0
        assert found.reason.startswith("errors: the canary is worse than stable; 14.")
        assert "of 1200 requests on the canary are bad" in found.reason

    def test_is_seen_where_stable_has_no_errors_at_all(self) -> None:
        """An absent counter of bad requests is none of them, where there is traffic."""
        read = [sides(None, 100.0 * look, 30.0 * look, 100.0 * look) for look in range(6)]
        assert verdict(make_canary(), looks(read)).outcome == "Harm"

    def test_stays_so_whatever_comes_after(self) -> None:
        assert verdict(make_canary(), looks(counters([*WORSE[:4], *blocks(25, canary=0.0)]))).outcome == "Harm"

    def test_needs_more_evidence_with_more_critical_metrics(self) -> None:
        three = make_canary(counted("a"), counted("b"), counted("c", critical=False), guard("d"))
        assert judge(three, begin(three, START)).metrics[0].threshold == 40

    def test_of_a_metric_that_is_not_critical_keeps_the_canary_from_being_promoted(self) -> None:
        found = verdict(make_canary(counted(critical=False)), looks(counters(WORSE)))
        assert (found.outcome, found.cause, found.metrics[0].outcome) == ("Unknown", "Worse", "Harm")

    def test_goes_before_a_broken_split(self) -> None:
        found = verdict(make_canary(), looks(counters(WORSE), ready=Pods(9, 1)))
        assert (found.outcome, found.cause) == ("Harm", "Worse")


class TestBetter:
    def test_is_told_at_the_end_of_the_time(self) -> None:
        canary = make_canary(counted(margin=0.02))
        early, late = verdict(canary, looks(counters(WELL[:18]))), verdict(canary, looks(counters(WELL)))
        assert (early.outcome, early.cause) == ("Unknown", "TooEarly")
        assert early.reason.startswith("30s of 10m are left")
        assert (late.outcome, late.cause) == ("Better", "NotWorse")

    def test_has_an_interval_that_ends_within_the_margin(self) -> None:
        [errors] = verdict(make_canary(counted(margin=0.02)), looks(counters(WELL))).metrics
        assert errors.interval is not None and errors.interval[1] is not None and errors.interval[1] <= 0.02

    def test_needs_the_samples_that_are_asked_for(self) -> None:
        found = verdict(make_canary(counted(margin=0.02), minSamples=10_000), looks(counters(WELL)))
        assert (found.outcome, found.cause) == ("Unknown", "TooFewSamples")
        assert "7500 requests on one side, minSamples is 10000" in found.reason

    def test_needs_evidence(self) -> None:
        found = verdict(make_canary(counted(margin=0.001)), looks(counters(WELL)))
        assert (found.outcome, found.cause) == ("Unknown", "NotShown")

    def test_needs_every_metric(self) -> None:
        canary = make_canary(counted("errors", margin=0.02), counted("labels", critical=False))
        found = verdict(canary, looks(counters(WELL)))
        assert (found.outcome, found.cause) == ("Unknown", "NoData")
        assert found.reason == "labels: it was not asked"

    def test_is_lost_when_the_canary_becomes_worse_in_the_end(self) -> None:
        canary = make_canary(counted(margin=0.02))
        assert verdict(canary, looks(counters([*WELL, *blocks(6, canary=0.4)]))).outcome != "Better"


class TestNoData:
    def test_a_canary_that_nobody_has_looked_at_is_unknown(self) -> None:
        canary = make_canary()
        found = judge(canary, begin(canary, START))
        assert (found.outcome, found.cause) == ("Unknown", "NoData")

    def test_traffic_that_ceases_is_not_good_news(self) -> None:
        """Good until then, and nothing for longer than a quarter of the time."""
        *_, last = read = list(counters(WELL[:12]))
        found = verdict(make_canary(counted(margin=0.1)), looks([*read, *[last] * 8]))
        assert (found.outcome, found.cause) == ("Unknown", "NoData")
        assert "nothing to compare for 4m: no traffic on stable since the last look" in found.reason

    @pytest.mark.parametrize(
        "read",
        [
            [sides(None, None, 30.0 * look, 100.0 * look) for look in range(30)],
            [sides(1.0 * look, 100.0 * look, None, None) for look in range(30)],
            [sides(Unread("the query answers with NaN"), 100.0, math.nan, 1.0)] * 30,
            [sides(Unread("no answer within 10s"), 1.0, 0.0, 1.0), sides(-1.0, 1.0, 0.0, 1.0)] * 15,
        ],
        ids=["no-stable", "no-canary", "nan", "never-twice-the-same"],
    )
    def test_what_cannot_be_read_neither_promotes_nor_aborts(self, read: list[Sides]) -> None:
        found = verdict(make_canary(minSamples=1), looks(read))
        assert (found.outcome, found.cause) == ("Unknown", "NoData")

    def test_a_restarted_pod_loses_its_look_and_no_more(self) -> None:
        first, second = list(counters(WELL[:10])), list(counters(WELL[10:]))
        state = after(make_canary(), looks([*first, *second]))
        assert state.metrics["errors"].resets == 1
        assert state.metrics["errors"].evidence.blocks == 25


@pytest.mark.parametrize(("warmup", "left"), [("2m30s", 25), ("2m31s", 24), ("3m", 24), ("0s", 29)])
def test_what_begins_in_the_warm_up_is_left_out(warmup: str, left: int) -> None:
    """The first look is after 30 seconds; the four blocks after it are those of cold caches."""
    canary = make_canary(counted(margin=0.02), warmup=warmup)
    state = after(canary, looks(counters([*blocks(4, canary=0.9), *WELL])))
    assert state.metrics["errors"].evidence.blocks == left
    assert (judge(canary, state).outcome == "Better") == (left < 29)


class TestGuard:
    CANARY = make_canary(counted(margin=0.02), guard())

    def judged(self, values: Iterable[Answer]) -> tuple[str, str]:
        found = verdict(self.CANARY, looks(counters(WELL), guards=values))
        return found.outcome, found.cause

    def test_lets_a_canary_pass_that_stays_below(self) -> None:
        assert self.judged([0.2] * 26) == ("Better", "NotWorse")

    def test_holds_it_while_a_value_is_above(self) -> None:
        assert self.judged([0.2] * 24 + [0.4] * 2) == ("Unknown", "NotShown")

    def test_ends_it_after_three_in_succession_whatever_is_missing_between(self) -> None:
        assert self.judged([0.2] * 20 + [0.4, None, 0.4, Unread("no answer"), 0.4, 0.4]) == ("Harm", "AboveMax")

    def test_forgets_one_that_was_alone(self) -> None:
        assert self.judged([0.4, 0.4, 0.2] * 8 + [0.2] * 2) == ("Better", "NotWorse")

    @pytest.mark.parametrize("last", [None, Unread("no answer"), math.nan, math.inf])
    def test_says_nothing_without_a_number(self, last: Answer) -> None:
        assert self.judged([0.2] * 25 + [last]) == ("Unknown", "NoData")


class TestSplit:
    def test_that_is_broken_is_told_and_keeps_the_canary_from_being_promoted(self) -> None:
        found = verdict(make_canary(counted(margin=0.02)), looks(counters(WELL), ready=Pods(9, 1)))
        assert (found.outcome, found.cause) == ("Unknown", "SplitBroken")
        assert "the canary has 50.00% of 15000 requests, and 10.00% of the Ready pods" in found.reason

    def test_is_not_told_by_counts_that_are_sent_as_each_sender_likes(self) -> None:
        canary = make_canary({"name": "errors", "push": {}, "margin": 0.02})
        found = verdict(canary, looks(counters(WELL), ready=Pods(99, 1)))
        assert (found.outcome, found.cause) == ("Better", "NotWorse")

    def test_that_gives_the_canary_nothing_is_broken(self) -> None:
        read = [sides(5.0 * look, 100.0 * look, 0.0, 0.0) for look in range(30)]
        assert verdict(make_canary(), looks(read, ready=Pods(1, 1))).cause == "SplitBroken"

    def test_is_not_judged_where_nobody_knows_the_pods(self) -> None:
        assert verdict(make_canary(counted(margin=0.02)), looks(counters(WELL))).outcome == "Better"


def test_a_manifest_that_changes_meanwhile_begins_anew_what_it_changes_and_keeps_the_rest() -> None:
    before = make_canary(counted("errors"), counted("labels"), guard())
    seen = [replace(look, metrics={"errors": look.metrics["errors"]}) for look in looks(counters(WELL))]
    state = after(before, seen[:20])
    wider = make_canary(counted("errors", margin=0.02), counted("others"))
    changed = after(wider, seen[20:], state)
    assert changed.metrics["errors"].evidence.blocks == 5
    assert set(changed.metrics) == {"errors", "others"} and not changed.guards
    assert judge(wider, changed).cause == "NoData"
    kept = after(make_canary(counted("errors"), minSamples=300), seen[20:], state)
    assert kept.metrics["errors"].evidence.blocks == 25


numbers = st.none() | st.floats() | st.floats(0, 1e6) | st.just(Unread("no answer")) | st.integers(0, 50).map(float)
any_look = st.builds(
    lambda read, value, ready: Look(START, {"errors": sides(*read)}, {"latency": value}, ready),
    st.tuples(numbers, numbers, numbers, numbers),
    numbers,
    st.none() | st.builds(Pods, st.integers(0, 9), st.integers(0, 9)),
)
growing = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40)).map(
        lambda drawn: Block(min(drawn[:2]), max(drawn[:2]), min(drawn[2:]), max(drawn[2:]))
    ),
    max_size=25,
).map(lambda drawn: looks(counters(drawn), guards=[0.2] * 30, ready=Pods(2, 1)))
seen = growing | st.lists(any_look, max_size=25).map(
    lambda drawn: [replace(look, time=START + number * EACH) for number, look in enumerate(drawn, 1)]
)
MIXED = make_canary(counted(), guard(), minSamples=10)


@given(seen)
def test_an_operator_that_restarts_after_each_look_decides_the_same(drawn: list[Look]) -> None:
    resumed = begin(MIXED, START)
    for look in drawn:
        resumed = CanaryState.from_json(observe(MIXED, CanaryState.from_json(resumed.to_json()), look).to_json())
    uninterrupted = after(MIXED, drawn)
    assert judge(MIXED, resumed) == judge(MIXED, uninterrupted)
    assert resumed.to_json() == uninterrupted.to_json()


@given(seen)
def test_a_look_that_is_handed_in_twice_counts_once(drawn: list[Look]) -> None:
    twice = [look for look in drawn for _ in range(2)]
    assert after(MIXED, twice) == after(MIXED, drawn)


@given(seen)
def test_no_number_of_a_verdict_or_a_state_is_ever_nan_or_infinite(drawn: list[Look]) -> None:
    state = after(MIXED, drawn)
    found = judge(MIXED, state)
    json.loads(state.to_json(), parse_constant=pytest.fail)
    for one in found.metrics:
        for number in (one.e, one.threshold, one.effect, one.overdispersion, *(one.interval or ())):
            assert number is None or math.isfinite(number)
        assert "nan" not in one.reason.replace("is nan", "").replace("with nan", "")


@given(seen)
def test_unknown_looks_never_decide(drawn: list[Look]) -> None:
    """Better and Harm by the counters both need blocks; Harm by a guard three values."""
    state = after(MIXED, drawn)
    found = judge(MIXED, state)
    if found.outcome == "Better" or found.cause == "Worse":
        assert state.metrics["errors"].evidence.blocks >= 2


def test_the_state_stays_small() -> None:
    canary = make_canary(*(counted(f"metric-{number}") for number in range(8)))
    state = begin(canary, START)
    for number, read in enumerate(counters(WELL), 1):
        state = observe(canary, state, Look(START + number * EACH, {metric.name: read for metric in canary.metrics}))
    assert len(state.to_json()) < 16 * 1024


def test_the_verdict_is_ready_at_the_last_moment_and_not_before() -> None:
    canary = make_canary(counted(margin=0.02), **{"for": "5m"})
    at_the_end = [
        replace(look, time=START + timedelta(minutes=5) * number / 26)
        for number, look in enumerate(looks(counters(WELL)), 1)
    ]
    assert verdict(canary, at_the_end[:-1]).cause == "TooEarly"
    assert verdict(canary, at_the_end).outcome == "Better"


@pytest.mark.parametrize(("bad", "told"), [(None, True), (0.0, False)])
def test_a_query_of_bad_requests_that_never_answers_is_told(bad: float | None, told: bool) -> None:
    """It promotes all the same: of what never happens there is no series either."""
    canary = make_canary(counted(margin=0.05))
    found = verdict(canary, looks([sides(bad, 100.0 * n, bad, 100.0 * n) for n in range(30)]))
    assert found.outcome == "Better"
    assert ("`bad` has never answered with a series" in found.reason) == told
