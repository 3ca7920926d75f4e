"""Which features count as drifted, and what is said of them."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, false_discovery_control

from tuning_study.api.production import Drift
from tuning_study.production.drift import DriftJudgement, judge_drift, stability_index
from tuning_study.production.features import Counts, counts_of, reference_of

HOURLY = 168


def judged(before: Mapping[str, Iterable[object]], now: Mapping[str, Iterable[object]], **rule: Any) -> DriftJudgement:
    """Values of features from production, beside those of the reference."""
    references = {name: reference_of(values) for name, values in before.items()}
    current = {
        name: counts_of(references[name], values) if name in references else Counts((len(list(values)),))
        for name, values in now.items()
    }
    return judge_drift(references, current, Drift.model_validate(rule), HOURLY)


def normal(samples: int, mean: float = 0.0, seed: int = 0) -> list[float]:
    return list(np.random.default_rng([seed, samples]).normal(mean, 1, samples))


class TestAFeature:
    def test_that_has_not_changed_has_not_drifted(self) -> None:
        found = judged({"age": normal(5000)}, {"age": normal(600, seed=1)})
        assert found.verdict == "Steady"
        assert found.evidence.startswith("none of 1 features drifted; the farthest is age: PSI 0.0")

    @pytest.mark.parametrize("mean", [-1, 1])
    def test_that_moved_has_drifted(self, mean: float) -> None:
        found = judged({"age": normal(5000)}, {"age": normal(600, mean)})
        assert found.verdict == "Drifted"
        assert found.drifted[0].p == pytest.approx(0, abs=1e-10)

    def test_that_hardly_changed_has_not_drifted_however_many_samples_show_it(self) -> None:
        found = judged({"age": normal(1_000_000)}, {"age": normal(1_000_001, 0.01)})
        assert found.features[0].p == pytest.approx(0, abs=1e-6)
        assert found.verdict == "Steady"

    def test_is_not_judged_by_few_samples(self) -> None:
        found = judged({"age": normal(5000)}, {"age": normal(8, 3)})
        assert (found.verdict, found.features[0].reason) == ("Unknown", "8 of 500 samples")
        assert found.evidence == "no feature can be judged: age: 8 of 500 samples"

    def test_has_a_floor_where_chance_explains_more_than_the_threshold(self) -> None:
        feature = judged({"age": normal(500)}, {"age": normal(50)}, minSamples=50).features[0]
        assert feature.floor == pytest.approx(chi2.isf(0.01 / HOURLY, 9) * (1 / 500 + 1 / 50))
        assert feature.threshold == feature.floor

    def test_has_a_higher_floor_among_others(self) -> None:
        names = [f"x{number}" for number in range(10)]
        alone = judged({"x0": normal(500)}, {"x0": normal(500)}).features[0]
        before = {name: normal(500) for name in names}
        among = judged(before, before).features[0]
        assert alone.floor == pytest.approx(chi2.isf(0.01 / HOURLY, 9) * (2 / 500))
        assert among.floor == pytest.approx(chi2.isf(0.01 / HOURLY / 10, 9) * (2 / 500))

    def test_with_new_categories_says_so(self) -> None:
        found = judged({"town": ["a", "b"] * 1000}, {"town": ["a", "b"] * 400 + ["c"] * 200})
        assert found.verdict == "Drifted"
        assert found.features[0].new == 0.2
        assert "20.0% in new categories" in found.evidence

    def test_with_missing_values_says_so(self) -> None:
        found = judged({"age": normal(5000)}, {"age": [*normal(400), *[None] * 100]})
        assert found.verdict == "Drifted"
        assert "20.0% missing instead of 0.0%" in found.evidence

    def test_that_was_constant_and_no_longer_is_has_drifted(self) -> None:
        assert judged({"age": [1.0] * 1000}, {"age": [1.0] * 500 + [2.0] * 200}).verdict == "Drifted"

    def test_counts_as_it_was_sent(self) -> None:
        assert judged({}, {}).evidence == "no feature has been sent"
        found = judged({"age": normal(500)}, {"height": normal(500)}, features=["age", "height"])
        assert [each.evidence for each in found.features] == [
            "age: has not been sent",
            "height: is not in the reference",
        ]

    def test_of_another_reference_is_not_judged(self) -> None:
        found = judge_drift({"age": reference_of(normal(500))}, {"age": Counts((500,))}, Drift(), HOURLY)
        assert found.features[0].reason == "was counted in bins of another reference"

    def test_that_is_not_watched_is_left_out(self) -> None:
        before = {"age": normal(500), "id": normal(500)}
        found = judged(before, {"age": before["age"], "id": normal(500, 9)}, features=["age"])
        assert [each.feature for each in found.features] == ["age"]


class TestAllFeatures:
    def test_the_farthest_is_told_first(self) -> None:
        before = {name: normal(5000) for name in ("age", "income", "height")}
        found = judged(before, {"age": normal(500, 0.7), "income": normal(500, 2), "height": normal(500)})
        assert [each.feature for each in found.features] == ["income", "age", "height"]
        assert found.evidence.startswith("2 of 3 features drifted: income: PSI ")

    def test_p_values_bound_the_share_of_false_ones(self) -> None:
        before = {f"x{number}": normal(1000, seed=number) for number in range(6)}
        now = {name: normal(600, 0.05 * place, seed=9 + place) for place, name in enumerate(before)}
        found = judged(before, now)
        plain = []
        for each in found.features:
            index, degrees = stability_index(
                reference_of(before[each.feature]).counts.bins,
                counts_of(reference_of(before[each.feature]), now[each.feature]).bins,
            )
            plain.append(chi2.sf(index / (1 / 1000 + 1 / 600), degrees))
        assert [each.p for each in found.features] == pytest.approx(list(false_discovery_control(plain)))

    def test_of_many_only_some_are_told(self) -> None:
        before = {f"x{number}": normal(500) for number in range(9)}
        assert judged(before, {name: normal(500, 3) for name in before}).evidence.endswith("; and 4 more")


class TestTheIndex:
    def test_is_finite_with_empty_bins(self) -> None:
        index, degrees = stability_index([500, 0, 0], [0, 0, 500])
        assert math.isfinite(index)
        assert degrees == 1

    @given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=60))
    def test_is_never_negative(self, pairs: list[tuple[int, int]]) -> None:
        index, degrees = stability_index(*zip(*[*pairs, (1, 1)], strict=True))
        assert 0 <= index < 100
        assert degrees >= 1

    @pytest.mark.parametrize(("n", "m"), [(500, 500), (5000, 200), (5000, 5000)])
    @pytest.mark.parametrize("bins", [10, 51])
    def test_exceeds_the_floor_by_chance_as_rarely_as_promised(self, n: int, m: int, bins: int) -> None:
        """Ten equal bins, and 51 categories of which many are rare."""
        rng = np.random.default_rng(0)
        shares = np.full(10, 0.1) if bins == 10 else 1 / np.arange(1, 52) / np.sum(1 / np.arange(1, 52))
        limit = chi2.isf(0.01, bins - 1) * (1 / n + 1 / m)
        above = [
            stability_index(rng.multinomial(n, shares).tolist(), rng.multinomial(m, shares).tolist())[0] > limit
            for _ in range(3000)
        ]
        assert np.mean(above) <= 0.015
