"""A grid that many workers walk together: each takes a point that no trial has, conditions respected."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from tuning_study.api.parameters import Parameter
from tuning_study.attributes import GRID_POINT_ATTRIBUTE, POINT_ATTRIBUTE
from tuning_study.exceptions import InvalidStudy
from tuning_study.optuna_internals import set_system_attribute, system_attributes
from tuning_study.search import space

_MOST_POINTS = 100_000  # no study walks more, and each worker holds them all


class SharedGridSampler(BaseSampler):
    """Trial n takes the (n modulo what is left)-th of the points that are left, so that workers which see the same
    history still take different points. A point whose trial failed is tried again when no other is left."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._points = [space.stored_point(point) for point in islice(space.grid(parameters), _MOST_POINTS + 1)]
        if len(self._points) > _MOST_POINTS:
            advice = "take larger steps, fewer parameters, or another sampler"
            raise InvalidStudy([f"strategy: a grid of more than {_MOST_POINTS} points: {advice}"])

    @property
    def size(self) -> int:
        return len(self._points)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        if GRID_POINT_ATTRIBUTE in trial.system_attrs:
            return
        fixed = trial.system_attrs.get(POINT_ATTRIBUTE, {})  # of a point that was given: complete it from the grid
        fitting = [index for index, point in enumerate(self._points) if point.items() >= fixed.items()]
        candidates = fitting or range(len(self._points))
        failed, taken = self._visited(study)
        left = [index for index in candidates if index not in taken | failed]
        left = left or [index for index in candidates if index not in taken] or list(candidates)
        set_system_attribute(study, trial, GRID_POINT_ATTRIBUTE, left[trial.number % len(left)])

    def only_failures_are_left(self, study: optuna.Study) -> bool:
        """Whether every point has had a trial, and those that none completed, prunes or runs have failed."""
        failed, taken = self._visited(study)
        return bool(failed - taken) and set(range(self.size)) <= failed | taken

    def _visited(self, study: optuna.Study) -> tuple[set[int | None], set[int | None]]:
        """The points whose trials failed, and those whose trials ended otherwise or run."""
        failed: set[int | None] = set()
        taken: set[int | None] = set()
        for other in study.get_trials(deepcopy=False):
            point = other.system_attrs.get(GRID_POINT_ATTRIBUTE)
            if other.state is TrialState.FAIL:
                failed.add(point)
            elif other.state is not TrialState.WAITING:
                taken.add(point)
        return failed, taken

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        index = system_attributes(study, trial)[GRID_POINT_ATTRIBUTE]
        return self._points[index][param_name]
