"""What a retuning came to: whether its best is better than the parameters of before on the same data. Pure.

Both were verified side by side, run by run with the same folds and seeds, so that each repeat is one paired difference.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

from tuning_study.api.metrics import Metric
from tuning_study.results.student import t_probability, t_quantile
from tuning_study.results.verified import Measured, Verified

_SURE = 0.05  # one-sided probability of a difference that chance alone makes, up to which it counts
_CONFIDENCE = 0.95  # of intervals


@dataclass(frozen=True)
class Difference:
    """Of one objective, between the best and the parameters of before; above zero the best is better."""

    metric: str
    before: float
    after: float
    mean: float
    error: float
    """The standard error of the mean, with the correction for runs that share rows."""
    runs: int
    chances: int
    """Of how many differences this is one, any of which could have been the largest by luck."""

    @property
    def interval(self) -> tuple[float, float]:
        """Within which the difference of endless runs lies with 95 %."""
        half = t_quantile((1 + _CONFIDENCE) / 2, self.runs - 1) * self.error
        return self.mean - half, self.mean + half

    @property
    def better(self) -> float:
        """Probability that equal parameters would differ so much to the better."""
        return self.by_chance(0.0)

    @property
    def worse(self) -> float:
        """The same to the worse."""
        return min(1.0, self.chances * (1 - self._tail(0.0)))

    def by_chance(self, improvement: float) -> float:
        """Probability that parameters which are better by just so much would differ by this much or more."""
        return min(1.0, self.chances * self._tail(improvement))

    def _tail(self, improvement: float) -> float:
        above = self.mean - improvement
        if self.error:
            return t_probability(above / self.error, self.runs - 1)
        return float(above < 0) if above else 0.5


@dataclass(frozen=True)
class Comparison:
    outcome: Literal["Improved", "NoBetter"]
    differences: Sequence[Difference] = ()
    """One for each objective; none where the parameters of before are the best."""

    @property
    def in_words(self) -> str:
        if not self.differences:
            return "the parameters of before are the best still"
        return "; ".join(_in_words(difference) for difference in self.differences)


def compare(objectives: Sequence[Metric], found: Verified) -> Comparison | None:
    """None where the parameters of before were not measured, or no two runs of both.

    Improved where the best is surely better in one objective, and surely worse in none. The probabilities are those of
    the corrected resampled t-test (Nadeau and Bengio 2003), times the number of candidates and objectives that the
    difference could have come from (Bonferroni), as the best of several is partly luck.
    """
    if found.best is None or found.incumbent is None:
        return None
    if found.best == found.incumbent:
        return Comparison("NoBetter")
    before, after = found.candidates[found.incumbent], found.candidates[found.best]
    shared = sorted(before.values.keys() & after.values.keys())
    if len(shared) < 2:
        return None
    chances = (len(found.candidates) - 1) * len(objectives)
    differences = [
        _difference(metric, place, before, after, shared, found.overlap, chances)
        for place, metric in enumerate(objectives)
    ]
    improved = any(entry.better <= _SURE for entry in differences)
    improved = improved and not any(entry.worse <= _SURE for entry in differences)
    return Comparison("Improved" if improved else "NoBetter", differences)


def _difference(
    metric: Metric,
    place: int,
    before: Measured,
    after: Measured,
    shared: Sequence[int],
    overlap: float,
    chances: int,
) -> Difference:
    sign = 1 if metric.direction == "Maximize" else -1
    pairs = [sign * (after.values[repeat][place] - before.values[repeat][place]) for repeat in shared]
    return Difference(
        metric=metric.name,
        before=fmean(before.values[repeat][place] for repeat in shared),
        after=fmean(after.values[repeat][place] for repeat in shared),
        mean=fmean(pairs),
        error=stdev(pairs) * math.sqrt(1 / len(pairs) + overlap),
        runs=len(pairs),
        chances=chances,
    )


def _in_words(difference: Difference) -> str:
    low, high = difference.interval
    return (
        f"{difference.metric} {difference.before:.6g} → {difference.after:.6g} over {difference.runs} runs of both:"
        f" better by {difference.mean:.3g} ({low:.3g} to {high:.3g}, 95 %), p = {difference.better:.2g}"
    )
