"""Rounds and readings of a Redis."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from optuna.trial import FrozenTrial, TrialState

from tuning_store.redis.log import clock, translated
from tuning_store.redis.round_state import RoundState, attempts_of, worker_of
from tuning_store.redis.transactions import TransactionalJournal
from tuning_store.values import Owner, Progress, RunningTrial, TrialDetails, active_seconds, count
from tuning_study.api.budget import Budget
from tuning_study.attributes import FAILURE_ATTRIBUTE
from tuning_study.budget import REOPENED
from tuning_study.results.candidates import Candidate, candidates
from tuning_study.search.space import Point


class RedisRounds:
    """See interfaces.Rounds."""

    def __init__(self, journal: TransactionalJournal) -> None:
        self._journal = journal

    def exist(self) -> bool:
        with translated():
            return bool(self._journal.redis.exists(":log_number"))

    def find(self, study: str) -> int:
        return self._journal.read_round(study)[0]

    def add(
        self, study_id: int, study: str, digest: str, budget: Budget, owner: Owner, points: Sequence[Point]
    ) -> None:
        with translated():
            now = clock(self._journal.redis)
        round = RoundState(owner=owner.owner, retain=owner.retain, digest=digest, started_at=now, now=now)
        round.set_budget(budget)
        self._journal.create_round(study_id, round, points)

    def remove(self, study_id: int) -> None:
        self._journal.delete_round(study_id)

    def set_budget(self, study: str, budget: Budget) -> None:
        self._change(study, lambda round: round.set_budget(budget))

    def set_paused(self, study: str, paused: bool) -> None:
        self._change(study, lambda round: round.set_paused(paused))

    def set_retain(self, study: str, retain: bool) -> None:
        self._change(study, lambda round: setattr(round, "retain", retain))

    def reopen(self, study: str) -> None:
        def reopen(round: RoundState) -> None:
            if round.stop in REOPENED:
                round.stop = round.detail = None

        self._change(study, reopen)

    def _change(self, study: str, change: Callable[[RoundState], object]) -> None:
        self._journal.transact(self.find(study), lambda transaction: change(transaction.round))


class RedisReadings:
    """See interfaces.Readings."""

    def __init__(self, journal: TransactionalJournal) -> None:
        self._journal = journal

    def progress(self) -> dict[str, Progress]:
        found = self._journal.read_rounds()
        return {study: _progress(study, round, trials) for study, (_, round, trials) in found.items()}

    def candidates(self, study: str) -> list[Candidate]:
        return candidates(self._trials(study))

    def trial(self, study: str, number: int) -> TrialDetails:
        found = self._trials(study)[number : number + 1]
        return TrialDetails(found[0].params, found[0].user_attrs) if found else TrialDetails({}, {})

    def failures(self, study: str) -> list[tuple[str, int]]:
        failed = [trial for trial in self._trials(study) if trial.state is TrialState.FAIL]
        return Counter(
            trial.user_attrs[FAILURE_ATTRIBUTE] for trial in failed if FAILURE_ATTRIBUTE in trial.user_attrs
        ).most_common()

    def running(self, study: str) -> list[RunningTrial]:
        _, round, trials = self._journal.read_round(study)
        return [
            RunningTrial(trial.number, worker, (round.now - utc(start)).total_seconds(), attempts_of(trial))
            for trial in trials
            if trial.state is TrialState.RUNNING and (worker := worker_of(trial)) and (start := trial.datetime_start)
        ]

    def workers(self, study: str) -> dict[int, str]:
        return {trial.number: worker for trial in self._trials(study) if (worker := worker_of(trial)) is not None}

    def active_seconds(self, study: str) -> float:
        return active_seconds(self._journal.read_round(study)[1])

    def _trials(self, study: str) -> list[FrozenTrial]:
        return self._journal.read_round(study)[2]


def _progress(study: str, round: RoundState, trials: Sequence[FrozenTrial]) -> Progress:
    by_worker: dict[str, list[FrozenTrial]] = defaultdict(list)
    for trial in trials:
        if (worker := worker_of(trial)) is not None:
            by_worker[worker].append(trial)
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
        counts_by_worker={worker: count(its) for worker, its in sorted(by_worker.items())},
    )


def utc(local: datetime) -> datetime:
    """Optuna's journal gives times of the machine's own zone, without saying so."""
    return local.astimezone(UTC).replace(tzinfo=None)
