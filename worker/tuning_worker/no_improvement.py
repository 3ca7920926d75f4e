"""Ends a round whose last trials have improved nothing, as `budget.noImprovement` asks."""

import optuna

from tuning_store.optuna_internals import id_of_study
from tuning_store.store import Store
from tuning_study.api.spec import TuningStudySpec
from tuning_study.budget import StopReason
from tuning_study.results.stagnation import is_stagnant


class NoImprovement:
    """Asked by a worker after each of its trials. Of trials that end at once the last worker to ask sees them all."""

    def __init__(self, store: Store, study: optuna.Study, spec: TuningStudySpec) -> None:
        self._store, self._study, self._spec = store, study, spec

    def check(self) -> None:
        limit = self._spec.budget.no_improvement
        if limit is None or not is_stagnant(self._spec.objectives, self._study.get_trials(deepcopy=False), limit):
            return
        several = len(self._spec.objectives) > 1
        what = "joined the Pareto set" if several else "improved the best value"
        detail = f"none of the last {limit} trials has {what}"
        self._store.claims.stop(id_of_study(self._study), StopReason.NO_IMPROVEMENT, detail)
