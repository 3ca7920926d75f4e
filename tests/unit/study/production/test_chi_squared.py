"""The χ² distribution, beside scipy's."""

import pytest
from scipy.stats import chi2

from tuning_study.production.chi_squared import chi_squared_limit, chi_squared_tail

DEGREES = [1, 2, 3, 9, 10, 51]


@pytest.mark.parametrize("degrees", DEGREES)
@pytest.mark.parametrize("value", [0, 1e-9, 0.5, 9, 40, 200, 1e6])
def test_its_tail_is_scipys(value: float, degrees: int) -> None:
    assert chi_squared_tail(value, degrees) == pytest.approx(chi2.sf(value, degrees), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("degrees", DEGREES)
@pytest.mark.parametrize("probability", [0.5, 0.01, 1e-6, 1e-12])
def test_its_limit_is_scipys(probability: float, degrees: int) -> None:
    assert chi_squared_limit(probability, degrees) == pytest.approx(chi2.isf(probability, degrees), rel=1e-9)
