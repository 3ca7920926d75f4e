"""Who runs trials: the workers of each `tuning run` have names that no other run's have, on any machine.

Several runs may share a store, and a trial belongs to the worker that claimed it. A name says where its run lives, so
that a run on the same machine can tell whether it still does; on other machines silence must tell.
"""

import hashlib
import os
import re
import socket
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from tuning_study.budget import Counts

_NAME = re.compile(r"(?P<slot>[^@]+)@(?P<host>[^@]+)-(?P<machine>[0-9a-f]{8}):(?P<pid>\d+)-(?P<started>\d+)")
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
        found = _NAME.fullmatch(worker)
        if found is None or found["machine"] != self.machine:
            return False
        try:
            return abs(psutil.Process(int(found["pid"])).create_time() - int(found["started"])) > _SAME_START
        except psutil.NoSuchProcess:
            return True


def display_names(workers: Iterable[str]) -> dict[str, str]:
    """Short names for people: without the host where there is one alone."""
    parsed = {worker: _NAME.fullmatch(worker) for worker in workers}
    several = len({(found["host"], found["machine"]) for found in parsed.values() if found}) > 1
    return {
        worker: worker if found is None else f"{found['slot']}@{found['host']}" if several else found["slot"]
        for worker, found in parsed.items()
    }


def by_display_name(shares: Mapping[str, Counts]) -> dict[str, Counts]:
    """The shares of workers that people see as one: those of earlier runs, and of later ones."""
    names = display_names(shares)
    summed: dict[str, Counter[str]] = {}
    for worker, counts in shares.items():
        summed.setdefault(names[worker], Counter()).update(vars(counts))
    return {name: Counts(**counter) for name, counter in sorted(summed.items())}


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9_.]", "_", socket.gethostname().split(".")[0])[:63] or "localhost"


def _machine() -> str:
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/etc/machine-id").read_text().strip())
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:8]
