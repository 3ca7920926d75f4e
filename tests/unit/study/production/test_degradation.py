"""When a metric of a model in production counts as degraded, and what is said of it."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_study.api.field_types import Direction
from tuning_study.production.degradation import (
    LEARNT_FROM,
    BaselineValue,
    Judgement,
    degraded_level,
    judge,
)
from tuning_study.production.observation import Observation

from .observations import VERIFIED, accuracy, hour, hourly

GIVEN = BaselineValue(0.9, None, "Given")
NOISY = [0.9, 0.91, 0.89, 0.92, 0.88] * 10


def verdict(
    observations: Sequence[Observation], baseline: BaselineValue | None = VERIFIED, direction: Direction = "Maximize"
) -> Judgement:
    return judge(accuracy(), direction, baseline, observations)


class TestSharesOfSamples:
    def test_a_model_that_is_well_is_healthy(self) -> None:
        found = verdict(hourly([0.9, 0.92, 0.88, 0.9], 50))
        assert (found.verdict, found.value, found.samples, found.observations) == ("Healthy", 0.9, 50, 1)
        assert found.since is None

    def test_the_level_is_told_after_many_small_observations(self) -> None:
        found = verdict(hourly([0.9] * 5 + [0.84] * 20, 50))
        assert found.verdict == "Degraded"
        assert found.since == hour(5)
        assert found.value == pytest.approx(0.84)
        assert (found.samples, found.observations) == (1000, 20)

    def test_one_large_observation_is_enough(self) -> None:
        assert verdict(hourly([0.9, 0.85], 2000)).verdict == "Degraded"

    def test_a_large_observation_weighs_more(self) -> None:
        found = verdict([Observation(hour(0), 0.8, 50), Observation(hour(1), 0.86, 950)])
        assert found.value == pytest.approx(0.857)

    def test_evidence_never_exceeds_the_threshold_so_that_recovery_can_be_seen(self) -> None:
        long = verdict(hourly([0.7] * 1000, 500))
        assert long.statistic == long.threshold
        assert verdict(hourly([0.7] * 1000 + [0.9] * 3, 500)).verdict == "Healthy"

    def test_recovery_takes_as_much_evidence_as_degradation(self) -> None:
        fall, rise = hourly([0.84] * 20, 50), [0.9] * 30
        states = [verdict(hourly([o.value for o in fall] + rise[:good], 50)).verdict for good in range(31)]
        first = states.index("Healthy")
        assert states == ["Degraded"] * first + ["Healthy"] * (31 - first)
        assert first > 10

    def test_a_round_takes_more_evidence_than_a_warning(self) -> None:
        found = [verdict(hourly([0.84] * hours, 50)) for hours in range(1, 40)]
        degraded = 1 + [each.verdict for each in found].index("Degraded")
        confirmed = 1 + [each.confirmed for each in found].index(True)
        assert degraded < confirmed < 2 * degraded
        assert "; a round needs 14.3, and has 9.8" in found[degraded - 1].evidence
        assert "; a round needs " not in found[confirmed - 1].evidence

    def test_what_was_known_before_is_no_evidence_for_another_round(self) -> None:
        metric = accuracy()
        still = judge(metric, "Maximize", VERIFIED, hourly([0.84], 50), was_degraded=True)
        assert (still.verdict, still.confirmed) == ("Degraded", False)
        again = judge(metric, "Maximize", VERIFIED, hourly([0.84] * 40, 50), was_degraded=True)
        assert again.confirmed

    def test_a_round_is_no_longer_asked_for_by_a_model_that_has_recovered(self) -> None:
        assert verdict(hourly([0.7] * 20, 500)).confirmed
        assert not verdict(hourly([0.7] * 20 + [0.9] * 3, 500)).confirmed

    def test_a_flawless_baseline_forgives_single_errors(self) -> None:
        flawless = BaselineValue(1.0, 0.0, "Verified")
        assert verdict(hourly([0.999] * 50, 1000), flawless).verdict == "Healthy"
        assert verdict(hourly([0.94], 1000), flawless).verdict == "Degraded"

    def test_samples_that_depend_on_each_other_are_worth_less(self) -> None:
        """Shares of 200 samples that vary as those of 50 would."""
        rng = np.random.default_rng(0)
        shares = rng.binomial(50, 0.9, 50) / 50
        assert verdict(hourly(shares, 200)).statistic < verdict(hourly(shares, 50)).threshold / 2
        told, once = hourly([*shares, 0.85], 200), hourly([*shares, 0.85], 50)
        assert verdict(told).statistic == pytest.approx(verdict(once).statistic, abs=2)

    def test_errors_are_better_when_there_are_fewer(self) -> None:
        baseline = BaselineValue(0.1, None, "Given")
        assert verdict(hourly([0.05] * 50, 1000), baseline, "Minimize").verdict == "Healthy"
        assert verdict(hourly([0.12] * 50, 1000), baseline, "Minimize").verdict == "Degraded"

    def test_an_observation_without_samples_is_left_out_among_those_with_them(self) -> None:
        some = hourly([0.9] * 10, 100)
        without = [*some, Observation(hour(10), 0.1, 0), Observation(hour(11), 0.1, None)]
        assert verdict(without) == verdict(some)


class TestValuesWithoutCounts:
    @pytest.mark.parametrize("baseline", [VERIFIED, GIVEN])
    def test_their_noise_is_learnt_first(self, baseline: BaselineValue) -> None:
        found = verdict(hourly(NOISY[:9]), baseline)
        assert (found.verdict, found.reason) == ("Unknown", "9 of 10 observations of the noise")
        assert verdict(hourly(NOISY[:10]), baseline).verdict == "Healthy"

    def test_a_lasting_fall_is_degraded(self) -> None:
        found = verdict(hourly([*NOISY, 0.85, 0.86, 0.84, 0.85]))
        assert (found.verdict, found.since) == ("Degraded", hour(50))

    def test_a_single_outlier_never_decides(self) -> None:
        found = verdict(hourly([*NOISY, -1e6]))
        assert found.verdict == "Healthy"
        assert found.statistic == found.threshold / 2

    @pytest.mark.parametrize("spread", [0.0, None])
    def test_values_that_never_varied_can_be_judged(self, spread: float | None) -> None:
        baseline = BaselineValue(0.9, spread, "Verified")
        assert verdict(hourly([0.9] * 20), baseline).verdict == "Healthy"
        assert verdict(hourly([0.9] * 60 + [0.8] * 2), baseline).verdict == "Degraded"

    def test_production_that_is_noisier_than_the_verification_is_judged_by_its_own_noise(self) -> None:
        rng = np.random.default_rng(0)
        steady = BaselineValue(0.9, 1e-4, "Verified")
        assert verdict(hourly(rng.normal(0.9, 0.05, 168)), steady).verdict == "Healthy"

    def test_a_share_that_would_degrade_beyond_one_is_judged_as_a_value(self) -> None:
        assert verdict(hourly([0.99] * 20, 50), BaselineValue(0.99, None, "Given"), "Minimize").verdict == "Healthy"


class TestTheBaseline:
    def test_is_learnt_from_the_first_observations(self) -> None:
        found = verdict(hourly([0.9] * 12, 50), None)
        assert (found.verdict, found.reason) == ("Unknown", "12 of 50 observations of the baseline")
        found = verdict(hourly([0.9] * 51, 50), None)
        assert found.verdict == "Healthy"
        assert found.baseline is not None
        assert found.baseline.source == "FirstObservations"
        assert found.baseline.value == pytest.approx(0.9)

    def test_is_weighted_by_samples_where_they_are_known(self) -> None:
        small, large = hourly([0.5] * 25, 100), hourly([0.9] * 25, 900)
        shifted = [replace(one, time=hour(25 + index)) for index, one in enumerate(large)]
        found = verdict([*small, *shifted], None)
        assert found.baseline is not None
        assert found.baseline.value == pytest.approx(0.86)

    @pytest.mark.parametrize("samples", [None, 50])
    def test_that_was_learnt_is_compared_with_what_follows(self, samples: int | None) -> None:
        rng = np.random.default_rng(0)
        well, worse = rng.normal(0.9, 0.01, 50), rng.normal(0.8, 0.01, 20)
        assert verdict(hourly([*well, *worse], samples), None).verdict == "Degraded"
        assert verdict(hourly([*well, *well[:20]], samples), None).verdict == "Healthy"

    def test_of_zero_has_no_level(self) -> None:
        found = verdict(hourly([0.0] * 20), BaselineValue(0.0, 0.1, "Given"))
        assert found.verdict == "Unknown"
        assert "watch a metric that is not 0" in found.evidence

    @pytest.mark.parametrize(
        ("baseline", "direction", "level"),
        [(0.9, "Maximize", 0.855), (0.9, "Minimize", 0.9 / 0.95), (-0.38, "Maximize", -0.4), (-2, "Minimize", -1.9)],
    )
    def test_a_level_is_on_the_worse_side(self, baseline: float, direction: Direction, level: float) -> None:
        assert degraded_level(baseline, accuracy().degraded, direction) == pytest.approx(level)

    def test_no_observation_is_no_verdict(self) -> None:
        assert verdict([]).evidence == "accuracy: no observation to judge yet"


class TestTheThreshold:
    @pytest.mark.parametrize(
        ("window", "accepted", "threshold"),
        [
            ("1h", 0.01, math.log(168 / 0.01)),
            ("5m", 0.01, math.log(2016 / 0.01)),
            ("24h", 0.1, math.log(70)),
            ("168h", 1, math.log(20)),
        ],
    )
    def test_follows_from_the_checks_of_a_week(self, window: str, accepted: float, threshold: float) -> None:
        metric = accuracy(window, falseAlarmsPerWeek=accepted)
        assert judge(metric, "Maximize", VERIFIED, []).threshold == pytest.approx(threshold)


class TestThePlainForm:
    def judged(self, *values: float, direction: Direction = "Maximize") -> Judgement:
        return judge(accuracy(bad=3, of=5), direction, VERIFIED, hourly(values))

    def test_is_degraded_while_enough_of_the_last_are_bad(self) -> None:
        assert self.judged(0.8, 0.9, 0.8).verdict == "Healthy"
        found = self.judged(0.8, 0.9, 0.8, 0.9, 0.8, 0.8)
        assert (found.verdict, found.since, found.statistic, found.threshold) == ("Degraded", hour(4), 3, 3)
        assert self.judged(0.8, 0.9, 0.8, 0.9, 0.8, 0.9, 0.9).verdict == "Healthy"

    def test_the_level_itself_is_not_bad(self) -> None:
        level = degraded_level(0.9, accuracy().degraded, "Maximize")
        assert level is not None
        assert self.judged(level, level, level).verdict == "Healthy"

    def test_respects_the_direction(self) -> None:
        assert self.judged(0.8, 0.8, 0.8, direction="Minimize").verdict == "Healthy"
        assert self.judged(0.96, 0.96, 0.96, direction="Minimize").verdict == "Degraded"

    def test_tells_how_many_are_bad(self) -> None:
        assert self.judged(0.9, 0.8, 0.8, 0.8, 0.9).evidence == (
            "accuracy 0.84 over 5 observations, baseline 0.9 (verified), degraded level 0.855; "
            "3 of the last 5 beyond it, 3 are enough since 2026-11-26T03:00Z"
        )


class TestTheSentence:
    def test_has_the_numbers(self) -> None:
        found = verdict(hourly([0.9] * 3 + [0.855] * 18, 50))
        assert found.evidence == (
            "accuracy 0.855 over 18 observations of 900 samples in all, baseline 0.9 (verified), degraded level 0.855; "
            "evidence 9.0 of 9.7"
        )

    def test_says_since_when(self) -> None:
        assert verdict(hourly([0.9] * 3 + [0.84] * 30, 50)).evidence.endswith(
            "; evidence 9.7 of 9.7 since 2026-11-26T03:00Z"
        )

    def test_says_why_there_is_none(self) -> None:
        assert verdict(hourly([0.9] * 12), None).evidence == "accuracy: 12 of 50 observations of the baseline"


shares = st.lists(st.tuples(st.floats(0, 1), st.integers(1, 10_000)), min_size=1, max_size=30)
numbers = st.floats(-1e300, 1e300)


class TestWhateverIsObserved:
    @given(st.lists(numbers, max_size=80), numbers, st.none() | st.floats(0, 1e300), st.booleans())
    def test_the_statistic_is_a_number_up_to_the_threshold(
        self, values: list[float], baseline: float, spread: float | None, learnt: bool
    ) -> None:
        found = verdict(hourly(values), None if learnt else BaselineValue(baseline, spread, "Verified"))
        assert 0 <= found.statistic <= found.threshold
        assert found.evidence

    @given(shares, st.floats(0, 1), st.integers(0, 29), st.booleans())
    def test_a_better_observation_never_adds_evidence(
        self, observed: list[tuple[float, int]], better: float, place: int, less_is_better: bool
    ) -> None:
        """Once it is known how much observations vary."""
        direction: Direction = "Minimize" if less_is_better else "Maximize"
        known = hourly(np.random.default_rng(0).binomial(100, 0.9, LEARNT_FROM) / 100, 100)
        later = [Observation(hour(LEARNT_FROM + at), value, samples) for at, (value, samples) in enumerate(observed)]
        most = verdict([*known, *later], GIVEN, direction).statistic
        place %= len(later)
        chosen = (min if less_is_better else max)(better, later[place].value)
        later[place] = replace(later[place], value=chosen)
        assert verdict([*known, *later], GIVEN, direction).statistic <= most + 1e-9

    @given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1)), max_size=20), st.randoms())
    def test_order_is_that_of_times_and_of_nothing_else(
        self, observed: list[tuple[int, float]], random: object
    ) -> None:
        observations = [Observation(hour(number), value, 20) for number, value in observed]
        shuffled = sorted(observations, key=lambda _: random.random())  # type: ignore[attr-defined]
        assert verdict(shuffled) == verdict(observations)

    @given(st.lists(st.floats(-100, 100), min_size=10, max_size=80), st.floats(-100, 100), st.booleans())
    def test_a_mirrored_metric_has_the_mirrored_state(self, values: list[float], baseline: float, learnt: bool) -> None:
        as_is = verdict(hourly(values), None if learnt else BaselineValue(baseline, 1.0, "Given"))
        mirrored = verdict(
            hourly(-value for value in values),
            None if learnt else BaselineValue(-baseline, 1.0, "Given"),
            "Minimize",
        )
        assert mirrored.verdict == as_is.verdict
        assert mirrored.statistic == pytest.approx(as_is.statistic)
