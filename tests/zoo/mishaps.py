"""What the odd objectives beside this module have in common. It goes to a worker with each of them."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

LONG = 600.0  # seconds: longer than anybody waits
TOOK_LONGER = r"took longer than budget\.trialDuration"


def drawn(number: int, habits: Iterable[str], seed: str) -> str:
    """Every habit once in a row of trials, in an order of its own for each row; in between, trials that do nothing."""
    if number % 3 == 0:
        return "nothing"
    names = sorted(habits)
    row, place = divmod(number - 1 - number // 3, len(names))
    return random.Random(f"{seed} {row}").sample(names, len(names))[place]


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text either")


class ExitsWhenPrinted(Exception):
    def __str__(self) -> str:
        sys.exit("no text, and no process either")


def throw(error: BaseException) -> None:
    raise error


def signal_self(number: signal.Signals, seconds: float) -> None:
    """`seconds` are the time in which the signal shows its effect."""
    os.kill(os.getpid(), number)
    time.sleep(seconds)


def signal_parent(number: signal.Signals, seconds: float) -> None:
    """To a process of the worker, and nobody else: it may have ended, and then the parent is a stranger."""
    parent = os.getppid()
    if b"tuning_" in Path(f"/proc/{parent}/cmdline").read_bytes():
        os.kill(parent, number)
    time.sleep(seconds)


def fork_and_return() -> None:
    """The child comes back from the objective as its parent does."""
    if os.fork():
        os.wait()


def fork_and_exit(code: int) -> None:
    """The child must not go on as a second worker; the parent goes on."""
    if os.fork() == 0:
        sys.exit(code)
    os.wait()


def leave_a_daemon(*, ignores_sigterm: bool = False, holds_output: bool = True) -> None:
    """It has forked twice; with the output it holds every other file of its parent."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            if ignores_sigterm:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if not holds_output:
                os.closerange(0, 64)
            time.sleep(LONG)
        os._exit(0)
    os.wait()


def leave_processes() -> None:
    subprocess.Popen(["setsid", "sleep", str(LONG)])
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(LONG,), daemon=True).start()
