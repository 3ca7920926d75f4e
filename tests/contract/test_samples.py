"""The samples that show a kind of objective run, with a small budget, as `tuning run` runs them."""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from ruamel.yaml import YAML

SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"


def run(sample: str, folder: Path, trials: int = 4) -> list[dict[str, Any]]:
    """The sample's trials, after a run of so many."""
    manifest = YAML(typ="safe").load((SAMPLES / f"{sample}.yaml").read_text())
    manifest["spec"]["budget"] = {"trials": trials, "failedTrials": 1}
    (folder / "study.yaml").write_text(json.dumps(manifest))
    for beside in (*SAMPLES.glob("*.csv"), *SAMPLES.glob("*.py")):
        shutil.copy(beside, folder)
    where = ("--storage", "sqlite:///study.sqlite")
    tuning("run", "study.yaml", *where, folder=folder)
    found: list[dict[str, Any]] = json.loads(tuning("trials", sample, *where, "-o", "json", folder=folder))
    return found


def tuning(*arguments: str, folder: Path) -> str:
    command = [sys.executable, "-m", "tuning_cli.app", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "sample", ["quickstart", "script", "steps", "table", "net", "phases", "forest", "contributions", "pruners"]
)
def test_a_sample_runs(sample: str, tmp_path: Path) -> None:
    trials = run(sample, tmp_path)
    assert [trial["state"] for trial in trials].count("Failed") == 0
    assert any(trial["metrics"] for trial in trials)


def test_the_forest_that_is_chosen_is_the_smallest_within_one_percent_of_the_best_accuracy(tmp_path: Path) -> None:
    trials = [trial for trial in run("forest", tmp_path, trials=12) if trial["feasible"]]
    where = ("--storage", "sqlite:///study.sqlite", "-o", "json")
    chosen = json.loads(tuning("best", "forest", *where, folder=tmp_path))
    least = 0.99 * max(trial["metrics"]["accuracy"] for trial in trials)
    smallest = min(t["metrics"]["modelBytes"] for t in trials if t["metrics"]["accuracy"] >= least)
    assert chosen["metrics"]["modelBytes"] == smallest
    fastest = ("pareto", "forest", "--choose", "lexicographic:latencyMs", *where)
    assert json.loads(tuning(*fastest, folder=tmp_path))["metrics"]["latencyMs"] == min(
        trial["metrics"]["latencyMs"] for trial in trials
    )


def test_a_study_with_history_learns_from_those_of_other_data_sets(tmp_path: Path) -> None:
    written = (SAMPLES / "history.yaml").read_text()
    where = ("--storage", "sqlite:///study.sqlite")
    for data in ("iris", "wine", "breast_cancer"):
        other = written.replace("name: history", f"name: {data.replace('_', '-')}").replace(
            "load: digits", f"load: {data}"
        )
        (tmp_path / "other.yaml").write_text(other)
        tuning("run", "other.yaml", *where, folder=tmp_path)
    shutil.copy(SAMPLES / "history.yaml", tmp_path)
    told = tuning("recommend", "history.yaml", *where, folder=tmp_path)
    assert told.startswith("history: SVC on 1797 rows, 64 columns, 10 classes")
    assert "with each of the 3 earlier studies in turn" in told
    assert "known before, and tried first" in tuning("run", "history.yaml", *where, folder=tmp_path)


@pytest.mark.parametrize("sample", ["customers", "xgboost", "lightgbm", "catboost"])
def test_a_booster_learns_from_a_table_with_text_and_gaps_and_stops_early(sample: str, tmp_path: Path) -> None:
    trials = run(sample, tmp_path, trials=3)
    best = max(trial["metrics"]["roc_auc"] for trial in trials)
    assert best > 0.75
    assert all(1 <= trial["attributes"]["bestIteration"] < 500 for trial in trials if trial["state"] == "Complete")


def test_status_tells_what_each_of_three_workers_contributed(tmp_path: Path) -> None:
    run("contributions", tmp_path, trials=30)
    told = tuning("status", "contributions", "--storage", "sqlite:///study.sqlite", folder=tmp_path).splitlines()
    place = told.index("workers")
    rows = [line.split() for line in told[place + 2 : place + 5]]
    assert [row[0] for row in rows] == ["worker-0", "worker-1", "worker-2"]
    assert sum(int(row[1]) for row in rows) == 30


def test_pruners_are_compared_on_a_training_loop(tmp_path: Path) -> None:
    for name in ("pruners.yaml", "pruners.py"):
        shutil.copy(SAMPLES / name, tmp_path)
    asked = ("--pruners", "None,Hyperband", "--repeats", "1", "--trials", "8", "-o", "json")
    told = json.loads(tuning("compare", "pruners.yaml", *asked, "--storage", "sqlite:///s.sqlite", folder=tmp_path))
    none, hyperband = told["results"]
    assert (none["pruned"], none["reports"], none["saved"]) == (0, 8 * 27, 0)
    assert hyperband["reports"] < 8 * 27
    assert hyperband["best"]["mean"] > 0.8


@pytest.mark.parametrize(
    ("sample", "parameters"),
    [
        ("net", {"rate": 0.3, "width": 16}),
        (
            "pruners",
            {"rate": 0.1, "momentum": 0.9, "alpha": 1e-4, "width": 16, "layers": 1, "batch": 32, "activation": "relu"},
        ),
    ],
)
def test_a_network_goes_on_with_the_epoch_at_which_its_worker_was_stopped(
    sample: str, parameters: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(Exception):
        pass

    class Trial(optuna.trial.FixedTrial):
        params = parameters
        last: int | None = 7

        def report(self, value: float, step: int) -> None:
            self.reported = step
            if step == self.last:
                raise Stopped

    monkeypatch.syspath_prepend(SAMPLES)
    monkeypatch.setenv("TUNING_SEED", "1")
    monkeypatch.setenv("TUNING_CHECKPOINT_DIR", str(tmp_path))
    module = importlib.import_module(sample)
    trial = Trial(parameters)
    with pytest.raises(Stopped):
        module.objective(trial)
    trial.last = None
    assert module.objective(trial) > 0.8
    first = module.EPOCHS - trial.user_attrs["epochsOfThisRun"]
    assert first in (7, 8), "the epoch of the last report is kept: steps count from 0 or from 1"
