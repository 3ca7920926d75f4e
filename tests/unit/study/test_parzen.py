"""A mixture has the densities of Optuna's Parzen estimator, up to their units, and keeps to its space."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters

from tuning_study.search.samplers._types import Array
from tuning_study.search.samplers.parzen import Kernels, Mixture, Scale

SPACE: Mapping[str, BaseDistribution] = {
    "real": FloatDistribution(-4, 6),
    "log": FloatDistribution(1e-5, 1, log=True),
    "int": IntDistribution(1, 12),
    "int log": IntDistribution(8, 1024, log=True),
    "step": FloatDistribution(0, 0.9, step=0.05),
    "choice": CategoricalDistribution("abcd"),
}
# A density over the unit interval instead of the range: of the two continuous parameters.
UNITS = math.log(10) + math.log(math.log(1e5))
SCALES = [Scale(distribution) for distribution in SPACE.values()]


def some_rows(count: int, seed: int = 0) -> Array:
    """Internal values, spread evenly by each parameter's own scale."""
    rng = np.random.default_rng(seed)
    return np.stack([scale.value(rng.random(count)) for scale in SCALES[:-1]] + [rng.integers(4, size=count)], axis=1)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 60, 300])
def test_the_density_is_optunas(count: int) -> None:
    rows, points, weights = some_rows(count), some_rows(20, seed=1), np.linspace(0.5, 1, count)
    ours = Mixture(SCALES, Kernels(rows, weights, count)).log_density(points)
    parameters = _ParzenEstimatorParameters(1.0, True, False, lambda n: weights[:n].copy(), True)
    optunas = _ParzenEstimator({name: rows[:, i] for i, name in enumerate(SPACE)}, dict(SPACE), parameters)
    wanted = optunas.log_pdf({name: points[:, i] for i, name in enumerate(SPACE)})
    np.testing.assert_allclose(ours, wanted + UNITS, rtol=1e-8)


def test_samples_have_the_density() -> None:
    """The share of samples below a point is what the density says: a stepped parameter, each value by itself."""
    scale = Scale(IntDistribution(1, 5))
    mixture = Mixture([scale], Kernels(np.array([[2.0], [2.0], [5.0]]), np.ones(3), 3))
    values = np.arange(1.0, 6)
    drawn = mixture.sample(np.random.default_rng(0), 20_000)[:, 0]
    shares = [(drawn == value).mean() for value in values]
    np.testing.assert_allclose(shares, np.exp(mixture.log_density(values[:, None])), atol=0.01)


def test_a_choice_never_observed_can_still_be_drawn() -> None:
    mixture = Mixture([Scale(CategoricalDistribution("abc"))], Kernels(np.zeros((5, 1)), np.ones(5), 5))
    probabilities = np.exp(mixture.log_density(np.arange(3.0)[:, None]))
    assert probabilities[0] > probabilities[1] == probabilities[2] > 0
    assert probabilities.sum() == pytest.approx(1)
    drawn = mixture.sample(np.random.default_rng(0), 20_000)[:, 0]
    np.testing.assert_allclose([(drawn == choice).mean() for choice in range(3)], probabilities, atol=0.01)


@given(count=st.integers(0, 30), seed=st.integers(0, 1000))
def test_samples_lie_in_the_space(count: int, seed: int) -> None:
    drawn = Mixture(SCALES, Kernels(some_rows(count, seed), np.ones(count), count)).sample(
        np.random.default_rng(seed), 10
    )
    for row in drawn:
        assert all(distribution._contains(value) for distribution, value in zip(SPACE.values(), row, strict=True))


@given(st.sampled_from(SCALES[:-1]), st.floats(0, 1))
def test_a_value_goes_to_the_unit_interval_and_back(scale: Scale, unit: float) -> None:
    value = scale.value(np.array([unit]))
    np.testing.assert_allclose(scale.value(scale.unit(value)), value, rtol=1e-9, atol=1e-12)


def test_values_outside_the_range_count_as_its_ends() -> None:
    """A study's own code may have changed a parameter's range."""
    np.testing.assert_array_equal(Scale(FloatDistribution(1, 2)).unit(np.array([-7.0, 1.5, 9.0])), [0, 0.5, 1])
