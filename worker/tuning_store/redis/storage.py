"""Optuna's storage interface on a Redis, whose trials are claimed."""

from collections.abc import Sequence
from functools import cached_property

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from tuning_store.exceptions import ClaimLost
from tuning_store.redis.claims import RedisClaims
from tuning_store.redis.round_state import RoundTransaction, worker_of
from tuning_store.redis.rounds import RedisReadings, RedisRounds
from tuning_store.redis.transactions import TransactionalJournal
from tuning_store.retry import retrying
from tuning_study.budget import result_counts


@retrying()
class RedisStorage(TransactionalJournal):
    """Optuna's JournalStorage whose every operation is retried, and whose results obey the claim. See StudyStorage."""

    @cached_property
    def claims(self) -> RedisClaims:
        return RedisClaims(self)

    @cached_property
    def rounds(self) -> RedisRounds:
        return RedisRounds(self)

    @cached_property
    def readings(self) -> RedisReadings:
        return RedisReadings(self)

    def as_worker(self, worker: str) -> "RedisStorage":
        return RedisStorage(self.redis, worker, self.retry)

    def close(self) -> None:
        self.redis.close()

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """One that an objective asks for itself is its worker's: nobody else would end it when both are gone."""
        worker = self.worker
        if worker is None or template_trial is not None:
            return super().create_new_trial(study_id, template_trial)

        def create(transaction: RoundTransaction) -> int:
            transaction.create(worker)
            return len(transaction.trials)

        return self.get_trial_id_from_study_id_trial_number(study_id, self.transact(study_id, create))

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        if self.worker is None or not state.is_finished():
            return super().set_trial_state_values(trial_id, state, values)
        self.get_trial(trial_id)  # raises KeyError for one that is not there
        study_id = self.study_of(trial_id)
        return self.retry.telling(
            lambda repeated: self.transact(
                study_id, lambda transaction: self._finish(transaction, trial_id, state, values, repeated)
            )
        )

    def _finish(
        self,
        transaction: RoundTransaction,
        trial_id: int,
        state: TrialState,
        values: Sequence[float] | None,
        repeated: bool,
    ) -> bool:
        trial = self.trial(trial_id)
        if repeated and trial.state is state and worker_of(trial) == self.worker:
            return True
        if trial.state.is_finished():
            raise UpdateFinishedTrialError(f"trial {trial_id} is {trial.state.name} already")
        if trial.state is not TrialState.RUNNING or worker_of(trial) != self.worker:
            raise ClaimLost(f"trial {trial_id} is {trial.state.name} and belongs to {worker_of(trial)}")
        counted = state is TrialState.FAIL or result_counts(transaction.counts, transaction.round.limits)
        transaction.set_state(trial, state if counted else TrialState.WAITING, values if counted else None)
        return counted
