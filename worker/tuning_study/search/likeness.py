"""How alike two data sets are, by the features that workers record of them.

tuning_study.search.history asks: what did well on one data set may do well on one that is like it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from tuning_study.attributes import DATA_ATTRIBUTE

SCALES: Final[Mapping[str, float]] = {
    "logRows": 0.5,
    "logColumns": 0.4,
    "categorical": 0.3,
    "missing": 0.1,
    "logClasses": 1.0,
    "imbalance": 0.2,
    "skew": 0.4,
    "kurtosis": 0.5,
    "correlation": 0.15,
    "components": 0.3,
    "targetCorrelation": 0.25,
}
"""The difference in each feature that counts as one: a feature's standard deviation over the 40 data sets of
benchmarks/portfolio_data.py is 0.8 to 1.6 times as much, but for logRows and missing: those tables are cut to 600 rows,
and have no gaps. What grows without bound is a logarithm already. Fixed scales make a distance mean the
same in a namespace with two studies and in one with two hundred."""


@dataclass(frozen=True)
class Profile:
    """What is recorded of a study, so that later ones may learn from it."""

    model: str
    """The class of its pipeline's last step."""
    features: Mapping[str, float]
    """What its data are like, by the names of SCALES."""

    @classmethod
    def of_study(cls, attributes: Mapping[str, Any]) -> Self | None:
        """As a study's user attributes have it; None where no worker knew its data."""
        held = attributes.get(DATA_ATTRIBUTE)
        return cls(held["model"], held["features"]) if held else None

    def attribute(self) -> dict[str, Any]:
        return {"model": self.model, "features": dict(self.features)}


_MOST = 3.0  # by which one feature, on its scale, can set two data sets apart


def distance(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Root mean square difference of the features that both have, each on its scale; infinite where they share none."""
    shared = [name for name in SCALES if name in one and name in other]
    if not shared:
        return math.inf
    apart = [min(abs(one[name] - other[name]) / SCALES[name], _MOST) for name in shared]
    return math.sqrt(sum(each**2 for each in apart) / len(shared))


def differences(one: Mapping[str, float], other: Mapping[str, float]) -> list[str]:
    """The features in which two data sets differ most, the largest difference first, for people."""
    shared = [name for name in SCALES if name in one and name in other]
    apart = {name: abs(one[name] - other[name]) / SCALES[name] for name in shared}
    return [name for name in sorted(apart, key=lambda name: -apart[name]) if apart[name] >= 1.0]
