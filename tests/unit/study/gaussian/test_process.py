"""The Gaussian process: its gradient, what it makes of data, and what it does not know."""

import numpy as np
import pytest
from scipy.optimize import check_grad

from builders import choice, make_parameters, real, when, whole
from tuning_study.search.samplers._types import Array, Mask
from tuning_study.search.samplers.gaussian.acquisition import log_expected_improvement
from tuning_study.search.samplers.gaussian.dimensions import of_manifest
from tuning_study.search.samplers.gaussian.process import GaussianProcess, _effects
from tuning_study.search.samplers.gaussian.space import Space, active_parameters

SPACE = Space(
    of_manifest(make_parameters(choice("a", ["u", "v", "w"]), real("x"), whole("n", **when("a", "v")), real("y")))
)


def data(count: int, seed: int = 0) -> tuple[Array, Mask, Array]:
    rows, active = SPACE.settled(SPACE.random(count, np.random.default_rng(seed)))
    targets = 4 * (rows[:, 1] - 0.3) ** 2 + (rows[:, 0] == 1) * (1 - rows[:, 2]) + 0.2 * rows[:, 3]
    return rows, active, (targets - targets.mean()) / targets.std()


def made() -> GaussianProcess:
    return GaussianProcess(SPACE, active_parameters(SPACE))


def test_the_gradient_is_that_of_the_loss() -> None:
    process = made()
    rows, active, targets = data(20)
    columns, effects = SPACE.embedded(rows), _effects(SPACE, rows, active)

    def loss(given: Array) -> tuple[float, Array]:
        return process._loss(given, columns, effects @ effects.T, targets, np.linspace(0, 0.1, 20))

    at = process.hyperparameters + 0.3 * np.random.default_rng(1).standard_normal(len(process.hyperparameters))
    assert check_grad(lambda given: loss(given)[0], lambda given: loss(given)[1], at) < 1e-3


def test_what_was_learned_is_found_elsewhere_too() -> None:
    process = made()
    rows, active, targets = data(40)
    process.fit(rows, active, targets, np.zeros(40))
    process.condition(rows, active, targets, np.zeros(40))
    others, there, wanted = data(200, seed=1)
    mean, deviation = process.predict(others, there)
    assert np.corrcoef(mean, wanted)[0, 1] > 0.95
    assert np.abs(process.fitted - targets).max() < 0.3
    assert (deviation > 0).all()


def test_a_target_that_is_unsure_pulls_less() -> None:
    process = made()
    rows, active, targets = data(10)
    targets[0] += 5
    process.condition(rows, active, targets, np.zeros(10))
    sure = process.predict(rows[:1], active[:1])[0][0]
    process.condition(rows, active, targets, np.eye(10)[0] * 2)
    assert process.predict(rows[:1], active[:1])[0][0] < sure - 1


@pytest.mark.parametrize("z", [3.0, 1.0, 0.0, -1.0, -5.0, -20.0, -200.0, -1e5])
def test_expected_improvement_is_right_near_and_far(z: float) -> None:
    """Beside the integral where that can be computed, and beside its limit φ(z) / z² where it cannot."""
    found = log_expected_improvement(np.array([-z]), np.array([1.0]), 0.0)[0]
    if z > -8:
        points = np.linspace(-10, 10, 400_001)
        gain = np.maximum(z - points, 0) * np.exp(-0.5 * points**2) / np.sqrt(2 * np.pi)
        assert found == pytest.approx(np.log(np.trapezoid(gain, points)), abs=1e-4)
    else:
        assert found == pytest.approx(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - 2 * np.log(-z), rel=1e-2)
