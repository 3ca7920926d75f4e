"""Tasks of real scikit-learn problems: the losses of random settings are tabulated once (`python benchmarks/tasks/
surrogates.py NAME`, minutes each), and a forest fitted to the table stands for the problem.
"""

import csv
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, RobustScaler, StandardScaler
from sklearn.svm import SVC

from tasks.task import Point, Task, choice, on, place, random_point, real, whole
from tuning_study.api.parameters import Parameter

_TABLES = Path(__file__).parent / "tables"
_ROWS = 600
_TREES = 100


class Problem(NamedTuple):
    parameters: Sequence[Parameter]
    estimator: Callable[[Point], BaseEstimator]
    data: Callable[[], tuple[Any, Any]]
    scoring: str = "accuracy"


def _svm(point: Point) -> BaseEstimator:
    return make_pipeline(StandardScaler(), SVC(**point))


def _forest(point: Point) -> BaseEstimator:
    return RandomForestClassifier(**point, random_state=0)


def _boosting(point: Point) -> BaseEstimator:
    return HistGradientBoostingRegressor(**point, random_state=0)


def _linear(point: Point) -> BaseEstimator:
    scaler = {"standard": StandardScaler(), "minmax": MinMaxScaler(), "robust": RobustScaler()}[point["scaler"]]
    given = {name: point[name] for name in ("C", "l1_ratio", "class_weight")}
    model = LogisticRegression(**given, solver="saga", max_iter=point["max_iter"], random_state=0)
    return make_pipeline(scaler, PolynomialFeatures(point["degree"], include_bias=False), StandardScaler(), model)


def _network(point: Point) -> BaseEstimator:
    given = {name: point[name] for name in ("alpha", "learning_rate_init", "batch_size", "activation", "max_iter")}
    layers = [point["width"]] * point["layers"]
    return make_pipeline(StandardScaler(), MLPClassifier(layers, **given, random_state=0))


def _pipeline(point: Point) -> BaseEstimator:
    scaler = {"standard": StandardScaler(), "minmax": MinMaxScaler()}[point["scaler"]]
    reducer = {
        "none": lambda: "passthrough",
        "pca": lambda: PCA(point["components"], whiten=point["whiten"], random_state=0),
        "best": lambda: SelectKBest(k=point["columns"]),
    }[point["reducer"]]()
    learner = {
        "neighbours": lambda: KNeighborsClassifier(point["k"], p=point["p"], weights=point["weights"]),
        "discriminant": lambda: LinearDiscriminantAnalysis("lsqr", shrinkage=point["shrinkage"]),
        "bayes": lambda: GaussianNB(var_smoothing=point["smoothing"]),
    }[point["learner"]]()
    return make_pipeline(scaler, reducer, learner)


def _few_digits() -> tuple[Any, Any]:
    data, target = load_digits(return_X_y=True)
    return data[:700], target[:700]


PROBLEMS = {
    "svm on digits": Problem(
        [
            choice("kernel", "sigmoid", "poly", "rbf"),
            real("C", 1e-3, 1e3, log=True),
            real("gamma", 1e-5, 1, log=True),
            whole("degree", 2, 5, when=on("kernel", "poly")),
            real("coef0", -1, 1, when=on("kernel", "poly", "sigmoid")),
        ],
        _svm,
        _few_digits,
    ),
    "forest on breast cancer": Problem(
        [
            whole("n_estimators", 5, 150, log=True),
            whole("max_depth", 1, 24),
            whole("min_samples_leaf", 1, 60, log=True),
            real("max_features", 0.03, 1),
            choice("criterion", "gini", "entropy"),
            choice("bootstrap", True, False),
            real("max_samples", 0.1, 1, when=on("bootstrap", True)),
        ],
        _forest,
        lambda: load_breast_cancer(return_X_y=True),
    ),
    "boosting on diabetes": Problem(
        [
            real("learning_rate", 1e-3, 1, log=True),
            whole("max_iter", 5, 300, log=True),
            whole("max_leaf_nodes", 2, 64, log=True),
            whole("min_samples_leaf", 1, 80, log=True),
            real("l2_regularization", 1e-6, 1e3, log=True),
            real("max_features", 0.1, 1),
        ],
        _boosting,
        lambda: load_diabetes(return_X_y=True),
        "neg_root_mean_squared_error",
    ),
    "linear on wine": Problem(
        [
            choice("scaler", "robust", "minmax", "standard"),
            whole("degree", 1, 2),
            real("C", 1e-5, 1e3, log=True),
            real("l1_ratio", 0, 1),
            whole("max_iter", 2, 100, log=True),
            choice("class_weight", None, "balanced"),
        ],
        _linear,
        lambda: load_wine(return_X_y=True),
        "neg_log_loss",
    ),
    "network on digits": Problem(
        [
            whole("width", 4, 200, log=True),
            whole("layers", 1, 3),
            real("alpha", 1e-7, 10, log=True),
            real("learning_rate_init", 1e-5, 0.3, log=True),
            whole("batch_size", 8, 256, log=True),
            choice("activation", "logistic", "tanh", "relu"),
            whole("max_iter", 3, 40, log=True),
        ],
        _network,
        _few_digits,
    ),
    "pipeline on digits": Problem(
        [
            choice("scaler", "standard", "minmax"),
            choice("reducer", "none", "best", "pca"),
            whole("components", 1, 50, log=True, when=on("reducer", "pca")),
            choice("whiten", True, False, when=on("reducer", "pca")),
            whole("columns", 2, 60, log=True, when=on("reducer", "best")),
            choice("learner", "bayes", "neighbours", "discriminant"),
            whole("k", 1, 40, log=True, when=on("learner", "neighbours")),
            real("p", 1, 4, when=on("learner", "neighbours")),
            choice("weights", "uniform", "distance", when=on("learner", "neighbours")),
            real("shrinkage", 0, 1, when=on("learner", "discriminant")),
            real("smoothing", 1e-9, 10, log=True, when=on("learner", "bayes")),
        ],
        _pipeline,
        _few_digits,
    ),
}
NOISE = 0.05


class Surrogate:
    """A forest on a problem's table. It is fitted when it is first asked."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._parameters = PROBLEMS[name].parameters

    def __call__(self, point: Point) -> float:
        row = np.array([_columns(self._parameters, point)], dtype=np.float32)
        return float(np.mean([tree.tree_.predict(row)[0, 0] for tree in _forest_of(self._name).estimators_]))


@cache
def _forest_of(name: str) -> ExtraTreesRegressor:
    parameters = PROBLEMS[name].parameters
    rows, losses = [], []
    with _table(name).open(newline="") as file:
        for line in csv.DictReader(file):
            rows.append(_columns(parameters, _point(parameters, line)))
            losses.append(float(line["loss"]))
    return ExtraTreesRegressor(_TREES, min_samples_leaf=2, random_state=0).fit(np.array(rows), losses)


def _table(name: str) -> Path:
    return _TABLES / f"{name.replace(' ', '-')}.csv"


def _columns(parameters: Sequence[Parameter], point: Point) -> list[float]:
    """Places of numbers, one column for each value of a choice; -1 for what does not apply."""
    columns: list[float] = []
    for parameter in parameters:
        if parameter.type == "Categorical":
            columns += [
                float(parameter.name in point and point[parameter.name] == value) for value in parameter.choices
            ]
        else:
            columns.append(place(parameter, point[parameter.name]) if parameter.name in point else -1.0)
    return columns


def _point(parameters: Sequence[Parameter], line: dict[str, str]) -> dict[str, Any]:
    point: dict[str, Any] = {}
    for parameter in parameters:
        text = line[parameter.name]
        if text == "":
            continue
        if parameter.type == "Categorical":
            point[parameter.name] = next(value for value in parameter.choices if str(value) == text)
        else:
            point[parameter.name] = int(text) if parameter.type == "Int" else float(text)
    return point


def tabulate(name: str) -> None:
    """Measure random settings of the problem, and write its table."""
    problem = PROBLEMS[name]
    data, target = problem.data()
    rng = np.random.default_rng(7)
    names = [parameter.name for parameter in problem.parameters]
    _TABLES.mkdir(exist_ok=True)
    with _table(name).open("w", newline="") as file:
        table = csv.DictWriter(file, [*names, "loss"], lineterminator="\n")
        table.writeheader()
        for _ in range(_ROWS):
            point = random_point(problem.parameters, rng)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                estimator = problem.estimator(point)
                loss = -float(np.mean(cross_val_score(estimator, data, target, cv=3, scoring=problem.scoring)))
            written = {
                name: f"{value:.5g}" if isinstance(value, float) else str(value) for name, value in point.items()
            }
            table.writerow(written | {"loss": f"{loss:.5g}"})
            file.flush()


SURROGATES = [
    Task(name, "surrogate", problem.parameters, Surrogate(name), noise=NOISE) for name, problem in PROBLEMS.items()
]

if __name__ == "__main__":
    for wanted in sys.argv[1:] or PROBLEMS:
        tabulate(wanted)
