"""A round and its trials as read by one transaction, and the changes that it will write. No Redis here: redis.storage
reads and writes."""

import copy
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from pydantic import BaseModel, Field

from tuning_store.optuna_internals import JournalOperation, id_of_trial
from tuning_store.redis.log import Log
from tuning_store.values import count, limits_of, paused_seconds
from tuning_study.api.budget import Budget
from tuning_study.attributes import FAILURE_ATTRIBUTE, POINT_ATTRIBUTE
from tuning_study.budget import Counts, RoundLimits, StopReason
from tuning_study.search.space import Point
from tuning_study.worker_contract import MAX_ATTEMPTS

CLAIM_ATTRIBUTE = "tuning:claim"
"""System attribute of a trial: whose it is, and how often it was tried, so that the journal tells all of a trial."""


class RoundState(BaseModel):
    """What the SQL stores have as a row of tuning_rounds."""

    owner: str
    digest: str
    retain: bool
    trials: int | None = None
    failed_trials: int = 0
    duration: float | None = None
    started_at: datetime
    stop: StopReason | None = None
    detail: str | None = None
    first_claim_at: datetime | None = None
    paused_at: datetime | None = None
    paused_for: float = 0.0
    now: datetime = Field(exclude=True)  # the server's

    @property
    def limits(self) -> RoundLimits:
        return limits_of(self)

    def set_budget(self, budget: Budget) -> None:
        self.trials, self.failed_trials = budget.trials, budget.failed_trials
        self.duration = budget.duration.total_seconds() if budget.duration is not None else None

    def set_paused(self, paused: bool) -> None:
        if paused and self.paused_at is None:
            self.paused_at = self.now
        elif not paused and self.paused_at is not None:
            self.paused_for = paused_seconds(self)
            self.paused_at = None


class RoundTransaction:
    """Changes of a round and its trials. They show in `round` and `trials` (by number) at once, but for trials that are
    created, and are written afterwards: `logs` to Optuna's journal, `round` beside it."""

    def __init__(self, study_id: int, round: RoundState, trials: list[FrozenTrial], writer: str) -> None:
        """`writer` is JournalReplay's."""
        self.study_id, self.round, self.trials, self._writer = study_id, round, trials, writer
        self.logs: list[Log] = []

    @property
    def counts(self) -> Counts:
        return count(self.trials)

    @property
    def oldest_waiting(self) -> FrozenTrial | None:
        return next((trial for trial in self.trials if trial.state is TrialState.WAITING), None)

    def running_of(self, workers: Sequence[str]) -> list[FrozenTrial]:
        return [t for t in self.trials if t.state is TrialState.RUNNING and worker_of(t) in workers]

    def create(self, worker: str) -> None:
        self._log(
            JournalOperation.CREATE_TRIAL,
            study_id=self.study_id,
            datetime_start=self._time(),
            system_attrs={CLAIM_ATTRIBUTE: [worker, 1]},
        )

    def enqueue(self, point: Point) -> None:
        self._log(
            JournalOperation.CREATE_TRIAL,
            study_id=self.study_id,
            datetime_start=None,
            state=TrialState.WAITING,
            system_attrs={POINT_ATTRIBUTE: point},
        )

    def assign(self, trial: FrozenTrial, worker: str | None, attempts: int) -> None:
        attribute = {CLAIM_ATTRIBUTE: [worker, attempts]}
        self._log(JournalOperation.SET_TRIAL_SYSTEM_ATTR, trial_id=id_of_trial(trial), system_attr=attribute)
        self._changed(trial).system_attrs = trial.system_attrs | attribute

    def set_state(self, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None = None) -> None:
        times = {"datetime_start": self._time()} if state is TrialState.RUNNING else {}
        times |= {"datetime_complete": self._time()} if state.is_finished() else {}
        self._log(
            JournalOperation.SET_TRIAL_STATE_VALUES, trial_id=id_of_trial(trial), state=state, values=values, **times
        )
        self._changed(trial).state = state

    def _changed(self, trial: FrozenTrial) -> FrozenTrial:
        """A copy in the trial's place: the original is what was read, and all other readers' too."""
        copied = self.trials[trial.number] = copy.copy(self.trials[trial.number])
        return copied

    def fail(self, trial: FrozenTrial, reason: str) -> None:
        reasons = {FAILURE_ATTRIBUTE: reason}
        self._log(JournalOperation.SET_TRIAL_USER_ATTR, trial_id=id_of_trial(trial), user_attr=reasons)
        self.set_state(trial, TrialState.FAIL)

    def release(self, trials: Sequence[FrozenTrial]) -> list[int]:
        """They wait again, and what was tried of them is charged to nobody. Returns the numbers."""
        for trial in trials:
            self.assign(trial, worker_of(trial), attempts_of(trial) - 1)
            self.set_state(trial, TrialState.WAITING)
        return [trial.number for trial in trials]

    def requeue_lost(self, lost: Sequence[FrozenTrial]) -> list[int]:
        """Trials whose workers were lost wait again; one that lost MAX_ATTEMPTS has failed. Returns the numbers."""
        for trial in lost:
            if (attempts := attempts_of(trial)) >= MAX_ATTEMPTS:
                self.fail(trial, f"its worker went away {attempts} times")
            else:
                self.set_state(trial, TrialState.WAITING)
        return [trial.number for trial in lost]

    def _log(self, operation: JournalOperation, **fields: Any) -> None:
        self.logs.append({"op_code": operation, "worker_id": self._writer, **fields})

    def _time(self) -> str:
        return self.round.now.replace(tzinfo=UTC).isoformat(timespec="microseconds")


def worker_of(trial: FrozenTrial) -> str | None:
    worker: str | None = trial.system_attrs.get(CLAIM_ATTRIBUTE, (None, 0))[0]
    return worker


def attempts_of(trial: FrozenTrial) -> int:
    attempts: int = trial.system_attrs.get(CLAIM_ATTRIBUTE, (None, 0))[1]
    return attempts
