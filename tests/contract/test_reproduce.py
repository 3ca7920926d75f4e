"""`tuning reproduce` as its users meet it: rounds that real workers ran, repeated by a real worker."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .test_local_run import Folder, until

SQLITE = ("--storage", "sqlite:///study.sqlite")
OBJECTIVE = """\
import os, random, time

def smooth(trial):
    x, lr = trial.suggest_float("x", -5, 5), trial.suggest_float("lr", 1e-4, 1, log=True)
    noise = random.Random(os.environ["TUNING_SEED"]).gauss(0, 0.01)
    for step in range(1, 5):
        trial.report((x - 1) ** 2 + 1 / step, step)
        if trial.should_prune():
            import optuna
            raise optuna.TrialPruned
    return (x - 1) ** 2 + lr + noise

def slow_at_first(trial):
    time.sleep(1.5 if trial.number == 0 else 0.05)
    return smooth(trial)

def careless(trial):
    return trial.suggest_float("x", 0, 1) + random.SystemRandom().random()
"""
HYPERBAND = {"type": "Hyperband", "options": {"minResource": 1, "maxResource": 4, "reductionFactor": 2}}
EAGER_TPE = {"type": "TPE", "options": {"nStartupTrials": 2}}


class Reproduced(Folder):
    """A folder with studies that have run in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "objective.py").write_text(OBJECTIVE)

    def ran(self, name: str, function: str = "smooth", *, workers: int = 1, where: Any = SQLITE, **spec: Any) -> str:
        fields = {
            "metrics": [{"name": "loss", "direction": "Minimize"}],
            "objective": {"python": {"function": f"objective:{function}"}},
            "budget": {"trials": 10},
            "seed": 42,
            "workers": {"replicas": workers},
        } | spec
        manifest = {"apiVersion": "tuning.dev/v1alpha1", "kind": "TuningStudy", "metadata": {"name": name}}
        (self.path / f"{name}.yaml").write_text(json.dumps(manifest | {"spec": fields}))
        ended = self.tuning("run", f"{name}.yaml", *where, timeout=120)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return name

    def reproduce(self, name: str, *arguments: str, where: Any = SQLITE) -> tuple[int, dict[str, Any]]:
        ended = self.tuning("reproduce", name, *arguments, *where, "-o", "json", timeout=120)
        assert ended.stdout, ended.stderr
        told: dict[str, Any] = json.loads(ended.stdout)
        return ended.returncode, told


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reproduced]:
    used = Reproduced(tmp_path_factory.mktemp("reproduce"))
    yield used
    until(lambda: not used.left_behind(), "processes were left behind")


@pytest.fixture(scope="module")
def pruned(folder: Reproduced) -> str:
    return folder.ran("pruned", strategy={"sampler": EAGER_TPE, "pruner": HYPERBAND})


def test_the_best_trial_comes_out_again_bit_for_bit(folder: Reproduced, pruned: str) -> None:
    before = folder.trials(pruned, *SQLITE)
    code, told = folder.reproduce(pruned)
    assert (code, told["equal"], told["reasons"]) == (0, True, [])
    best = min((trial for trial in before if trial["state"] == "Complete"), key=lambda trial: trial["metrics"]["loss"])
    assert told["trials"] == [best["trial"]]
    [loss] = [value for value in told["values"] if value["what"] == "loss"]
    assert loss["stored"] == loss["repeated"] == best["metrics"]["loss"]
    assert folder.trials(pruned, *SQLITE) == before, "the study's own store is as it was"


def test_a_trial_that_was_pruned_is_pruned_again_at_the_same_step(folder: Reproduced, pruned: str) -> None:
    number = next(trial["trial"] for trial in folder.trials(pruned, *SQLITE) if trial["state"] == "Pruned")
    code, told = folder.reproduce(pruned, "--trial", str(number))
    assert (code, told["equal"]) == (0, True)
    assert {"trial": number, "what": "state", "stored": "Pruned", "repeated": "Pruned", "equal": True} in told["values"]


def test_a_round_of_one_worker_comes_out_again_bit_for_bit(folder: Reproduced, pruned: str) -> None:
    code, told = folder.reproduce(pruned, "--round", "1", "--whole")
    assert (code, told["equal"], len(told["trials"])) == (0, True, len(folder.trials(pruned, *SQLITE)))


def test_so_does_one_in_the_folders_own_store_with_the_sampler_and_data_of_a_pipeline(folder: Reproduced) -> None:
    pipeline = {
        "steps": [
            {"class": "sklearn.preprocessing.StandardScaler"},
            {"class": "sklearn.linear_model.LogisticRegression"},
        ],
        "dataset": {"load": "iris"},
    }
    name = folder.ran(
        "iris",
        where=(),
        metrics=[{"name": "accuracy", "direction": "Maximize"}, {"name": "fitSeconds"}],
        objective={"sklearn": pipeline},
        parameters=[{"name": "C", "type": "Float", "min": 1e-3, "max": 1e3, "scale": "Log"}],
        budget={"trials": 6},
        verification={"top": 1, "repeats": 2},
    )
    code, told = folder.reproduce(name, "--whole", where=("--local",))
    assert (code, told["equal"], len(told["trials"])) == (0, True, 6)


@pytest.fixture(scope="module")
def shared(folder: Reproduced) -> str:
    """Which trials had ended when one of it was drawn depends on who was faster."""
    return folder.ran("shared", "slow_at_first", workers=3, strategy={"sampler": EAGER_TPE})


def test_each_trial_of_several_workers_comes_out_again(folder: Reproduced, shared: str) -> None:
    for number in ("0", "7"):
        code, told = folder.reproduce(shared, "--trial", number)
        assert (code, told["equal"]) == (0, True)


def test_the_search_of_several_workers_does_not_and_that_is_said(folder: Reproduced, shared: str) -> None:
    code, told = folder.reproduce(shared, "--whole")
    assert (code, told["equal"]) == (3, False)
    assert told["firstDifference"] is not None
    assert "3 workers took the trials" in told["reasons"][0]


def test_an_objective_that_draws_without_the_seed_is_told(folder: Reproduced) -> None:
    name = folder.ran("careless", "careless", budget={"trials": 2})
    code, told = folder.reproduce(name)
    assert (code, told["equal"]) == (3, False)
    assert "may draw numbers without the trial's seed" in told["reasons"][0]


def test_an_objective_that_has_changed_is_told(folder: Reproduced, pruned: str, tmp_path: Path) -> None:
    shutil.copytree(folder.path, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".tuning"))
    (tmp_path / "objective.py").write_text(OBJECTIVE.replace("+ lr", "+ 2 * lr"))
    code, told = folder.reproduce(pruned, "--folder", str(tmp_path))
    assert (code, told["reasons"]) == (3, ["objective.py has changed since"])


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--folder", "empty"], 1, "the objective cannot run here: .*--folder says what"),
        (["--folder", "nowhere"], 2, "--folder: there is no folder nowhere"),
        (["--round", "7"], 2, "pruned has no round 7; it has 1"),
        (["--whole", "--trial", "3"], 2, "--whole repeats all trials: leave --trial out"),
    ],
)
def test_what_cannot_be_repeated_is_told(
    folder: Reproduced, pruned: str, arguments: list[str], code: int, says: str
) -> None:
    (folder.path / "empty").mkdir(exist_ok=True)
    ended = folder.tuning("reproduce", pruned, *arguments, *SQLITE)
    assert ended.returncode == code, ended.stderr
    assert re.search(says, ended.stderr), ended.stderr
