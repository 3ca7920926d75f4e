"""`tuning run`: a study on this machine. The same path as on a cluster, with processes in the place of pods."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from importlib import metadata
from pathlib import Path
from types import FrameType

from tuning_cli import database
from tuning_cli.database import Database
from tuning_cli.display import Display
from tuning_cli.history import LOCAL
from tuning_cli.identity import RunIdentity, display_names
from tuning_cli.snapshot import BestView, Pace, Snapshot, WorkerView, time_left
from tuning_cli.studyfile import StudyFile
from tuning_cli.supervisor import (
    Ended,
    Fate,
    Streak,
    Supervisor,
    cores,
    environment,
    judge,
    last_lines,
    threads_each,
    worker_names,
)
from tuning_store import rounds
from tuning_store.exceptions import StoreUnavailable
from tuning_store.progress import Progress, RunningTrial
from tuning_store.rounds import Ownership
from tuning_store.storage import Store
from tuning_study import results, space
from tuning_study.budget import Counts
from tuning_study.digest import spec_digest
from tuning_study.duration import format_duration
from tuning_study.round import ResolvedRound, resolve
from tuning_study.spec import TuningStudySpec
from tuning_study.standstill import describe_standstill

GRACE = 30.0  # seconds for running trials to finish after Ctrl-C; a second one is the impatient's way
_MARGIN = 10.0  # seconds a worker may need beyond its grace, before it is killed
_OVER = 25.0  # seconds workers have to notice by themselves that the round is over
_TICK = 0.2
_SILENT = timedelta(seconds=60)  # after which a worker of another run counts as ended


class Ending(Enum):
    OVER = "over"
    STOPPED = "stopped"
    HOPELESS = "hopeless"


@dataclass(frozen=True)
class Outcome:
    ending: Ending
    study: str
    signal: int | None = None
    log: tuple[str, ...] = ()  # of the worker that crashed last


@dataclass
class Signals:
    """Ctrl-C and its kin. The first asks for an orderly end, the second for one at once."""

    received: list[int] = field(default_factory=list)

    @property
    def stop(self) -> bool:
        return bool(self.received)

    @property
    def kill(self) -> bool:
        return len(self.received) > 1

    @contextmanager
    def caught(self) -> Iterator["Signals"]:
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # under nohup the run is to outlive its terminal
            numbers.append(signal.SIGHUP)
        before = {number: signal.signal(number, self._receive) for number in numbers}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, _: FrameType | None) -> None:
        self.received.append(number)


def digest(spec: TuningStudySpec) -> str:
    """Tells studies of one name apart: what is fixed for a round, in twelve hexadecimal digits."""
    return spec_digest(spec)[:12]


def resolved_round(study: StudyFile) -> ResolvedRound:
    return resolve(study.spec, namespace=LOCAL, name=study.name, uid=digest(study.spec), number=1, versions=versions())


def versions() -> dict[str, str]:
    """Of what decides how trials come out."""
    import platform

    found = {"python": platform.python_version()}
    for package in ("optuna", "scikit-learn", "numpy", "tuning-operator"):
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def run(
    study: StudyFile,
    folder: Path,
    found: Database,
    store: Store,
    display: Display,
    signals: Signals,
    workers: int,
) -> Outcome:
    """Start or go on with the study, until its round is over or somebody stops it."""
    resolved = resolved_round(study)
    note_change(store, resolved, display.note)
    study_id = prepare(store, resolved, display.note)
    standing = store.ledger.progress()[resolved.study]
    if standing.over is not None:
        return Outcome(Ending.OVER, resolved.study)
    store.ledger.set_paused(resolved.study, False)
    identity = RunIdentity.of_this_process()
    put_back_of_dead_runs(store, resolved.study, study_id, identity)
    supervisor = Supervisor(
        {name: identity.worker(name) for name in worker_names(workers)},
        environment(
            os.environ | plain_env(study.spec) | code_folder(folder, study, resolved),
            round_file=write_round(folder, resolved),
            store_url=found.url,
            search=study.path.resolve().parent,
            folder=folder.resolve(),
            threads=threads_each(cores(), workers),
            grace=GRACE,
        ),
        folder / "logs",
        study.name,
    )
    outcome = LocalRun(resolved, study_id, store, supervisor, display, signals).until_over()
    if outcome.ending is Ending.OVER:  # no trial goes on any more, nor those whose worker was killed
        shutil.rmtree(folder / "checkpoints" / resolved.uid, ignore_errors=True)
    return outcome


def note_change(store: Store, resolved: ResolvedRound, note: Callable[[str], object]) -> None:
    """A changed file is another study, and begins anew; that is told where the earlier one has trials."""
    known = store.ledger.progress()
    if resolved.study in known:
        return
    before = [standing for study, standing in known.items() if study.startswith(f"{LOCAL}/{resolved.name}/")]
    trials = sum(standing.counts.used for standing in before)
    if trials:
        note(
            f"{resolved.name} was changed since its last run and begins anew; the {trials} trials of before stay in "
            "the store, and come back with the file as it was"
        )


def put_back_of_dead_runs(store: Store, study: str, study_id: int, identity: RunIdentity) -> None:
    """What was running here when this machine or its run ended waits again at once; other machines' after a silence."""
    workers = {trial.worker for trial in store.ledger.running(study)}
    for worker in sorted(filter(identity.knows_dead, workers)):
        store.ledger.give_back(study_id, worker, killed=True)


def prepare(store: Store, resolved: ResolvedRound, note: Callable[[str], object]) -> int:
    """The round in the store, with the budget that the file asks for now."""
    spec = resolved.spec
    points = []
    for point in spec.warm_start.points:
        clipped, changes = space.clip(spec.parameters, point) if spec.parameters else (dict(point), [])
        points.append(clipped)
        for change in changes:
            note(f"warmStart.points: {change}")
    study_id = rounds.start(
        store, resolved, digest=resolved.uid, budget=spec.budget, keeper=Ownership(LOCAL), points=points
    )
    store.ledger.set_budget(resolved.study, spec.budget)
    # What could not run may run now: a package installed, a function corrected. Only a new try can tell.
    store.ledger.reopen(resolved.study)
    return study_id


def write_round(folder: Path, resolved: ResolvedRound) -> Path:
    path = folder / "rounds" / f"{resolved.name}-{resolved.uid}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(resolved.manifest(), indent=2))
    return path.resolve()


def code_folder(folder: Path, study: StudyFile, resolved: ResolvedRound) -> dict[str, str]:
    """The files of the study's ConfigMap in a folder, and what tells workers of it."""
    if not study.code:
        return {}
    path = folder / "code" / f"{resolved.name}-{resolved.uid}"
    shutil.rmtree(path, ignore_errors=True)  # of an earlier run, whose ConfigMap may have held other files
    path.mkdir(parents=True)
    for name, content in study.code.items():
        (path / name).write_bytes(content)
    return {"TUNING_CODE_DIR": str(path.resolve())}


def plain_env(spec: TuningStudySpec) -> dict[str, str]:
    """The entries of workers.env that mean something without a cluster."""
    return {str(entry["name"]): str(entry["value"]) for entry in spec.workers.env if {"name", "value"} <= set(entry)}


class LocalRun:
    """One run from the start of its workers to their end. `until_over` is the whole story."""

    def __init__(
        self,
        resolved: ResolvedRound,
        study_id: int,
        store: Store,
        supervisor: Supervisor,
        display: Display,
        signals: Signals,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolved, self._study_id, self._store = resolved, study_id, store
        self._supervisor, self._display, self._signals, self._clock = supervisor, display, signals, clock
        self._view = View(resolved, store, clock)
        self._streak = Streak()
        self._crashed_by_worker = 0  # failed trials that brought their worker down
        self._unsettled: list[Ended] = []

    def until_over(self) -> Outcome:
        study = self._resolved.study
        self._streak.finished = self._finished(self._store.ledger.progress()[study])
        deadline: float | None = None  # for workers to end by themselves
        self._supervisor.start()
        try:
            while True:
                self._settle_ended()
                if self._streak.hopeless:
                    return Outcome(Ending.HOPELESS, study, log=self._last_words())
                standing = self._view.standing()
                over = standing is not None and standing.over is not None
                if standing is not None and standing.limits.paused and not self._signals.stop:
                    self._store.ledger.set_paused(study, False)  # by another run, which did not see this one yet
                if (over or self._signals.stop) and not self._supervisor.alive and not self._unsettled:
                    break
                if deadline is None and self._signals.stop:
                    self._say_stopping()
                    self._supervisor.stop()
                    deadline = self._clock() + GRACE + _MARGIN
                elif deadline is None and over:
                    deadline = self._clock() + _OVER
                if self._signals.kill or (deadline is not None and self._clock() > deadline):
                    self._supervisor.kill()
                self._display.update(self._view.snapshot(self._supervisor, self._signals.stop))
                time.sleep(_TICK)
            standing = self._view.standing(fresh=True)
            if standing is not None and standing.over is not None:
                return Outcome(Ending.OVER, study)
            return Outcome(Ending.STOPPED, study, signal=self._signals.received[0])
        finally:
            self._supervisor.kill()
            self._put_to_rest()

    def _settle_ended(self) -> None:
        """What becomes of the trials of workers that have ended, and of the workers."""
        waiting, self._unsettled = self._unsettled + self._supervisor.poll(), []
        for index, ended in enumerate(waiting):
            try:
                self._settle(ended)
            except StoreUnavailable:  # a server of the user's own; it may come back
                self._unsettled = waiting[index:]
                return

    def _settle(self, ended: Ended) -> None:
        ledger, study = self._store.ledger, self._resolved.study
        name, identity = ended.worker.name, ended.worker.identity
        running = [trial for trial in ledger.running(study) if trial.worker == identity]
        verdict = judge(ended.code, max((trial.attempts for trial in running), default=0))
        if verdict.fate is Fate.FAILED:
            numbers = ledger.fail_running(self._study_id, identity, verdict.reason)
            self._crashed_by_worker += len(numbers)
        else:
            numbers = ledger.give_back(self._study_id, identity, killed=verdict.crash)
        standing = ledger.progress()[study]
        if standing.over is not None or (self._signals.stop and not verdict.crash):
            return
        self._streak.note(verdict.crash, self._finished(standing))
        trials = ", ".join(f"trial {number}" for number in numbers) or "no trial"
        fate = "fails" if verdict.fate is Fate.FAILED else "is put back"
        self._display.note(f"{name}: {verdict.reason}" + (f"; {trials} {fate}" if numbers else ""))
        if not self._signals.stop and not self._streak.hopeless:
            self._supervisor.restart(ended.worker, delay=0.2 if self._streak.crashes < 2 else 1.0)

    def _finished(self, standing: Progress) -> int:
        return standing.counts.used + standing.counts.failed - self._crashed_by_worker

    def _last_words(self) -> tuple[str, ...]:
        latest = max(self._supervisor.workers, key=lambda worker: worker.log.stat().st_mtime)
        return tuple(last_lines(latest.log))

    def _say_stopping(self) -> None:
        self._display.note(
            f"stopping: the trials that are running may finish within {GRACE:.0f}s; Ctrl-C again ends them now"
        )

    def _put_to_rest(self) -> None:
        """What is still running here waits again. The last run of the study, if others share its store, pauses it: the
        clock of budget.duration then stands still."""
        ledger = self._store.ledger
        workers = list(self._supervisor.identities.values())

        def rest() -> None:
            for worker in workers:
                ledger.give_back(self._study_id, worker)
            if not ledger.retire(self._study_id, workers, silent=_SILENT):
                ledger.set_paused(self._resolved.study, True)

        with suppress(StoreUnavailable):  # the next start puts back what is running
            self._store.patience(rest)


class View:
    """Reads the store for the display, no more often than it can bear."""

    def __init__(self, resolved: ResolvedRound, store: Store, clock: Callable[[], float]) -> None:
        self._resolved, self._store, self._clock = resolved, store, clock
        self._began = clock()
        self._pace = Pace()
        self._standing: Progress | None = None
        self._running: list[RunningTrial] = []
        self._best: BestView | None = None
        self._best_at = -1
        self._active: float | None = None
        self._next = 0.0
        self._away = False
        self._finished, self._finished_at = 0, clock()

    def standing(self, fresh: bool = False) -> Progress | None:
        """How the round stands; None only before the first answer of the store."""
        now = self._clock()
        if now < self._next and not fresh:
            return self._standing
        try:
            self._read()
            self._away = False
        except StoreUnavailable:
            self._away = True
        # A long history takes longer to read: never spend more than a tenth of the time on it.
        self._next = now + max(0.4, 10 * (self._clock() - now))
        return self._standing

    def _read(self) -> None:
        ledger, study = self._store.ledger, self._resolved.study
        self._standing = ledger.progress()[study]
        self._running = ledger.running(study)
        finished = self._standing.counts.used + self._standing.counts.failed
        if finished != self._finished:
            self._finished, self._finished_at = finished, self._clock()
        if self._standing.duration is not None:
            self._active = ledger.active_seconds(study)
        if self._standing.counts.complete != self._best_at:
            self._best_at = self._standing.counts.complete
            self._best = self._read_best()

    def _read_best(self) -> BestView | None:
        objectives = self._resolved.spec.objectives
        found = results.best(objectives, self._store.ledger.candidates(self._resolved.study))
        if found is None:
            return None
        storage = self._store.storage
        study_id = storage.get_study_id_from_name(self._resolved.study)
        trial = storage.get_trial(storage.get_trial_id_from_study_id_trial_number(study_id, found.number))
        metrics = dict(zip((metric.name for metric in objectives), found.values, strict=True))
        return BestView(found.number, metrics, dict(trial.params), found.feasible)

    def snapshot(self, supervisor: Supervisor, stopping: bool) -> Snapshot:
        standing, now = self._standing, self._clock()
        counts = standing.counts if standing else Counts()
        target = standing.limits.trials if standing else self._resolved.spec.budget.trials
        rate = self._pace.rate(now, counts.used)
        return Snapshot(
            name=self._resolved.name,
            state="Stopping" if stopping else "Running",
            counts=counts,
            target=target,
            elapsed=now - self._began,
            rate=rate,
            left=time_left(counts, target, rate, self._until_deadline()),
            best=self._best,
            workers=worker_views(supervisor, self._running, standing.shares if standing else {}),
            notes=[*self._notes(counts.running, now)],
        )

    def _notes(self, running: int, now: float) -> Iterator[str]:
        if self._away:
            yield "the store is away; waiting for it"
            return
        limited = self._resolved.spec.budget.trial_duration is not None
        still = timedelta(seconds=now - self._finished_at)
        if words := describe_standstill(running, still, limited=limited):
            yield words

    def _until_deadline(self) -> float | None:
        if self._active is None or self._standing is None or self._standing.duration is None:
            return None
        return max(0.0, self._standing.duration - self._active)


def worker_views(supervisor: Supervisor, running: list[RunningTrial], shares: Mapping[str, Counts]) -> list[WorkerView]:
    """Our own workers, and what runs elsewhere in the same store."""
    by_worker = {trial.worker: trial for trial in running}
    own = [
        WorkerView(
            worker.name,
            doing(
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
            doing(alive=True, restarting=False, trial=trial, begun=True),
            shares.get(worker, Counts()),
        )
        for worker, trial in by_worker.items()
    ]


def doing(*, alive: bool, restarting: bool, trial: RunningTrial | None, begun: bool) -> str:
    """A worker's present in a few words."""
    if restarting:
        return "restarting"
    if not alive:
        return "ended"
    if trial is not None:
        return f"trial {trial.number}" + (f" for {trial.seconds:.0f}s" if trial.seconds >= 1 else "")
    return "waiting" if begun else "starting"


def start(
    study: StudyFile,
    *,
    display: Display,
    workers: int | None,
    storage: str | None,
    then: Callable[[Outcome, Store], int],
    folder: Path = database.FOLDER,
) -> int:
    """Run the study; `then` tells how it went, while the store is still open."""
    number = workers or study.spec.workers.replicas
    if storage is not None:
        database.checked(storage)
    database.make_folder(folder)
    with (
        database.only_run(folder / f"{study.name}.lock", study.name),
        Signals().caught() as signals,
        database.database(folder, storage) as found,
        database.opened(found, create=True) as store,
    ):
        display.note(start_line(study, number, found))
        with display:
            outcome = run(study, folder, found, store, display, signals, number)
        return then(outcome, store)


def start_line(study: StudyFile, workers: int, found: Database) -> str:
    budget = study.spec.budget
    limits = [f"{budget.trials} trials"] if budget.trials else []
    limits += [format_duration(budget.duration)] if budget.duration else []
    noun = "worker" if workers == 1 else "workers"
    return f"{study.name}: {' or '.join(limits)} on {workers} {noun}, {found.kind}"
