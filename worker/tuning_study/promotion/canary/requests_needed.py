"""How many requests a canary takes to be promoted on evidence. `tuning validate` tells it, beside the manifest."""

import math
from statistics import NormalDist

from tuning_study.promotion.canary.evidence import nearest

_NORMAL = NormalDist()


def requests_needed(rate: float, margin: float, alpha: float, *, chance: float = 0.9, stable: float = 1.0) -> int:
    """Requests on the canary after which one that is as good as stable is shown, with so much `chance`, to be at most
    `margin` worse, for each of which stable has `stable` ones. `rate` is the share of bad requests, between 0 and 1,
    margins below 1 - `rate`.

    Approximate, for independent requests: the evidence of a canary that is equally good grows like a Brownian motion
    whose variance is twice its drift, and has to reach the logarithm of 2/α, as its alternative has half of the weight
    (`evidence`). Requests that depend on each other take as many times more as their design effect.
    """
    held = nearest((rate, rate), (stable, 1.0), margin)
    drift = stable * _divergence(rate, held[0]) + _divergence(rate, held[1])
    threshold = math.log(2 / alpha)
    low, high = 0.0, 1.0
    while _reached(high, threshold) < chance:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if _reached(middle, threshold) >= chance else (middle, high)
    return math.ceil(high / drift)


def _divergence(rate: float, held: float) -> float:
    return rate * math.log(rate / held) + (1 - rate) * math.log((1 - rate) / (1 - held))


def _reached(evidence: float, threshold: float) -> float:
    """The probability that a motion with the expectation `evidence`, and a variance of twice that, has been at the
    threshold by then."""
    spread = math.sqrt(2 * evidence)
    late = _NORMAL.cdf(-(threshold + evidence) / spread)
    return _NORMAL.cdf((evidence - threshold) / spread) + (math.exp(threshold) * late)
