"""Ends a round whose first trials all fail alike: a typo would otherwise use up all that budget.failedTrials allows."""

import optuna
from optuna.trial import TrialState

from tuning_store.optuna_internals import id_of_study
from tuning_store.store import Store
from tuning_study.api.budget import Budget
from tuning_study.attributes import FAILURE_ATTRIBUTE, FORGIVEN_ATTRIBUTE
from tuning_study.budget import StopReason, fail_alike


class FailFast:
    """Asked by a worker after each of its trials. Once any trial of the round has ended well it has no more to do."""

    def __init__(self, store: Store, study: optuna.Study, budget: Budget) -> None:
        self._store, self._study = store, study
        self._limit = budget.fail_fast if budget.fail_fast < budget.failed_trials else 0
        self._forgiven = int(study.user_attrs.get(FORGIVEN_ATTRIBUTE, 0))

    def check(self) -> None:
        if not self._limit:
            return
        trials = self._study.get_trials(deepcopy=False)
        if any(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in trials):
            self._limit = 0
            return
        failed = [trial for trial in trials if trial.state is TrialState.FAIL][self._forgiven :]
        reasons = [str(trial.user_attrs.get(FAILURE_ATTRIBUTE, "")) for trial in failed]
        if fail_alike(reasons, self._limit):
            detail = f"the first {len(reasons)} trials failed alike: {reasons[-1]}"
            self._store.claims.stop(id_of_study(self._study), StopReason.FAILED_FAST, detail)
