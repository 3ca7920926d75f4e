"""Quantiles of Student's t, beside scipy's."""

import pytest
from scipy.stats import t

from tuning_study.results.student import t_probability, t_quantile


@pytest.mark.parametrize("probability", [0.5, 0.9, 0.95, 0.975, 0.98, 0.99, 0.995])
@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 9, 20, 99])
def test_it_is_scipys_within_eight_in_a_thousand(probability: float, degrees: int) -> None:
    assert t_quantile(probability, degrees) == pytest.approx(t.ppf(probability, degrees), rel=0.008, abs=1e-12)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 9, 10, 49, 200])
@pytest.mark.parametrize("value", [-40.0, -1.5, 0.0, 0.3, 2.0, 12.0])
def test_probabilities_are_those_of_scipy(value: float, degrees: int) -> None:
    assert t_probability(value, degrees) == pytest.approx(t.sf(value, degrees), rel=1e-6, abs=1e-12)
