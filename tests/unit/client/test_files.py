"""The files that an objective is made of."""

from pathlib import Path
from typing import Any

import pytest

from tuning_client.local.files import changed, digests
from tuning_client.studyfile import StudyFile
from tuning_study.api.spec import TuningStudySpec


def names(folder: Path, objective: dict[str, Any], code: dict[str, bytes] | None = None) -> list[str]:
    return list(digests(study(folder, objective, code)))


def study(folder: Path, objective: dict[str, Any], code: dict[str, bytes] | None = None) -> StudyFile:
    spec = {
        "metrics": [{"name": "loss", "direction": "Minimize"}],
        "objective": objective,
        "parameters": [{"name": "x", "type": "Float", "min": 0, "max": 1}],
        "budget": {"trials": 1},
    }
    return StudyFile(folder / "study.yaml", "s", TuningStudySpec.model_validate(spec), code or {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text("import json\nimport model\nfrom parts import layers\n")
    (tmp_path / "model.py").write_text("import data\n")
    (tmp_path / "data.py").write_text("")
    (tmp_path / "unused.py").write_text("")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("")
    (tmp_path / "parts" / "layers.py").write_text("")
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "run.sh").write_text("echo")
    (tmp_path / "out.json").write_text("{}")
    (tmp_path / "conf.yaml").write_text("")
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    return tmp_path


IMPORTED = ["data.py", "model.py", "parts/__init__.py", "parts/layers.py", "train.py"]


@pytest.mark.parametrize(
    ("objective", "want"),
    [
        ({"command": {"command": ["python", "train.py"], "args": ["--x={x}"]}}, IMPORTED),
        ({"command": {"command": ["./run.sh"], "args": ["--config=conf.yaml", "{x}"]}}, ["conf.yaml", "run.sh"]),
        ({"command": {"command": ["./run.sh"], "args": ["--out", "out.json", "x" * 500]}}, ["run.sh"]),
        ({"command": {"command": ["python", "broken.py"]}}, ["broken.py"]),
        ({"command": {"command": ["python", "-c", "print(1)"]}}, []),
        ({"python": {"function": "train:objective"}}, IMPORTED),
        ({"python": {"function": "parts.layers:objective"}}, ["parts/layers.py"]),
        ({"python": {"function": "installed.module:objective"}}, []),
        (
            {"sklearn": {"steps": [{"class": "model.Mine"}], "dataset": {"csv": {"path": "table.csv", "target": "b"}}}},
            ["data.py", "model.py", "table.csv"],
        ),
        (
            {"sklearn": {"steps": [{"class": "sklearn.svm.SVC"}], "dataset": {"load": "digits"}}},
            [],
        ),
    ],
)
def test_an_objective_is_made_of(folder: Path, objective: dict[str, Any], want: list[str]) -> None:
    assert names(folder, objective) == want


def test_the_files_of_a_config_map_count_by_their_names(folder: Path) -> None:
    objective = {"python": {"function": "train:objective", "configMap": "code"}}
    assert names(folder, objective, {"train.py": b"x"}) == ["configMap/train.py"]


def test_a_change_is_noticed(folder: Path) -> None:
    objective = {"command": {"command": ["python", "train.py"]}}
    before = digests(study(folder, objective))
    (folder / "data.py").write_text("seed = 1\n")
    (folder / "parts" / "layers.py").unlink()
    assert changed(before, digests(study(folder, objective))) == ["data.py", "parts/layers.py"]
