"""A round and its trials at one moment, and what is to be made of them. No Redis here: storage.py reads and writes."""

import copy
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from optuna.storages.journal._storage import JournalOperation
from optuna.trial import FrozenTrial, TrialState
from pydantic import BaseModel, Field

from tuning_store.claims import active_seconds, limits_of
from tuning_store.journal.log import Log
from tuning_store.rounds import POINT_ATTRIBUTE
from tuning_study.budget import Counts, Limits, Over
from tuning_study.results import FAILURE_ATTRIBUTE
from tuning_study.space import Point
from tuning_study.spec import Budget
from tuning_study.worker_contract import MAX_ATTEMPTS

CLAIM_ATTRIBUTE = "tuning:claim"
"""System attribute of a trial: whose it is, and how often it was tried, so that the journal tells all of a trial."""


class Round(BaseModel):
    """What the SQL stores have as a row of tables.rounds."""

    owner: str
    digest: str
    retain: bool
    trials: int | None = None
    failed_trials: int = 0
    duration: float | None = None
    started_at: datetime
    stop: Over | None = None
    detail: str | None = None
    first_claim_at: datetime | None = None
    paused_at: datetime | None = None
    paused_for: float = 0.0
    now: datetime = Field(exclude=True)  # the server's

    @property
    def limits(self) -> Limits:
        return limits_of(self)

    def set_budget(self, budget: Budget) -> None:
        self.trials, self.failed_trials = budget.trials, budget.failed_trials
        self.duration = budget.duration.total_seconds() if budget.duration is not None else None

    def set_paused(self, paused: bool) -> None:
        if paused and self.paused_at is None:
            self.paused_at = self.now
        elif not paused and self.paused_at is not None:
            since = self.first_claim_at or self.now
            self.paused_for = (self.now - since).total_seconds() - active_seconds(self)
            self.paused_at = None


class Moment:
    """A round and its trials, by number, as they are now; what is made of them here is carried out afterwards."""

    def __init__(self, study_id: int, round: Round, trials: list[FrozenTrial], worker_id: str) -> None:
        self.study_id, self.round, self.trials, self._worker_id = study_id, round, trials, worker_id
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
        self._log(JournalOperation.SET_TRIAL_SYSTEM_ATTR, trial_id=trial._trial_id, system_attr=attribute)

    def set_state(self, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None = None) -> None:
        times = {"datetime_start": self._time()} if state is TrialState.RUNNING else {}
        times |= {"datetime_complete": self._time()} if state.is_finished() else {}
        self._log(
            JournalOperation.SET_TRIAL_STATE_VALUES, trial_id=trial._trial_id, state=state, values=values, **times
        )
        self.trials[trial.number] = copy.copy(trial)
        self.trials[trial.number].state = state

    def fail(self, trial: FrozenTrial, reason: str) -> None:
        reasons = {FAILURE_ATTRIBUTE: reason}
        self._log(JournalOperation.SET_TRIAL_USER_ATTR, trial_id=trial._trial_id, user_attr=reasons)
        self.set_state(trial, TrialState.FAIL)

    def put_back_lost(self, lost: Sequence[FrozenTrial]) -> list[int]:
        for trial in lost:
            if (attempts := attempts_of(trial)) >= MAX_ATTEMPTS:
                self.fail(trial, f"its worker went away {attempts} times")
            else:
                self.set_state(trial, TrialState.WAITING)
        return [trial.number for trial in lost]

    def _log(self, operation: JournalOperation, **fields: Any) -> None:
        self.logs.append({"op_code": operation, "worker_id": self._worker_id, **fields})

    def _time(self) -> str:
        return self.round.now.replace(tzinfo=UTC).isoformat(timespec="microseconds")


def worker_of(trial: FrozenTrial) -> str | None:
    worker: str | None = trial.system_attrs.get(CLAIM_ATTRIBUTE, (None, 0))[0]
    return worker


def attempts_of(trial: FrozenTrial) -> int:
    attempts: int = trial.system_attrs.get(CLAIM_ATTRIBUTE, (None, 0))[1]
    return attempts


def count(trials: Sequence[FrozenTrial]) -> Counts:
    by_state = Counter(trial.state for trial in trials)
    return Counts(
        complete=by_state[TrialState.COMPLETE],
        pruned=by_state[TrialState.PRUNED],
        failed=by_state[TrialState.FAIL],
        running=by_state[TrialState.RUNNING],
        waiting=by_state[TrialState.WAITING],
    )
