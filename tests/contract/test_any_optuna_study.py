"""Commands look at any Optuna study, also at those that this project did not make."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

import tuning as python_face
from tuning_store.urls import driver_url


def tuning(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tuning_cli.app", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=90)


def objective(trial: optuna.Trial) -> tuple[float, float]:
    x = trial.suggest_float("x", 0, 1)
    trial.suggest_categorical("kind", ["a", "b"])
    if trial.number == 3:
        raise optuna.TrialPruned
    return x, 1 - x


@pytest.fixture(params=["sqlite", "postgres", "mariadb", "journal"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of a store in which plain Optuna has made two studies."""
    if request.param == "journal":
        found = f"journal:///{tmp_path}/study.log"
        storage: optuna.storages.BaseStorage = JournalStorage(JournalFileBackend(f"{tmp_path}/study.log"))
    else:
        found = request.getfixturevalue(f"{request.param}_url")
        storage = RDBStorage(driver_url(found))
    for name in ("mine", "other"):
        study = optuna.create_study(study_name=name, storage=storage, directions=["maximize", "minimize"])
        study.optimize(objective, n_trials=6)
    yield found
    if isinstance(storage, RDBStorage):
        storage.engine.dispose()


def test_looking(url: str, tmp_path: Path) -> None:
    rows = json.loads(tuning("status", "--storage", url, "-o", "json").stdout)
    assert [(row["name"], row["state"], row["trials"]) for row in rows] == [
        ("mine", "Complete", "6/6"),
        ("other", "Complete", "6/6"),
    ]
    best = json.loads(tuning("best", "mine", "--storage", url, "-o", "json").stdout)
    assert set(best["metrics"]) == {"value0", "value1"} and set(best["parameters"]) == {"x", "kind"}
    trials = json.loads(tuning("trials", "mine", "--storage", url, "-o", "json").stdout)
    assert [trial["state"] for trial in trials].count("Complete") == 5
    report = tmp_path / "mine.html"
    assert tuning("report", "mine", "--storage", url, "--file", str(report)).returncode == 0
    assert report.stat().st_size > 10_000
    assert "give the name of one study; it holds mine, other" in tuning("best", "--storage", url).stderr


def test_looking_from_python(url: str) -> None:
    study = python_face.load("mine", storage=url)
    assert study.best_params["x"] == study.best_metrics["value0"]
    assert len(study.trials_frame()) == 6
    assert study.optuna.study_name == "mine"
    assert study.optuna is study.optuna, "it is opened once"
