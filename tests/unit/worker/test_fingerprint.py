"""A data set can be told from what it was before."""

from pathlib import Path

import optuna
import pytest

from builders import make_round
from tuning_study.api.dataset import Dataset
from tuning_study.attributes import FINGERPRINT_ATTRIBUTE
from tuning_worker.fingerprint import fingerprint, keep_fingerprint


def table(path: Path) -> Dataset:
    return Dataset.model_validate({"csv": {"path": str(path), "target": "y"}})


def test_a_file_that_changes_is_another(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("x,y\n1,2\n")
    before = fingerprint(table(file))
    assert before.startswith("rows.csv, SHA-256 ")
    assert fingerprint(table(file)) == before
    file.write_text("x,y\n1,3\n")
    assert fingerprint(table(file)) != before


def test_a_data_set_of_scikit_learn_is_its_name() -> None:
    assert fingerprint(Dataset.model_validate({"load": "digits"})) == "scikit-learn's digits"


@pytest.mark.parametrize("there", [True, False])
def test_it_is_kept_with_the_round_where_there_is_a_file(tmp_path: Path, there: bool) -> None:
    file = tmp_path / "rows.csv"
    if there:
        file.write_text("x,y\n1,2\n")
    steps = [{"class": "sklearn.svm.SVC"}]
    pipeline = {"steps": steps, "dataset": {"csv": {"path": str(file), "target": "y"}}}
    study = optuna.create_study()
    keep_fingerprint(study, make_round(objective={"sklearn": pipeline}))
    assert (FINGERPRINT_ATTRIBUTE in study.user_attrs) == there


def test_of_an_objective_of_ones_own_nothing_is_known() -> None:
    study = optuna.create_study()
    keep_fingerprint(study, make_round())
    assert study.user_attrs == {}
