"""How much the requests of both sides say about the difference of their shares of bad ones.

Every statement about the difference, such as "the canary is at most as bad as stable", has an e-variable for each
block: how much likelier the block's outcomes are under an alternative than under the rates nearest to it for which the
statement holds, in Kullback-Leibler divergence weighted by the block's requests. Alternatives come from earlier blocks
only. Then the expected product of all of them is at most 1 while the statement holds, whatever the rates, the split,
the sizes of blocks and the number of looks, so that it ever reaches 1/α with a probability of at most α (Turner, Ly
and Grünwald 2024, "Generic E-variables for exact sequential k-sample tests that allow for optional stopping"; Turner
and Grünwald 2023, "Exact anytime-valid confidence intervals for contingency tables and beyond", for differences).

Statements of the form "at most so much worse" reject towards harm, "at least so much worse" towards promotion. What is
not rejected is a confidence sequence of the difference, on a grid of multiples of the margin.

All of this takes requests to be independent. Those of one user or of one batch are not, and are worth fewer than they
are: logarithms of evidence are divided by the measured overdispersion. As it is never below 1, this can only take
evidence away, and the bounds for independent requests stay exact.
"""

import math
from dataclasses import dataclass, replace

from tuning_study.promotion.canary.looks import Block

AT_MOST_AS_BAD = 0.0
WITHIN_MARGIN = 1.0
NULLS = (-2.0, -1.0, -0.5, AT_MOST_AS_BAD, 0.5, WITHIN_MARGIN, 2.0)
"""Differences that are tested, in margins: the two named for the verdict, the others for the interval that is told."""

_PRIOR = 0.18  # of a beta distribution on each rate: the default of the authors' own package, safestats
_RATIOS = (2.0, 5.0)  # alternatives of "at most so much worse", beside the rates that earlier blocks tell
_CLOSER = (1.0, 0.5)  # alternatives of "at least so much worse", in margins below: equally good, and a little worse
_SAFETY = 2.0  # standard errors by which the measured overdispersion may be too small by chance
_EDGE = 1e-12


@dataclass(frozen=True)
class Evidence:
    """All blocks of one metric, summed up."""

    margin: float
    nulls: tuple[float, ...] = NULLS
    blocks: int = 0
    stable_bad: float = 0.0
    stable_total: float = 0.0
    canary_bad: float = 0.0
    canary_total: float = 0.0
    worse: tuple[tuple[float, ...], ...] = ()
    """Logarithm of the evidence against "the canary is at most `null` margins worse", for each null and alternative."""
    better: tuple[tuple[float, ...], ...] = ()
    """The same against "at least `null` margins worse"."""
    weights: float = 0.0
    """Of blocks, in the differences of their shares; with the two sums below, they tell the overdispersion."""
    differences: float = 0.0
    squares: float = 0.0
    stable_weights: float = 0.0

    @property
    def effect(self) -> float | None:
        """Share of bad requests on the canary less that on stable; None before the first block."""
        if not self.blocks:
            return None
        return self.canary_bad / self.canary_total - self.stable_bad / self.stable_total

    @property
    def overdispersion(self) -> float:
        """How many times more the differences of blocks vary than those of independent requests; 1 or more.

        The canary's being worse is no overdispersion, nor is what happens to both sides at once. On top of an excess
        come some standard errors, as the first blocks may be alike by chance.
        """
        stable, canary = (
            self._variance(self.stable_bad, self.stable_total),
            self._variance(self.canary_bad, self.canary_total),
        )
        expected = self.stable_weights * canary + (self.blocks - self.stable_weights) * stable
        if self.blocks < 2 or expected <= 0:
            return 1.0
        scatter = max(0.0, self.squares - self.differences**2 / self.weights)
        ratio = scatter / expected * self.blocks / (self.blocks - 1)
        if ratio <= 1:
            return 1.0
        error = math.sqrt(2 / (self.blocks - 1) + ratio / max(1.0, self.stable_bad + self.canary_bad))
        return 1 + (ratio - 1) * (1 + _SAFETY * error)

    @staticmethod
    def _variance(bad: float, total: float) -> float:
        share = bad / total if total else 0.0
        return share * (1 - share)

    def log_worse(self, null: float = AT_MOST_AS_BAD) -> float:
        """Logarithm of the e-value against "at most `null` margins worse": the mean over its alternatives."""
        return self._log_mean(self.worse[self.nulls.index(null)]) if self.blocks else 0.0

    def log_better(self, null: float = WITHIN_MARGIN) -> float:
        """Logarithm of the e-value against "at least `null` margins worse": the mean over its alternatives."""
        return self._log_mean(self.better[self.nulls.index(null)]) if self.blocks else 0.0

    def _log_mean(self, evidence: tuple[float, ...]) -> float:
        overdispersion = self.overdispersion
        logs = [log / overdispersion for log in evidence]
        most = max(logs)
        return most + math.log(sum(math.exp(log - most) for log in logs) / len(logs))

    def after(self, block: Block) -> "Evidence":
        """With one block more."""
        worse = self.worse or ((0.0,) * (1 + len(_RATIOS)),) * len(self.nulls)
        better = self.better or ((0.0,) * len(_CLOSER),) * len(self.nulls)
        if self.blocks:  # the first one only tells where the rates are
            told = (
                (self.stable_bad + _PRIOR) / (self.stable_total + 2 * _PRIOR),
                (self.canary_bad + _PRIOR) / (self.canary_total + 2 * _PRIOR),
            )
            harmful = [told, *(self._times(block, ratio) for ratio in _RATIOS)]
            closer = {at: self._at(told, at) for at in {null - less for null in self.nulls for less in _CLOSER}}
            worse = tuple(
                tuple(
                    log + self._log_e(block, rates, null)
                    if rates[1] - rates[0] > null * self.margin
                    else log  # what the statement holds for is no alternative
                    for rates, log in zip(harmful, logs, strict=True)
                )
                for null, logs in zip(self.nulls, worse, strict=True)
            )
            better = tuple(
                tuple(
                    log + self._log_e(block, closer[null - less], null) for less, log in zip(_CLOSER, logs, strict=True)
                )
                for null, logs in zip(self.nulls, better, strict=True)
            )
        requests = block.stable_total + block.canary_total
        weight = block.stable_total * block.canary_total / requests
        difference = block.canary_bad / block.canary_total - block.stable_bad / block.stable_total
        return replace(
            self,
            blocks=self.blocks + 1,
            stable_bad=self.stable_bad + block.stable_bad,
            stable_total=self.stable_total + block.stable_total,
            canary_bad=self.canary_bad + block.canary_bad,
            canary_total=self.canary_total + block.canary_total,
            worse=worse,
            better=better,
            weights=self.weights + weight,
            differences=self.differences + weight * difference,
            squares=self.squares + weight * difference**2,
            stable_weights=self.stable_weights + block.stable_total / requests,
        )

    def _times(self, block: Block, ratio: float) -> tuple[float, float]:
        """The rates of a canary that is so many times as bad, where both sides together are as bad as until now."""
        requests = block.stable_total + block.canary_total
        bad = (self.stable_bad + self.canary_bad + _PRIOR) / (self.stable_total + self.canary_total + 2 * _PRIOR)
        stable = bad * requests / (block.stable_total + block.canary_total * ratio)
        return stable, min(stable * ratio, (1 + bad) / 2)  # a rate stays below 1

    def _at(self, rates: tuple[float, float], null: float) -> tuple[float, float]:
        return nearest(rates, (self.stable_total, self.canary_total), null * self.margin)

    def _log_e(self, block: Block, rates: tuple[float, float], null: float) -> float:
        held = nearest(rates, (block.stable_total, block.canary_total), null * self.margin)
        return (
            block.stable_bad * math.log(rates[0] / held[0])
            + (block.stable_total - block.stable_bad) * math.log((1 - rates[0]) / (1 - held[0]))
            + block.canary_bad * math.log(rates[1] / held[1])
            + (block.canary_total - block.canary_bad) * math.log((1 - rates[1]) / (1 - held[1]))
        )


def nearest(rates: tuple[float, float], requests: tuple[float, float], difference: float) -> tuple[float, float]:
    """The rates of which the second is by `difference` above the first, nearest to the given ones in Kullback-Leibler
    divergence weighted by `requests`. Given ones are between 0 and 1, `difference` between -1 and 1, both exclusively.

    It is the middle root of a cubic, as in the restricted estimate of Farrington and Manning (1990).
    """
    (a, b), d = rates, difference
    share = requests[0] / (requests[0] + requests[1])
    if d == 0:
        middle = share * a + (1 - share) * b
        return middle, middle
    low, high = max(0.0, -d) + _EDGE, min(1.0, 1 - d) - _EDGE
    square = -(share * (1 - 2 * d + a) + (1 - share) * (1 + b - d))
    linear = share * (a * (1 - 2 * d) - d * (1 - d)) + (1 - share) * (b - d)
    constant = share * a * d * (1 - d)
    shift = square / 3
    p, q = linear / 3 - shift**2, shift**3 - shift * linear / 2 + constant / 2
    radius = math.sqrt(max(0.0, -p))
    cosine = max(-1.0, min(1.0, -q / radius**3)) if radius else 0.0
    x = 2 * radius * math.cos((math.acos(cosine) - 2 * math.pi) / 3) - shift
    slope = (3 * x + 2 * square) * x + linear
    if slope:  # one step of Newton's takes away what the cosine has rounded
        x -= (((x + square) * x + linear) * x + constant) / slope
    x = max(low, min(high, x))
    return x, x + d
