"""Studies of a table with one model, for tests of what becomes of its columns and of how the model is fitted."""

from pathlib import Path
from typing import Any

import numpy
import pandas

from builders import make_spec, real, whole
from tuning_worker.objectives.sklearn import SklearnModel

from .runs import make_run

ROWS = 240
CLASSES = {
    "logistic": "sklearn.linear_model.LogisticRegression",
    "ridge": "sklearn.linear_model.Ridge",
    "forest": "sklearn.ensemble.RandomForestClassifier",
    "hist": "sklearn.ensemble.HistGradientBoostingClassifier",
    "hist numbers": "sklearn.ensemble.HistGradientBoostingRegressor",
    "xgboost": "xgboost.XGBClassifier",
    "lightgbm": "lightgbm.LGBMClassifier",
    "catboost": "catboost.CatBoostClassifier",
}
ARGS: dict[str, dict[str, Any]] = {
    "logistic": {"max_iter": 5000},
    "forest": {"n_estimators": 20},
    "hist": {"max_iter": 30},
    "xgboost": {"n_estimators": 20},
    "lightgbm": {"n_estimators": 20, "min_child_samples": 5},
    "catboost": {"iterations": 30},
}
TUNED: dict[str, Any] = {
    "logistic": real("C", 0.1, 10),
    "ridge": real("alpha", 0.1, 1),
    "forest": whole("max_depth", 4, 8),
    "hist": real("learning_rate", 0.1, 0.3),
    "hist numbers": real("learning_rate", 0.1, 0.3),
    "xgboost": real("learning_rate", 0.1, 0.3),
    "lightgbm": real("learning_rate", 0.1, 0.3),
    "catboost": real("learning_rate", 0.1, 0.3),
}
_random = numpy.random.default_rng(7)
NUMBER = _random.random(ROWS)
COLOUR = _random.choice(["red", "green", "blue"], ROWS)
KINDS = numpy.where((NUMBER > 0.5) ^ (COLOUR == "red"), "yes", "no")


def table(**columns: Any) -> pandas.DataFrame:
    """Two classes that a number and a colour decide, with these columns besides or instead."""
    return pandas.DataFrame({"number": NUMBER, "colour": COLOUR, "y": KINDS} | columns)


def with_gaps(values: Any, each: int = 6) -> Any:
    kept = numpy.arange(len(values)) % each != 0
    return pandas.Series(values).astype(object).where(kept, None).infer_objects()


def load_table(folder: Path, frame: pandas.DataFrame, model: str, *before: Any, **fields: Any) -> SklearnModel:
    """A study of this model on a Parquet file of the frame; of a CSV file with `kind="csv"`."""
    kind = fields.pop("kind", "parquet")
    path = folder / f"table.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    step = {"class": CLASSES[model], "args": ARGS.get(model, {}) | fields.pop("args", {})}
    sklearn = {
        "steps": [*before, step],
        "dataset": {kind: {"path": str(path), "target": "y"} | fields.pop("roles", {})},
        "crossValidation": {"folds": fields.pop("folds", 3)},
    } | {name: fields.pop(name) for name in ("columns", "earlyStopping") if name in fields}
    metric = {"name": fields.pop("metric", "accuracy"), "direction": "Maximize"}
    given = {"metrics": [metric], "parameters": [TUNED[model]], "objective": {"sklearn": sklearn}} | fields
    spec = make_spec(**given)
    assert spec.objective.sklearn is not None
    return SklearnModel.load(spec.objective.sklearn, spec, seed=1)


def measure(folder: Path, model: SklearnModel, **fields: Any) -> float:
    """The objective of a trial in the middle of the ranges."""
    return run_trial(folder, model, **fields)[0]


def run_trial(folder: Path, model: SklearnModel, pruner: Any = None, **fields: Any) -> tuple[float, Any]:
    spec_metrics = [{"name": name, "direction": "Maximize"} for name in model._objectives]
    parameters = [entry.manifest() for entry in model._parameters]
    point = {entry["name"]: entry.get("values", [entry.get("min")])[0] for entry in parameters}
    run = make_run(folder, point=point, parameters=parameters, metrics=spec_metrics, pruner=pruner)
    metrics = model(run)
    return metrics[model._objectives[0]], run.trial
