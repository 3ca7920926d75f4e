"""Studies of one folder that learn from each other, and `tuning recommend`, which says what they would learn."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import tuning
from builders import make_study, real
from tuning_study.attributes import KNOWN_ATTRIBUTE, POINT_ATTRIBUTE

Object = dict[str, Any]


def svm(name: str, **fields: Any) -> Object:
    spec: Object = {
        "metrics": [{"name": "accuracy", "direction": "Maximize"}],
        "parameters": [real("C", 1e-3, 1e3, scale="Log")],
        "objective": {
            "sklearn": {
                "steps": [{"class": "sklearn.preprocessing.StandardScaler"}, {"class": "sklearn.svm.SVC"}],
                "dataset": {"load": name},
                "crossValidation": {"folds": 2},
            }
        },
        "budget": {"trials": 6},
        "workers": {"replicas": 1},
        "warmStart": {"portfolio": "None"},
    }
    return make_study(name.replace("_", "-"), **(spec | fields))


class Folder:
    """One in which studies run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def tune(self, command: str, *arguments: Object | str, code: int = 0) -> str:
        """What a command prints; an argument that is a manifest becomes a file."""
        words = [self._file(argument) if isinstance(argument, dict) else argument for argument in arguments]
        program = [sys.executable, "-m", "tuning_cli.app", command, *words]
        ended = subprocess.run(program, cwd=self.path, capture_output=True, text=True, timeout=120)
        assert ended.returncode == code, ended.stderr
        return ended.stdout if code == 0 else ended.stderr

    def _file(self, manifest: Object) -> str:
        with (self.path / "study.yaml").open("w") as stream:
            YAML().dump(manifest, stream)
        return "study.yaml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Where wine and iris were tuned."""
    path = tmp_path_factory.mktemp("history")
    path.chmod(0o755)
    made = Folder(path)
    for name in ("wine", "iris"):
        made.tune("run", svm(name))
    return made


def test_a_study_with_history_tries_what_was_recommended_and_tells_it(folder: Folder) -> None:
    study = svm("breast_cancer", warmStart={"portfolio": "None", "history": {}})
    recommended = json.loads(folder.tune("recommend", study, "-o", "json"))
    assert {each["name"] for each in recommended["neighbours"]} == {"wine", "iris"}
    assert len(recommended["suggestions"]) == 2

    printed = folder.tune("run", study)
    assert "known before, and tried first" in printed
    assert "best of wine, whose data are" in printed
    found = tuning.load("breast-cancer", folder=folder.path / ".tuning").optuna
    tried = [trial.system_attrs.get(POINT_ATTRIBUTE) for trial in found.trials[:3]]
    kept = found.user_attrs[KNOWN_ATTRIBUTE]["suggestions"]
    assert tried == [*(each["point"] for each in recommended["suggestions"]), None]
    assert kept == recommended["suggestions"]


def test_a_recommendation_is_what_a_run_would_try_and_says_what_history_would_add(folder: Folder) -> None:
    asked = {"portfolio": "None", "points": [{"C": 1e9}], "studies": [{"name": "wine", "top": 1}]}
    found = json.loads(folder.tune("recommend", svm("digits", warmStart=asked), "-o", "json"))
    assert [each["reason"] for each in found["suggestions"]] == ["given in warmStart"] * 2
    assert found["suggestions"][0]["point"] == {"C": 1000.0}
    assert len(found["with_history"]) > 2
    built_in = json.loads(folder.tune("recommend", svm("digits", warmStart={"portfolio": "BuiltIn"}), "-o", "json"))
    assert built_in["suggestions"][0]["reason"] == "number 1 of the built-in portfolio"


def test_a_recommendation_says_why_and_runs_nothing(folder: Folder) -> None:
    told = folder.tune("recommend", svm("digits"))
    assert told.startswith("digits: SVC on 1797 rows, 64 columns, 10 classes\n")
    assert "EARLIER STUDY" in told
    assert "digits" not in folder.tune("list", "--local")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (make_study("code"), "code: only the data of an sklearn objective can be compared"),
        (svm("digts"), "scikit-learn has no data set 'digts'"),
        (svm("digits", warmStart={"studies": [{"name": "wines"}]}), "no study wines in this namespace's store; it has"),
    ],
    ids=["no data", "wrong data", "no such study"],
)
def test_what_cannot_be_compared_is_said(folder: Folder, manifest: Object, message: str) -> None:
    assert message in folder.tune("recommend", manifest, code=2 if "code:" in message else 1)


def test_a_run_that_names_a_study_that_is_not_here_says_which_are(folder: Folder) -> None:
    told = folder.tune("run", svm("digits", warmStart={"studies": [{"name": "wines"}]}), code=2)
    assert "warmStart.studies: no study wines in this namespace's store; it has" in told


def test_where_no_study_has_run_nothing_is_known(tmp_path: Path) -> None:
    assert "nothing is known of SVC here" in Folder(tmp_path).tune("recommend", svm("wine"))
    assert not (tmp_path / ".tuning").exists()
