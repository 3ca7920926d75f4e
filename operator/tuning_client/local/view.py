"""What the display shows of a local run: read from the store no more often than it can bear."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta

from tuning_client.local import stages
from tuning_client.local.stages import Stages
from tuning_client.local.supervisor import (
    Supervisor,
)
from tuning_client.snapshot import BestView, RateEstimator, Snapshot, WorkerView, time_left
from tuning_report.text import shortened
from tuning_report.worker_names import display_names
from tuning_store.exceptions import StoreUnavailable
from tuning_store.store import Store
from tuning_store.values import RunningTrial
from tuning_study.budget import Counts
from tuning_study.results.best import best
from tuning_study.results.pareto import pareto_front
from tuning_study.round import ResolvedRound
from tuning_study.standstill import describe_standstill

_REASON = 120  # characters of why the store is away


class View:
    """Reads the store for the display, no more often than it can bear."""

    def __init__(self, resolved: ResolvedRound, store: Store, clock: Callable[[], float]) -> None:
        self._resolved, self._store, self._clock = resolved, store, clock
        self._began = clock()
        self._pace = RateEstimator()
        self._stages: Stages | None = None
        self._running: list[RunningTrial] = []
        self._best: BestView | None = None
        self._best_at = -1
        self._front = 0  # trials of the Pareto set, where no single one is the best
        self._active: float | None = None
        self._next = 0.0
        self._away = ""  # why, while the store is
        self._finished, self._finished_at = 0, clock()

    def standing(self, fresh: bool = False) -> Stages | None:
        """How the round stands; None only before the first answer of the store."""
        now = self._clock()
        if now < self._next and not fresh:
            return self._stages
        try:
            self._read()
            self._away = ""
        except StoreUnavailable as error:
            self._away = shortened(str(error), _REASON)
        # A long history takes longer to read: never spend more than a tenth of the time on it.
        self._next = now + max(0.4, 10 * (self._clock() - now))
        return self._stages

    def _read(self) -> None:
        readings = self._store.readings
        self._stages = stages.read(self._store, self._resolved)
        search, current = self._stages.search, self._stages.current
        self._running = readings.running(current.study)
        finished = sum(each.counts.used + each.counts.failed for each in self._stages.all)
        if finished != self._finished:
            self._finished, self._finished_at = finished, self._clock()
        self._active = readings.active_seconds(current.study) if current.duration is not None else None
        if search.counts.complete != self._best_at:
            self._best_at = search.counts.complete
            self._best = self._read_best()

    def _read_best(self) -> BestView | None:
        objectives, selection = self._resolved.spec.objectives, self._resolved.spec.selection
        candidates = self._store.readings.candidates(self._resolved.study)
        if selection is None and len(objectives) > 1 and (size := len(pareto_front(objectives, candidates))) > 1:
            self._front = size
            return None
        found = best(objectives, candidates, selection)
        if found is None:
            return None
        storage = self._store.storage
        study_id = storage.get_study_id_from_name(self._resolved.study)
        trial = storage.get_trial(storage.get_trial_id_from_study_id_trial_number(study_id, found.number))
        metrics = dict(zip((metric.name for metric in objectives), found.values, strict=True))
        return BestView(found.number, metrics, dict(trial.params), found.feasible)

    def snapshot(self, supervisor: Supervisor, stopping: bool) -> Snapshot:
        standing, now = self._stages.current if self._stages else None, self._clock()
        counts = standing.counts if standing else Counts()
        target = standing.limits.trials if standing else self._resolved.spec.budget.trials
        rate = self._pace.rate(now, counts.used)
        return Snapshot(
            name=self._resolved.name,
            state="Stopping" if stopping else "Verifying" if self._stages and self._stages.verifying else "Running",
            counts=counts,
            target=target,
            elapsed=now - self._began,
            rate=rate,
            left=time_left(counts, target, rate, self._until_deadline()),
            best=self._best,
            workers=worker_views(supervisor, self._running, standing.counts_by_worker if standing else {}),
            notes=[*self._notes(counts.running, now)],
        )

    def _notes(self, running: int, now: float) -> Iterator[str]:
        if self._front:
            yield f"{self._front} trials in the Pareto set"
        if self._away:
            yield f"the store is away ({self._away}); waiting for it"
            return
        limited = self._resolved.spec.budget.trial_duration is not None
        still = timedelta(seconds=now - self._finished_at)
        if words := describe_standstill(running, still, limited=limited):
            yield words

    def _until_deadline(self) -> float | None:
        if self._active is None or self._stages is None or self._stages.current.duration is None:
            return None
        return max(0.0, self._stages.current.duration - self._active)


def worker_views(supervisor: Supervisor, running: list[RunningTrial], shares: Mapping[str, Counts]) -> list[WorkerView]:
    """Our own workers, and what runs elsewhere in the same store."""
    by_worker = {trial.worker: trial for trial in running}
    own = [
        WorkerView(
            worker.name,
            activity(
                alive=worker.process is not None,
                restarting=worker.again_at is not None,
                trial=by_worker.pop(worker.identity, None),
                begun=worker.identity in shares,
            ),
            shares.get(worker.identity, Counts()),
        )
        for worker in supervisor.workers
    ]
    others = display_names(by_worker)
    return own + [
        WorkerView(
            others[worker],
            activity(alive=True, restarting=False, trial=trial, begun=True),
            shares.get(worker, Counts()),
        )
        for worker, trial in by_worker.items()
    ]


def activity(*, alive: bool, restarting: bool, trial: RunningTrial | None, begun: bool) -> str:
    """A worker's present in a few words."""
    if restarting:
        return "restarting"
    if not alive:
        return "ended"
    if trial is not None:
        return f"trial {trial.number}" + (f" for {trial.seconds:.0f}s" if trial.seconds >= 1 else "")
    return "waiting" if begun else "starting"
