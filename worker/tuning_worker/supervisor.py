"""Runs a worker's process, and starts another when it ends without deciding to.

The first process of a worker's pod, and of each worker of `tuning run`. Objectives are other people's code: they call
sys.exit and os._exit, crash, are killed for the memory they use, send signals to themselves or to their group, and
leave processes behind. None of that reaches this process, so its exit code is always the worker's own decision
(ExitCode), and the trial of a process that died is settled by the next one within a second.
"""

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from tuning_study.worker_contract import ExitCode
from tuning_worker.supervision import FILES_CLOSED, SCRATCH_VARIABLE, SOCKET_VARIABLE, Stage, UnexpectedEnd, signal_name

COMMAND = (sys.executable, "-m", "tuning_worker.process")
MAX_IDLE_ENDS = 3
"""Ends in a row outside a trial, after which another try is left to whoever started this process."""
_END_GRACE = 5.0  # seconds a process has to end once it has decided to: threads and atexit handlers may hang
_PAUSE = 0.2  # seconds before another process; longer after each one that took no trial
_PR_SET_CHILD_SUBREAPER = 36
_OOM_COUNTERS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")  # cgroup v2 and v1


def supervise(command: Sequence[str] = COMMAND, environment: Mapping[str, str] = os.environ) -> int:
    """Run `command` until it decides how the worker ends, or SIGTERM or SIGINT ends it. Returns the exit code."""
    adopt_orphans()
    wakeup = _Wakeup()
    scratch = os.path.join(environment.get("TMPDIR") or "/tmp", f"tuning-{os.urandom(8).hex()}")  # noqa: S108
    predecessor: UnexpectedEnd | None = None
    idle_ends = 0
    while True:
        process = _WorkerProcess(command, {**environment, SCRATCH_VARIABLE: scratch}, predecessor)
        process.run_to_its_end(wakeup)
        kill_children()
        _remove(scratch)
        if process.decision is not None:
            return process.decision
        if wakeup.stopping:
            return ExitCode.STOPPED
        predecessor = None if process.replaced else process.unexpected_end()
        idle_ends = 0 if process.stage is Stage.TRIAL else idle_ends + 1
        if idle_ends >= MAX_IDLE_ENDS:
            why = predecessor.reason if predecessor is not None else "the objective does not react"
            print(f"the worker gives up: {why}", file=sys.stderr, flush=True)
            return ExitCode.CRASHED
        wakeup.rest(_PAUSE * (1 + idle_ends))


class _Wakeup:
    """Signals as something to wait for beside a socket."""

    def __init__(self) -> None:
        self.stopping = False
        self._read, write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._stop)

    def _stop(self, _: int, __: FrameType | None) -> None:
        self.stopping = True

    def wait(self, others: Sequence[socket.socket], seconds: float | None) -> None:
        descriptors = [self._read, *(other.fileno() for other in others)]
        select.select(descriptors, [], [], seconds)
        try:
            while os.read(self._read, 512):
                pass
        except BlockingIOError:
            return

    def rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.stopping and (left := until - time.monotonic()) > 0:
            self.wait((), left)


class _WorkerProcess:
    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], predecessor: UnexpectedEnd | None
    ) -> None:
        self.stage = Stage.STARTING
        self.decision: int | None = None
        self.replaced = False  # it ended to be replaced, and has seen to its trial
        self._crash = ""
        self._deadlines: dict[str, tuple[float, str]] = {}  # when it is killed, and what it then died of
        self._stop_seconds: float | None = None  # that it has to end when it is told to stop
        self._status: int | None = None
        self._heard = b""
        self._oom_kills = _oom_kills()
        self._channel, theirs = socket.socketpair()
        self._channel.setblocking(False)
        theirs.set_inheritable(True)
        given = {SOCKET_VARIABLE: str(theirs.fileno())} | (predecessor.to_environment() if predecessor else {})
        self.pid = os.posix_spawn(command[0], list(command), dict(environment) | given)
        theirs.close()

    def run_to_its_end(self, wakeup: _Wakeup) -> None:
        told_to_stop = False
        while not self._has_ended():
            self._listen()
            if wakeup.stopping and not told_to_stop:
                told_to_stop = True
                self._tell_to_stop()
            self._kill_when_late()
            listened = [self._channel] if self._channel.fileno() >= 0 else []
            wakeup.wait(listened, self._seconds_left())
        self._listen()
        self._channel.close()

    def _tell_to_stop(self) -> None:
        if self._stop_seconds is not None:
            self._kill_within("stop", self._stop_seconds)
        with suppress(OSError):  # the objective has closed all files, and nothing can be told any more
            self._channel.shutdown(socket.SHUT_WR)

    def _kill_within(self, why: str, seconds: float, reason: str = "") -> None:
        self._deadlines[why] = time.monotonic() + seconds, reason

    def _kill_when_late(self) -> None:
        late = [reason for at, reason in self._deadlines.values() if at <= time.monotonic()]
        if late:
            self._crash = self._crash or late[0]
            os.kill(self.pid, signal.SIGKILL)

    def _seconds_left(self) -> float | None:
        nearest = min((at for at, _ in self._deadlines.values()), default=None)
        return None if nearest is None else max(0.05, nearest - time.monotonic())

    def unexpected_end(self) -> UnexpectedEnd:
        assert self._status is not None
        code = os.waitstatus_to_exitcode(self._status)
        if code == -signal.SIGKILL and _oom_kills() > self._oom_kills:
            reason = "the trial was killed for using too much memory: raise workers.resources.limits.memory"
            return UnexpectedEnd(self.stage, reason)
        killed = code == -signal.SIGKILL and not self._crash
        return UnexpectedEnd(self.stage, self._crash or describe(code), killed)

    def _has_ended(self) -> bool:
        """Reaps every child: the first process of a pod inherits those that others left behind.

        The worker's process goes on when it was stopped: nothing in it would say that it lives, or end its trial.
        """
        while self._status is None:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                self._status = 0
                break
            if pid == 0:
                return False
            if pid == self.pid and os.WIFSTOPPED(status):
                os.kill(pid, signal.SIGCONT)
            elif pid == self.pid:
                self._status = status
        return True

    def _listen(self) -> None:
        try:
            while self._channel.fileno() >= 0:
                heard = self._channel.recv(4096)
                if not heard:
                    self._channel.close()  # the process closed it; its end is a matter of SIGCHLD
                self._heard += heard
        except OSError:  # nothing more to hear now, or the process is gone
            pass
        *lines, self._heard = self._heard.split(b"\n")
        for line in lines:
            word, _, rest = line.decode().partition(" ")
            if word == "exit":
                self.decision = int(rest)
                self._kill_within("exit", _END_GRACE)
            elif word == "limit":
                seconds, _, reason = rest.partition(" ")
                self._kill_within("trial", float(seconds), reason)
            elif word == "unlimited":
                self._deadlines.pop("trial", None)
            elif word == "stops":
                self._stop_seconds = float(rest)
            elif word == "crash":
                self._crash = rest
            elif word == "replace":
                self.replaced = True
            else:
                self.stage = Stage(word)


def describe(code: int) -> str:
    """Why a process that did not decide to end has ended; `code` is negative for a signal."""
    if code == -signal.SIGKILL:
        return "the worker's process was killed (SIGKILL)"
    if code < 0:
        return f"the objective ended its process by {signal_name(-code)}"
    if code == FILES_CLOSED:
        return "the objective closed files that are not its own: remove os.closerange(), or what calls it"
    return f"the objective ended its process with code {code}: remove os._exit(), or what calls it"


def adopt_orphans() -> None:
    """Become the parent of what descendants leave behind, as the first process of a container is anyway."""
    if sys.platform == "linux" and os.getpid() != 1:
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def kill_children() -> None:
    """End all that a worker's process left behind, whatever session it moved to."""
    while children := _children():
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for pid in children:
            try:
                os.waitpid(pid, 0)  # its own children become ours: the next turn ends them
            except ChildProcessError:
                continue


def _remove(folder: str) -> None:
    if os.path.exists(folder):
        import shutil  # seldom needed, and this process stays small

        shutil.rmtree(folder, ignore_errors=True)


def _children() -> list[int]:
    """Processes whose parent is this one; none where the system has no /proc, and whoever started us must end them."""
    found, own = [], str(os.getpid())
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, _, fields = entry.read_text().rpartition(")")  # the name before it may hold anything
        except OSError:  # it has ended
            continue
        if fields.split()[1] == own:
            found.append(int(entry.parent.name))
    return found


def _oom_kills() -> int:
    """How many processes of this container the kernel has killed for memory; 0 where it does not tell."""
    for path in _OOM_COUNTERS:
        try:
            fields = dict(line.split() for line in Path(path).read_text().splitlines())
            return int(fields["oom_kill"])
        except (OSError, ValueError, KeyError):
            continue
    return 0
