"""What `tuning init` prints runs as it is: every model can be fitted with its space, and a few are run to the end."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tuning_client.starting import manifest
from tuning_client.starting.families import KINDS, Family, Kind, families
from tuning_client.starting.sizes import Size
from tuning_client.starting.table import look
from tuning_study.manifest import parse_yaml, read_study
from tuning_study.seeds import trial_seed
from tuning_worker.objectives.sklearn import SklearnModel

SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"
MODELS = [family for family in families().values() if family.classes]
STORE = ("--storage", "sqlite:///study.sqlite")


def tuning(*arguments: str, folder: Path) -> str:
    command = [sys.executable, "-m", "tuning_cli.app", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run(folder: Path, *arguments: str, trials: int) -> list[dict[str, Any]]:
    """The trials of a study as `tuning init` writes it, with a budget of a few."""
    tuning("init", *arguments, "-f", "study.yaml", folder=folder)
    path = folder / "study.yaml"
    text = path.read_text()
    name = parse_yaml(text)["metadata"]["name"]
    path.write_text("".join(line for line in text.splitlines(keepends=True) if not line.startswith("  budget:")))
    with path.open("a") as file:
        file.write(f"  budget: {{trials: {trials}, failedTrials: 1}}\n")
    tuning("run", "study.yaml", *STORE, folder=folder)
    found: list[dict[str, Any]] = json.loads(tuning("trials", name, *STORE, "-o", "json", folder=folder))
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", MODELS, ids=lambda family: family.name)
def test_a_worker_takes_the_study_of_every_model(family: Family, kind: Kind) -> None:
    """It builds the pipeline, reads the data, and fits settings from all corners of the space on a few rows."""
    _, _, spec = read_study(parse_yaml(manifest.write(family, kind, None, Size.QUICK, Path())))
    assert spec.objective.sklearn is not None
    SklearnModel.load(spec.objective.sklearn, spec, seed=trial_seed(1, 0, "objective"))


@pytest.mark.parametrize("family", MODELS, ids=lambda family: family.name)
@pytest.mark.parametrize(("table", "target"), [("customers.csv", "left"), ("prices.csv", "preis")])
def test_a_worker_takes_it_with_a_table_of_text_dates_and_gaps(
    family: Family, table: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(SAMPLES)
    _, _, spec = read_study(parse_yaml(manifest.write(family, None, look(Path(table), target), Size.QUICK, Path())))
    assert spec.objective.sklearn is not None
    SklearnModel.load(spec.objective.sklearn, spec, seed=1)


@pytest.mark.parametrize(
    ("arguments", "least"),
    [
        (("--estimator", "svm", "--size", "thorough"), 0.9),
        (("--estimator", "lightgbm", "--data", str(SAMPLES / "customers.csv"), "--target", "left"), 0.6),
        (("--estimator", "linear", "--data", str(SAMPLES / "prices.csv"), "--target", "preis"), 0.3),
    ],
    ids=["in phases", "classes of a table", "numbers of a table"],
)
def test_it_runs(arguments: tuple[str, ...], least: float, tmp_path: Path) -> None:
    trials = run(tmp_path, *arguments, trials=5)
    assert "Failed" not in [trial["state"] for trial in trials]
    assert max(next(iter(trial["metrics"].values()), 0) for trial in trials) > least


@pytest.mark.skipif(find_spec("torch") is None, reason="torch is large, and no part of the development environment")
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_training_loop_runs(task: str, tmp_path: Path) -> None:
    trials = run(tmp_path, "--estimator", "torch", "--task", task, trials=3)
    assert [trial["state"] for trial in trials].count("Complete") > 0
