"""One local run, from the start of its workers to their end."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from tuning_client.display import Display
from tuning_client.exceptions import TuningError
from tuning_client.local import stages
from tuning_client.local.signals import Signals
from tuning_client.local.stages import Stages
from tuning_client.local.supervisor import (
    CrashStreak,
    Ended,
    Supervisor,
    TrialOutcome,
    classify_exit,
    last_lines,
)
from tuning_client.local.view import View
from tuning_store.exceptions import StoreUnavailable
from tuning_store.store import Store
from tuning_study.round import ResolvedRound

GRACE = 30.0  # seconds for running trials to finish after Ctrl-C; a second Ctrl-C ends them at once
_MARGIN = 10.0  # seconds a worker may need beyond its grace, before it is killed
_OVER = 25.0  # seconds workers have to notice by themselves that the round is over
_TICK = 0.2
_CHECKS_EVERY = 2.0  # seconds between two looks at whether the store can go on
_STALE_AFTER = timedelta(seconds=60)  # without a heartbeat, after which a worker of another run counts as ended


class Ending(Enum):
    OVER = "over"
    STOPPED = "stopped"
    WORKERS_CRASHED = "workers crashed"


@dataclass(frozen=True)
class Outcome:
    ending: Ending
    study: str
    signal: int | None = None
    log: tuple[str, ...] = ()  # of the worker that crashed last


class LocalRun:
    """One run from the start of its workers to their end. `until_over` is the whole story."""

    def __init__(
        self,
        resolved: ResolvedRound,
        store: Store,
        supervisor: Supervisor,
        display: Display,
        signals: Signals,
        trouble: Callable[[], str | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`trouble` tells why the store cannot go on, however long one waits; see Database."""
        self._resolved, self._store = resolved, store
        self._supervisor, self._display, self._signals, self._clock = supervisor, display, signals, clock
        self._view = View(resolved, store, clock)
        self._streak = CrashStreak()
        self._crashed_by_worker = 0  # failed trials that brought their worker down
        self._unsettled: list[Ended] = []
        self._trouble, self._next_check = trouble, 0.0

    def until_over(self) -> Outcome:
        """Raises TuningError when the store cannot go on; a later run then can."""
        study = self._resolved.study
        self._streak.finished = self._finished(stages.read(self._store, self._resolved))
        deadline: float | None = None  # for workers to end by themselves
        self._supervisor.start()
        try:
            while True:
                self._check_store()
                self._settle_ended()
                if self._streak.workers_keep_crashing:
                    return Outcome(Ending.WORKERS_CRASHED, study, log=self._last_words())
                standing = self._view.standing()
                over = standing is not None and standing.over
                if standing is not None and standing.current.limits.paused and not self._signals.stop:
                    # By another run, which did not see this one yet.
                    self._store.rounds.set_paused(standing.current.study, False)
                if (over or self._signals.stop) and not self._supervisor.alive and not self._unsettled:
                    break
                if deadline is None and self._signals.stop:
                    self._tell_stopping()
                    self._supervisor.stop()
                    deadline = self._clock() + GRACE + _MARGIN
                elif deadline is None and over:
                    deadline = self._clock() + _OVER
                if self._signals.kill or (deadline is not None and self._clock() > deadline):
                    self._supervisor.kill()
                self._display.update(self._view.snapshot(self._supervisor, self._signals.stop))
                time.sleep(_TICK)
            standing = self._view.standing(fresh=True)
            self._display.update(self._view.snapshot(self._supervisor, self._signals.stop))
            if standing is not None and standing.over:
                return Outcome(Ending.OVER, study)
            return Outcome(Ending.STOPPED, study, signal=self._signals.received[0])
        finally:
            self._supervisor.kill()
            self._release_trials()

    def _check_store(self) -> None:
        if self._clock() < self._next_check:
            return
        if reason := self._trouble():
            raise TuningError(
                f"{reason}. The run has ended, and every finished trial is kept: correct that, then start it again, "
                "and it goes on from here"
            )
        self._next_check = self._clock() + _CHECKS_EVERY

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
        claims, readings = self._store.claims, self._store.readings
        name, identity = ended.worker.name, ended.worker.identity
        current = stages.read(self._store, self._resolved).current.study
        study_id = self._store.rounds.find(current)
        running = [trial for trial in readings.running(current) if trial.worker == identity]
        verdict = classify_exit(ended.code, max((trial.attempts for trial in running), default=0))
        if verdict.outcome is TrialOutcome.FAILED:
            numbers = claims.fail_trials_of(study_id, identity, verdict.reason)
            self._crashed_by_worker += len(numbers)
        else:
            numbers = claims.release(study_id, identity, killed=verdict.crash)
        standing = stages.read(self._store, self._resolved)
        if standing.over or (self._signals.stop and not verdict.crash):
            return
        self._streak.note(verdict.crash, self._finished(standing))
        trials = ", ".join(f"trial {number}" for number in numbers) or "no trial"
        fate = "fails" if verdict.outcome is TrialOutcome.FAILED else "is put back"
        self._display.note(f"{name}: {verdict.reason}" + (f"; {trials} {fate}" if numbers else ""))
        if not self._signals.stop and not self._streak.workers_keep_crashing:
            self._supervisor.restart(ended.worker, delay=0.2 if self._streak.crashes < 2 else 1.0)

    def _finished(self, standing: Stages) -> int:
        return sum(each.counts.used + each.counts.failed for each in standing.all) - self._crashed_by_worker

    def _last_words(self) -> tuple[str, ...]:
        latest = max(self._supervisor.workers, key=lambda worker: worker.log.stat().st_mtime)
        return tuple(last_lines(latest.log))

    def _tell_stopping(self) -> None:
        self._display.note(
            f"stopping: the trials that are running may finish within {GRACE:.0f}s; Ctrl-C again ends them now"
        )

    def _release_trials(self) -> None:
        """What is still running here waits again. The last run of the study, if others share its store, pauses it: the
        clock of budget.duration then stands still."""
        claims, rounds = self._store.claims, self._store.rounds
        workers = list(self._supervisor.identities.values())

        def rest() -> None:
            for each in stages.read(self._store, self._resolved).all:
                study_id = rounds.find(each.study)
                for worker in workers:
                    claims.release(study_id, worker)
                if not claims.forget_workers(study_id, workers, stale_after=_STALE_AFTER):
                    rounds.set_paused(each.study, True)

        with suppress(StoreUnavailable):  # the next start puts back what is running
            self._store.retry(rest)
