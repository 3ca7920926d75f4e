"""The verdict on a canary after each look, and the small state between two of them.

The operator keeps the state as JSON and hands it back with the next look, so that one that restarts goes on where
another has stopped. A verdict has three values: Harm ends the canary, Better lets it be promoted, and Unknown does
neither; the operator waits, and at the end of `for` takes what `undecided` says.

Harm is shown at 1/α, divided among the critical metrics, as any of them ends the canary (Bonferroni). Better needs all
metrics, each at α: the probability that all of them err is no more than that of one (Berger 1982).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from pydantic import TypeAdapter

from tuning_study.api.canary import Canary, CanaryMetric
from tuning_study.api.duration import format_duration
from tuning_study.promotion.canary.evidence import AT_MOST_AS_BAD, WITHIN_MARGIN, Evidence
from tuning_study.promotion.canary.looks import Answer, Counters, Look, Sides, Standings, Unread, step
from tuning_study.promotion.canary.split import THRESHOLD as SPLIT_THRESHOLD
from tuning_study.promotion.canary.split import Split

GUARD_PATIENCE = 3
"""Successive values above `max` that are harm. They are no test: nobody knows how often chance brings them."""
_UNSEEN = "`bad` has never answered with a series: nothing was bad, or the query is misspelt"
_MOST_REQUESTS = 1e15  # beyond, a double holds no whole numbers, and no counter counts requests
_LOOKS = 60  # in `for`
_SHORTEST, _LONGEST = timedelta(seconds=2), timedelta(minutes=1)
_LATEST = 0.25  # of `for`, in whose last part there must have been traffic still

Outcome = Literal["Harm", "Better", "Unknown"]
Cause = Literal["Worse", "AboveMax", "SplitBroken", "NoData", "TooEarly", "TooFewSamples", "NotShown", "NotWorse"]
"""The reason in a word. The first two are harm, or Unknown for a metric that is not critical; the last is Better."""


@dataclass(frozen=True)
class MetricState:
    evidence: Evidence
    standings: Standings | None = None
    compared: datetime | None = None
    """When both sides have last had traffic."""
    unread: str = ""
    """Why the last look added nothing; empty if it did."""
    resets: int = 0
    bad_seen: bool = False
    """Whether `bad` has ever answered with a series: neither a misspelt query does, nor one of what never happens."""
    at_least: float | None = None
    """The highest difference, in margins, that the canary was shown to be above: once shown, it stays so."""
    at_most: float | None = None
    """The lowest one that it is shown to be below now: a canary that has become worse since loses it."""


@dataclass(frozen=True)
class GuardState:
    value: float | None = None
    """Of the last look; None if there was none."""
    unread: str = "not asked yet"
    above: int = 0
    """Values above `max` since the last one that was not. Looks without a value are neither."""


@dataclass(frozen=True)
class CanaryState:
    """All that a verdict needs."""

    started: datetime
    looked: datetime | None = None
    metrics: Mapping[str, MetricState] = field(default_factory=dict)
    guards: Mapping[str, GuardState] = field(default_factory=dict)
    split: Split = field(default_factory=Split)
    requests: tuple[float, float] | None = None
    """What `total` of stable and of the canary stood at, of the metric that the split is told by."""

    def to_json(self) -> str:
        return _STATE.dump_json(self).decode()

    @classmethod
    def from_json(cls, text: str) -> "CanaryState":
        """The state that `to_json` wrote. Raises ValidationError of pydantic for anything else."""
        return _STATE.validate_json(text)


_STATE = TypeAdapter(CanaryState)


@dataclass(frozen=True)
class MetricVerdict:
    """What one metric says, with the numbers behind it."""

    metric: str
    outcome: Outcome
    cause: Cause
    reason: str
    """A sentence for people."""
    samples: int = 0
    """Requests on the canary."""
    stable_samples: int = 0
    e: float | None = None
    """Evidence of harm now; None for a guard. Never above 1e300."""
    threshold: float | None = None
    """Of the evidence, at which it is harm."""
    effect: float | None = None
    """Share of bad requests on the canary less that on stable; of a guard, its value."""
    interval: tuple[float | None, float | None] | None = None
    """Of the effect, for all looks at once, as far as the grid of nulls tells: None is an open end."""
    overdispersion: float = 1.0


@dataclass(frozen=True)
class CanaryVerdict:
    outcome: Outcome
    cause: Cause
    reason: str
    metrics: tuple[MetricVerdict, ...]


def begin(canary: Canary, at: datetime) -> CanaryState:
    """The state of a canary whose pods are Ready since then."""
    counted = {metric.name: MetricState(Evidence(metric.margin)) for metric in canary.metrics if metric.compares}
    return CanaryState(at, metrics=counted, guards={m.name: GuardState() for m in canary.metrics if not m.compares})


def observe(canary: Canary, state: CanaryState, look: Look) -> CanaryState:
    """The state after one look more. A look that is not later than the last one adds nothing, so that one that is
    handed in twice counts once. A metric that is new, or has another margin than before, begins anew."""
    if state.looked is not None and look.time <= state.looked:
        return state
    warm = state.looked is not None and state.looked >= state.started + canary.warmup  # a block begins at a look
    alpha = _alpha_of_harm(canary)
    fresh = begin(canary, state.started)
    metrics, guards = {}, {}
    for name, new in fresh.metrics.items():
        known = state.metrics.get(name, new)
        known = known if known.evidence.margin == new.evidence.margin else new
        metrics[name] = _observe_metric(known, look.metrics.get(name), look.time, warm, alpha, canary.alpha)
    for metric in canary.metrics:
        if not metric.compares:
            guard = state.guards.get(metric.name, GuardState())
            answer = look.guards.get(metric.name, Unread("it was not asked"))
            guards[metric.name] = _observe_guard(guard, metric, answer) if warm else guard
    split, requests = _observe_split(canary, state, look, warm)
    return replace(state, looked=look.time, metrics=metrics, guards=guards, split=split, requests=requests)


def _alpha_of_harm(canary: Canary) -> float:
    """Of each critical metric. With none of them nothing is ever harm."""
    return canary.alpha / max(1, sum(metric.critical and metric.compares for metric in canary.metrics))


def _observe_metric(
    known: MetricState, sides: Sides | None, at: datetime, warm: bool, alpha_of_harm: float, alpha: float
) -> MetricState:
    if sides is None:
        return replace(known, unread="it was not asked")
    taken = step(known.standings if warm else None, sides)
    seen = known.bad_seen or any(isinstance(side.bad, float | int) for side in (sides.stable, sides.canary))
    known = replace(
        known, bad_seen=seen, standings=taken.standings, unread=taken.reason, resets=known.resets + taken.reset
    )
    if taken.block is None:
        return known
    evidence = known.evidence.after(taken.block)
    nulls = evidence.nulls
    above = [null for null in nulls if evidence.log_worse(null) >= -math.log(alpha_of_harm)]
    below = [null for null in nulls if evidence.log_better(null) >= -math.log(alpha)]
    return replace(
        known,
        evidence=evidence,
        compared=at,
        at_least=max(above if known.at_least is None else [*above, known.at_least], default=None),
        at_most=min(below, default=None),
    )


def _observe_guard(known: GuardState, metric: CanaryMetric, answer: Answer) -> GuardState:
    if answer is None:
        return replace(known, value=None, unread="the query answers with no series")
    if isinstance(answer, Unread):
        return replace(known, value=None, unread=answer.reason)
    if not math.isfinite(answer):
        return replace(known, value=None, unread=f"the query answers with {answer}")
    assert metric.max is not None
    return GuardState(answer, "", known.above + 1 if answer > metric.max else 0)


def _observe_split(
    canary: Canary, state: CanaryState, look: Look, warm: bool
) -> tuple[Split, tuple[float, float] | None]:
    """By the requests of the first metric that is asked for, with and without bad ones, even where one side had none at
    all. Counts that are sent come whenever each sender likes, and say nothing of one moment."""
    asked_for = next((metric.name for metric in canary.metrics if metric.bad is not None), "")
    sides = look.metrics.get(asked_for)
    now = (_total(sides.stable), _total(sides.canary)) if sides is not None else (None, None)
    if now[0] is None or now[1] is None:
        return state.split, state.requests if warm else None
    here = (now[0], now[1])
    if not warm or state.requests is None or look.ready is None:
        return state.split, here
    grown = here[0] - state.requests[0], here[1] - state.requests[1]
    return state.split.after(*grown, look.ready) if min(grown) >= 0 else state.split, here


def _total(counters: Counters) -> float | None:
    total = counters.total
    return total if isinstance(total, float | int) and 0 <= total <= _MOST_REQUESTS else None


def judge(canary: Canary, state: CanaryState) -> CanaryVerdict:
    """The verdict after the last look.

    Harm comes first: a canary that is worse ends even where its split is broken, and never goes on because something
    else is unknown, too.
    """
    each = tuple(
        _judge_metric(canary, metric, state)
        if metric.compares
        else _judge_guard(metric, state.guards.get(metric.name, GuardState()))
        for metric in canary.metrics
    )
    critical = {metric.name for metric in canary.metrics if metric.critical}
    for one in each:
        if one.outcome == "Harm" and one.metric in critical:
            return CanaryVerdict("Harm", one.cause, one.reason, each)
    if state.split.broken:
        return CanaryVerdict("Unknown", "SplitBroken", _split_reason(state.split), each)
    kept = [one for one in each if one.outcome != "Better"]
    if any(one.cause == "NoData" for one in kept):
        kept = [one for one in kept if one.cause == "NoData"]
    elif (left := _left(canary, state)) > timedelta(0):
        told = f"{format_duration(left)} of {format_duration(canary.for_)} are left"
        return CanaryVerdict("Unknown", "TooEarly", "; ".join([told, *(one.reason for one in each)]), each)
    if kept:
        return CanaryVerdict("Unknown", kept[0].cause, "; ".join(one.reason for one in kept), each)
    return CanaryVerdict("Better", "NotWorse", "; ".join(one.reason for one in each), each)


def is_over(canary: Canary, state: CanaryState) -> bool:
    """Whether `for` is over, so that nothing more is waited for."""
    return _left(canary, state) <= timedelta(0)


def look_interval(canary: Canary) -> timedelta:
    """Time between two looks: a sixtieth of `for`, from 2 seconds to a minute."""
    return min(max(canary.for_ / _LOOKS, _SHORTEST), _LONGEST)


def _left(canary: Canary, state: CanaryState) -> timedelta:
    return max(timedelta(0), state.started + canary.for_ - (state.looked or state.started))


def _split_reason(split: Split) -> str:
    requests = split.stable + split.canary
    return (
        f"the canary has {split.canary / requests:.2%} of {requests:.0f} requests, and {split.expected / requests:.2%} "
        f"of the Ready pods; evidence of a broken split {_e(split.log_e):.3g} of {SPLIT_THRESHOLD:g}: look at what "
        "routes the requests, and at the labels that {{variant}} stands for"
    )


def _judge_guard(metric: CanaryMetric, known: GuardState) -> MetricVerdict:
    told = f"{metric.name}: {known.value if known.value is None else f'{known.value:.4g}'}, at most {metric.max:g}"
    if known.above >= GUARD_PATIENCE:
        reason = f"{metric.name}: {known.above} successive values above {metric.max:g}"
        return MetricVerdict(metric.name, "Harm", "AboveMax", reason, effect=known.value)
    if known.value is None:
        return MetricVerdict(metric.name, "Unknown", "NoData", f"{metric.name}: {known.unread}")
    if known.above:
        reason = f"{told}; {GUARD_PATIENCE} in succession are harm"
        return MetricVerdict(metric.name, "Unknown", "NotShown", reason, effect=known.value)
    return MetricVerdict(metric.name, "Better", "NotWorse", told, effect=known.value)


def _judge_metric(canary: Canary, metric: CanaryMetric, state: CanaryState) -> MetricVerdict:
    known = state.metrics.get(metric.name, MetricState(Evidence(metric.margin)))
    evidence, threshold = known.evidence, 1 / _alpha_of_harm(canary)
    log_e = evidence.log_worse(AT_MOST_AS_BAD)
    outcome, cause, told = _what_is_shown(canary, known, state)
    numbers = ""
    if evidence.blocks:
        numbers = (
            f"{evidence.canary_bad / evidence.canary_total:.2%} of {evidence.canary_total:.0f} requests on the canary "
            f"are bad, {evidence.stable_bad / evidence.stable_total:.2%} of {evidence.stable_total:.0f} on stable; "
            f"evidence of harm {_e(log_e):.3g} of {threshold:g}, of at most {metric.margin:.2%} more "
            f"{_e(evidence.log_better(WITHIN_MARGIN)):.3g} of {1 / canary.alpha:g}"
        )
        if evidence.overdispersion >= 1.05:  # less reads as 1.0
            numbers += f", with a design effect of {evidence.overdispersion:.1f}"
    unseen = "" if known.bad_seen or not evidence.blocks else _UNSEEN
    return MetricVerdict(
        metric.name,
        outcome,
        cause,
        f"{metric.name}: " + "; ".join(part for part in (told, numbers, unseen) if part),
        round(evidence.canary_total),
        round(evidence.stable_total),
        _e(log_e),
        threshold,
        evidence.effect,
        (_of_margin(known.at_least, metric), _of_margin(known.at_most, metric)) if evidence.blocks else None,
        evidence.overdispersion,
    )


def _what_is_shown(canary: Canary, known: MetricState, state: CanaryState) -> tuple[Outcome, Cause, str]:
    if known.at_least is not None and known.at_least >= AT_MOST_AS_BAD:
        return "Harm", "Worse", "the canary is worse than stable"
    if known.compared is None:
        return "Unknown", "NoData", known.unread or "nothing to compare yet"
    looked = state.looked or state.started
    if looked - known.compared > canary.for_ * _LATEST:
        last = f"nothing to compare for {format_duration(looked - known.compared)}"
        return "Unknown", "NoData", f"{last}: {known.unread}" if known.unread else last
    fewest = min(known.evidence.canary_total, known.evidence.stable_total)
    if fewest < canary.min_samples:
        return "Unknown", "TooFewSamples", f"{fewest:.0f} requests on one side, minSamples is {canary.min_samples}"
    if known.at_most is None or known.at_most > WITHIN_MARGIN:
        return "Unknown", "NotShown", "neither harm is shown, nor that there is none"
    return "Better", "NotWorse", "the canary is not worse by the margin"


def _of_margin(null: float | None, metric: CanaryMetric) -> float | None:
    return None if null is None else null * metric.margin


def _e(log: float) -> float:
    """As a number that JSON has."""
    return math.exp(min(log, math.log(1e300)))
