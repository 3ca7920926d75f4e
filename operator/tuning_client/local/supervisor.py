"""Keeps local workers running: starts them, notices how they end, and decides what becomes of their trials."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from uuid import uuid4

import psutil

from tuning_client.worker_log import readable_lines
from tuning_study.worker_contract import MAX_ATTEMPTS, PYTHON_VARIABLE, ExitCode, thread_limits

MAX_CRASHES = 5  # in a row, without a finished trial between them
_RUN = "TUNING_LOCAL_RUN"  # in the environment of every process of a run, and unlike any other run's
_LONGEST_LOG = 64 * 1024 * 1024  # bytes
_ENOUGH = 128 * 1024  # of a log's end, to find the last lines in


class TrialOutcome(StrEnum):
    """What becomes of the trial that an ended worker was running."""

    SETTLED = "settled"  # the worker saw to it
    RELEASED = "put back"
    FAILED = "failed"


@dataclass(frozen=True)
class ExitVerdict:
    outcome: TrialOutcome
    crash: bool  # counts towards MAX_CRASHES
    reason: str = ""


def classify_exit(code: int, attempts: int) -> ExitVerdict:
    """What a worker's exit code says; `attempts` is how often the trial it was running has been started.

    A worker's supervisor sees to trials that end its process; here it is the supervisor itself that has ended.
    """
    if code in (ExitCode.DONE, ExitCode.REJECTED, ExitCode.STOPPED):
        return ExitVerdict(TrialOutcome.SETTLED, crash=False, reason=describe(code))
    if code == -signal.SIGKILL and attempts >= MAX_ATTEMPTS:
        reason = f"{describe(code)} in each of {attempts} attempts at this trial; out of memory perhaps"
        return ExitVerdict(TrialOutcome.FAILED, crash=True, reason=reason)
    return ExitVerdict(TrialOutcome.RELEASED, crash=True, reason=describe(code))


def describe(code: int) -> str:
    if code >= 0:
        return f"the worker exited with code {code}"
    with suppress(ValueError):
        return f"the worker was ended by {signal.Signals(-code).name}"
    return f"the worker was ended by signal {-code}"


@dataclass
class CrashStreak:
    """Crashes in a row, without a trial that finished by itself between them."""

    crashes: int = 0
    finished: int = 0

    def note(self, crash: bool, finished: int) -> None:
        if finished > self.finished:
            self.crashes, self.finished = 0, finished
        self.crashes += crash

    @property
    def workers_keep_crashing(self) -> bool:
        return self.crashes >= MAX_CRASHES


def worker_names(number: int) -> list[str]:
    return [f"worker-{index}" for index in range(number)]


def environment(
    base: Mapping[str, str], *, round_file: Path, store_url: str, search: Path, folder: Path, threads: int, grace: float
) -> dict[str, str]:
    """What all workers are given. Threads of numeric libraries are limited, or workers would fight over the cores."""
    return {
        **thread_limits(threads),
        "PYTHONUTF8": "1",  # values of parameters are UTF-8 for the objective and its commands, whatever the locale
        **base,
        "TZ": "UTC",  # Optuna 5 writes a study's times in UTC; its readers take the local clock
        "PYTHONPATH": os.pathsep.join([str(search), *filter(None, [base.get("PYTHONPATH")])]),
        "PYTHONUNBUFFERED": "1",
        PYTHON_VARIABLE: sys.executable,
        "TUNING_ROUND_FILE": str(round_file),
        "TUNING_STORE_URL": store_url,
        "TUNING_GRACE_SECONDS": str(grace),
        "TUNING_HEARTBEAT_SECONDS": "2",
        "TUNING_CHECKPOINT_ROOT": str(folder / "checkpoints"),
        "TUNING_ARTIFACTS_ROOT": str(folder / "artifacts"),
    }


def threads_each(cores: int, workers: int) -> int:
    return max(1, cores // workers)


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class Worker:
    """One slot: a process, or the wait before the next one."""

    name: str
    identity: str
    """In the store, where no worker of another run has it; see identity."""
    log: Path
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    again_at: float | None = None
    restarts: int = 0


@dataclass(frozen=True)
class Ended:
    worker: Worker
    code: int


@dataclass
class Supervisor:
    """The processes of a run. Nothing in here knows what a trial is."""

    identities: Mapping[str, str]
    """Of each worker, by its name."""
    environment: Mapping[str, str]
    logs: Path
    label: str
    cwd: Path
    """Where workers start; paths of a manifest count from there."""
    command: Sequence[str] = (sys.executable, "-m", "tuning_client.local.die_with_parent")
    clock: Callable[[], float] = time.monotonic
    workers: list[Worker] = field(default_factory=list)
    _token: str = field(default_factory=lambda: uuid4().hex)

    def start(self) -> None:
        self.logs.mkdir(parents=True, exist_ok=True)
        for name, identity in self.identities.items():
            worker = Worker(name, identity, self.logs / f"{self.label}-{name}.log")
            _drop_if_large(worker.log)
            self.workers.append(worker)
            self._launch(worker)

    def poll(self) -> list[Ended]:
        """The workers that have ended since the last call. Also starts those whose wait is over."""
        ended = []
        for worker in self.workers:
            if worker.process is not None:
                _go_on_if_stopped(worker.process.pid)
            if worker.process is not None and (code := worker.process.poll()) is not None:
                worker.process = None
                self._sweep(worker.identity)
                ended.append(Ended(worker, code))
            if worker.again_at is not None and self.clock() >= worker.again_at:
                self._launch(worker)
        return ended

    def restart(self, worker: Worker, delay: float) -> None:
        worker.restarts += 1
        worker.again_at = self.clock() + delay

    @property
    def alive(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.process is not None]

    def stop(self) -> None:
        """Ask every worker to end; what it runs it may finish within its grace."""
        self._no_more()
        for worker in self.alive:
            assert worker.process is not None
            with suppress(ProcessLookupError):  # the worker only: it sees to its own children
                worker.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End every worker and its children, now."""
        self._no_more()
        for worker in self.alive:
            assert worker.process is not None
            worker.process.kill()
            worker.process.wait()
            worker.process = None
        self._sweep()

    def _sweep(self, identity: str | None = None) -> None:
        """Kill what ended workers have left behind. Known by its environment: a process that a worker started may be
        in another group and session, and has lost its parent."""
        for process in psutil.process_iter(["environ"]):
            given = process.info["environ"] or {}
            if given.get(_RUN) == self._token and identity in (None, given.get("TUNING_WORKER")):
                with suppress(psutil.Error):
                    process.kill()

    def _no_more(self) -> None:
        for worker in self.workers:
            worker.again_at = None

    def _launch(self, worker: Worker) -> None:
        with worker.log.open("ab") as log:
            worker.process = subprocess.Popen(
                [*self.command, str(os.getpid())],
                env={**self.environment, "TUNING_WORKER": worker.identity, _RUN: self._token},
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the run, which then decides
            )
        worker.started, worker.again_at = self.clock(), None


def _go_on_if_stopped(pid: int) -> None:
    """A worker that its objective stopped (SIGSTOP) would hold its trial for ever."""
    with suppress(ChildProcessError, AttributeError):  # macOS has no waitid before Python 3.13
        if os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG) is not None:
            os.kill(pid, signal.SIGCONT)


def _drop_if_large(log: Path) -> None:
    """A run appends to the logs of before, so that those of its earlier trials are there, until they are too long."""
    with suppress(OSError):
        if log.stat().st_size > _LONGEST_LOG:
            log.unlink()


def last_lines(path: Path, number: int = 12) -> list[str]:
    """The end of a worker's log for a person: its JSON lines as sentences, all else as it stands."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _ENOUGH))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return list(readable_lines(text.splitlines()))[-number:]
