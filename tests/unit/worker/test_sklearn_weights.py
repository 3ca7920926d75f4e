"""Rows that count more than others, in fitting and in what is measured."""

from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
from structlog.testing import capture_logs

from builders import whole
from tuning_worker.exceptions import ObjectiveRejected

from .tabular import CLASSES, NUMBER, ROWS, load_table, measure, table

TWICE = numpy.where(NUMBER > 0.5, 2, 1)


def weighted(weights: Any = TWICE, **columns: Any) -> pandas.DataFrame:
    return table(colour=NUMBER[::-1], w=weights, **columns)


@pytest.mark.parametrize(
    ("model", "stopping"),
    [
        *((model, {}) for model in ("logistic", "hist", "xgboost", "lightgbm", "catboost")),
        *((model, {"earlyStopping": {"rounds": 9}}) for model in ("hist", "xgboost", "lightgbm", "catboost")),
    ],
)
def test_a_row_of_no_weight_is_not_there(tmp_path: Path, model: str, stopping: dict[str, Any]) -> None:
    """Half of the rows are the other way round and weigh nothing: with them, no model would be better than chance."""
    wrong = numpy.arange(ROWS) % 2 == 0
    frame = weighted(numpy.where(wrong, 0, 1), y=numpy.where((NUMBER > 0.5) ^ wrong, "yes", "no"))
    assert measure(tmp_path, load_table(tmp_path, frame, model, roles={"weights": "w"}, **stopping)) > 0.7


def test_weights_are_no_feature(tmp_path: Path) -> None:
    model = load_table(tmp_path, weighted(), "logistic", roles={"weights": "w"})
    assert list(model._data.features.columns) == ["number", "colour"]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            numpy.where(NUMBER > 0.5, -1, 1),
            r"column w holds .*-1.* in row \d+, which is no weight: write numbers from 0",
        ),
        (numpy.where(NUMBER > 0.5, numpy.nan, 1), r"holds no value in row \d+, which is no weight"),
        (["heavy"] * ROWS, "column w holds 'heavy' in row 1, which is no weight"),
    ],
)
def test_what_is_no_weight_rejects_the_study(tmp_path: Path, weights: Any, message: str) -> None:
    with pytest.raises(ObjectiveRejected, match=message):
        load_table(tmp_path, weighted(weights), "logistic", roles={"weights": "w"})


def test_a_model_that_takes_none_rejects_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CLASSES, "ridge", "sklearn.neighbors.KNeighborsClassifier")
    with pytest.raises(ObjectiveRejected, match="KNeighborsClassifier takes no weights: remove `weights`"):
        load_table(
            tmp_path,
            weighted(),
            "ridge",
            roles={"weights": "w"},
            parameters=[whole("n_neighbors", 1, 3)],
        )


def test_a_metric_that_takes_none_is_told(tmp_path: Path) -> None:
    frame = weighted(y=NUMBER * 2 + 1)
    with capture_logs() as logs:
        load_table(tmp_path, frame, "ridge", metric="neg_max_error", roles={"weights": "w"})
    assert [entry["metrics"] for entry in logs] == [["neg_max_error"]]
