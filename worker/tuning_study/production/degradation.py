"""Whether a metric of the model in production counts as degraded, and the numbers that say so.

Pure. The operator judges a metric anew from all its observations since the last round, so that nothing is carried from
one judgement to the next; `tuning validate` asks how often the plain form would raise a false alarm.

The evidence of an observation is the logarithm of how much likelier it is at the degraded level than at the baseline.
It is summed up from the last moment at which nothing spoke for a degradation (CUSUM). A model that is well reaches the
threshold h within n observations with a probability of at most n·exp(-h), however often one looks (Lorden 1971), so
that h = ln(n / accepted) keeps what the manifest accepts, if observations do not depend on each other. Samples of one
observation may: labels of one user, or of one batch, are worth fewer than they are. Their evidence is divided by how
much more the observations vary than independent samples would.

A round is dearer than a warning, so it takes more evidence: as much as a hundredth of the accepted false alarms would.
"""

import math
import sys
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal

from tuning_study.api.field_types import Direction
from tuning_study.api.production import Degraded, ProductionMetric
from tuning_study.production.observation import Observation

LEARNT_FROM = 50
"""Observations from which a baseline is learnt, and the noise of values without counts."""

_WEEK = timedelta(days=7)
_LEAST_THRESHOLD = math.log(20)  # one observation a week, and any false alarm accepted, still want some evidence
_FOR_A_ROUND = math.log(100)  # beyond the threshold
_SAFETY = 2.0  # standard errors by which what was learnt may be wrong by chance
_MOST_FOLD = 10.0  # a baseline of 1.0 is not taken to mean that no sample is ever wrong
_LEAST_NOISE = 0.1  # of the distance between baseline and level
_TO_KNOW_THE_NOISE = 10  # observations, or more

Source = Literal["Verified", "Best", "Given", "FirstObservations"]
_CALLED: dict[Source, str] = {
    "Verified": "verified",
    "Best": "best trial",
    "Given": "given",
    "FirstObservations": f"first {LEARNT_FROM} observations",
}


@dataclass(frozen=True)
class BaselineValue:
    """What a model that is well is worth."""

    value: float
    spread: float | None
    """Standard deviation of one value, as of the runs of a verification; None where it is unknown."""
    source: Source


@dataclass(frozen=True)
class Judgement:
    """The state of one metric after its last observation."""

    metric: str
    verdict: Literal["Degraded", "Healthy", "Unknown"]
    threshold: float
    """The statistic at which Degraded begins; in the plain form, `bad`."""
    baseline: BaselineValue | None = None
    """None while it is being learnt."""
    level: float | None = None
    """The degraded level; None where the baseline has none."""
    value: float | None = None
    """Mean over the `observations`, by samples where they are known; None without an observation."""
    observations: int = 0
    """Those since the evidence began to rise, otherwise the last one; in the plain form, the last `of`."""
    samples: int | None = None
    """Behind these observations; None where their number is unknown."""
    statistic: float = 0.0
    """Between 0 and the threshold; in the plain form, the bad ones among the last `of`."""
    since: datetime | None = None
    """Time of the observation with which the evidence began to rise; None unless Degraded."""
    confirmed: bool = False
    """Whether it is Degraded by evidence for a round, which all comes from these observations."""
    new: float = 0.0
    """The evidence of these observations alone, up to what a round takes; 0 in the plain form."""
    reason: str = ""
    """Why the verdict is Unknown."""
    of: int | None = None
    """Set in the plain form only."""

    @property
    def evidence(self) -> str:
        """One sentence with the numbers behind the verdict, or why there is none."""
        if self.baseline is None or self.level is None or self.value is None:
            return f"{self.metric}: {self.reason}"
        behind = (
            "" if self.samples is None else f" of {self.samples} samples{' in all' if self.observations > 1 else ''}"
        )
        observed = f"{self.observations} observation{'' if self.observations == 1 else 's'}{behind}"
        if self.of is not None:
            summed = f"{self.statistic:.0f} of the last {self.of} beyond it, {self.threshold:.0f} are enough"
        else:
            summed = f"evidence {self.statistic:.1f} of {self.threshold:.1f}"
        since = "" if self.since is None else f" since {self.since.astimezone(UTC):%Y-%m-%dT%H:%MZ}"
        if self.verdict == "Degraded" and not self.confirmed:
            since += f"; a round needs {self.threshold + _FOR_A_ROUND:.1f}, and has {self.new:.1f}"
        return (
            f"{self.metric} {self.value:.4g} over {observed}, baseline {self.baseline.value:.4g} "
            f"({_CALLED[self.baseline.source]}), degraded level {self.level:.4g}; {summed}{since}"
            + (f"; {self.reason}" if self.reason else "")
        )


def judge(
    metric: ProductionMetric,
    direction: Direction,
    baseline: BaselineValue | None,
    observations: Sequence[Observation],
    *,
    was_degraded: bool = False,
) -> Judgement:
    """The state of `metric` after all its `observations` since the last round, in any order. One that `was_degraded`
    before them is so until they have shown that it is well.

    Without a `baseline` it is learnt from the first 50 of them, and those after them are judged. Where most
    observations tell their samples, those that do not are left out. Values in [0, 1] with samples are judged as shares
    of samples; a mean of anything between 0 and 1 varies no more than that, so that its false alarms are bounded too.
    All other values are judged by their own noise: the spread of the verification or of the first 10 to 50
    observations, whichever is more, because repeats on one test set know nothing of how production varies. No single
    one of them is more than half of the evidence, so that an outlier never decides.
    """
    observed = _comparable(observations)
    undecided = Judgement(metric.name, "Unknown", _threshold(metric), baseline, of=metric.degraded.of)
    judged, first, error = observed, observed[:LEARNT_FROM], 0.0
    if baseline is None:
        if len(observed) < LEARNT_FROM:
            return replace(undecided, reason=f"{len(observed)} of {LEARNT_FROM} observations of the baseline")
        baseline, error = _learn(first)
        judged = observed[LEARNT_FROM:]
    level = degraded_level(baseline.value, metric.degraded, direction)
    undecided = replace(undecided, baseline=baseline, level=level)
    if level is None:
        return replace(undecided, reason=_no_level(baseline.value))
    if not judged:
        return replace(undecided, reason="no observation to judge yet")
    if metric.degraded.bad is not None and metric.degraded.of is not None:
        return _count(undecided, judged, metric.degraded.bad, metric.degraded.of)
    evidence_of = _evidence(undecided, metric.degraded, direction, error, first, judged)
    if isinstance(evidence_of, str):
        return replace(_with_values_of(undecided, judged[-1:]), reason=evidence_of)
    return _accumulate(undecided, judged, evidence_of, was_degraded)


def degraded_level(baseline: float, degraded: Degraded, direction: Direction) -> float | None:
    """`ratio` away from the baseline to the worse: 0.9 and 0.95 give 0.855 where more is better and 0.947 where less
    is; a negative log loss of -0.38 where more is better gives -0.4. None where the baseline is 0, or so near to it or
    so large that its level is no other number."""
    nearer_zero = (direction == "Maximize") == (baseline > 0)
    level = baseline * degraded.ratio if nearer_zero else baseline / degraded.ratio
    return level if math.isfinite(level) and level != baseline else None


def _no_level(baseline: float) -> str:
    return (
        f"a ratio of the baseline {baseline:.4g} is no degraded level: watch a metric that is not 0 while the model is "
        "well, such as a share of errors instead of a mean error"
    )


def _threshold(metric: ProductionMetric) -> float:
    if metric.degraded.bad is not None:
        return metric.degraded.bad
    checks = _WEEK / metric.source.window
    return max(_LEAST_THRESHOLD, math.log(checks / metric.degraded.false_alarms_per_week))


def _comparable(observations: Sequence[Observation]) -> list[Observation]:
    """In the order of their times; all with samples, or none that says it has none."""
    some = [one for one in observations if one.samples != 0]
    counted = [one for one in some if one.samples is not None]
    chosen = counted if 2 * len(counted) > len(some) else some
    return sorted(chosen, key=lambda one: (one.time, one.value, one.samples or 0))


def _learn(first: Sequence[Observation]) -> tuple[BaselineValue, float]:
    """The baseline, and its standard error."""
    value, spread = _mean(first), _spread(first)
    error = spread / math.sqrt(len(first))
    samples = _samples(first)
    if samples is not None and 0 <= value <= 1:  # equal shares do not mean that the next is equal, too
        share = (value * samples + 1) / (samples + 2)
        error = max(error, math.sqrt(share * (1 - share) / samples))
    return BaselineValue(value, spread, "FirstObservations"), error


def _mean(observations: Sequence[Observation]) -> float:
    samples = _samples(observations)
    if samples is None:
        return sum(one.value / len(observations) for one in observations)
    return sum(one.value * ((one.samples or 0) / samples) for one in observations)


def _samples(observations: Sequence[Observation]) -> int | None:
    known = [one.samples for one in observations if one.samples is not None]
    return sum(known) if len(known) == len(observations) > 0 else None


def _spread(observations: Sequence[Observation]) -> float:
    """Standard deviation of one value; 0 for a single one. Half-values keep sums of the largest floats finite."""
    if len(observations) < 2:
        return 0.0
    halves = [one.value / 2 for one in observations]
    mean, scale = math.fsum(half / len(halves) for half in halves), math.sqrt(len(halves) - 1)
    return min(2 * math.hypot(*((half - mean) / scale for half in halves)), 1e308)


def _noise(first: Sequence[Observation]) -> float:
    """Standard deviation of one value, with its own standard error on top, because it may be too small by chance."""
    return _spread(first) * (1 + 1 / math.sqrt(2 * (len(first) - 1)))


Evidence = Callable[[Observation], float]


def _evidence(
    undecided: Judgement,
    degraded: Degraded,
    direction: Direction,
    error: float,
    first: Sequence[Observation],
    judged: Sequence[Observation],
) -> Evidence | str:
    """What each observation says for the degraded level and against the baseline, or why that cannot be told yet.

    A learnt baseline may be too good by chance, which would then be an endless degradation. So baseline and level are
    both moved to the worse by some of its standard errors."""
    baseline = undecided.baseline
    assert baseline is not None
    assumed = baseline.value - _SAFETY * error if direction == "Maximize" else baseline.value + _SAFETY * error
    level = degraded_level(assumed, degraded, direction)
    if level is None or not math.isfinite(assumed):
        return _no_level(assumed)
    if all(one.samples and 0 <= one.value <= 1 for one in (*first, *judged)) and 0 < assumed <= 1 and 0 < level < 1:
        return _evidence_of_shares(assumed, level, _overdispersion(first))
    if len(first) < _TO_KNOW_THE_NOISE:
        return f"{len(first)} of {_TO_KNOW_THE_NOISE} observations of the noise"
    return _evidence_of_values(assumed, level, max(baseline.spread or 0.0, _noise(first)), most=undecided.threshold / 2)


def _evidence_of_shares(baseline: float, level: float, overdispersion: float) -> Evidence:
    """The log-likelihood ratio of two binomial distributions."""
    healthy = max(level / _MOST_FOLD, min(1 - (1 - level) / _MOST_FOLD, baseline))
    hit = math.log(level / healthy) / overdispersion
    miss = math.log((1 - level) / (1 - healthy)) / overdispersion
    return lambda one: (one.samples or 0) * (one.value * hit + (1 - one.value) * miss)


def _overdispersion(first: Sequence[Observation]) -> float:
    """How much more the shares vary than those of independent samples, with some standard errors on top; at least 1.

    Differences from one observation to the next know nothing of the mean, and the largest is left out: it may be the
    fall that is looked for."""
    share = _mean(first)
    if len(first) < _TO_KNOW_THE_NOISE or not 0 < share < 1:
        return 1.0
    ratios = sorted(
        (after.value - before.value) ** 2
        / (share * (1 - share) * (1 / (before.samples or 1) + 1 / (after.samples or 1)))
        for before, after in pairwise(first)
    )[:-1]
    excess = sum(ratios) / len(ratios) - 1
    return 1 + max(0.0, excess) * (1 + _SAFETY * math.sqrt(3 / len(first)))


def _evidence_of_values(baseline: float, level: float, spread: float, most: float) -> Evidence:
    """The log-likelihood ratio of two normal distributions of the same spread, and at most so much in each direction.

    Values that never vary get a spread, too. It decides nothing: at a tenth of the distance between the means, two
    values well beyond their middle are enough already."""
    distance = abs(level - baseline)
    noise = max(spread, _LEAST_NOISE * distance, sys.float_info.min)
    shift = distance / noise
    worse = math.copysign(2, level - baseline)

    def evidence_of(one: Observation) -> float:
        deviation = worse * ((one.value / 2 - baseline / 2) / noise)  # halves, so that no difference is infinite
        return max(-most, min(most, shift * (deviation - shift / 2)))

    return evidence_of


def _accumulate(
    undecided: Judgement, judged: Sequence[Observation], evidence_of: Evidence, was_degraded: bool
) -> Judgement:
    """Degraded from when the evidence reaches the threshold until it is used up: recovery takes as much of it."""
    threshold, for_a_round = undecided.threshold, undecided.threshold + _FOR_A_ROUND
    statistic, began, degraded = threshold if was_degraded else 0.0, 0, was_degraded
    new, confirmed = 0.0, False  # what was known before is no evidence for another round
    for index, one in enumerate(judged):
        if statistic == 0:
            began, new, confirmed = index, 0.0, False
        evidence = evidence_of(one)
        statistic = min(threshold, max(0.0, statistic + evidence))
        degraded = statistic >= threshold or (degraded and statistic > 0)
        new = min(for_a_round, max(0.0, new + evidence))
        confirmed = confirmed or new >= for_a_round
    return replace(
        _with_values_of(undecided, judged[began:] if statistic > 0 else judged[-1:]),
        verdict="Degraded" if degraded else "Healthy",
        statistic=statistic,
        since=judged[began].time if degraded else None,
        confirmed=degraded and confirmed,
        new=new,
    )


def _count(undecided: Judgement, judged: Sequence[Observation], bad: int, of: int) -> Judgement:
    """The plain form: Degraded while at least `bad` of the last `of` are beyond the level."""
    assert undecided.baseline is not None and undecided.level is not None
    level, falls = undecided.level, undecided.level < undecided.baseline.value
    beyond = [one.value < level if falls else one.value > level for one in judged]
    counts = [sum(beyond[max(0, end - of) : end]) for end in range(1, len(beyond) + 1)]
    since = None
    for one, count in zip(judged, counts, strict=True):
        since = (since or one.time) if count >= bad else None
    return replace(
        _with_values_of(undecided, judged[-of:]),
        verdict="Healthy" if since is None else "Degraded",
        statistic=counts[-1],
        since=since,
        confirmed=since is not None,
    )


def _with_values_of(judgement: Judgement, observations: Sequence[Observation]) -> Judgement:
    return replace(judgement, value=_mean(observations), observations=len(observations), samples=_samples(observations))


def false_alarm_rate(baseline: float, level: float, samples: int, bad: int, of: int, checks: float) -> float:
    """The probability that the plain form counts a model that is well as degraded within so many checks.

    The model's share of hits is `baseline` in each observation of `samples` independent ones, and less than `level` is
    bad, or more where the level is above the baseline. Exact, by the Markov chain of the last `of - 1` outcomes, from
    good ones on. `baseline` is between 0 and 1, `samples` at least 1, 1 <= `bad` <= `of`.
    """
    chance = _tail(baseline, level, samples)
    if chance == 1:
        return 1.0
    recent = (1 << (of - 1)) - 1
    alive = {0: 1.0}  # outcomes as bits, a set one is bad: their probability while no alarm has been raised
    survived = 1.0
    for left in range(round(checks), 0, -1):
        following: dict[int, float] = {}
        for outcomes, probability in alive.items():
            for outcome, its in ((0, 1 - chance), (1, chance)):
                latest = outcomes << 1 | outcome
                if latest.bit_count() < bad:
                    following[latest & recent] = following.get(latest & recent, 0.0) + probability * its
        kept = sum(following.values())
        settled = {outcomes: probability / kept for outcomes, probability in following.items()}
        if all(abs(probability - alive.get(outcomes, 0.0)) < 1e-15 for outcomes, probability in settled.items()):
            return max(0.0, 1 - survived * kept**left)  # the rest of the week is like this check
        survived, alive = survived * kept, settled
    return max(0.0, 1 - survived)


def _tail(share: float, level: float, samples: int) -> float:
    """The probability that so many samples have a share of hits beyond the level."""
    if level > share:  # too many hits are too few misses
        return _at_most(_last(lambda misses: (samples - misses) / samples > level, samples), samples, 1 - share)
    return _at_most(_last(lambda hits: hits / samples < level, samples), samples, share)


def _last(holds: Callable[[int], bool], end: int) -> int:
    """The last number up to `end` for which it holds, of those from 0 on for which it does; -1 for none."""
    return bisect_left(range(end + 1), True, key=lambda number: not holds(number)) - 1


def _at_most(hits: int, samples: int, share: float) -> float:
    """The probability of at most so many hits: terms of the binomial distribution, from the largest of them outwards
    until they no longer count."""
    if hits < 0 or hits >= samples or share in (0, 1):
        return float(hits >= samples * share)
    if hits > samples * share:
        return 1 - _at_most(samples - hits - 1, samples, 1 - share)
    term = math.exp(
        math.lgamma(samples + 1) - math.lgamma(hits + 1) - math.lgamma(samples - hits + 1)
        + hits * math.log(share) + (samples - hits) * math.log1p(-share)
    )  # fmt: skip
    total = 0.0
    while term > total * 1e-17:
        total += term
        term *= hits / (samples - hits + 1) * (1 - share) / share
        hits -= 1
    return min(1.0, total)
