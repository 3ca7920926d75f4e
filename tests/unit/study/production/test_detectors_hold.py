"""What docs/detectors.md promises of judgements by the hour, on streams with fixed seeds: `make bench-drift` is the
long version, beside other detectors."""

from collections.abc import Sequence
from statistics import fmean

import numpy as np
import pytest
from numpy.typing import NDArray

from tuning_study.api.production import Drift
from tuning_study.production.degradation import BaselineValue, judge
from tuning_study.production.drift import judge_drift
from tuning_study.production.features import counts_of, reference_of

from .observations import accuracy, hourly

WEEK = 168
METRIC = accuracy()


def alarm(
    values: NDArray[np.float64], samples: int | None, baseline: BaselineValue | None, begin: int = 0
) -> int | None:
    """The number of checks from `begin` until the first that finds the metric degraded."""
    observed = hourly(values, samples)
    for checks in range(1, len(observed) - begin + 1):
        if judge(METRIC, "Maximize", baseline, observed[: begin + checks]).verdict == "Degraded":
            return checks
    return None


def false_alarms(
    weeks: NDArray[np.float64], samples: int | None, baseline: BaselineValue | None, begin: int = 0
) -> int:
    return sum(alarm(week, samples, baseline, begin) is not None for week in weeks)


class TestAModelThatIsWell:
    def test_is_called_degraded_in_fewer_than_one_of_a_hundred_weeks(self) -> None:
        alarms, weeks = 0, 30
        for share in (0.75, 0.9, 0.97):
            for labels in (20, 50, 200, 1000):
                shares = (
                    np.random.default_rng([labels, round(100 * share)]).binomial(labels, share, (weeks, WEEK)) / labels
                )
                alarms += false_alarms(shares, labels, BaselineValue(share, None, "Verified"))
        assert alarms <= 0.01 * 12 * weeks

    @pytest.mark.parametrize("labels", [20, 200])
    def test_is_not_called_degraded_because_its_baseline_was_learnt_in_a_lucky_time(self, labels: int) -> None:
        shares = np.random.default_rng(labels).binomial(labels, 0.9, (80, 50 + WEEK)) / labels
        assert false_alarms(shares, labels, None, 50) <= 0.01 * 80

    @pytest.mark.parametrize("shift", [1, 2])
    @pytest.mark.parametrize(
        "baseline",
        [BaselineValue(1, 1.0, "Verified"), BaselineValue(1, 0.2, "Verified"), BaselineValue(1, None, "Given")],
    )
    def test_is_not_called_degraded_by_the_noise_of_values(self, baseline: BaselineValue, shift: int) -> None:
        """The degraded level is so many standard deviations away, and the verification may know too few of them."""
        unit = 0.05 / shift
        noisy = BaselineValue(1, None if baseline.spread is None else baseline.spread * unit, baseline.source)
        values = np.random.default_rng(shift).normal(1, unit, (60, WEEK))
        assert false_alarms(values, None, noisy) <= 0.01 * 60

    def test_has_labels_that_may_depend_on_each_other(self) -> None:
        """Shares of 200 labels that vary as those of 67 independent ones would."""
        rng = np.random.default_rng(3)
        true = rng.beta(0.9 * 98.5, 0.1 * 98.5, (60, 50 + WEEK))
        shares = rng.binomial(200, true) / 200
        assert false_alarms(shares, 200, BaselineValue(0.9, None, "Given"), 50) <= 2


@pytest.mark.parametrize(
    ("labels", "fallen", "checks"),
    [
        (50, 0.855, 18),
        (50, 0.83, 9),
        (50, 0.765, 5),
        (200, 0.855, 5),
        (200, 0.83, 3),
        (200, 0.765, 2),
        (1000, 0.855, 1),
        (1000, 0.765, 1),
    ],
)
def test_a_fall_from_ninety_percent_is_found_soon(labels: int, fallen: float, checks: int) -> None:
    rng = np.random.default_rng([labels, round(1000 * fallen)])
    weeks = np.hstack([rng.binomial(labels, share, (100, 60)) / labels for share in (0.9, fallen)])
    delays = [alarm(week, labels, BaselineValue(0.9, None, "Verified"), 60) or 60 for week in weeks]
    assert checks * 0.6 <= fmean(delays) <= max(checks * 1.4, 2)


def test_a_slow_slide_is_found_before_it_is_complete() -> None:
    truth = np.linspace(0.9, 0.855, 2 * WEEK)
    slides = np.random.default_rng(0).binomial(200, truth, (20, 2 * WEEK)) / 200
    found = [alarm(slide, 200, BaselineValue(0.9, None, "Verified")) or 2 * WEEK for slide in slides]
    assert 100 < fmean(found) < 230


class TestFeatures:
    REFERENCE = np.random.default_rng(0).normal(size=(10, 2000))

    def drifted(self, samples: Sequence[NDArray[np.float64]]) -> list[set[str]]:
        references = {f"x{place}": reference_of(values) for place, values in enumerate(self.REFERENCE)}
        found = []
        for sample in samples:
            counts = {
                name: counts_of(reference, sample[place]) for place, (name, reference) in enumerate(references.items())
            }
            found.append({each.feature for each in judge_drift(references, counts, Drift(), WEEK).drifted})
        return found

    def test_that_do_not_change_are_not_called_drifted_within_two_weeks(self) -> None:
        rng = np.random.default_rng(1)
        assert not any(self.drifted([rng.normal(size=(10, 500)) for _ in range(2 * WEEK)]))

    def test_that_change_by_a_standard_deviation_are_found_at_once_and_alone(self) -> None:
        shifts = np.zeros((10, 1))
        shifts[3] = 1
        rng = np.random.default_rng(2)
        assert self.drifted([rng.normal(size=(10, 500)) + shifts for _ in range(20)]) == [{"x3"}] * 20
