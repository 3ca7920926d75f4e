"""A store in the Redis of somebody's own machine: Optuna's journal of the trials, and the rounds beside it.

Who runs what changes by one transaction that watches the round and writes it again: of two that decided on the same
facts Redis carries out one, and the other looks again. There is no lock, so nobody can hold it past its time.
"""

import copy
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.storages.journal._storage import JournalOperation
from optuna.trial import FrozenTrial, TrialState
from pydantic import BaseModel, Field
from redis import Redis
from redis import exceptions as errors
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.retry import Retry

from tuning_store.claims import MOST_ATTEMPTS, Claimed, active_seconds, limits_of
from tuning_store.exceptions import (
    AuthenticationRefused,
    ClaimLost,
    PermissionRefused,
    StoreError,
    StoreUnavailable,
    UnknownRound,
)
from tuning_store.patience import Patience, waits_out_outages
from tuning_store.progress import Progress, RunningTrial
from tuning_store.rounds import POINT_ATTRIBUTE, Ownership
from tuning_study.budget import Claim, Counts, Limits, Over, may_claim, over, result_counts
from tuning_study.results import FAILURE_ATTRIBUTE, Candidate, candidates
from tuning_study.space import Point
from tuning_study.spec import Budget

R = TypeVar("R")
Log = dict[str, Any]

CLAIM_ATTRIBUTE = "tuning:claim"
"""System attribute of a trial: whose it is, and how often it was tried, so that the journal tells all of a trial."""

_AT_ONCE = 1000  # logs that are read with one command
_APPEND = """
redis.call('setnx', ':log_number', -1)
for _, log in ipairs(ARGV) do
    redis.call('set', ':log:' .. redis.call('incr', ':log_number'), log)
end
"""


def connect(url: str) -> Redis:
    """Repeats nothing by itself: only we know what may be said twice."""
    return Redis.from_url(url, retry=Retry(NoBackoff(), 0))


class RedisJournal(BaseJournalBackend):
    """The journal under the keys of Optuna's JournalRedisBackend, which reads and writes it too.

    Without that one's snapshots: they are pickled, and whoever can write to the Redis could have us run anything.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def read_logs(self, log_number_from: int) -> Iterator[Log]:
        with _translated():
            last = int(self._redis.get(":log_number") or -1)
        for first in range(log_number_from, last + 1, _AT_ONCE):
            with _translated():
                found: Any = self._redis.mget([f":log:{n}" for n in range(first, min(first + _AT_ONCE, last + 1))])
            yield from map(json.loads, found)

    def append_logs(self, logs: list[Log]) -> None:
        with _translated():
            append(self._redis, logs)


def append(redis: "Redis | Pipeline", logs: Sequence[Log]) -> None:
    redis.eval(_APPEND, 0, *map(json.dumps, logs))


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
            if (attempts := attempts_of(trial)) >= MOST_ATTEMPTS:
                self.fail(trial, f"its worker went away {attempts} times")
            else:
                self.set_state(trial, TrialState.WAITING)
        return [trial.number for trial in lost]

    def _log(self, operation: JournalOperation, **fields: Any) -> None:
        self.logs.append({"op_code": operation, "worker_id": self._worker_id, **fields})

    def _time(self) -> str:
        return self.round.now.replace(tzinfo=UTC).isoformat(timespec="microseconds")


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

    def beat(self, study_id: int) -> Over | None:
        """See claims.beat."""
        assert self._worker is not None
        ended = self.change(study_id, lambda moment: over(moment.counts, moment.round.limits))
        with _translated():
            self._redis.hset(seen_key(study_id), self._worker, _now(self._redis).isoformat())
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
        with self._thread_lock, _translated(), self._redis.pipeline() as pipe:
            while True:
                try:
                    pipe.watch(round_key(study_id))  # type: ignore[no-untyped-call]
                    round = _read_round(study_id, pipe.get(round_key(study_id)), _now(pipe))
                    before = round.model_dump_json()
                    self._sync_with_backend()
                    trials = list(self._replay_result.get_all_trials(study_id, None))
                    moment = Moment(study_id, round, trials, self._replay_result.worker_id)
                    outcome = decide(moment)
                    if moment.logs or round.model_dump_json() != before:
                        _write(pipe, moment)
                        pipe.execute()
                        self._sync_with_backend()
                    return outcome
                except errors.WatchError:
                    continue

    def begin(self, study_id: int, round: Round, points: Sequence[Point]) -> None:
        """See rounds.add."""

        def write(pipe: Pipeline) -> None:
            if pipe.exists(round_key(study_id)):
                return
            moment = Moment(study_id, round, [], self._replay_result.worker_id)
            for point in points:
                moment.enqueue(point)
            _write(pipe, moment)

        with self._thread_lock, _translated():
            self._redis.transaction(write, round_key(study_id))
            self._sync_with_backend()

    def look(self) -> dict[str, tuple[int, Round, list[FrozenTrial]]]:
        """All rounds and their trials, by the study's name."""
        with self._thread_lock, _translated():
            self._sync_with_backend()
            names = {study._study_id: study.study_name for study in self._replay_result.get_all_studies()}
            now, found = _now(self._redis), self._redis.mget([round_key(n) for n in names]) if names else []
            return {
                name: (study_id, _read_round(study_id, text, now), self._replay_result.get_all_trials(study_id, None))
                for (study_id, name), text in zip(names.items(), found, strict=True)
                if text is not None
            }


class RedisLedger:
    """See Ledger."""

    def __init__(self, redis: Redis, storage: RedisStorage) -> None:
        self.redis, self._storage = redis, storage

    def exists(self) -> bool:
        with _translated():
            return bool(self.redis.exists(":log_number"))

    def find(self, study: str) -> int:
        return self._find(study)[0]

    def add(
        self, study_id: int, study: str, digest: str, budget: Budget, keeper: Ownership, points: Sequence[Point]
    ) -> None:
        with _translated():
            now = _now(self.redis)
        round = Round(owner=keeper.owner, retain=keeper.retain, digest=digest, started_at=now, now=now)
        round.set_budget(budget)
        self._storage.begin(study_id, round, points)

    def remove(self, study_id: int) -> None:
        with _translated():
            self.redis.delete(round_key(study_id), seen_key(study_id))

    def set_budget(self, study: str, budget: Budget) -> None:
        self._change_round(study, lambda round: round.set_budget(budget))

    def set_paused(self, study: str, paused: bool) -> None:
        self._change_round(study, lambda round: round.set_paused(paused))

    def set_retain(self, study: str, retain: bool) -> None:
        self._change_round(study, lambda round: setattr(round, "retain", retain))

    def reopen(self, study: str) -> None:
        def reopen(round: Round) -> None:
            if round.stop is Over.REJECTED:
                round.stop = round.detail = None

        self._change_round(study, reopen)

    def stop(self, study_id: int, reason: Over, detail: str) -> None:
        def stop(moment: Moment) -> None:
            if moment.round.stop is None:
                moment.round.stop, moment.round.detail = reason, detail

        self._storage.change(study_id, stop)

    def give_back(self, study_id: int, worker: str, *, killed: bool = False) -> list[int]:
        def give_back(moment: Moment) -> list[int]:
            mine = moment.running_of([worker])
            if killed:
                return moment.put_back_lost(mine)
            for trial in mine:
                moment.assign(trial, worker, attempts_of(trial) - 1)
                moment.set_state(trial, TrialState.WAITING)
            return [trial.number for trial in mine]

        return self._storage.change(study_id, give_back)

    def fail_running(self, study_id: int, worker: str, reason: str) -> list[int]:
        def fail(moment: Moment) -> list[int]:
            mine = moment.running_of([worker])
            for trial in mine:
                moment.fail(trial, reason)
            return [trial.number for trial in mine]

        return self._storage.change(study_id, fail)

    def put_back_lost(self, study_id: int, *, silent: timedelta, alive: Sequence[str] = ()) -> list[int]:
        def put_back(moment: Moment) -> list[int]:
            seen = self._seen(study_id)
            well = {worker for worker, at in seen.items() if at >= moment.round.now - silent} | set(alive)
            claimed = {worker for trial in moment.trials if (worker := worker_of(trial)) is not None}
            return moment.put_back_lost(moment.running_of(sorted(claimed - well)))

        return self._storage.change(study_id, put_back)

    def progress(self) -> dict[str, Progress]:
        return {study: _progress(study, round, trials) for study, (_, round, trials) in self._storage.look().items()}

    def candidates(self, study: str) -> list[Candidate]:
        return candidates(self._find(study)[2])

    def failures(self, study: str) -> list[tuple[str, int]]:
        failed = [trial for trial in self._find(study)[2] if trial.state is TrialState.FAIL]
        return Counter(
            trial.user_attrs[FAILURE_ATTRIBUTE] for trial in failed if FAILURE_ATTRIBUTE in trial.user_attrs
        ).most_common()

    def running(self, study: str) -> list[RunningTrial]:
        _, round, trials = self._find(study)
        return [
            RunningTrial(trial.number, worker, (round.now - utc(start)).total_seconds(), attempts_of(trial))
            for trial in trials
            if trial.state is TrialState.RUNNING and (worker := worker_of(trial)) and (start := trial.datetime_start)
        ]

    def workers(self, study: str) -> dict[int, str]:
        return {trial.number: worker for trial in self._find(study)[2] if (worker := worker_of(trial)) is not None}

    def active_seconds(self, study: str) -> float:
        return active_seconds(self._find(study)[1])

    def _find(self, study: str) -> tuple[int, Round, list[FrozenTrial]]:
        found = self._storage.look().get(study)
        if found is None:
            raise UnknownRound(f"{study} is not in the store")
        return found

    def _change_round(self, study: str, change: Callable[[Round], object]) -> None:
        self._storage.change(self.find(study), lambda moment: change(moment.round))

    def _seen(self, study_id: int) -> dict[str, datetime]:
        with _translated():
            found: Any = self.redis.hgetall(seen_key(study_id))
        return {worker.decode(): datetime.fromisoformat(at.decode()) for worker, at in found.items()}


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


def utc(local: datetime) -> datetime:
    """Optuna's journal gives times of the machine's own zone, without saying so."""
    return local.astimezone(UTC).replace(tzinfo=None)


def _progress(study: str, round: Round, trials: Sequence[FrozenTrial]) -> Progress:
    shares: dict[str, list[FrozenTrial]] = defaultdict(list)
    for trial in trials:
        if (worker := worker_of(trial)) is not None:
            shares[worker].append(trial)
    return Progress(
        study=study,
        schema=None,
        owner=round.owner,
        digest=round.digest,
        counts=count(trials),
        limits=round.limits,
        duration=round.duration,
        detail=round.detail,
        retain=round.retain,
        started_at=round.started_at,
        last_finished_at=max((utc(t.datetime_complete) for t in trials if t.datetime_complete), default=None),
        shares={worker: count(share) for worker, share in sorted(shares.items())},
    )


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


def _now(redis: "Redis | Pipeline") -> datetime:
    """The server's clock, as UTC without saying so, like that of the SQL stores."""
    seconds, micros = redis.time()
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None, microsecond=micros)


@contextmanager
def _translated() -> Iterator[None]:
    """Redis's errors inside the block as this package's own, the original chained."""
    try:
        yield
    except errors.AuthenticationError as error:
        raise AuthenticationRefused(str(error)) from error
    except errors.NoPermissionError as error:
        raise PermissionRefused(str(error)) from error
    except (errors.ConnectionError, errors.TimeoutError, errors.ReadOnlyError) as error:
        raise StoreUnavailable(str(error)) from error
    except errors.RedisError as error:
        raise StoreError(str(error)) from error
