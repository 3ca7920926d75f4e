"""What `make bench-drift` compares: our judgements, river's detectors with their defaults, and Evidently's rule.

river is taken from wherever Python finds it, and left out where it does not. Evidently's rule is written down here
from its documentation (data drift, defaults for tabular data): nothing of it is installed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tuning_study.api.production import Drift, ProductionMetric
from tuning_study.production.degradation import LEARNT_FROM, BaselineValue, judge
from tuning_study.production.drift import judge_drift
from tuning_study.production.features import counts_of, reference_of
from tuning_study.production.observation import Observation

try:
    from river import drift as river
except ImportError:
    river = None

Shares = NDArray[np.float64]
Detector = Callable[[Shares, int | None, float, int], int | None]
"""Values of a metric by the hour, the samples behind each or None, the metric's baseline, and the hour from which an
alarm counts: the first hour with one."""
Table = Mapping[str, Sequence[Any]]
"""Values by column."""

START = datetime(2026, 1, 5, tzinfo=UTC)


def observed(values: Shares, samples: int | None) -> list[Observation]:
    return [Observation(START + timedelta(hours=hour), float(value), samples) for hour, value in enumerate(values)]


def ours(
    source: Literal["Verified", "Given", "FirstObservations"] = "Given",
    spread: float | None = None,
    *,
    for_a_round: bool = False,
    **degraded: Any,
) -> Detector:
    """A judgement each hour, of all observations until then, that the metric is degraded, or with evidence
    `for_a_round`. An observation that is better than a known baseline makes no model degraded, so that its hour is left
    out once the noise is known."""
    metric = ProductionMetric.model_validate({"name": "metric", "source": {"push": {}}, "degraded": degraded})

    def first_alarm(values: Shares, samples: int | None, baseline: float, start: int) -> int | None:
        known = None if source == "FirstObservations" else BaselineValue(baseline, spread, source)
        told = observed(values, samples)
        for hour in range(start, len(told)):
            if hour > max(start, LEARNT_FROM) and known is not None and told[hour].value >= baseline:
                continue
            found = judge(metric, "Maximize", known, told[: hour + 1])
            if found.confirmed if for_a_round else found.verdict == "Degraded":
                return hour
        return None

    return first_alarm


def of_river(make: Callable[[], Any], *, every_label: bool = False) -> Detector:
    """A detector that is told the metric by the hour, or every label: whether the model was right."""

    def first_alarm(values: Shares, samples: int | None, baseline: float, start: int) -> int | None:
        detector = make()
        for hour, value in enumerate(values):
            alarm = False
            for each in _labels(value, samples, hour) if every_label and samples else (value,):
                detector.update(each)
                alarm |= detector.drift_detected
            if alarm and hour >= start:
                return hour
        return None

    return first_alarm


def _labels(share: float, samples: int, hour: int) -> Sequence[int]:
    labels = np.zeros(samples, dtype=int)
    labels[: round(share * samples)] = 1
    shuffled: list[int] = np.random.default_rng([hour, samples]).permutation(labels).tolist()
    return shuffled


def evidently_z(values: Shares, samples: int | None, baseline: float, start: int) -> int | None:
    """Each hour's labels beside 1,000 of the reference, by the test of two proportions at 0.05."""
    assert samples is not None
    right = np.random.default_rng(round(values.sum() * samples)).binomial(1000, baseline)
    pooled = (right + values * samples) / (1000 + samples)
    error = np.sqrt(pooled * (1 - pooled) * (1 / 1000 + 1 / samples))
    alarms = 2 * stats.norm.sf(np.abs(values - right / 1000) / np.maximum(error, 1e-12)) < 0.05
    found = np.flatnonzero(alarms[start:])
    return start + int(found[0]) if len(found) else None


def detectors() -> dict[str, Detector]:
    """Of a metric with counts."""
    found = {"ours": ours(), "3 of 5": ours(bad=3, of=5)}
    if river is not None:
        found |= {
            "ADWIN": of_river(river.ADWIN),
            "ADWIN, labels": of_river(river.ADWIN, every_label=True),
            "KSWIN": of_river(lambda: river.KSWIN(seed=0)),
            "Page-Hinkley": of_river(river.PageHinkley),
        }
    return found | {"Evidently": evidently_z}


def our_drift(reference: Table, currents: Sequence[Table], least: int, checks: float) -> Iterator[list[str]]:
    """The drifted columns of each table, beside the reference."""
    rule = Drift.model_validate({"minSamples": least})
    references = {name: reference_of(values) for name, values in reference.items()}
    for current in currents:
        counts = {name: counts_of(references[name], values) for name, values in current.items()}
        yield [each.feature for each in judge_drift(references, counts, rule, checks).drifted]


def evidently_drift(reference: Table, currents: Sequence[Table]) -> Iterator[list[str]]:
    """The drifted columns of each table by Evidently's default tests; it calls the whole drifted from half of them."""
    for current in currents:
        yield [name for name in current if _evidently_drifted(reference[name], current[name])]


def _evidently_drifted(reference: Sequence[Any], current: Sequence[Any]) -> bool:
    before, now = np.asarray(reference), np.asarray(current)
    values = np.unique(before)
    numeric = before.dtype.kind in "fiu" and len(values) > 5
    if len(before) > 1000:
        if numeric:
            return bool(stats.wasserstein_distance(before, now) / max(before.std(), 0.001) >= 0.1)
        kinds = np.union1d(values, np.unique(now))
        shares = [np.array([np.mean(sample == kind) for kind in kinds]) for sample in (before, now)]
        middle = (shares[0] + shares[1]) / 2
        divergence = sum(np.sum(share * np.log(np.where(share > 0, share / middle, 1))) for share in shares) / 2
        return bool(np.sqrt(divergence) >= 0.1)
    if numeric:
        return bool(stats.ks_2samp(before, now).pvalue < 0.05)
    kinds = np.union1d(values, np.unique(now))
    counts = np.array([[np.sum(sample == kind) for kind in kinds] for sample in (before, now)])
    return len(kinds) > 1 and bool(stats.chi2_contingency(counts, correction=False).pvalue < 0.05)
