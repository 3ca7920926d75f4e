"""`tuning compare` as its users meet it: real runs in a store of their own, interrupted, gone on with, deleted."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

STUDY = """\
apiVersion: tuning.dev/v1alpha1
kind: TuningStudy
metadata: {name: small}
spec:
  metrics: [{name: loss, direction: Minimize}]
  parameters: [{name: x, type: Float, min: 0, max: 1}]
  objective: {python: {function: "objective:FUNCTION"}}
  budget: {trials: 4}
  workers: {replicas: 1}
"""
OBJECTIVE = """\
import time
import optuna

def distance(trial):
    with open("seen.txt", "a") as file:
        file.write(f"{trial.study.study_name} {trial.number} {trial.params['x']}\\n")
    return abs(trial.params["x"] - 0.3)

def steps(trial):
    for step in range(4):
        trial.report(abs(trial.params["x"] - 0.3), step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return abs(trial.params["x"] - 0.3)

def slow(trial):
    time.sleep(0.5)
    return distance(trial)

def breaks(trial):
    raise ValueError("no such column")
"""
WHERE = ("--storage", "sqlite:///study.sqlite")
pytestmark = pytest.mark.timeout(600)  # each run starts workers, on a machine that is shared
TWO = ("--samplers", "Random,TPE")


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "objective.py").write_text(OBJECTIVE)

    def study(self, function: str) -> None:
        (self.path / "study.yaml").write_text(STUDY.replace("FUNCTION", function))

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tuning_cli.app", *arguments, *WHERE]
        return subprocess.Popen(
            command, cwd=self.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def tuning(self, *arguments: str, code: int = 0) -> str:
        """What it printed to standard output; where it ends with another code than 0, to standard error."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=240)
        assert process.returncode == code, out + err
        return out if code == 0 else err

    def compare(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.tuning("compare", "study.yaml", *arguments, "-o", "json"))
        return found

    def seen(self) -> list[str]:
        file = self.path / "seen.txt"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_samplers_get_the_same_seeds_and_budgets_and_each_run_is_a_study(folder: Folder) -> None:
    folder.study("distance")

    found = folder.compare(*TWO, "--repeats", "2")

    random, tpe = found["results"]
    assert (found["value"], found["direction"], found["trials"], found["repeats"]) == ("loss", "Minimize", 4, 2)
    assert [run["seed"] for run in random["runs"]] == [run["seed"] for run in tpe["runs"]]
    assert len({run["seed"] for run in random["runs"]}) == 2
    assert [run["trials"] for each in (random, tpe) for run in each["runs"]] == [4] * 4
    assert random["verdict"] is None
    assert tpe["verdict"] in ("better", "worse", "no difference shown")
    drawn = [line.split()[2] for line in folder.seen() if "random" in line]
    assert len(set(drawn)) == 8, "seeds draw different points"

    rows = json.loads(folder.tuning("list", "-o", "json"))
    names = [f"small-compare-{name}-{seed}" for name in ("random", "tpe") for seed in (1, 2)]
    assert [(row["name"], row["trials"]) for row in rows] == [(name, "4/4") for name in names]
    assert "small-compare-tpe-1" in folder.tuning("status", "small-compare-tpe-1")

    more = folder.compare("--samplers", "Random,TPE,'As written'", "--repeats", "2", "--trials", "5")
    assert [run["trials"] for each in more["results"] for run in each["runs"]] == [5] * 6
    assert len(folder.seen()) == 16 + 4 + 10, "what had run was gone on with"

    less = folder.compare(*TWO, "--repeats", "2")
    assert [run["trials"] for each in less["results"] for run in each["runs"]] == [4] * 4, "budgets stay equal"
    assert less["results"][0]["best"] == random["best"]
    assert len(folder.seen()) == 30

    assert "say so with --yes" in folder.tuning("delete", "small-compare-*", code=2)
    told = folder.tuning("delete", "small-compare-r*", "--yes")
    assert told == "small-compare-random-1, small-compare-random-2 are deleted\n"
    assert "no study matches small-compare-r*" in folder.tuning("delete", "small-compare-r*", "--yes", code=2)


def test_after_a_change_of_the_objective_all_runs_are_paired_anew_and_nothing_of_before_is_used(folder: Folder) -> None:
    folder.study("distance")
    folder.compare("--samplers", "Random,TPE", "--repeats", "1")
    (folder.path / "objective.py").write_text(OBJECTIVE.replace("0.3", "0.6"))

    found = folder.compare("--samplers", "Random,TPE,QMC", "--repeats", "1")

    assert len({run["seed"] for each in found["results"] for run in each["runs"]}) == 1
    first, second = (
        [line.split()[2] for line in folder.seen() if line.startswith(f"local/small-compare-random-1/r{number} ")]
        for number in (1, 2)
    )
    assert first == second, "the same seed, and no settings of the round before first"


def test_pruners_save_reports_and_the_text_says_how_to_read_it(folder: Folder) -> None:
    folder.study("steps")
    asked = ("--pruners", "None,Median", "--repeats", "1", "--trials", "12")
    told = folder.tuning("compare", "study.yaml", *asked)
    assert told.startswith("small: 2 pruners, 1 seed of 12 trials each, 1 worker; best loss, less is better\n")
    header = next(line for line in told.splitlines() if line.startswith("PRUNER"))
    assert all(word in header for word in ("LOSS [95 %]", "− NONE [95 %]", "PRUNED", "REPORTS", "SAVED", "TIME"))
    assert "One seed shows no difference" in told
    none, median = folder.compare(*asked)["results"]
    assert (none["pruned"], none["saved"], none["reports"]) == (0, 0, 48)
    assert median["pruned"] > 0
    assert median["reports"] < 48


def test_an_objective_that_reports_nothing_is_told_before_all_runs_are_made(folder: Folder) -> None:
    folder.study("distance")
    told = folder.tuning("compare", "study.yaml", "--pruners", "None,Median", code=2)
    assert "no trial of small-compare-none-1 has reported an intermediate value" in told
    assert "trial.report(value, step)" in told
    assert len(folder.seen()) == 4


def test_a_run_that_fails_ends_the_comparison_with_its_reason(folder: Folder) -> None:
    folder.study("breaks")
    told = folder.tuning("compare", "study.yaml", *TWO, code=1)
    assert "small-compare-random-1: the study failed" in told
    assert "no such column" in told


def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(folder: Folder) -> None:
    folder.study("slow")
    process = folder.start("compare", "study.yaml", *TWO, "--repeats", "2")
    deadline = time.monotonic() + 90
    while not any("-compare-tpe-2/" in line for line in folder.seen()):
        assert time.monotonic() < deadline, "no second run of TPE"
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 130, err
    assert "small: 2 samplers, 1 seed of 4 trials each" in out, "the seed that every sampler has had"
    assert "goes on from here" in err
    before = len(folder.seen())
    assert before < 16
    found = folder.compare(*TWO, "--repeats", "2")
    assert found["repeats"] == 2
    assert len(folder.seen()) == 16
