"""Whether the canary gets its share of the traffic: what two sides are compared on must have been dealt out between
them as believed. A usual guard of A/B tests (sample-ratio mismatch), as a test that may be looked at at any time.

Requests are dealt out by connections, and pods are not equally fast, so that shares near to that of the Ready pods are
no fault: the statement that is tested is that the odds of a request for the canary are within a factor of those of a
pod. Its e-variable is that of one rate: how much likelier a look's requests are under the share that earlier looks
tell than under the nearest one within the factor. Overdispersion is measured and divided out.
"""

import math
from dataclasses import dataclass, replace

from tuning_study.promotion.canary.looks import Pods

TOLERANCE = 1.5
"""Factor by which the odds may differ: 10 % of the pods may have 7 % to 14 % of the requests."""
THRESHOLD = 1000.0
"""The e-value at which a split counts as broken: a sound one is called so with a probability of at most 0.001."""

_SAFETY = 2.0  # standard errors, as of the evidence


@dataclass(frozen=True)
class Split:
    """All looks, summed up."""

    looks: int = 0
    stable: float = 0.0
    """Requests."""
    canary: float = 0.0
    expected: float = 0.0
    """Requests on the canary, had each pod the same number."""
    log: float = 0.0
    squares: float = 0.0
    """Of the differences between requests and what was expected of them, in standard deviations."""

    @property
    def log_e(self) -> float:
        """Logarithm of the e-value against "the canary has its share"."""
        return self.log / self._overdispersion

    @property
    def broken(self) -> bool:
        return self.log_e >= math.log(THRESHOLD)

    @property
    def _overdispersion(self) -> float:
        looks = self.looks - 1  # nothing was expected of the first one
        if looks < 1:
            return 1.0
        return 1 + max(0.0, self.squares / looks - 1) * (1 + _SAFETY * math.sqrt(2 / looks))

    def after(self, stable: float, canary: float, ready: Pods) -> "Split":
        """With the requests of one look more; unchanged without requests or without pods on both sides."""
        requests = stable + canary
        if requests <= 0 or ready.stable < 1 or ready.canary < 1:
            return self
        share = ready.canary / (ready.stable + ready.canary)
        log, squares = self.log, self.squares
        if self.looks:
            odds = ready.canary / ready.stable
            told = self._factor
            alternative, held = odds * told, odds * max(1 / TOLERANCE, min(TOLERANCE, told))
            # By the odds, as a share would round to 1 or to nothing: each side times the logarithm of its share.
            log += canary * math.log(alternative / held) - requests * (math.log1p(alternative) - math.log1p(held))
            mine, others = alternative / (1 + alternative), 1 / (1 + alternative)
            known = self.stable + self.canary
            squares += (canary - requests * mine) ** 2 / (requests * mine * others * (1 + requests / known))
        return replace(
            self,
            looks=self.looks + 1,
            stable=self.stable + stable,
            canary=self.canary + canary,
            expected=self.expected + requests * share,
            log=log,
            squares=squares,
        )

    @property
    def _factor(self) -> float:
        """Odds of a request for the canary over those of a pod, so far."""
        others = self.stable + self.canary - self.expected
        return (self.canary + 0.5) / (self.stable + 0.5) * (others + 0.5) / (self.expected + 0.5)
