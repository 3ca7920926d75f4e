"""A command objective that misbehaves in one of many ways, drawn by the trial's number, as habits.py does in Python."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mishaps import LONG, TOOK_LONGER, drawn, leave_a_daemon, signal_parent, signal_self

SEED = os.environ.get("ZOO_SEED", "0")


@dataclass(frozen=True)
class Habit:
    act: Callable[[Path], object]
    fails: str = ""
    """A regular expression that the trial's failure matches; none: the trial completes."""
    reports: bool = True
    """Whether the trial prints its metric afterwards."""


def main() -> None:
    habit = HABITS[habit_of(int(os.environ["TUNING_TRIAL"]))]
    habit.act(Path(os.environ["TUNING_METRICS_FILE"]))
    if habit.reports:
        print(f"loss={os.environ['TUNING_PARAM_X']}", flush=True)


def habit_of(number: int) -> str:
    return drawn(number, HABITS, SEED)


def _ignore(*numbers: signal.Signals) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
    time.sleep(LONG)


def _chain() -> None:
    """Each process starts the next and ends, for two seconds."""
    until = time.monotonic() + 2
    if os.fork() == 0:
        while time.monotonic() < until:
            if os.fork():
                os._exit(0)
            time.sleep(0.02)
        os._exit(0)


def _train_on_in_the_background() -> None:
    if os.fork() == 0:
        time.sleep(5)
        print("loss=0.5", flush=True)
        os._exit(0)


def _flood(line: bytes, size: int) -> None:
    for _ in range(size // len(line)):
        os.write(1, line)


def _write(text: str | bytes) -> Callable[[Path], object]:
    return lambda file: file.write_bytes(text if isinstance(text, bytes) else text.encode())


def _write_and_close_output(file: Path) -> None:
    file.write_text('{"loss": 1}')
    os.closerange(0, 64)


def _replace(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def act(file: Path) -> None:
        file.unlink()
        make(file)

    return act


def _move_into_place(file: Path) -> None:
    new = file.with_suffix(".new")
    new.write_text(json.dumps({"loss": 0.5}, indent=2))
    new.replace(file)


def _fifo_with_a_writer(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)
    os.open(file, os.O_RDWR)
    time.sleep(1)


def _sparse(file: Path) -> None:
    with file.open("wb") as opened:
        opened.truncate(40 * 2**20)


def _unreadable_folders(file: Path) -> None:
    for folder in (file.parent, Path(os.environ["TUNING_CHECKPOINT_DIR"])):
        inner = folder / "a" / "b"
        inner.mkdir(parents=True)
        (inner / "file").write_text("x")
        inner.chmod(0)
        (folder / "a").chmod(0o500)


def _deep_folders(_: Path) -> None:
    os.chdir(os.environ["TUNING_CHECKPOINT_DIR"])
    for _level in range(300):
        os.mkdir("d")
        os.chdir("d")


def _report_steps(file: Path) -> None:
    with file.open("a") as opened:
        for step in (0, 5, 2, 5, -1, 2**40, "x", True, None):
            opened.write(json.dumps({"loss": 0.5, "step": step}) + "\n")


def _remove_folders(*variables: str) -> None:
    for variable in variables:
        path = Path(os.environ[variable])
        shutil.rmtree(path if path.is_dir() else path.parent)


BY_SIGNAL = "the command was ended by {}"

HABITS: Mapping[str, Habit] = {
    "nothing": Habit(lambda _: None),
    # ends
    **{
        f"exit {code}": Habit(lambda _, code=code: sys.exit(code), f"the command exited with code {code}")  # type: ignore[misc]
        for code in (1, 75, 78, 143, 255)
    },
    "exit 0": Habit(lambda _: sys.exit(0), "did not report loss"),
    "SIGTERM": Habit(lambda _: signal_self(signal.SIGTERM, LONG), BY_SIGNAL.format("SIGTERM")),
    "SIGKILL": Habit(lambda _: signal_self(signal.SIGKILL, LONG), BY_SIGNAL.format("SIGKILL")),
    "real-time signal": Habit(lambda _: os.kill(os.getpid(), signal.SIGRTMIN + 3), "the command was ended by"),
    "abort": Habit(lambda _: os.abort(), BY_SIGNAL.format("SIGABRT")),
    "SIGTERM to its group": Habit(lambda _: os.killpg(0, signal.SIGTERM), BY_SIGNAL.format("SIGTERM")),
    "SIGTERM to its parent": Habit(lambda _: signal_parent(signal.SIGTERM, 1), "ended its process by SIGTERM"),
    "SIGKILL to its parent": Habit(lambda _: signal_parent(signal.SIGKILL, 1), "its worker went away 3 times"),
    "SIGSTOP to its parent": Habit(lambda _: signal_parent(signal.SIGSTOP, 1)),
    "SIGUSR1 to its parent": Habit(lambda _: signal_parent(signal.SIGUSR1, 1)),
    # hangs
    "sleep": Habit(lambda _: time.sleep(LONG), TOOK_LONGER),
    "SIGTERM ignored": Habit(lambda _: _ignore(signal.SIGTERM, signal.SIGINT), TOOK_LONGER),
    "SIGSTOP": Habit(lambda _: signal_self(signal.SIGSTOP, LONG), TOOK_LONGER),
    "waits for a child": Habit(lambda _: subprocess.run(["sleep", str(LONG)], check=False), TOOK_LONGER),
    # leaves things behind
    "child": Habit(lambda _: subprocess.Popen(["sleep", str(LONG)])),
    "daemon": Habit(lambda _: leave_a_daemon()),
    "daemon that ignores SIGTERM": Habit(lambda _: leave_a_daemon(ignores_sigterm=True)),
    "daemon without output": Habit(lambda _: leave_a_daemon(holds_output=False)),
    "chain": Habit(lambda _: _chain()),
    "background": Habit(
        lambda _: _train_on_in_the_background(), "ended while python.* still ran|did not report loss", reports=False
    ),
    # output
    "flood": Habit(lambda _: _flood(b"x" * 99 + b"\n", 2_000_000)),
    "one long line": Habit(lambda _: _flood(b"x" * 100_000, 10_000_000), "did not report loss"),
    "progress bar": Habit(lambda _: _flood(b"50%|#####     | \x1b[A\r", 1_000_000)),
    "binary": Habit(lambda _: os.write(1, bytes(range(256)) + b"\n")),
    "no newline": Habit(lambda _: os.write(1, b"loss=0.5"), reports=False),
    "closed output": Habit(_write_and_close_output, reports=False),
    "words": Habit(lambda _: print("the loss is about a half"), "did not report loss", reports=False),
    "nan": Habit(lambda _: print("loss=nan"), "loss is NaN", reports=False),
    "huge number": Habit(lambda _: print(f"loss={'9' * 5000}"), reports=False),
    # files
    "indented": Habit(_write('{\n  "loss": 0.5\n}'), reports=False),
    "moved": Habit(_move_into_place, reports=False),
    "garbage": Habit(_write(os.urandom(500_000))),
    "brackets": Habit(_write("[" * 200_000)),
    "zeros": Habit(_sparse),
    "null": Habit(_write('{"loss": null}'), "loss is null, not a number", reports=False),
    "removed": Habit(lambda file: file.unlink()),
    "folder": Habit(_replace(lambda file: file.mkdir())),
    "pipe": Habit(_replace(os.mkfifo)),
    "pipe with a writer": Habit(_fifo_with_a_writer),
    "endless": Habit(_replace(lambda file: file.symlink_to("/dev/zero"))),
    "its own link": Habit(_replace(lambda file: file.symlink_to(file))),
    "steps": Habit(_report_steps),
    "its folder removed": Habit(lambda _: _remove_folders("TUNING_METRICS_FILE")),
    "its checkpoints removed": Habit(lambda _: _remove_folders("TUNING_CHECKPOINT_DIR")),
    "unreadable folders": Habit(_unreadable_folders),
    "deep folders": Habit(_deep_folders),
}

if __name__ == "__main__":
    main()
