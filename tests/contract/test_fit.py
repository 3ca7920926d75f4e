"""`tuning fit`: from a study of a table to a model that predicts, and a card that says what it is."""

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import joblib
import numpy
import pandas
import pytest
from ruamel.yaml import YAML
from sklearn.datasets import load_iris

import tuning
from builders import make_round
from tuning_worker.fit import CannotSend, read_request, send

STUDY = """\
apiVersion: tuning.dev/v1alpha1
kind: TuningStudy
metadata: {name: flowers}
spec:
  metrics: [{name: accuracy, direction: Maximize}, {name: fitSeconds}]
  parameters: [{name: C, type: Float, min: 0.1, max: 10, scale: Log}]
  objective:
    sklearn:
      steps: [{class: sklearn.preprocessing.StandardScaler}, {class: sklearn.linear_model.LogisticRegression}]
      dataset: {csv: {path: flowers.csv, target: species}}
  budget: {trials: 4}
  workers: {replicas: 2}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a study of a table has run, started from the folder above."""
    above = tmp_path_factory.mktemp("fit")
    above.chmod(0o755)
    (above / "studies").mkdir()
    flowers = load_iris(as_frame=True)
    flowers.frame.rename(columns={"target": "species"}).to_csv(above / "studies/flowers.csv", index=False)
    (above / "studies/flowers.yaml").write_text(STUDY)
    assert command(above, "run", "studies/flowers.yaml").returncode == 0
    return above


def command(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    program = [sys.executable, "-m", "tuning_cli.app", *arguments]
    return subprocess.run(program, cwd=folder, capture_output=True, text=True, timeout=120)


def test_the_best_model_predicts_and_its_card_says_what_it_is(folder: Path) -> None:
    told = command(folder, "fit", "--local", "-o", "best.joblib")
    assert told.stdout == "best.joblib: described in best.md\n", told.stderr
    flowers = pandas.read_csv(folder / "studies/flowers.csv")
    model = joblib.load(folder / "best.joblib")
    assert numpy.mean(model.predict(flowers.drop(columns="species")) == flowers["species"]) > 0.9
    card = (folder / "best.md").read_text()
    for want in (
        "# flowers",
        "all 150 rows and 4 columns",
        'joblib.load("best.joblib")',
        "- C: ",
        "flowers.csv, SHA-256",
        "- scikit-learn ",
        "- joblib ",
    ):
        assert want in card
    for other in ("xgboost", "lightgbm", "catboost", "optuna"):
        assert other not in card, "the model needs none of it"
    (accuracy,) = [line for line in card.splitlines() if line.startswith("| accuracy |")]
    low, high = accuracy.split("|")[3].split(" to ")
    assert 0.8 < float(low) < float(accuracy.split("|")[2]) < float(high)


def test_another_trial_on_other_data(folder: Path) -> None:
    pandas.read_csv(folder / "studies/flowers.csv").head(120).to_csv(folder / "newer.csv", index=False)
    told = command(folder, "fit", "--local", "--trial", "0", "--data", "newer.csv", "--out", "first.joblib")
    assert told.returncode == 0, told.stderr
    assert "The pipeline of trial 0, round 1, fitted on all 120 rows" in (folder / "first.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--trial", "99"], "trial 99 is not complete"),
        (["--data", "none.csv"], "--data: there is no"),
        (["--data", "studies/flowers.yaml"], "the model cannot be fitted: dataset: "),
        (["--trial", "0", "--pareto"], "--trial and --pareto name different trials"),
        (["--to", "pvc://models/model.joblib"], "--to is for studies of a cluster: write the model"),
    ],
)
def test_what_cannot_be_fitted_is_told(folder: Path, arguments: list[str], said: str) -> None:
    assert said in command(folder, "fit", "--local", *arguments).stderr


def test_of_several_objectives_somebody_says_which_trial(folder: Path) -> None:
    document = YAML(typ="safe").load(STUDY)
    document["metadata"]["name"] = "tradeoff"
    document["spec"]["metrics"][1]["direction"] = "Minimize"
    document["spec"]["budget"] = {"trials": 8}
    (folder / "studies/tradeoff.yaml").write_text(json.dumps(document))
    assert command(folder, "run", "studies/tradeoff.yaml").returncode == 0
    front = json.loads(command(folder, "pareto", "tradeoff", "--local", "-o", "json").stdout)
    numbers = sorted(trial["trial"] for trial in front)
    told = command(folder, "fit", "tradeoff", "--local", "--pareto", "--out", "each.joblib")
    assert told.returncode == 0, told.stderr
    assert sorted(path.name for path in folder.glob("each-*.joblib")) == sorted(f"each-{n}.joblib" for n in numbers)
    assert f"The pipeline of trial {numbers[0]}," in (folder / f"each-{numbers[0]}.md").read_text()
    if len(numbers) > 1:
        refused = command(folder, "fit", "tradeoff", "--local").stderr
        assert "accuracy and fitSeconds are all objectives" in refused
        assert "--trial" in refused and "--pareto" in refused


class Store(http.server.BaseHTTPRequestHandler):
    """Takes what is put, as an object store does by a signed URL."""

    bodies: ClassVar[dict[str, bytes]] = {}

    def do_PUT(self) -> None:
        self.bodies[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(403 if "forbidden" in self.path else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def store() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_model_is_sent_to_a_url(tmp_path: Path, store: str) -> None:
    (tmp_path / "model").write_bytes(b"weights" * 1000)
    send(tmp_path / "model", f"{store}/models/m.joblib?signature=1")
    assert Store.bodies["/models/m.joblib?signature=1"] == b"weights" * 1000


def test_what_cannot_be_sent_is_told_without_the_signature(tmp_path: Path, store: str) -> None:
    (tmp_path / "model").touch()
    with pytest.raises(CannotSend, match="/forbidden: the model cannot be sent: HTTP Error 403") as caught:
        send(tmp_path / "model", f"{store}/forbidden?signature=secret")
    assert "secret" not in str(caught.value)
    with pytest.raises(CannotSend, match=r"s3://m/x: this image cannot write there .*add fsspec"):
        send(tmp_path / "model", "s3://m/x")


def test_in_a_job_the_request_stands_in_the_environment(tmp_path: Path) -> None:
    (tmp_path / "round.json").write_text(json.dumps(make_round().manifest()))
    given = {"trial": 3, "parameters": {}, "running_means": [], "out": "m.joblib"}
    request = read_request({"TUNING_FIT_REQUEST": json.dumps(given), "TUNING_ROUND_FILE": str(tmp_path / "round.json")})
    assert (request.trial, request.round.name) == (3, "digits")


CLIP = """\
from sklearn.base import BaseEstimator, TransformerMixin

class Clip(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self
    def transform(self, X):
        return X.clip(0, 5)
    def __sklearn_is_fitted__(self):
        return True
"""


def test_a_study_may_be_moved_with_its_data_and_the_classes_of_its_pipeline(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    load_iris(as_frame=True).frame.rename(columns={"target": "species"}).to_csv(before / "flowers.csv", index=False)
    (before / "clipping.py").write_text(CLIP)
    (before / "study.yaml").write_text(STUDY.replace("sklearn.preprocessing.StandardScaler", "clipping.Clip"))
    assert command(before, "run", "study.yaml").returncode == 0
    before.rename(after)

    told = command(after, "fit", "--local")
    assert told.returncode == 0, told.stderr
    assert (
        "Its classes are in `clipping`: have that beside the program that loads it." in (after / "model.md").read_text()
    )


def test_data_of_another_place_serve_a_study_whose_folder_is_gone(tmp_path: Path) -> None:
    place = tmp_path / "studies"
    place.mkdir()
    load_iris(as_frame=True).frame.rename(columns={"target": "species"}).to_csv(place / "flowers.csv", index=False)
    (place / "study.yaml").write_text(STUDY)
    where = ("--storage", "sqlite:///study.db")
    assert command(tmp_path, "run", "studies/study.yaml", *where).returncode == 0
    (place / "flowers.csv").rename(tmp_path / "flowers.csv")
    (place / "study.yaml").unlink()
    place.rmdir()

    assert f"{place}, which the manifest's paths count from, is gone" in command(tmp_path, "fit", *where).stderr
    told = command(tmp_path, "fit", "--data", "flowers.csv", *where)
    assert told.returncode == 0, told.stderr


def test_a_study_without_a_pipeline(tmp_path: Path) -> None:
    def objective(params: dict[str, float]) -> float:
        return params["x"]

    study = tuning.tune(
        objective, parameters={"x": (0.0, 1.0)}, trials=1, workers=1, storage=f"sqlite:///{tmp_path}/s.db",
        folder=tmp_path / ".tuning", progress=False,
    )  # fmt: skip
    with pytest.raises(tuning.WrongUse, match="objective has no scikit-learn pipeline to fit: give the parameters"):
        study.fit(tmp_path / "model.joblib")


def test_a_table_with_text_and_gaps_and_a_booster_that_stopped_early(tmp_path: Path) -> None:
    frame = load_iris(as_frame=True).frame.rename(columns={"target": "species"})
    frame["soil"] = numpy.where(frame["species"] == 1, "clay", "sand")
    frame.loc[::9, "petal width (cm)"] = numpy.nan
    frame.loc[::7, "species"] = 0  # or every fold would be perfect
    frame.to_csv(tmp_path / "flowers.csv", index=False)
    document = YAML(typ="safe").load(STUDY)
    document["spec"]["parameters"] = [{"name": "learning_rate", "type": "Float", "min": 0.05, "max": 0.3}]
    document["spec"]["objective"]["sklearn"] |= {
        "steps": [{"class": "sklearn.ensemble.HistGradientBoostingClassifier"}],
        "earlyStopping": {"rounds": 5},
    }
    (tmp_path / "study.yaml").write_text(json.dumps(document))
    where = ("--storage", "sqlite:///study.db")
    ran = command(tmp_path, "run", "study.yaml", *where)
    assert ran.returncode == 0, ran.stderr
    assert "\ncolumns\n  soil: categories of the model's own\n" in ran.stdout
    best = json.loads(command(tmp_path, "best", "flowers", "-o", "json", *where).stdout)
    rounds = best["attributes"]["bestIteration"]
    fitted = command(tmp_path, "fit", "flowers", "--out", "best.joblib", *where)
    assert fitted.returncode == 0, fitted.stderr
    assert joblib.load(tmp_path / "best.joblib")[-1].n_iter_ == rounds
    card = (tmp_path / "best.md").read_text()
    assert "\n- soil: categories of the model's own\n" in card
    assert f"\n- {rounds} boosting rounds, as early stopping found them\n" in card
    (accuracy,) = [line for line in card.splitlines() if line.startswith("| accuracy |")]
    low, high = accuracy.split("|")[3].split(" to ")
    assert float(low) < float(accuracy.split("|")[2]) < float(high), "of folds, not of rounds"
