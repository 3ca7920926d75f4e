"""A thread beside the objective: records that the worker is alive, and interrupts a trial that must not go on."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from types import FrameType, TracebackType
from typing import NoReturn, Self

import structlog

from tuning_store.exceptions import StoreError
from tuning_store.interfaces import Claims
from tuning_study.budget import StopReason
from tuning_study.worker_contract import ExitCode
from tuning_worker.exceptions import TrialInterrupted
from tuning_worker.interruption import reason_to_interrupt, took_longer
from tuning_worker.run import discard_folders
from tuning_worker.settings import Settings
from tuning_worker.supervision import SupervisorLink

log = structlog.get_logger()

_TICK = timedelta(seconds=0.5)  # between two looks at the clock
_REACTS_WITHIN = timedelta(seconds=15)  # in which an objective has to react before the whole process ends
_LAST_RESORT = timedelta(seconds=10)  # more, until the supervisor ends the process because nothing in it did


@dataclass
class _Running:
    since: float
    interrupted_at: float | None = None


class Heartbeat:
    """Records a heartbeat in the store while the worker lives, and interrupts the running trial when

    - the round is over (goal reached, time used up, too many failures): the trial is put back,
    - the trial took longer than budget.trialDuration: it failed,
    - the worker was told to stop and its grace is over: the trial is put back.

    The interruption is a signal to the main thread, whose handler raises TrialInterrupted into the objective. Must be
    entered, and `trial` be used, in the main thread. When the objective does not react, the trial is settled from
    here, the supervisor is asked for another process, and `end_process` ends this one; it must not return.
    """

    def __init__(
        self,
        settings: Settings,
        claims: Claims,
        study_id: int,
        stopping: threading.Event,
        supervisor: SupervisorLink,
        *,
        tick: timedelta = _TICK,
        reacts_within: timedelta = _REACTS_WITHIN,
        end_process: Callable[[int], NoReturn] = os._exit,
    ) -> None:
        self._settings, self._claims, self._study, self._stopping = settings, claims, study_id, stopping
        self._supervisor, self._end_process = supervisor, end_process
        self._tick, self._reacts_within = tick, reacts_within
        self._trial_duration = settings.round.spec.budget.trial_duration
        self._ended = threading.Event()
        self._running: _Running | None = None
        self._reason: TrialInterrupted | None = None
        self._stop_by: float | None = None
        self._round_over: StopReason | None = None
        self._main = threading.get_ident()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        signal.signal(signal.SIGUSR1, self._raise)
        os.register_at_fork(after_in_child=_forget_interruption)
        self._supervisor.stops_within(self._longest(self._settings.grace))
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join(timeout=5)

    @contextmanager
    def trial(self) -> Iterator[None]:
        """The block may be interrupted by TrialInterrupted."""
        signal.signal(signal.SIGUSR1, self._raise)  # the trial before may have changed what it does
        self._reason = None
        limit = self._trial_duration
        if limit is not None:
            self._supervisor.trial_begins(self._longest(limit), took_longer(limit))
        self._running = _Running(since=monotonic())
        try:
            yield
        finally:
            self._running = None
            self._supervisor.end_if_closed()
            if limit is not None:
                self._supervisor.trial_ended()

    def _longest(self, limit: timedelta) -> float:
        """Seconds after which the supervisor ends a process that `limit` should have ended."""
        return (limit + self._reacts_within + _LAST_RESORT).total_seconds()

    def _raise(self, _: int, __: FrameType | None) -> None:
        if self._running is not None and self._reason is not None:
            raise self._reason

    def _run(self) -> None:
        next_record = 0.0
        while not self._ended.wait(self._tick.total_seconds() if next_record else 0):
            now = monotonic()
            if now >= next_record:
                next_record = now + self._settings.heartbeat.total_seconds()
                self._record()
            if self._stopping.is_set() and self._stop_by is None:
                self._stop_by = now + self._settings.grace.total_seconds()
            if self._running is not None:
                self._look_at(self._running, now)

    def _record(self) -> None:
        try:
            self._round_over = self._claims.record_heartbeat(self._study)
        except Exception as error:  # without this thread the worker would seem dead, and nothing would bound its trials
            log.warning("the store did not take the heartbeat", error=str(error))

    def _look_at(self, running: _Running, now: float) -> None:
        if running.interrupted_at is not None:
            if now - running.interrupted_at > self._reacts_within.total_seconds():
                self._leave()
            return
        reason = reason_to_interrupt(
            timedelta(seconds=now - running.since),
            self._trial_duration,
            self._round_over,
            grace_is_over=self._stop_by is not None and now > self._stop_by,
        )
        if reason is not None:
            self._reason, running.interrupted_at = reason, now
            if signal.getsignal(signal.SIGUSR1) != self._raise:  # the objective's own, or the end of the process
                self._leave()
            signal.pthread_kill(self._main, signal.SIGUSR1)

    def _leave(self) -> NoReturn:
        """The objective does not react, in a library's own code perhaps: settle its trial, and end the process."""
        assert self._reason is not None
        log.error("the objective did not stop when told to", reason=str(self._reason))
        try:
            if self._reason.failure is not None:
                settings = self._settings
                for number in self._claims.fail_trials_of(self._study, settings.worker, self._reason.failure):
                    discard_folders(settings.checkpoints, settings.artifacts, settings.round, number)
            else:
                self._claims.release(self._study, self._settings.worker)
        except StoreError as error:
            log.warning("the trial stays to be found by others", error=str(error))
        self._supervisor.replace()
        self._end_process(ExitCode.CRASHED)


def _forget_interruption() -> None:
    """Processes that the objective forks find the usual meaning of every signal."""
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
