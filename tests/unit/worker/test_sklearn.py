"""Cross-validation of a scikit-learn pipeline."""

from pathlib import Path
from typing import Any

import optuna
import pandas
import pytest

from builders import MAXIMIZE, choice, make_spec, real, when, whole
from tuning_worker.exceptions import ObjectiveRejected, TrialFailed
from tuning_worker.objectives.sklearn import SklearnModel

from .runs import PrunesFrom, make_run

SCALER = {"class": "sklearn.preprocessing.StandardScaler"}
TREE = {"class": "sklearn.tree.DecisionTreeClassifier"}
RIDGE = {"class": "sklearn.linear_model.Ridge"}
DEPTH = whole("max_depth", 1, 5)


def load_model(*, steps: list[Any] | None = None, dataset: Any = None, folds: int = 3, **fields: Any) -> SklearnModel:
    given = {
        "objective": {
            "sklearn": {
                "steps": steps or [TREE],
                "dataset": dataset or {"load": "iris"},
                "crossValidation": {"folds": folds, "repeats": fields.pop("repeats", 1)},
            }
        },
        "parameters": [DEPTH],
    } | fields
    spec = make_spec(**given)
    assert spec.objective.sklearn is not None
    return SklearnModel.load(spec.objective.sklearn, spec, seed=1)


def evaluate(folder: Path, point: dict[str, Any], pruner: Any = None, **fields: Any) -> tuple[Any, optuna.Trial]:
    model = load_model(**fields)
    run = make_run(folder, point=point, pruner=pruner, parameters=fields.get("parameters", [DEPTH]))
    return model(run), run.trial


def intermediate(trial: optuna.Trial) -> dict[int, float]:
    return trial.study.trials[trial.number].intermediate_values


def test_a_metric_is_the_mean_over_folds_and_each_fold_but_the_last_is_reported(tmp_path: Path) -> None:
    metrics, trial = evaluate(tmp_path, {"max_depth": 3}, folds=4)
    assert set(metrics) == {"accuracy"}
    assert 0.8 < metrics["accuracy"] <= 1
    assert list(intermediate(trial)) == [0, 1, 2]


def test_repeats_are_further_folds(tmp_path: Path) -> None:
    _, trial = evaluate(tmp_path, {"max_depth": 3}, folds=2, repeats=3)
    assert list(intermediate(trial)) == [0, 1, 2, 3, 4]


def test_the_same_trial_measures_the_same(tmp_path: Path) -> None:
    first, second = (evaluate(tmp_path, {"max_depth": 2})[0] for _ in range(2))
    assert first == second


def test_any_scorer_and_our_own_measures_are_metrics(tmp_path: Path) -> None:
    names = ["accuracy", "f1_macro", "neg_log_loss", "fitSeconds", "latencyMs", "modelBytes"]
    metrics = [MAXIMIZE, *({"name": name} for name in names[1:])]
    measured, _ = evaluate(tmp_path, {"max_depth": 3}, metrics=metrics)
    assert set(measured) == set(names)
    assert measured["neg_log_loss"] <= 0
    assert measured["fitSeconds"] > 0 and measured["latencyMs"] > 0 and measured["modelBytes"] > 500


def test_a_hopeless_trial_is_pruned_after_its_first_fold(tmp_path: Path) -> None:
    with pytest.raises(optuna.TrialPruned):
        evaluate(tmp_path, {"max_depth": 3}, pruner=PrunesFrom(0))


def test_a_parameter_belongs_to_the_last_step_or_to_the_one_it_names(tmp_path: Path) -> None:
    parameters = [choice("standardscaler__with_mean", [True, False]), real("alpha", 0.1, 2)]
    model = load_model(
        steps=[SCALER, RIDGE], dataset={"load": "diabetes"}, parameters=parameters, metrics=[{**MAXIMIZE, "name": "r2"}]
    )
    pipeline = model._with({"standardscaler__with_mean": False, "alpha": 0.5}, seed=3)
    assert pipeline["standardscaler"].with_mean is False
    assert (pipeline["ridge"].alpha, pipeline["ridge"].random_state) == (0.5, 3)


def test_a_seed_that_is_given_is_kept() -> None:
    model = load_model(steps=[{**TREE, "args": {"random_state": 7}}])
    assert model._with({"max_depth": 2}, seed=3)[-1].random_state == 7


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_is_read_from_a_file(tmp_path: Path, kind: str) -> None:
    frame = pandas.DataFrame({"a": range(30), "b": [0.5] * 30, "label": ["x", "y", "y"] * 10})
    path = tmp_path / f"table.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    metrics, _ = evaluate(tmp_path, {"max_depth": 3}, dataset={kind: {"path": str(path), "target": "label"}})
    assert 0 < metrics["accuracy"] <= 1


REJECTED: list[tuple[dict[str, Any], str]] = [
    ({"steps": [{"class": "sklearn.nowhere.SVC"}]}, "sklearn.nowhere.SVC does not import"),
    ({"steps": [{"class": "sklearn.svm.SVX"}]}, "the module sklearn.svm has no SVX"),
    ({"steps": [{**TREE, "args": {"deep": 1}}]}, "DecisionTreeClassifier refuses its args: .*deep"),
    ({"steps": [{"class": "collections.Counter"}]}, "collections.Counter is no scikit-learn estimator"),
    ({"steps": [{"class": "sklearn.ensemble.VotingClassifier"}]}, "VotingClassifier refuses its args"),
    ({"dataset": {"load": "digit"}}, "no data set 'digit'; it has .*digits"),
    ({"dataset": {"load": "files"}}, "no data set 'files'"),
    ({"dataset": {"csv": {"path": "/nowhere.csv", "target": "y"}}}, "/nowhere.csv cannot be read from the folder "),
    ({"metrics": [{**MAXIMIZE, "name": "acuracy"}]}, "'acuracy' is no scikit-learn scorer.*did you mean .*accuracy"),
    ({"metrics": [MAXIMIZE, {"name": "latencyMS"}]}, "did you mean latencyMs"),
    ({"parameters": [real("C")]}, "DecisionTreeClassifier has no parameter 'C'; it has .*max_depth"),
    ({"parameters": [real("scaler__C")]}, "has no parameter 'scaler__C'.*write step__parameter"),
]


@pytest.mark.parametrize(("fields", "message"), REJECTED, ids=[message[:40] for _, message in REJECTED])
def test_a_model_that_could_never_run_rejects_the_study(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ObjectiveRejected, match=message):
        load_model(**fields)


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({}, "from the folder "),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "in the worker's pod"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "TUNING_PYTHON": "/bin/python"}, "from the folder "),  # a notebook
    ],
)
def test_a_missing_file_is_missed_where_the_user_is(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], place: str
) -> None:
    for name in ("KUBERNETES_SERVICE_HOST", "TUNING_PYTHON"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ObjectiveRejected, match=f"/nowhere.csv cannot be read {place}"):
        load_model(dataset={"csv": {"path": "/nowhere.csv", "target": "y"}})


def test_a_table_without_its_target_rejects_the_study(tmp_path: Path) -> None:
    pandas.DataFrame({"a": [1], "b": [2]}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(ObjectiveRejected, match="has no column 'y'; it has a, b"):
        load_model(dataset={"csv": {"path": str(tmp_path / "t.csv"), "target": "y"}})


def test_a_parameter_inside_a_step_that_has_none_fails_the_trial() -> None:
    model = load_model()
    with pytest.raises(TrialFailed, match="nope"):
        model._with({"nope": 1}, seed=0)


SCALERS = ["passthrough", {"class": "sklearn.preprocessing.MinMaxScaler", "args": {"feature_range": [0, 2]}}]
NAMED = [SCALER | {"name": "scaler"}, TREE]


@pytest.mark.parametrize("scaler", SCALERS)
def test_a_whole_step_may_be_a_parameter(tmp_path: Path, scaler: Any) -> None:
    parameters = [choice("scaler", SCALERS)]
    metrics, trial = evaluate(tmp_path, {"scaler": scaler}, steps=NAMED, parameters=parameters)
    assert metrics["accuracy"] > 0.8
    assert trial.params == {"scaler": scaler}


def test_a_parameter_of_a_step_that_is_one_of_several() -> None:
    clipping = {"name": "scaler__clip", "type": "Categorical", "values": [True, False]}
    load_model(steps=NAMED, parameters=[choice("scaler", SCALERS), clipping | when("scaler", SCALERS[1])])


def test_a_choice_that_does_not_import_rejects_the_study() -> None:
    with pytest.raises(ObjectiveRejected, match=r"parameters\.scaler: no\.such\.Thing does not import"):
        load_model(steps=NAMED, parameters=[choice("scaler", ["passthrough", {"class": "no.such.Thing"}])])


@pytest.mark.parametrize("layers", [[4], [4, 3]])
def test_a_list_is_a_value(tmp_path: Path, layers: list[int]) -> None:
    network = {"class": "sklearn.neural_network.MLPClassifier", "args": {"solver": "lbfgs", "max_iter": 5000}}
    fields = {"steps": [SCALER, network], "parameters": [choice("hidden_layer_sizes", [[4], [4, 3]])], "folds": 2}
    assert evaluate(tmp_path, {"hidden_layer_sizes": layers}, **fields)[0]["accuracy"] > 0.8


def test_a_list_is_a_tuple_where_scikit_learn_wants_one(tmp_path: Path) -> None:
    ranges = [[0, 1], [-1, 1]]
    scaler = {"class": "sklearn.preprocessing.MinMaxScaler", "name": "scaler", "args": {"feature_range": [0, 3]}}
    fields = {"steps": [scaler, TREE], "parameters": [choice("scaler__feature_range", ranges)]}
    assert evaluate(tmp_path, {"scaler__feature_range": ranges[1]}, **fields)[0]["accuracy"] > 0.8


def test_an_argument_may_be_an_estimator(tmp_path: Path) -> None:
    bagging = {"class": "sklearn.ensemble.BaggingClassifier", "args": {"estimator": TREE}}
    fields = {"steps": [bagging], "parameters": [whole("estimator__max_depth", 1, 5)]}
    assert evaluate(tmp_path, {"estimator__max_depth": 3}, **fields)[0]["accuracy"] > 0.8


@pytest.mark.parametrize(
    ("scorer", "same_as"),
    [
        ({"name": "f1", "average": "macro"}, "f1_macro"),
        ({"name": "roc_auc", "multi_class": "ovr"}, "roc_auc_ovr"),
        ({"name": "accuracy"}, "accuracy"),
    ],
)
def test_a_scorer_may_have_arguments_and_another_name_than_the_metric(
    tmp_path: Path, scorer: Any, same_as: str
) -> None:
    metrics = [{"name": "mine", "direction": "Maximize", "scorer": scorer}, {"name": same_as}]
    measured, _ = evaluate(tmp_path, {"max_depth": 2}, metrics=metrics)
    assert measured["mine"] == measured[same_as]


def test_a_scorer_that_does_not_take_its_arguments_rejects_the_study() -> None:
    scorer = {"name": "f1", "averaging": "macro"}
    with pytest.raises(ObjectiveRejected, match=r"metrics: mine cannot be computed: .*averaging"):
        load_model(metrics=[{"name": "mine", "direction": "Maximize", "scorer": scorer}])


def test_a_scorer_that_is_not_known_rejects_the_study() -> None:
    with pytest.raises(ObjectiveRejected, match="'f2' is no scikit-learn scorer"):
        load_model(metrics=[{"name": "mine", "direction": "Maximize", "scorer": {"name": "f2"}}])
