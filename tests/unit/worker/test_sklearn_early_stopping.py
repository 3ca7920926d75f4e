"""Boosters that stop early, by rows that are neither fitted nor scored on, and what pruners and users see of it."""

from pathlib import Path
from typing import Any

import numpy
import optuna
import pandas
import pytest

from builders import whole
from tuning_study.attributes import BEST_ITERATION_ATTRIBUTE, FIRST_FOLD_ATTRIBUTE
from tuning_worker.exceptions import ObjectiveRejected
from tuning_worker.objectives.sklearn import SklearnModel

from .runs import PrunesFrom
from .tabular import ROWS, load_table, run_trial, table

BOOSTERS = ["hist", "xgboost", "lightgbm", "catboost"]
ROUNDS = {"hist": "max_iter", "xgboost": "n_estimators", "lightgbm": "n_estimators", "catboost": "iterations"}
_random = numpy.random.default_rng(11)


def noisy(**columns: Any) -> pandas.DataFrame:
    """So much noise that many rounds are worse than a few."""
    shown = _random.random(ROWS)
    return table(colour=_random.random(ROWS), number=shown, y=numpy.where(shown + _random.random(ROWS) > 1, "a", "b"))


def load(folder: Path, model: str, rounds: int = 100, stopping: Any = None, **fields: Any) -> SklearnModel:
    args = {ROUNDS[model]: rounds} | fields.pop("args", {})
    stops = {"rounds": 10} if stopping is None else stopping
    return load_table(folder, fields.pop("frame", noisy()), model, args=args, earlyStopping=stops, **fields)


def reports(trial: optuna.Trial) -> dict[int, float]:
    return trial.study.trials[trial.number].intermediate_values


@pytest.mark.parametrize("model", BOOSTERS)
@pytest.mark.parametrize("classes", [2, 3])
def test_rounds_are_reported_before_folds_and_the_best_are_kept(tmp_path: Path, model: str, classes: int) -> None:
    frame = noisy()
    if classes == 3:
        frame.loc[frame["colour"] > 0.7, "y"] = "c"
    _, trial = run_trial(tmp_path, load(tmp_path, model, frame=frame))
    best = trial.user_attrs[BEST_ITERATION_ATTRIBUTE]
    assert 1 <= best < 100
    rounds = [step for step in reports(trial) if step <= 100]
    assert rounds == list(range(10, 10 * len(rounds) + 1, 10)) and rounds
    assert [step for step in reports(trial) if step > 100] == [101, 102], "two of three folds, after all rounds"
    assert trial.user_attrs[FIRST_FOLD_ATTRIBUTE] == 101
    assert all(0.2 < value <= 1 for value in reports(trial).values()), "the objective, not the library's loss"


@pytest.mark.parametrize("model", ["hist numbers"])
def test_a_regressor_too(tmp_path: Path, model: str) -> None:
    frame = noisy()
    frame["y"] = frame["number"] + _random.random(ROWS)
    loaded = load_table(
        tmp_path, frame, model, args={"max_iter": 100}, earlyStopping={"rounds": 10}, metric="neg_mean_absolute_error"
    )
    value, trial = run_trial(tmp_path, loaded)
    assert all(-1 < reported < 0 for reported in [value, *reports(trial).values()])


@pytest.mark.parametrize("model", BOOSTERS)
def test_a_pruner_ends_the_fit_in_its_midst(tmp_path: Path, model: str) -> None:
    loaded = load(tmp_path, model, stopping={"rounds": 100})
    with pytest.raises(optuna.TrialPruned):
        run_trial(tmp_path, loaded, pruner=PrunesFrom(30))


@pytest.mark.parametrize("model", BOOSTERS)
def test_what_is_scored_on_does_not_decide_when_to_stop(tmp_path: Path, model: str) -> None:
    """The same rows to fit on, other rows to score on: the same number of rounds."""
    frame = noisy()
    loaded = load(tmp_path, model, frame=frame, folds=2)
    pipeline = loaded._with({}, seed=1)
    (train, test), _ = loaded._splits
    before = loaded._fitter.fit(pipeline, train).rounds
    target = frame["y"].to_numpy().copy()
    target[test] = target[test][::-1]
    other = load(tmp_path, model, frame=frame.assign(y=target), folds=2)
    assert other._fitter.fit(pipeline, train).rounds == before


@pytest.mark.parametrize("model", BOOSTERS)
def test_fitting_all_rows_takes_as_many_rounds_as_were_best(tmp_path: Path, model: str) -> None:
    fitted = load(tmp_path, model).fit({}, seed=1, rounds=7)[-1]
    counts = {
        "hist": lambda: fitted.n_iter_,
        "xgboost": lambda: fitted.get_booster().num_boosted_rounds(),
        "lightgbm": lambda: fitted.booster_.num_trees(),
        "catboost": lambda: fitted.tree_count_,
    }
    assert counts[model]() == 7


def test_a_prepared_table_stops_early_as_well(tmp_path: Path) -> None:
    for model in BOOSTERS:
        value, trial = run_trial(tmp_path, load(tmp_path, model, frame=table()))
        assert value > 0.6 and trial.user_attrs[BEST_ITERATION_ATTRIBUTE]


def test_a_step_before_the_booster_is_fitted_without_the_rows_to_stop_by(tmp_path: Path) -> None:
    scaler = {"class": "sklearn.preprocessing.StandardScaler"}
    loaded = load_table(tmp_path, noisy(), "hist", scaler, earlyStopping={"rounds": 5, "fraction": 0.25})
    fitted = loaded._fitter.fit(loaded._with({}, seed=1), numpy.arange(ROWS)).pipeline
    assert fitted[0].n_samples_seen_ == ROWS * 3 // 4


def test_several_objectives_have_no_reports_and_stop_all_the_same(tmp_path: Path) -> None:
    metrics = [{"name": name, "direction": "Maximize"} for name in ("accuracy", "roc_auc")]
    _, trial = run_trial(tmp_path, load(tmp_path, "lightgbm", metrics=metrics))
    assert not reports(trial) and trial.user_attrs[BEST_ITERATION_ATTRIBUTE]


def test_the_number_of_rounds_may_be_a_parameter(tmp_path: Path) -> None:
    loaded = load(tmp_path, "lightgbm", parameters=[whole("n_estimators", 30, 60)])
    _, trial = run_trial(tmp_path, loaded)
    assert trial.user_attrs[FIRST_FOLD_ATTRIBUTE] == 31


def test_a_model_without_rounds_rejects_the_study(tmp_path: Path) -> None:
    with pytest.raises(ObjectiveRejected, match="earlyStopping: LogisticRegression adds no trees round by round"):
        load_table(tmp_path, noisy(), "logistic", earlyStopping={"rounds": 5})


def test_too_few_rows_for_their_classes_reject_the_study(tmp_path: Path) -> None:
    frame = noisy().assign(y=[f"c{index % 60}" for index in range(ROWS)])
    with pytest.raises(
        ObjectiveRejected, match=r"earlyStopping cannot keep 15% of \d+ rows apart: .*larger `fraction`"
    ):
        load(tmp_path, "lightgbm", frame=frame, folds=2)


@pytest.mark.parametrize("model", BOOSTERS)
def test_the_same_trial_stops_alike(tmp_path: Path, model: str) -> None:
    loaded = load(tmp_path, model)
    first, second = (run_trial(tmp_path, loaded) for _ in range(2))
    assert first[0] == second[0]
    assert reports(first[1]) == reports(second[1])
