"""Who runs trials: the workers of each `tuning run` have names that no other run's have, on any machine.

Several runs may share a store, and a trial belongs to the worker that claimed it. A name says where its run lives, so
that a run on the same machine can tell whether it still does; on other machines silence must tell.
"""

import hashlib
import os
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from tuning_report.worker_names import LOCAL_WORKER
from tuning_store.values import Progress
from tuning_study.attributes import RUN_ATTRIBUTE

_SAME_START = 2  # seconds by which two readings of a process's start may differ


@dataclass(frozen=True)
class RunIdentity:
    """One process of `tuning run`."""

    host: str  # for people
    machine: str  # tells machines of one name apart, and containers of one machine
    pid: int
    started: int  # seconds since the epoch

    @classmethod
    def of_this_process(cls) -> Self:
        process = psutil.Process()
        return cls(_host(), _machine(), process.pid, int(process.create_time()))

    def worker(self, slot: str) -> str:
        return f"{slot}@{self.host}-{self.machine}:{self.pid}-{self.started}"

    def knows_dead(self, worker: str) -> bool:
        """Whether the worker's run was on this machine, and has ended."""
        return _is_of_dead_run(worker, self.machine)


def is_interrupted(progress: Progress, attributes: Mapping[str, Any]) -> bool:
    """Whether a round of that progress, with those user attributes, waits for a run that was ended from outside.

    Nobody could say so in the store: kill -9, or a machine that was switched off. False where the run was on another
    machine, of which nothing is known, and where somebody else is running a trial.
    """
    if progress.stop_reason is not None or progress.limits.paused or RUN_ATTRIBUTE not in attributes:
        return False
    at_work = [worker for worker, share in progress.counts_by_worker.items() if share.running]
    machine = _machine()
    return all(_is_of_dead_run(worker, machine) for worker in (str(attributes[RUN_ATTRIBUTE]), *at_work))


def _is_of_dead_run(worker: str, machine: str) -> bool:
    found = LOCAL_WORKER.fullmatch(worker)
    if found is None or found["machine"] != machine:
        return False
    try:
        return abs(psutil.Process(int(found["pid"])).create_time() - int(found["started"])) > _SAME_START
    except psutil.NoSuchProcess:
        return True


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9_.]", "_", socket.gethostname().split(".")[0])[:63] or "localhost"


def _machine() -> str:
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/etc/machine-id").read_text().strip())
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:8]
