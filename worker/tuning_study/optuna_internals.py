"""The private parts of Optuna that samplers and results stand on: named here, and nowhere else in this package."""

from typing import Any

import optuna
from optuna._hypervolume import compute_hypervolume
from optuna._hypervolume.hssp import _solve_hssp as solve_hypervolume_subset
from optuna._transform import _SearchSpaceTransform as SearchSpaceTransform
from optuna.study._multi_objective import _fast_non_domination_rank as non_domination_ranks
from optuna.trial import FrozenTrial

__all__ = [
    "SearchSpaceTransform",
    "compute_hypervolume",
    "non_domination_ranks",
    "set_system_attribute",
    "solve_hypervolume_subset",
    "system_attributes",
]


def set_system_attribute(study: optuna.Study, trial: FrozenTrial, key: str, value: Any) -> None:
    """What a sampler keeps with a trial, for all workers to see."""
    study._storage.set_trial_system_attr(trial._trial_id, key, value)


def system_attributes(study: optuna.Study, trial: FrozenTrial) -> dict[str, Any]:
    """As they are now; a trial that Optuna hands to a sampler has them as they were when it began."""
    return study._storage.get_trial_system_attrs(trial._trial_id)
