"""A thread beside the objective: says that the worker is alive, and stops a trial that must not go on."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from types import FrameType, TracebackType
from typing import Self

import structlog

from tuning_store.exceptions import StoreError
from tuning_store.storage import Store
from tuning_study.budget import Over
from tuning_study.worker_contract import ExitCode
from tuning_worker.exceptions import TrialInterrupted
from tuning_worker.run import discard_checkpoints
from tuning_worker.settings import Settings
from tuning_worker.supervision import SupervisorLink

log = structlog.get_logger()

_TICK = 0.5  # seconds between two looks at the clock
_DEAF = 15.0  # seconds an objective has to react before the whole process ends
_LAST_RESORT = 10.0  # seconds more until the supervisor ends the process, because nothing in it did
_GOES_ON = frozenset({Over.BUDGET_USED, Over.STOPPED_BY_OBJECTIVE, Over.GRID_WALKED})  # what runs then may finish


@dataclass
class _Running:
    since: float
    interrupted_at: float | None = None


class Pulse:
    """Beats in the store while the worker lives, and interrupts the running trial when

    - the round is over (goal reached, time used up, too many failures): the trial is put back,
    - the trial took longer than budget.trialDuration: it failed,
    - the worker was told to stop and its grace is over: the trial is put back.

    The interruption is a signal to the main thread, whose handler raises TrialInterrupted into the objective. Must be
    entered, and `trial` be used, in the main thread.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        study_id: int,
        stopping: threading.Event,
        supervisor: SupervisorLink,
    ) -> None:
        self._settings, self._store, self._study_id, self._stopping = settings, store, study_id, stopping
        self._supervisor = supervisor
        self._ended = threading.Event()
        self._running: _Running | None = None
        self._reason: TrialInterrupted | None = None
        self._stop_by: float | None = None
        self._over: Over | None = None
        self._main = threading.get_ident()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)

    def __enter__(self) -> Self:
        signal.signal(signal.SIGUSR1, self._raise)
        os.register_at_fork(after_in_child=_forget_interruption)
        self._supervisor.stops_within(self._settings.grace.total_seconds() + _DEAF + _LAST_RESORT)
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
        limit = self._settings.round.spec.budget.trial_duration
        if limit is not None:
            longest = limit.total_seconds() + _DEAF + _LAST_RESORT
            self._supervisor.trial_begins(longest, _took_longer(limit))
        self._running = _Running(since=monotonic())
        try:
            yield
        finally:
            self._running = None
            self._supervisor.end_if_closed()
            if limit is not None:
                self._supervisor.trial_ended()

    def _raise(self, _: int, __: FrameType | None) -> None:
        if self._running is not None and self._reason is not None:
            raise self._reason

    def _beat(self) -> None:
        next_beat = 0.0
        while not self._ended.wait(_TICK if next_beat else 0):
            now = monotonic()
            if now >= next_beat:
                next_beat = now + self._settings.heartbeat.total_seconds()
                self._say_alive()
            if self._stopping.is_set() and self._stop_by is None:
                self._stop_by = now + self._settings.grace.total_seconds()
            self._judge(now)

    def _say_alive(self) -> None:
        try:
            self._over = self._store.beat(self._study_id)
        except Exception as error:  # without this thread the worker would seem dead, and nothing would bound its trials
            log.warning("the store did not take the heartbeat", error=str(error))

    def _judge(self, now: float) -> None:
        running = self._running
        if running is None:
            return
        if running.interrupted_at is not None:
            if now - running.interrupted_at > _DEAF:
                self._leave()
            return
        reason = self._reason_to_stop(now - running.since, now)
        if reason is not None:
            self._reason, running.interrupted_at = reason, now
            if signal.getsignal(signal.SIGUSR1) != self._raise:  # the objective's own, or the end of the process
                self._leave()
            signal.pthread_kill(self._main, signal.SIGUSR1)

    def _reason_to_stop(self, seconds: float, now: float) -> TrialInterrupted | None:
        limit = self._settings.round.spec.budget.trial_duration
        if limit is not None and seconds > limit.total_seconds():
            message = _took_longer(limit)
            return TrialInterrupted(message, failure=message)
        if self._over is not None and self._over not in _GOES_ON:
            return TrialInterrupted(f"the round is over: {self._over}")
        if self._stop_by is not None and now > self._stop_by:
            return TrialInterrupted("the worker must stop")
        return None

    def _leave(self) -> None:
        """The objective does not react, in a library's own code perhaps: settle its trial, and end the process."""
        assert self._reason is not None
        log.error("the objective did not stop when told to", reason=str(self._reason))
        try:
            if self._reason.failure is not None:
                for number in self._store.fail_running(self._study_id, self._reason.failure):
                    discard_checkpoints(self._settings.checkpoints, self._settings.round, number)
            else:
                self._store.give_back(self._study_id)
        except StoreError as error:
            log.warning("the trial stays to be found by others", error=str(error))
        self._supervisor.replace()
        os._exit(ExitCode.CRASHED)


def _took_longer(limit: timedelta) -> str:
    return f"took longer than budget.trialDuration ({limit})"


def _forget_interruption() -> None:
    """Processes that the objective forks find the usual meaning of every signal."""
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
