"""Our samplers keep Optuna's contract: its own suite, whole, on each of them."""

from collections.abc import Callable

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)

from tuning_study.cma_es import CovarianceMatrixSampler
from tuning_study.gaussian_process import GaussianProcessSampler
from tuning_study.tpe import TreeParzenSampler

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
    @pytest.fixture(params=["", "use_separable_cma", "with_margin", "lr_adapt"])
    def sampler(self, request: pytest.FixtureRequest) -> Build:
        options = {request.param: True} if request.param else {}
        return lambda: CovarianceMatrixSampler(n_startup_trials=0, **options)


class TestGaussianProcess(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Build:
        return lambda: GaussianProcessSampler()
