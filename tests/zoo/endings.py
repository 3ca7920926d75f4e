"""Objectives that end their process, or seem to, in every way that users' code has: what each test of endings runs.

Trial 1 of each misbehaves; the others return their parameter.
"""

import _thread
import asyncio
import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import optuna

import mishaps
from mishaps import ExitsWhenPrinted, Unprintable, throw

Objective = Callable[[optuna.Trial], float]


def in_turn(*steps: Callable[[], object]) -> None:
    for step in steps:
        step()


def once(misbehave: Callable[[], object]) -> Objective:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        if trial.number == 1:
            misbehave()
        return x

    return objective


def _close_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.close()
    os.close(1)
    os.close(2)
    raise ValueError("the output is closed")


def _interrupt_main() -> None:
    _thread.interrupt_main()
    time.sleep(5)


def _terminate_a_child() -> None:
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    child.start()
    time.sleep(0.1)
    child.terminate()
    child.join()


def _signal_its_group() -> None:
    subprocess.Popen(["sleep", "600"])
    os.killpg(0, signal.SIGTERM)
    time.sleep(5)


exit_0 = once(lambda: sys.exit(0))
exit_75 = once(lambda: sys.exit(75))
exit_78 = once(lambda: sys.exit(78))
exit_143 = once(lambda: sys.exit(143))
exit_text = once(lambda: sys.exit("the licence has run out"))
exit_none = once(lambda: sys.exit())
builtin_exit = once(lambda: exit(3))
hard_0 = once(lambda: os._exit(0))
hard_2 = once(lambda: os._exit(2))
hard_75 = once(lambda: os._exit(75))
hard_78 = once(lambda: os._exit(78))
hard_143 = once(lambda: os._exit(143))
keyboard_interrupt = once(lambda: throw(KeyboardInterrupt()))
cancelled = once(lambda: throw(asyncio.CancelledError()))
generator_exit = once(lambda: throw(GeneratorExit()))
unprintable = once(lambda: throw(Unprintable()))
exits_when_printed = once(lambda: throw(ExitsWhenPrinted()))
closes_all_files = once(lambda: os.closerange(3, 256))
closes_all_files_and_fails = once(lambda: in_turn(lambda: os.closerange(0, 256), lambda: throw(ValueError("no files"))))
stops_its_process = once(lambda: os.kill(os.getpid(), signal.SIGSTOP))
closes_output = once(_close_output)
interrupts_main = once(_interrupt_main)
sigterm = once(lambda: os.kill(os.getpid(), signal.SIGTERM))
sigint = once(lambda: in_turn(lambda: os.kill(os.getpid(), signal.SIGINT), lambda: time.sleep(5)))
sighup = once(lambda: os.kill(os.getpid(), signal.SIGHUP))
sigusr1 = once(lambda: os.kill(os.getpid(), signal.SIGUSR1))
sigalrm = once(lambda: in_turn(lambda: signal.alarm(1), lambda: time.sleep(5)))
abort = once(lambda: os.abort())
segfault = once(lambda: ctypes.string_at(0))
group = once(_signal_its_group)
fork_and_exit = once(lambda: mishaps.fork_and_exit(0))
fork_and_return = once(mishaps.fork_and_return)
terminates_a_child = once(_terminate_a_child)


def leaves_threads(trial: optuna.Trial) -> float:
    threading.Thread(target=time.sleep, args=(600,)).start()
    return trial.suggest_float("x", 0, 1)


def leaves_processes(trial: optuna.Trial) -> float:
    mishaps.leave_processes()
    return trial.suggest_float("x", 0, 1)


def hangs_at_exit(trial: optuna.Trial) -> float:
    import atexit

    atexit.register(time.sleep, 600)
    return trial.suggest_float("x", 0, 1)


def asks(trial: optuna.Trial) -> float:
    """For trials that nobody tells of."""
    if trial.number < 2:
        trial.study.ask()
    return trial.suggest_float("x", 0, 1)


def stops(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", 0, 1)
    if trial.number == 1:
        trial.study.stop()
    return x
