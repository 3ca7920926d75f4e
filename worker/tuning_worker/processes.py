"""Ends a process together with all that came of it: other groups and sessions, daemons, orphans.

On Linux this process becomes the parent of what loses its own (PR_SET_CHILD_SUBREAPER), as PID 1 of a container is
anyway, so that /proc shows every descendant. Elsewhere the process's own group is what can be ended.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

log = structlog.get_logger()

_PARTING = 2.0  # seconds from SIGTERM to SIGKILL for what outlived its command
_STUCK = 5.0  # seconds to wait for what does not end by SIGKILL: in the kernel, or another user's
_SEES_PROCESSES = Path("/proc/self/stat").exists()
_PR_SET_CHILD_SUBREAPER, _PR_GET_CHILD_SUBREAPER = 36, 37


@dataclass(frozen=True)
class Process:
    pid: int
    started: int  # in the kernel's ticks: a number that is used again is another process
    name: str = field(default="", compare=False)


@dataclass(frozen=True)
class _Entry:
    process: Process
    parent: int
    ended: bool  # a zombie: it waits for its parent to read its exit code


class ProcessTree:
    """A command and everything it started. What were children of this process before are none of it."""

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._others = frozenset(entry.process for entry in _descendants())
        self._root: subprocess.Popen[bytes] | None = None
        self._ended = False
        self.outlived: list[str] = []
        """Names of the processes that still ran when the command had ended by itself."""

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        """The command in a session of its own, both its outputs in pipes."""
        self._root = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        return self._root

    def reap(self) -> None:
        """Read the exit codes of orphans that ended, which would stay as zombies while the command runs."""
        others = {self._pid, *(other.pid for other in self._others)}
        while (pid := _ended_child()) is not None and pid not in others:
            _read_exit_code(pid)

    def end(self) -> None:
        """End the command (SIGTERM, the grace, SIGKILL), then what it left behind. May be called again."""
        if not self._ended and not self._is_over():
            told = self._root is None or self._terminated(self._root)
            parted = told and self._signal_all(signal.SIGTERM, _PARTING)
            if not parted and not self._signal_all(signal.SIGKILL, _STUCK):
                log.warning("processes of the trial could not be ended", pids=[process.pid for process in self._left()])
            if self._root is not None:
                if not _SEES_PROCESSES:
                    _signal_group(self._root.pid, signal.SIGKILL)
                ended_within(self._root, _STUCK)
        self._ended = True

    def _is_over(self) -> bool:
        """Whether the command has ended by itself and left nothing behind."""
        if self._root is None or self._root.poll() is None:
            return False
        self.outlived = [process.name for process in self._left()]
        return _SEES_PROCESSES and not self.outlived

    def _terminated(self, root: "subprocess.Popen[bytes]") -> bool:
        """Whether the command has ended, told or not."""
        if root.poll() is None:
            _signal_group(root.pid, signal.SIGTERM)
        return ended_within(root, self._grace)

    @property
    def _pid(self) -> int:
        return self._root.pid if self._root is not None else 0

    def _left(self) -> list[Process]:
        """What of the tree still runs; orphans that ended are reaped on the way."""
        left = []
        for entry in _descendants(besides=self._others):
            if not entry.ended:
                left.append(entry.process)
            elif entry.parent == os.getpid() and entry.process.pid != self._pid:
                _read_exit_code(entry.process.pid)
        return left

    def _signal_all(self, number: signal.Signals, seconds: float) -> bool:
        """Signal each process once, also those that appear meanwhile; whether all ended within these seconds."""
        told: set[Process] = set()
        give_up, pause = time.monotonic() + seconds, 0.002
        while left := self._left():
            for process in left:
                if process not in told:
                    told.add(process)
                    with suppress(ProcessLookupError, PermissionError):
                        os.kill(process.pid, number)
            if time.monotonic() > give_up:
                return False
            time.sleep(pause)  # nothing tells the end of a process that is not our child
            pause = min(pause * 2, 0.1)
        return True


@contextmanager
def process_tree(grace: float) -> Iterator[ProcessTree]:
    """Nothing of the tree outlives the block."""
    with _orphans_adopted():
        tree = ProcessTree(grace)
        try:
            yield tree
        finally:
            tree.end()


@contextmanager
def _orphans_adopted() -> Iterator[None]:
    """While this lasts, descendants that lose their parent become children of this process."""
    before = _subreaper()
    _set_subreaper(True)
    try:
        yield
    finally:
        _set_subreaper(before)


def ended_within(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def end_all_with(variable: str, value: str) -> None:
    """End the processes, whoever their parent is, whose environment has this variable."""
    wanted = f"\0{variable}={value}\0".encode()
    for pid in _all_pids():
        with suppress(OSError):
            if wanted in b"\0" + Path(f"/proc/{pid}/environ").read_bytes():
                os.kill(pid, signal.SIGKILL)


def _descendants(besides: frozenset[Process] = frozenset()) -> list[_Entry]:
    """All that came of this process, and of none `besides`, by the parents in /proc."""
    children: dict[int, list[_Entry]] = {}
    for pid in _all_pids():
        if (entry := _entry(pid)) is not None:
            children.setdefault(entry.parent, []).append(entry)
    found: list[_Entry] = []
    parents = [os.getpid()]
    while parents:
        below = [entry for entry in children.pop(parents.pop(), []) if entry.process not in besides]
        found += below
        parents += [entry.process.pid for entry in below]
    return found


def _all_pids() -> list[int]:
    """Of every process that can be seen; none where there is no /proc."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()] if _SEES_PROCESSES else []


def _entry(pid: int) -> _Entry | None:
    try:
        file = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)  # pathlib would double the time of a trial
        try:
            stat = os.read(file, 4096)
        finally:
            os.close(file)
    except OSError:  # it has ended meanwhile
        return None
    state, parent, *rest = stat[stat.rindex(b")") + 1 :].split()  # the name before it may hold anything
    threads, started = int(rest[15]), int(rest[17])
    # A zombie with several threads is a process whose first thread has ended, and no other.
    name = stat[stat.index(b"(") + 1 : stat.rindex(b")")].decode(errors="replace")
    return _Entry(Process(pid, started, name), int(parent), ended=state in (b"Z", b"X") and threads <= 1)


def _ended_child() -> int | None:
    with suppress(ChildProcessError, AttributeError):  # macOS has no waitid before Python 3.13
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return found.si_pid if found is not None else None
    return None


def _read_exit_code(pid: int) -> None:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _signal_group(leader: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def _subreaper() -> bool:
    answer = ctypes.c_int(0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return bool(answer.value)


def _set_subreaper(wanted: bool) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0)
