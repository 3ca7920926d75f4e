"""A python objective that misbehaves in one of many ways, drawn by the trial's number, as users' code does by accident.

The same number always draws the same habit, so that a test can tell what each trial was to come to. Nothing here harms
the machine: signals go to the worker of the trial alone, and memory and files are small.
"""

import asyncio
import ctypes
import gc
import json
import logging
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import optuna

from mishaps import (
    LONG,
    TOOK_LONGER,
    ExitsWhenPrinted,
    Unprintable,
    drawn,
    fork_and_exit,
    fork_and_return,
    leave_a_daemon,
    leave_processes,
    signal_parent,
    signal_self,
    throw,
)

_monotonic = time.monotonic  # before a habit replaces it
SEED = os.environ.get("ZOO_SEED", "0")
TOLD = -1.0
"""The value of a trial that another one's objective has asked for and told."""
INSIDE = 0.5
"""The value of one that an objective has run by study.optimize."""


@dataclass(frozen=True)
class Habit:
    act: Callable[[optuna.Trial], object]
    fails: str = ""
    """A regular expression that the trial's failure matches; none: the trial completes."""


def objective(trial: optuna.Trial) -> object:
    x = trial.suggest_float("x", 0, 1)
    returned = HABITS[habit_of(trial.number)].act(trial)
    return x if returned is None else returned


def habit_of(number: int) -> str:
    return drawn(number, HABITS, SEED)


# --- ends


def _balloon() -> None:
    """Up to a limit that is there for this trial alone."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    with _limit(resource.RLIMIT_AS, size + 100 * 2**20):
        bytearray(400 * 2**20)


class _limit:
    def __init__(self, kind: int, value: int) -> None:
        self._kind, self._value = kind, value

    def __enter__(self) -> None:
        self._before = resource.getrlimit(self._kind)
        resource.setrlimit(self._kind, (self._value, self._before[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(self._kind, self._before)


def _use_up_cpu_time() -> None:
    used = int(sum(os.times()[:2]))
    resource.setrlimit(resource.RLIMIT_CPU, (used + 1, used + 3))
    while True:
        pass


def _recurse() -> None:
    _recurse()


# --- hangs


def _hang_and_catch_all() -> None:
    while True:
        try:
            time.sleep(LONG)
        except BaseException:
            logging.getLogger().debug("never mind", exc_info=True)


def _hang_with_the_signal(disposition: signal.Handlers) -> None:
    signal.signal(signal.SIGUSR1, disposition)
    time.sleep(LONG)


def _hang_with_signals_blocked() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP})
    time.sleep(LONG)


def _hang_in_native_code() -> None:
    """With the interpreter's lock held: no other thread of the process runs."""
    ctypes.PyDLL(None).sleep(int(LONG))


def _wait_for_a_lock_that_it_holds() -> None:
    lock = threading.Lock()
    with lock:
        lock.acquire()


def _wait_for_a_child() -> None:
    subprocess.run(["sleep", str(LONG)], check=False)


def _read_input() -> None:
    input("Continue? ")


# --- leaves things behind


def _leave_threads() -> None:
    for _ in range(5):
        threading.Thread(target=time.sleep, args=(LONG,)).start()


def _leave_a_pool() -> None:
    pool = multiprocessing.get_context("fork").Pool(2)
    pool.map(abs, range(4))


def _leave_a_hang_at_exit() -> None:
    import atexit

    atexit.register(time.sleep, LONG)


def _leave_a_thread_that_ends_the_process() -> None:
    threading.Timer(0.5, os._exit, [7]).start()
    time.sleep(2)


def _leave_an_event_loop() -> None:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    asyncio.run_coroutine_threadsafe(asyncio.sleep(LONG), loop)


def _leave_temporary_files() -> None:
    Path(tempfile.mkdtemp(), "left").write_bytes(b"x" * 1000)


def _fork_and_raise() -> None:
    if os.fork() == 0:
        raise ValueError("in the child")
    os.wait()


def _fork_and_report(trial: optuna.Trial) -> None:
    """The child speaks to the store over its parent's connection."""
    if os.fork() == 0:
        trial.study.set_user_attr("of the child", 1)
        os._exit(0)
    os.wait()


# --- files and output


def _close_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.close()


def _open_all_files() -> None:
    with _limit(resource.RLIMIT_NOFILE, 200):
        opened = []
        try:
            while True:
                opened.append(os.open(os.devnull, os.O_RDONLY))
        finally:
            for file in opened:
                os.close(file)


def _keep_files_open() -> None:
    """Up to a limit that stays: a leak of descriptors, as it ends."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    while True:
        _KEPT.append(os.open(os.devnull, os.O_RDONLY))


_KEPT: list[int] = []


def _flood() -> None:
    for _ in range(20):
        os.write(1, b"x" * 99_999 + b"\n")


def _print_binary() -> None:
    os.write(1, bytes(range(256)) * 10 + b"\x1b[2J\x1b]0;title")


def _lose_output() -> None:
    sys.stdout = sys.stderr = None


def _limit_file_size() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def _remove_the_current_folder() -> None:
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    os.rmdir(folder)


def _remove_the_temporary_folder() -> None:
    tempfile.tempdir = tempfile.mkdtemp()
    os.environ["TMPDIR"] = tempfile.tempdir
    shutil.rmtree(tempfile.tempdir)


# --- changes what is shared in the process


def _clear_environment() -> None:
    os.environ.clear()


def _take_signal_handlers() -> None:
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)


def _limit_open_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def _limit_memory() -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + 2**20, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _patch_time() -> None:
    time.sleep = lambda _: throw(RuntimeError("patched sleep"))
    time.time = lambda: 0.0
    time.monotonic = lambda: 0.0


def _patch_json() -> None:
    json.dumps = lambda *_, **__: throw(RuntimeError("patched dumps"))  # type: ignore[assignment]


def _forget_modules() -> None:
    for name in [name for name in sys.modules if name.startswith("optuna.")]:
        del sys.modules[name]


def _switch_threads_never() -> None:
    sys.setswitchinterval(LONG)
    until = _monotonic() + 1
    while _monotonic() < until:
        pass


# --- says odd things of its trial


def _attributes_of_odd_names(trial: optuna.Trial) -> None:
    for name in ("", "💥", "metrics", "failure", "tuning:metrics", "x" * 500):
        trial.set_user_attr(name, name)


def _report_odd_steps(trial: optuna.Trial) -> None:
    for step in (0, 5, 2, 5):
        trial.report(float("nan") if step == 2 else float("-inf"), step)
        trial.should_prune()


def _tell_itself(trial: optuna.Trial) -> None:
    trial.study.tell(trial, 0.5)


def _ask_and_forget(trial: optuna.Trial) -> None:
    trial.study.ask()


def _ask_and_tell(trial: optuna.Trial) -> None:
    trial.study.tell(trial.study.ask(), TOLD)


def _optimize_inside(trial: optuna.Trial) -> None:
    trial.study.optimize(lambda _: INSIDE, n_trials=1)


class _Many:
    """A number, when it is asked."""

    def __float__(self) -> float:
        raise SystemExit(5)


BY_SIGNAL = "the objective ended its process by {}"
FILES_CLOSED = "the objective closed files that are not its own"
LEAKED = (
    "patched|recursion depth|MemoryError|Too many open files|File too large|No such file or directory|Warning"
    "|[Cc]annot allocate|out of memory|new thread|Bad file descriptor|No child processes|closed file|KeyError|lost sys"
)
"""What a trial may fail of because of another in its process, before it."""

HABITS: dict[str, Habit] = {
    "nothing": Habit(lambda _: None),
    "pruned": Habit(lambda _: throw(optuna.TrialPruned())),
    # ends
    **{
        f"sys.exit({code!r})": Habit(lambda _, code=code: sys.exit(code), "the objective ended its process")  # type: ignore[misc]
        for code in (0, None, 1, 75, 143, "no licence", -1, 10**20, [1])
    },
    **{
        f"os._exit({code})": Habit(lambda _, code=code: os._exit(code), f"process with code {code}: remove os._exit")  # type: ignore[misc]
        for code in (0, 1, 78, 143)
    },
    "KeyboardInterrupt": Habit(lambda _: throw(KeyboardInterrupt()), "KeyboardInterrupt"),
    "CancelledError": Habit(lambda _: throw(asyncio.CancelledError()), "CancelledError"),
    "unprintable": Habit(lambda _: throw(Unprintable()), "Unprintable, whose text cannot be shown"),
    "exits when printed": Habit(lambda _: throw(ExitsWhenPrinted()), "ExitsWhenPrinted, whose text cannot be shown"),
    "huge error": Habit(lambda _: throw(ValueError("💥\x00\ud800" * 300_000)), "ValueError: 💥"),
    "abort": Habit(lambda _: os.abort(), BY_SIGNAL.format("SIGABRT")),
    "segfault": Habit(lambda _: ctypes.string_at(0), BY_SIGNAL.format("SIGSEGV")),
    "SIGTERM": Habit(lambda _: signal_self(signal.SIGTERM, 2), BY_SIGNAL.format("SIGTERM")),
    "SIGHUP": Habit(lambda _: signal_self(signal.SIGHUP, 2), BY_SIGNAL.format("SIGHUP")),
    "SIGINT": Habit(lambda _: signal_self(signal.SIGINT, 2), "KeyboardInterrupt"),
    "SIGKILL": Habit(lambda _: signal_self(signal.SIGKILL, 2), "its worker went away 3 times"),
    "SIGUSR1": Habit(lambda _: signal_self(signal.SIGUSR1, 2)),
    "SIGSTOP": Habit(lambda _: signal_self(signal.SIGSTOP, 2)),
    "SIGTERM to its group": Habit(lambda _: os.killpg(0, signal.SIGTERM), BY_SIGNAL.format("SIGTERM")),
    "SIGTERM to its parent": Habit(lambda _: signal_parent(signal.SIGTERM, 0.5)),
    "SIGINT to its parent": Habit(lambda _: signal_parent(signal.SIGINT, 0.5)),
    "balloon": Habit(lambda _: _balloon(), "MemoryError"),
    "CPU time": Habit(lambda _: _use_up_cpu_time(), BY_SIGNAL.format("SIGXCPU")),
    "recursion": Habit(lambda _: _recurse(), "RecursionError"),
    "input": Habit(lambda _: _read_input(), "EOFError"),
    # hangs
    "sleep": Habit(lambda _: time.sleep(LONG), TOOK_LONGER),
    "deadlock": Habit(lambda _: _wait_for_a_lock_that_it_holds(), TOOK_LONGER),
    "waits for a child": Habit(lambda _: _wait_for_a_child(), TOOK_LONGER),
    "catches all": Habit(lambda _: _hang_and_catch_all(), TOOK_LONGER),
    "SIGUSR1 ignored": Habit(lambda _: _hang_with_the_signal(signal.SIG_IGN), TOOK_LONGER),
    "SIGUSR1 as usual": Habit(lambda _: _hang_with_the_signal(signal.SIG_DFL), TOOK_LONGER),
    "signals blocked": Habit(lambda _: _hang_with_signals_blocked(), TOOK_LONGER),
    "native hang": Habit(lambda _: _hang_in_native_code(), TOOK_LONGER),
    # leaves things behind
    "threads": Habit(lambda _: _leave_threads()),
    "processes": Habit(lambda _: leave_processes()),
    "daemon": Habit(lambda _: leave_a_daemon(ignores_sigterm=True)),
    "pool": Habit(lambda _: _leave_a_pool()),
    "atexit": Habit(lambda _: _leave_a_hang_at_exit()),
    "thread that exits": Habit(lambda _: _leave_a_thread_that_ends_the_process(), "process with code 7"),
    "event loop": Habit(lambda _: _leave_an_event_loop()),
    "fork and return": Habit(lambda _: fork_and_return()),
    "fork and exit": Habit(lambda _: fork_and_exit(3)),
    "fork and raise": Habit(lambda _: _fork_and_raise()),
    "fork and report": Habit(_fork_and_report),
    # files and output
    "closed output": Habit(lambda _: _close_output()),
    "closed files": Habit(lambda _: os.closerange(3, 256), FILES_CLOSED),
    "closed files and output": Habit(lambda _: os.closerange(0, 256), FILES_CLOSED),
    "all files open": Habit(lambda _: _open_all_files(), "Too many open files"),
    "files kept open": Habit(lambda _: _keep_files_open(), "Too many open files"),
    "flood": Habit(lambda _: _flood()),
    "binary": Habit(lambda _: _print_binary()),
    "no output": Habit(lambda _: _lose_output()),
    "file size": Habit(lambda _: _limit_file_size()),
    "current folder": Habit(lambda _: _remove_the_current_folder()),
    "temporary folder": Habit(lambda _: _remove_the_temporary_folder()),
    # changes what is shared in the process
    "environment": Habit(lambda _: _clear_environment()),
    "handlers": Habit(lambda _: _take_signal_handlers()),
    "open files": Habit(lambda _: _limit_open_files()),
    "memory": Habit(lambda _: _limit_memory()),
    "recursion limit": Habit(lambda _: sys.setrecursionlimit(60)),
    "umask": Habit(lambda _: os.umask(0o777) and None),
    "nice": Habit(lambda _: os.nice(5) and None),
    "warnings": Habit(lambda _: warnings.simplefilter("error")),
    "logging": Habit(lambda _: logging.shutdown() or logging.disable()),  # type: ignore[func-returns-value]
    "gc": Habit(lambda _: gc.disable()),
    "time": Habit(lambda _: _patch_time()),
    "json": Habit(lambda _: _patch_json()),
    "modules": Habit(lambda _: _forget_modules()),
    "switch interval": Habit(lambda _: _switch_threads_never()),
    # says odd things of its trial
    "nan": Habit(lambda _: float("nan"), "loss is NaN"),
    "inf": Habit(lambda _: float("inf")),
    "string": Habit(lambda _: "a lot", "loss is 'a lot', not a number"),
    "tuple": Habit(lambda _: (1, 2), "returned 2 values for 1 objectives"),
    "mapping": Habit(lambda _: {"Loss": 1}, "did not report loss"),
    "no float": Habit(lambda _: _Many(), "SystemExit: 5"),
    "huge attribute": Habit(lambda trial: trial.set_user_attr("x", "y" * 2_000_000)),
    "not JSON": Habit(lambda trial: trial.set_user_attr("x", {1, 2}), "TypeError"),
    "odd names": Habit(_attributes_of_odd_names),
    "NUL in a name": Habit(lambda trial: trial.set_user_attr("a\x00b", 1), "has a NUL character"),
    "half a character in a name": Habit(
        lambda trial: trial.set_user_attr("a\ud800", 1), "is no text that UTF-8 could hold"
    ),
    "odd steps": Habit(_report_odd_steps),
    "tells itself": Habit(_tell_itself),
    "asks": Habit(_ask_and_forget),
    "asks and tells": Habit(_ask_and_tell),
    "optimizes": Habit(_optimize_inside, "RuntimeError"),
}
if os.environ.get("ZOO_LOCAL"):  # the first process of a container ignores these
    HABITS |= {
        "SIGKILL to its parent": Habit(lambda _: signal_parent(signal.SIGKILL, 0.5), "in each of 3 attempts"),
        "SIGSTOP to its parent": Habit(lambda _: signal_parent(signal.SIGSTOP, 0.5)),
    }
