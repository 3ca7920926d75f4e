"""Whether features in production are distributed otherwise than in the sample that a round was tuned on.

Pure. The operator asks with the counts of what was pushed. Drift need not hurt a model, and with enough samples every
harmless difference can be shown; so a feature has drifted only if its population stability index (PSI) is both large
and more than chance explains. Without drift, PSI / (1/n + 1/m) of n and m samples is distributed as χ² with one degree
of freedom less than bins (Yurdakul 2018), which is the χ² test of homogeneity in other units: it is the floor here, and
the p-values.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tuning_study.api.production import Drift
from tuning_study.production.chi_squared import chi_squared_limit, chi_squared_tail
from tuning_study.production.features import Counts, Reference
from tuning_study.text import first_of

_EMPTY = 0.5  # counted into every bin, so that none is empty and the index is finite
_TOLD = 5  # features in the sentence about all


@dataclass(frozen=True)
class FeatureDrift:
    """One feature's distance from its reference."""

    feature: str
    reason: str = ""
    """Why it was not judged; then all numbers but n and m are None."""
    n: int = 0
    """Samples of the reference, those without a value too."""
    m: int = 0
    """Samples from production."""
    psi: float | None = None
    floor: float | None = None
    """What chance alone exceeds so rarely that the accepted false alarms are kept, over all features and checks."""
    threshold: float | None = None
    """The index from which the feature has drifted: the manifest's, or the floor where that is more."""
    p: float | None = None
    """Of so large an index without drift, adjusted for the number of features (Benjamini and Hochberg 1995)."""
    missing: float | None = None
    """Share of the samples from production."""
    missing_before: float | None = None
    """Share of the reference."""
    new: float | None = None
    """Share of samples with a category that the reference has not; None for numbers, and where the reference has too
    many categories to know."""

    @property
    def drifted(self) -> bool:
        return self.psi is not None and self.threshold is not None and self.psi >= self.threshold

    @property
    def evidence(self) -> str:
        """One sentence with the numbers, or why there are none."""
        if self.psi is None or self.floor is None or self.p is None or self.missing is None:
            return f"{self.feature}: {self.reason}"
        asides = []
        if self.new:
            asides.append(f"{self.new:.1%} in new categories")
        if self.missing or self.missing_before:
            asides.append(f"{self.missing:.1%} missing instead of {self.missing_before:.1%}")
        return ", ".join(
            [
                f"{self.feature}: PSI {self.psi:.3g} of {self.threshold:.3g} (chance explains {self.floor:.3g})",
                f"p {self.p:.2g}",
                *asides,
                f"{self.m} samples beside {self.n} of the reference",
            ]
        )


@dataclass(frozen=True)
class DriftJudgement:
    """All watched features, those with the largest index first and those that were not judged last."""

    features: tuple[FeatureDrift, ...]

    @property
    def drifted(self) -> tuple[FeatureDrift, ...]:
        return tuple(each for each in self.features if each.drifted)

    @property
    def judged(self) -> tuple[FeatureDrift, ...]:
        return tuple(each for each in self.features if each.psi is not None)

    @property
    def verdict(self) -> Literal["Drifted", "Steady", "Unknown"]:
        if self.drifted:
            return "Drifted"
        return "Steady" if self.judged else "Unknown"

    @property
    def evidence(self) -> str:
        """One sentence about all features."""
        if not self.features:
            return "no feature has been sent"
        if self.drifted:
            told = "; ".join(first_of([each.evidence for each in self.drifted], _TOLD))
            return f"{len(self.drifted)} of {len(self.judged)} features drifted: {told}"
        if self.judged:
            return f"none of {len(self.judged)} features drifted; the farthest is {self.judged[0].evidence}"
        told = "; ".join(first_of([each.evidence for each in self.features], _TOLD))
        return f"no feature can be judged: {told}"


def judge_drift(
    references: Mapping[str, Reference], current: Mapping[str, Counts], rule: Drift, checks_per_week: float
) -> DriftJudgement:
    """Compares what production has sent, in the bins of the references, with these.

    The accepted probability of a false alarm is split evenly over the watched features and the checks of a week, of
    which there are `checks_per_week` with counts of their own. Samples are taken as independent.
    """
    watched = rule.features or sorted(current)
    accepted = rule.false_alarms_per_week / (max(1.0, checks_per_week) * max(1, len(watched)))
    found = [_compare(name, references.get(name), current.get(name), rule, accepted) for name in watched]
    return DriftJudgement(tuple(sorted(_adjusted(found), key=lambda each: (each.psi is None, -(each.psi or 0.0)))))


def _compare(
    name: str, reference: Reference | None, current: Counts | None, rule: Drift, accepted: float
) -> FeatureDrift:
    if reference is None:
        return FeatureDrift(name, "is not in the reference", m=current.total if current else 0)
    before = reference.counts
    if current is None:
        return FeatureDrift(name, "has not been sent", before.total)
    unjudged = FeatureDrift(name, "", before.total, current.total)
    if len(current.bins) != len(before.bins):
        return replace(unjudged, reason="was counted in bins of another reference")
    if before.total == 0:
        return replace(unjudged, reason="has no values in the reference")
    if current.total < rule.min_samples:
        return replace(unjudged, reason=f"{current.total} of {rule.min_samples} samples")
    psi, degrees = stability_index((*before.bins, before.missing), (*current.bins, current.missing))
    chance = 1 / before.total + 1 / current.total
    floor = chi_squared_limit(accepted, degrees) * chance
    return replace(
        unjudged,
        psi=psi,
        floor=floor,
        threshold=max(rule.psi, floor),
        p=chi_squared_tail(psi / chance, degrees),
        missing=current.missing / current.total,
        missing_before=before.missing / before.total,
        new=current.bins[-1] / current.total if reference.knows_all else None,
    )


def stability_index(before: Sequence[int], now: Sequence[int]) -> tuple[float, int]:
    """The population stability index of two samples in the same bins, and its degrees of freedom, at least 1. Bins that
    are empty in both do not count."""
    used = [(one, other) for one, other in zip(before, now, strict=True) if one or other]
    total = [sum(column) + _EMPTY * len(used) for column in zip(*used, strict=True)]
    shares = [((one + _EMPTY) / total[0], (other + _EMPTY) / total[1]) for one, other in used]
    return sum((one - other) * math.log(one / other) for one, other in shares), max(1, len(used) - 1)


def _adjusted(found: Sequence[FeatureDrift]) -> list[FeatureDrift]:
    """With p-values that bound the share of false ones among those below them."""
    adjusted, least = list(found), 1.0
    ranked = sorted(
        ((each.p, place) for place, each in enumerate(found) if each.p is not None), reverse=True
    )  # from the largest
    for rank, (p, place) in zip(range(len(ranked), 0, -1), ranked, strict=True):
        least = min(least, p * len(ranked) / rank)
        adjusted[place] = replace(found[place], p=least)
    return adjusted
