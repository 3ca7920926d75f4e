"""Our samplers keep Optuna's contract: its own suite, whole, on each of them."""

from collections.abc import Callable
from typing import Any

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)

from tuning_study.search.samplers.cma_es import CovarianceMatrixSampler
from tuning_study.search.samplers.gaussian.sampler import GaussianProcessSampler
from tuning_study.search.samplers.tpe import TreeParzenSampler

Build = Callable[[], BaseSampler]


class TestTreeParzen(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Build:
        return lambda: TreeParzenSampler(n_startup_trials=0)


class TestTreeParzenOfSingleParameters(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Build:
        return lambda: TreeParzenSampler(n_startup_trials=0, multivariate=False)


class TestCovarianceMatrix(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture(
        params=[{}, {"use_separable_cma": True}, {"with_margin": True}, {"lr_adapt": True}, {"restarts": "BIPOP"}]
    )
    def sampler(self, request: pytest.FixtureRequest) -> Build:
        options: dict[str, Any] = request.param
        return lambda: CovarianceMatrixSampler(n_startup_trials=0, **options)


class TestGaussianProcess(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Build:
        return lambda: GaussianProcessSampler()
