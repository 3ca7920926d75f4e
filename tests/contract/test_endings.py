"""However an objective ends its process, its trial ends, the worker goes on, and the round is over: a real worker."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from optuna.trial import TrialState

from builders import make_spec, real, whole
from tuning_store import rounds, schema
from tuning_store.store import open_store
from tuning_store.values import Owner
from tuning_study.attributes import FAILURE_ATTRIBUTE
from tuning_study.budget import StopReason
from tuning_study.round import resolve
from tuning_study.worker_contract import ExitCode

ZOO = Path(__file__).parents[1] / "zoo"
_PLACE = re.compile(r" \(\w+\.py:\d+\)$")  # where in the objective's files it happened
ENDINGS = {
    "exit_0": "the objective ended its process with code 0: remove sys.exit()",
    "exit_75": "the objective ended its process with code 75: remove sys.exit()",
    "exit_78": "the objective ended its process with code 78: remove sys.exit()",
    "exit_143": "the objective ended its process with code 143: remove sys.exit()",
    "exit_none": "the objective ended its process with code 0: remove sys.exit()",
    "builtin_exit": "the objective ended its process with code 3: remove sys.exit()",
    "exit_text": "the objective ended its process: the licence has run out",
    "hard_0": "the objective ended its process with code 0: remove os._exit(), or what calls it",
    "hard_2": "the objective ended its process with code 2: remove os._exit(), or what calls it",
    "hard_75": "the objective ended its process with code 75: remove os._exit(), or what calls it",
    "hard_78": "the objective ended its process with code 78: remove os._exit(), or what calls it",
    "hard_143": "the objective ended its process with code 143: remove os._exit(), or what calls it",
    "keyboard_interrupt": "KeyboardInterrupt",
    "interrupts_main": "KeyboardInterrupt",
    "cancelled": "CancelledError",
    "generator_exit": "GeneratorExit",
    "unprintable": "Unprintable, whose text cannot be shown",
    "exits_when_printed": "ExitsWhenPrinted, whose text cannot be shown",
    "closes_all_files": "the objective closed files that are not its own: remove os.closerange(), or what calls it",
    "closes_all_files_and_fails": (
        "the objective closed files that are not its own: remove os.closerange(), or what calls it"
    ),
    "closes_output": "ValueError: the output is closed",
    "sigterm": "the objective ended its process by SIGTERM",
    "sigint": "KeyboardInterrupt",
    "sighup": "the objective ended its process by SIGHUP",
    "sigalrm": "the objective ended its process by SIGALRM",
    "abort": "the objective ended its process by SIGABRT",
    "segfault": "the objective ended its process by SIGSEGV",
    "group": "the objective ended its process by SIGTERM",
}
HARMLESS = (
    "stops_its_process",
    "asks",
    "sigusr1",
    "fork_and_exit",
    "fork_and_return",
    "terminates_a_child",
)
LEAVERS = ("leaves_threads", "leaves_processes", "hangs_at_exit")


@dataclass(frozen=True)
class Ending:
    """How a worker's round ended, and each of its trials."""

    code: int
    over: StopReason | None
    detail: str | None
    states: dict[int, TrialState]
    reasons: dict[int, str]
    seconds: dict[int, float]
    """That each trial took."""
    log: str


@dataclass(frozen=True)
class Zoo:
    folder: Path

    @property
    def temporary(self) -> Path:
        return self.folder / "temporary"

    def run(self, function: str, module: str = "endings") -> Ending:
        """One worker with a python objective, until it ends by itself; it may leave no process behind."""
        return self.run_objective({"python": {"function": f"{module}:{function}"}})

    def run_objective(
        self, objective: dict[str, Any], *, sampler: str = "Random", parameters: Any = None, **budget: Any
    ) -> Ending:
        url = f"sqlite:///{self.folder}/zoo.sqlite"
        schema.create(url)
        spec = make_spec(
            objective=objective,
            budget={"trials": 4, "failFast": 0, "failedTrials": 3} | budget,
            strategy={"sampler": {"type": sampler}},
            parameters=parameters or (None if "python" in objective else [real()]),
        )
        resolved = resolve(spec, namespace="zoo", name="zoo", uid="1", number=1, versions={})
        store = open_store(url)
        rounds.start(store, resolved, digest="", budget=spec.budget, owner=Owner("zoo"), points=[])
        (self.folder / "round.json").write_text(json.dumps(resolved.manifest()))
        worker = subprocess.run(
            [sys.executable, "-m", "tuning_worker"],
            env=os.environ
            | {
                "TUNING_ROUND_FILE": str(self.folder / "round.json"),
                "TUNING_STORE_URL": url,
                "TUNING_WORKER": "worker-0",
                "TUNING_CODE_DIR": str(self.folder),
                "TUNING_CHECKPOINT_ROOT": str(self.folder / "checkpoints"),
                "TUNING_ARTIFACTS_ROOT": str(self.folder / "artifacts"),
                "TMPDIR": str(self.temporary),
                "ZOO": str(self.folder),
            },
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            timeout=60,
        )
        progress = store.readings.progress()[resolved.study]
        trials = store.load_study(resolved.study).trials
        store.close()
        return Ending(
            worker.returncode,
            progress.stop_reason,
            progress.detail,
            {trial.number: trial.state for trial in trials},
            {t.number: t.user_attrs[FAILURE_ATTRIBUTE] for t in trials if FAILURE_ATTRIBUTE in t.user_attrs},
            {trial.number: trial.duration.total_seconds() for trial in trials if trial.duration is not None},
            worker.stdout,
        )

    def left_behind(self) -> list[str]:
        return [
            " ".join(process.info["cmdline"] or [])
            for process in psutil.process_iter(["environ", "cmdline", "status"])
            if (process.info["environ"] or {}).get("ZOO") == str(self.folder)
            and process.info["status"] != psutil.STATUS_ZOMBIE
        ]


@pytest.fixture
def zoo(tmp_path: Path) -> Zoo:
    for name in ("endings.py", "mishaps.py"):
        (tmp_path / name).write_text((ZOO / name).read_text())
    made = Zoo(tmp_path)
    made.temporary.mkdir()
    return made


@pytest.mark.parametrize("function", ENDINGS)
def test_an_end_that_the_worker_did_not_decide_fails_its_trial_and_no_other(zoo: Zoo, function: str) -> None:
    ending = zoo.run(function)
    assert (ending.code, ending.over) == (ExitCode.DONE, StopReason.BUDGET_USED), ending.log
    assert {number: _PLACE.sub("", reason) for number, reason in ending.reasons.items()} == {1: ENDINGS[function]}
    assert ending.states == {number: TrialState.FAIL if number == 1 else TrialState.COMPLETE for number in range(5)}, (
        ending.log
    )
    assert zoo.left_behind() == []


@pytest.mark.parametrize("function", [*HARMLESS, *LEAVERS])
def test_what_does_no_harm_in_plain_optuna_does_none_here(zoo: Zoo, function: str) -> None:
    began = time.monotonic()
    ending = zoo.run(function)
    assert (ending.code, ending.over) == (ExitCode.DONE, StopReason.BUDGET_USED), ending.log
    assert ending.states == dict.fromkeys(range(4), TrialState.COMPLETE), ending.log
    assert zoo.left_behind() == []
    assert time.monotonic() - began < 30


def test_objectives_that_always_end_their_process_end_the_round(zoo: Zoo) -> None:
    (zoo.folder / "always.py").write_text("import os\n\ndef objective(trial):\n    os._exit(0)\n")
    ending = zoo.run("objective", module="always")
    assert (ending.code, ending.over) == (ExitCode.DONE, StopReason.TOO_MANY_FAILURES)
    assert len(ending.reasons) == 3 == len(ending.states)


def test_a_trial_whose_process_is_killed_is_tried_again_and_fails_the_third_time(zoo: Zoo) -> None:
    code = "import os, signal\n\ndef objective(trial):\n    if trial.number == 1:\n        os.kill(os.getpid(), 9)\n"
    (zoo.folder / "killed.py").write_text(f"{code}    return 0.5\n")
    ending = zoo.run("objective", module="killed")
    assert (ending.over, ending.reasons) == (StopReason.BUDGET_USED, {1: "its worker went away 3 times"}), ending.log


def test_files_that_trials_leave_open_fail_one_trial_and_not_all_that_follow(zoo: Zoo) -> None:
    code = """
import os, resource
kept = []
def objective(trial):
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    kept.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(35))
    return 0.5
"""
    (zoo.folder / "leaks.py").write_text(code)
    ending = zoo.run("objective", module="leaks")
    assert ending.over is StopReason.BUDGET_USED, ending.log
    assert len(ending.reasons) < 3
    assert ending.reasons and all("open files" in reason for reason in ending.reasons.values()), ending.reasons


@pytest.mark.parametrize("disposition", ["SIG_DFL", "SIG_IGN"])
def test_a_trial_that_takes_the_signal_of_its_interruption_is_ended_for_its_time(zoo: Zoo, disposition: str) -> None:
    code = f"""
import signal, time
def objective(trial):
    if trial.number == 1:
        signal.signal(signal.SIGUSR1, signal.{disposition})
        time.sleep(600)
    return 0.5
"""
    (zoo.folder / "takes.py").write_text(code)
    ending = zoo.run_objective({"python": {"function": "takes:objective"}}, trialDuration="1s")
    assert (ending.over, ending.reasons) == (
        StopReason.BUDGET_USED,
        {1: "took longer than budget.trialDuration (0:00:01)"},
    ), ending.log
    assert ending.seconds[1] < 14, "nobody waits for what cannot react"


@pytest.mark.parametrize(
    ("number", "reason"),
    [("TERM", "the objective ended its process by SIGTERM"), ("KILL", "its worker went away 3 times")],
)
def test_a_command_that_ends_its_worker_leaves_no_folder_of_its_trial(zoo: Zoo, number: str, reason: str) -> None:
    """Also when it was killed until it failed, so that nobody of its own was there at its end."""
    leave = "echo > $TUNING_CHECKPOINT_DIR/model; echo > $TUNING_ARTIFACTS_DIR/model"
    script = f"{leave}; [ $TUNING_TRIAL != 1 ] || kill -{number} $PPID; echo accuracy=0.5"
    ending = zoo.run_objective({"command": {"command": ["sh", "-c", script]}})
    assert (ending.over, ending.reasons) == (StopReason.BUDGET_USED, {1: reason}), ending.log
    assert list(zoo.temporary.iterdir()) == []
    assert [path for root in ("checkpoints", "artifacts") for path in (zoo.folder / root).rglob("trial-1")] == []


def test_a_trial_that_stops_the_study_is_its_last(zoo: Zoo) -> None:
    ending = zoo.run("stops")
    assert (ending.code, ending.over) == (ExitCode.DONE, StopReason.STOPPED_BY_OBJECTIVE), ending.log
    assert ending.states == dict.fromkeys((0, 1), TrialState.COMPLETE)
    assert ending.detail == "trial 1 called study.stop()"


def test_a_grid_with_a_point_that_fails_ends_when_each_was_tried(zoo: Zoo) -> None:
    (zoo.folder / "pointed.py").write_text("def objective(trial):\n    return 1 / (trial.params['n'] - 3)\n")
    objective = {"python": {"function": "pointed:objective"}}
    ending = zoo.run_objective(objective, sampler="Grid", parameters=[whole("n", 1, 4)], failedTrials=20)
    assert (ending.code, ending.over) == (ExitCode.DONE, StopReason.GRID_WALKED), ending.log
    assert sorted(state.name for state in ending.states.values()) == ["COMPLETE"] * 3 + ["FAIL"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('import sys; sys.exit("no GPU")', "SystemExit: no GPU"),
        ("import sys; sys.exit()", 'put what runs it under `if __name__ == "__main__":`'),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import os; os._exit(0)", "the objective ended its process with code 0"),
        ("import os; os._exit(143)", "the objective ended its process with code 143"),
        ("import os; os.abort()", "the objective ended its process by SIGABRT"),
        ("def f(:", "SyntaxError"),
        ("raise ValueError('no data')", 'imported.py", line 1'),
        ("import nowhere", "No module named 'nowhere'"),
    ],
)
def test_an_end_at_import_is_a_rejected_objective(zoo: Zoo, line: str, told: str) -> None:
    (zoo.folder / "imported.py").write_text(f"{line}\n\ndef objective(trial):\n    return 0.0\n")
    ending = zoo.run("objective", module="imported")
    assert (ending.code, ending.over, ending.states) == (ExitCode.REJECTED, StopReason.REJECTED, {}), ending.log
    assert told in (ending.detail or "")


# --- the supervisor, with a process of another kind

SAYS = """
import ctypes, os, signal, socket, threading, time
from tuning_worker.supervision import Stage, SupervisorLink
supervisor = SupervisorLink.from_environment()
hang = lambda: ctypes.PyDLL(None).sleep(600)  # keeps the interpreter's lock: no other thread runs
"""


@contextmanager
def supervised(script: str) -> Iterator["subprocess.Popen[str]"]:
    """A supervisor whose process runs `script`, and is told what the one before it died of."""
    command = [sys.executable, "-c", f"{SAYS}{script}"]
    run = f"import sys; from tuning_worker.supervisor import supervise; sys.exit(supervise({command!r}))"
    with subprocess.Popen([sys.executable, "-c", run], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_trial_in_native_code_that_lets_no_thread_run_is_ended_at_its_limit() -> None:
    script = """
if predecessor := os.environ.get("TUNING_PREDECESSOR"):
    print(predecessor, flush=True)
    supervisor.decided(0)
    os._exit(0)
supervisor.reached(Stage.TRIAL)
supervisor.trial_begins(0.2, "took longer than budget.trialDuration (0:00:01)")
hang()
"""
    with supervised(script) as process:
        told, _ = process.communicate(timeout=30)
    assert process.returncode == ExitCode.DONE
    reason = "took longer than budget.trialDuration (0:00:01)"
    assert json.loads(told) == {"stage": "trial", "reason": reason, "killed": False}


def test_a_trial_that_has_ended_is_not_ended_again() -> None:
    script = """
supervisor.reached(Stage.TRIAL)
supervisor.trial_begins(0.2, "took longer")
supervisor.trial_ended()
threading.Event().wait(0.5)
supervisor.decided(0)
"""
    with supervised(script) as process:
        assert process.wait(30) == ExitCode.DONE


@pytest.mark.parametrize("hang", ["hang()", "os.closerange(3, 256); time.sleep(600)"])
def test_a_process_that_hears_of_nothing_is_ended_when_its_supervisor_must_stop(hang: str) -> None:
    with supervised(f"supervisor.stops_within(0.2)\nprint('there', flush=True)\n{hang}") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        process.terminate()
        assert process.wait(30) == ExitCode.STOPPED
