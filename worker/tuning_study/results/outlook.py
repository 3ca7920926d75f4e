"""What as many trials again would likely bring, by what the last half of a round's trials brought. For the report.

The shares are measured: over all runs of `make bench-auto`, benchmarks/outlook.py compares what trials n/2 to n brought
with what n to 2n did.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tuning_study.api.metrics import Metric
from tuning_study.results.candidates import Candidate, costs

_LEAST = 20  # complete trials


@dataclass(frozen=True)
class Shares:
    """Of what the last half brought, what as many trials again bring."""

    mean: float
    most: float
    """In nine runs of ten it is no more."""


SHARES: Final[Mapping[str, Shares]] = {
    "GP": Shares(0.23, 0.97),
    "TPE": Shares(0.39, 2.3),
    "Random": Shares(0.34, 4.1),
}
"""By sampler; others were not measured."""


@dataclass(frozen=True)
class Outlook:
    trials: int
    """Complete ones."""
    before: float
    """The best value of their first half."""
    best: float
    likely: float
    """By how much the best would likely improve with as many again; at least 0."""
    most: float
    """By how much at most, in nine runs of ten."""


def outlook(objective: Metric, found: Sequence[Candidate], sampler: str) -> Outlook | None:
    """Of a round with one objective, by its complete trials in their order; None where too few are feasible in both
    halves, or the sampler's shares are not known."""
    shares = SHARES.get(sampler)
    if shares is None or len(found) < _LEAST:
        return None
    halves = found[: len(found) // 2], found
    if not all(any(entry.feasible for entry in half) for half in halves):
        return None
    first, last = (
        min((entry for entry in half if entry.feasible), key=lambda e: costs([objective], e)) for half in halves
    )
    gained = abs(last.values[0] - first.values[0])
    if not math.isfinite(gained):
        return None
    return Outlook(len(found), first.values[0], last.values[0], shares.mean * gained, shares.most * gained)
