"""How rows are split: by classes, by groups, by time, or once."""

from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest

from builders import make_spec, real
from tuning_study.api.objective import CrossValidation, Splitter
from tuning_worker.exceptions import ObjectiveRejected
from tuning_worker.objectives.sklearn import SklearnModel
from tuning_worker.objectives.splits import Splits
from tuning_worker.objectives.tables import Data

from .runs import make_run

ROWS = 60
FEATURES = numpy.arange(ROWS).reshape(-1, 1)
CLASSES = numpy.arange(ROWS) % 3
PATIENTS = numpy.arange(ROWS) // 4
RIDGE = {"class": "sklearn.linear_model.Ridge"}
R2 = {"name": "r2", "direction": "Maximize"}
ALPHA = real("alpha", 1e-3, 1)


def split(splitter: Splitter, folds: int = 5, repeats: int = 1, classifies: bool = True) -> Splits:
    how = CrossValidation(folds=folds, repeats=repeats, splitter=splitter)
    return Splits(how, splitter, classifies, seed=2**32 - 1, data=Data(FEATURES, CLASSES, PATIENTS))


@pytest.mark.parametrize("splitter", ["Auto", "KFold", "Stratified", "Group", "Holdout"])
@pytest.mark.parametrize("classifies", [True, False])
def test_every_splitter_fits_as_many_models_as_it_says_the_same_ones_each_time(
    splitter: Splitter, classifies: bool
) -> None:
    made = split(splitter, repeats=2, classifies=classifies)
    first, second = (list(made) for _ in range(2))
    assert len(first) == made.number == (2 if splitter == "Holdout" else 10)
    assert all((one[1] == other[1]).all() for one, other in zip(first, second, strict=True))
    assert len({tuple(test) for _, test in first}) == made.number, "each repeat has its own"
    assert all(not set(train) & set(test) for train, test in first)


@pytest.mark.parametrize("classifies", [True, False])
def test_a_group_is_on_one_side(classifies: bool) -> None:
    for train, test in split("Group", classifies=classifies):
        assert not set(PATIENTS[train]) & set(PATIENTS[test])


@pytest.mark.parametrize(("splitter", "classifies"), [("Stratified", False), ("Auto", True), ("Holdout", True)])
def test_classes_are_mixed_alike(splitter: Splitter, classifies: bool) -> None:
    for _, test in split(splitter, classifies=classifies):
        assert numpy.bincount(CLASSES[test]).tolist() == [4, 4, 4]


def test_in_time_only_earlier_rows_are_fitted_on() -> None:
    for train, test in split("TimeSeries"):
        assert max(train) < min(test)


def test_a_holdout_is_one_part_of_so_many() -> None:
    ((train, test),) = split("Holdout", folds=4)
    assert (len(train), len(test)) == (45, 15)


def load(folder: Path, frame: pandas.DataFrame, splitter: Any = None, **fields: Any) -> SklearnModel:
    frame.to_csv(folder / "table.csv", index=False)
    csv = {"path": str(folder / "table.csv"), "target": "y"} | fields
    how = {"folds": 3} | ({"splitter": splitter} if splitter else {})
    sklearn = {"steps": [RIDGE], "dataset": {"csv": csv}, "crossValidation": how}
    spec = make_spec(objective={"sklearn": sklearn}, metrics=[R2], parameters=[ALPHA])
    assert spec.objective.sklearn is not None
    return SklearnModel.load(spec.objective.sklearn, spec, seed=1)


def grown(dates: Any) -> pandas.DataFrame:
    """What grows by a trend, in no order."""
    x = numpy.random.default_rng(1).permutation(ROWS)
    return pandas.DataFrame({"x": x, "y": 2.0 * x, "date": [dates[value] for value in x]})


DAYS = [day.strftime("%Y-%m-%d") for day in pandas.date_range("2026-01-01", periods=ROWS)]


@pytest.mark.parametrize("dates", [DAYS, list(range(1900, 1900 + ROWS))])
def test_a_table_with_a_time_is_sorted_by_it_and_time_is_no_feature(tmp_path: Path, dates: Any) -> None:
    model = load(tmp_path, grown(dates), time="date")
    assert list(model._data.features.columns) == ["x"]
    assert model._data.features["x"].tolist() == sorted(model._data.features["x"])
    assert model._splits.splitter == "TimeSeries"
    assert model(make_run(tmp_path, point={"alpha": 0.001}, parameters=[ALPHA], metrics=[R2]))["r2"] > 0.9


def test_a_time_that_is_none_rejects_the_study(tmp_path: Path) -> None:
    with pytest.raises(
        ObjectiveRejected, match=r"column date holds 'soon' in row \d+, which is no date: write dates as"
    ):
        load(tmp_path, grown([*DAYS[:-1], "soon"]), time="date")


def test_groups_decide_the_splitter_and_are_no_feature(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"x": range(ROWS), "patient": PATIENTS, "y": range(ROWS)})
    frame["y"] = frame["y"] * 2.0 + 1
    model = load(tmp_path, frame, groups="patient")
    assert list(model._data.features.columns) == ["x"]
    assert model._splits.splitter == "Group"


def test_too_few_groups_reject_the_study(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"x": range(ROWS), "patient": [0, 1] * (ROWS // 2), "y": numpy.sin(range(ROWS))})
    with pytest.raises(ObjectiveRejected, match=r"cannot be split into folds: .*n_splits=3 greater than the number of"):
        load(tmp_path, frame, groups="patient")


def test_what_is_written_counts_more_than_what_auto_would_take(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"x": range(ROWS), "patient": PATIENTS, "y": numpy.sin(range(ROWS))})
    assert load(tmp_path, frame, groups="patient", splitter="KFold")._splits.splitter == "KFold"


def test_a_splitter_may_be_a_class_of_ones_choice(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"x": range(ROWS), "y": numpy.arange(ROWS) * 2.0})
    model = load(tmp_path, frame, {"class": "sklearn.model_selection.RepeatedKFold", "args": {"n_splits": 4}})
    first, second = (list(model._splits) for _ in range(2))
    assert len(first) == model._splits.number == 40
    assert all((one[1] == other[1]).all() for one, other in zip(first, second, strict=True)), "of the round's seed"


def test_a_splitter_of_groups_gets_them(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"x": range(ROWS), "patient": PATIENTS, "y": numpy.sin(range(ROWS))})
    splitter = {"class": "sklearn.model_selection.LeavePGroupsOut", "args": {"n_groups": 1}}
    splits = load(tmp_path, frame, splitter, groups="patient")._splits
    assert splits.number == len(set(PATIENTS))
    assert all(len(set(PATIENTS[test])) == 1 for _, test in splits)


@pytest.mark.parametrize(
    ("splitter", "message"),
    [
        ({"class": "sklearn.model_selection.GridSearchCV"}, "crossValidation.splitter: .*refuses its args"),
        ({"class": "sklearn.svm.SVC"}, "crossValidation.splitter: SVC has no `split` and is no splitter"),
        ({"class": "sklearn.model_selection.NoFold"}, "crossValidation.splitter: the module .* has no NoFold"),
        ({"class": "sklearn.model_selection.KFold", "args": {"n_splits": 99}}, "cannot be split into folds: .*99"),
        ({"class": "sklearn.model_selection.GroupKFold"}, "cannot be split into folds: .*groups"),
    ],
)
def test_a_splitter_that_splits_nothing_rejects_the_study(tmp_path: Path, splitter: Any, message: str) -> None:
    frame = pandas.DataFrame({"x": range(ROWS), "y": numpy.sin(range(ROWS))})
    with pytest.raises(ObjectiveRejected, match=message):
        load(tmp_path, frame, splitter)


class TestHoldOut:
    """What early stopping judges by: rows of the fold's training part."""

    ROWS = numpy.arange(ROWS)

    def test_has_the_same_mix_of_classes(self) -> None:
        data = Data(FEATURES, CLASSES)
        kept, apart = Splits(CrossValidation(), "Auto", True, 1, data).hold_out(self.ROWS, 0.25)
        assert numpy.bincount(CLASSES[apart]).tolist() == [5, 5, 5]
        assert sorted([*kept, *apart]) == list(range(ROWS))

    def test_keeps_a_class_of_one_row_to_fit_on(self) -> None:
        data = Data(FEATURES, numpy.where(self.ROWS == 7, 9, CLASSES), None)
        kept, _ = Splits(CrossValidation(), "Auto", True, 1, data).hold_out(self.ROWS, 0.25)
        assert 7 in kept

    def test_is_whole_groups(self) -> None:
        kept, apart = split("Group").hold_out(self.ROWS, 0.25)
        assert not set(PATIENTS[kept]) & set(PATIENTS[apart])

    def test_is_the_last_rows_in_time(self) -> None:
        kept, apart = split("TimeSeries").hold_out(self.ROWS[:40], 0.25)
        assert (kept.tolist(), apart.tolist()) == (list(range(30)), list(range(30, 40)))

    @pytest.mark.parametrize("splitter", ["Auto", "Group", "TimeSeries"])
    def test_takes_no_row_from_elsewhere(self, splitter: Splitter) -> None:
        some = self.ROWS[10:50]
        assert {*numpy.concatenate(split(splitter).hold_out(some, 0.2))} == {*some}
