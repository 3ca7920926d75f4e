"""The Ledger of a Redis: what a store knows of its rounds beside the trials."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from redis import Redis

from tuning_store.claims import active_seconds
from tuning_store.exceptions import UnknownRound
from tuning_store.journal.log import clock, translated
from tuning_store.journal.moment import Moment, Round, attempts_of, count, worker_of
from tuning_store.journal.storage import RedisStorage, round_key, seen_key
from tuning_store.progress import Progress, RunningTrial
from tuning_store.rounds import Ownership
from tuning_study.budget import Over
from tuning_study.results import FAILURE_ATTRIBUTE, Candidate, candidates
from tuning_study.space import Point
from tuning_study.spec import Budget


class RedisLedger:
    """See Ledger."""

    def __init__(self, redis: Redis, storage: RedisStorage) -> None:
        self.redis, self._storage = redis, storage

    def exists(self) -> bool:
        with translated():
            return bool(self.redis.exists(":log_number"))

    def find(self, study: str) -> int:
        return self._find(study)[0]

    def add(
        self, study_id: int, study: str, digest: str, budget: Budget, keeper: Ownership, points: Sequence[Point]
    ) -> None:
        with translated():
            now = clock(self.redis)
        round = Round(owner=keeper.owner, retain=keeper.retain, digest=digest, started_at=now, now=now)
        round.set_budget(budget)
        self._storage.begin(study_id, round, points)

    def remove(self, study_id: int) -> None:
        with translated():
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

    def retire(self, study_id: int, names: Sequence[str], *, silent: timedelta) -> bool:
        with translated():
            self.redis.hdel(seen_key(study_id), *names)
            now = clock(self.redis)
        return any(at >= now - silent for at in self._seen(study_id).values())

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
        with translated():
            found: Any = self.redis.hgetall(seen_key(study_id))
        return {worker.decode(): datetime.fromisoformat(at.decode()) for worker, at in found.items()}


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


def utc(local: datetime) -> datetime:
    """Optuna's journal gives times of the machine's own zone, without saying so."""
    return local.astimezone(UTC).replace(tzinfo=None)
