"""Claims and ends of trials in a Redis, as transactions that are decided again when they were overtaken."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState
from redis import Redis
from redis.client import Pipeline

from tuning_store.exceptions import ClaimLost, UnknownRound
from tuning_store.journal.log import RedisJournal, append, clock, translated
from tuning_store.journal.moment import Moment, Round, attempts_of, worker_of
from tuning_store.patience import Patience, waits_out_outages
from tuning_store.values import Claimed
from tuning_study.budget import Claim, Over, may_claim, over, result_counts
from tuning_study.space import Point

R = TypeVar("R")


@waits_out_outages("claim")
class RedisStorage(JournalStorage):
    """Optuna's JournalStorage whose trials are claimed, and whose results obey the claim."""

    def __init__(self, redis: Redis, worker: str | None, patience: Patience) -> None:
        self._redis, self._worker, self._patience = redis, worker, patience
        super().__init__(RedisJournal(redis))

    def as_worker(self, worker: str) -> "RedisStorage":
        return RedisStorage(self._redis, worker, self._patience)

    def flush(self) -> None:
        """Nothing is kept back."""

    def close(self) -> None:
        self._redis.close()

    def claim(self, study_id: int) -> Claimed | Claim:
        """See claims.claim."""
        worker = self._worker
        assert worker is not None

        def take(moment: Moment) -> tuple[int, int, int] | Claim:
            moment.put_back_lost(moment.running_of([worker]))
            counts, round, waiting = moment.counts, moment.round, moment.oldest_waiting
            verdict = may_claim(counts, round.limits)
            if verdict is not Claim.TAKE:
                return verdict
            round.first_claim_at = round.first_claim_at or round.now
            taken = counts.used + counts.running
            if waiting is None:
                moment.create(worker)
                return len(moment.trials), taken, 1
            attempt = attempts_of(waiting) + 1
            moment.assign(waiting, worker, attempt)
            moment.set_state(waiting, TrialState.RUNNING)
            return waiting.number, taken, attempt

        found = self.change(study_id, take)
        if isinstance(found, Claim):
            return found
        number, taken, attempt = found
        return Claimed(self.get_trial_id_from_study_id_trial_number(study_id, number), number, taken, attempt)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """One that an objective asks for itself is its worker's: nobody else would end it when both are gone."""
        worker = self._worker
        if worker is None or template_trial is not None:
            return super().create_new_trial(study_id, template_trial)

        def create(moment: Moment) -> int:
            moment.create(worker)
            return len(moment.trials)

        return self.get_trial_id_from_study_id_trial_number(study_id, self.change(study_id, create))

    def beat(self, study_id: int) -> Over | None:
        """See claims.beat."""
        assert self._worker is not None
        ended = self.change(study_id, lambda moment: over(moment.counts, moment.round.limits))
        with translated():
            self._redis.hset(seen_key(study_id), self._worker, clock(self._redis).isoformat())
        return ended

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """See claims.finish."""
        if self._worker is None or not state.is_finished():
            return super().set_trial_state_values(trial_id, state, values)

        def end(moment: Moment, again: bool) -> bool:
            trial = self._replay_result.get_trial(trial_id)
            if again and trial.state is state and worker_of(trial) == self._worker:
                return True
            if trial.state.is_finished():
                raise UpdateFinishedTrialError(f"trial {trial_id} is {trial.state.name} already")
            if trial.state is not TrialState.RUNNING or worker_of(trial) != self._worker:
                raise ClaimLost(f"trial {trial_id} is {trial.state.name} and belongs to {worker_of(trial)}")
            counted = state is TrialState.FAIL or result_counts(moment.counts, moment.round.limits)
            moment.set_state(trial, state if counted else TrialState.WAITING, values if counted else None)
            return counted

        self.get_trial(trial_id)  # raises KeyError for one that is not there
        study_id = self._replay_result._trial_id_to_study_id[trial_id]
        return self._patience.repeat(lambda again: self.change(study_id, lambda moment: end(moment, again)))

    def change(self, study_id: int, decide: Callable[[Moment], R]) -> R:
        """Carry out what `decide` makes of the round and its trials, if nobody changes them meanwhile; else again."""

        def attempt(pipe: Pipeline) -> R:
            round = _read_round(study_id, pipe.get(round_key(study_id)), clock(pipe))
            before = round.model_dump_json()
            self._sync_with_backend()
            trials = list(self._replay_result.get_all_trials(study_id, None))
            moment = Moment(study_id, round, trials, self._replay_result.worker_id)
            outcome = decide(moment)
            if moment.logs or round.model_dump_json() != before:
                _write(pipe, moment)
            return outcome

        return self._transact(study_id, attempt)

    def begin(self, study_id: int, round: Round, points: Sequence[Point]) -> None:
        """See rounds.add."""

        def write(pipe: Pipeline) -> None:
            if pipe.exists(round_key(study_id)):
                return
            moment = Moment(study_id, round, [], self._replay_result.worker_id)
            for point in points:
                moment.enqueue(point)
            _write(pipe, moment)

        self._transact(study_id, write)

    def _transact(self, study_id: int, attempt: Callable[[Pipeline], R]) -> R:
        with self._thread_lock, translated():
            transaction: Any = self._redis.transaction  # its types know of no outcome
            outcome: R = transaction(attempt, round_key(study_id), value_from_callable=True)
            self._sync_with_backend()
            return outcome

    def look(self) -> dict[str, tuple[int, Round, list[FrozenTrial]]]:
        """All rounds and their trials, by the study's name."""
        with self._thread_lock, translated():
            self._sync_with_backend()
            names = {study._study_id: study.study_name for study in self._replay_result.get_all_studies()}
            now, found = clock(self._redis), self._redis.mget([round_key(n) for n in names]) if names else []
            return {
                name: (study_id, _read_round(study_id, text, now), self._replay_result.get_all_trials(study_id, None))
                for (study_id, name), text in zip(names.items(), found, strict=True)
                if text is not None
            }


def round_key(study_id: int) -> str:
    return f"tuning:round:{study_id}"


def seen_key(study_id: int) -> str:
    return f"tuning:seen:{study_id}"


def _write(pipe: Pipeline, moment: Moment) -> None:
    pipe.multi()
    pipe.set(round_key(moment.study_id), moment.round.model_dump_json())
    append(pipe, moment.logs)


def _read_round(study_id: int, text: bytes | str | None, now: datetime) -> Round:
    if text is None:
        raise UnknownRound(f"study {study_id} is no longer in the store")
    return Round.model_validate({**json.loads(text), "now": now})
