"""Fits a family's model with a setting to a data set, prepared as a worker prepares it, by 3-fold cross-validation."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from portfolio_data import DataSet, table
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from tuning_client.starting.families import Family, Kind, families
from tuning_worker.objectives.boosters import booster_of
from tuning_worker.objectives.preparation import prepare

FOLDS = 3
TORCH = "torch"
_FEWER_TREES = {"random-forest": 50, "extra-trees": 50}
_TORCH_DEFAULTS = {"lr": 1e-3, "width": 64, "weight_decay": 1e-2, "batch_size": 32, "dropout": 0.0}


@dataclass(frozen=True)
class _Fold:
    train: Any
    test: Any
    train_target: Any
    test_target: Any


@dataclass(frozen=True)
class _Prepared:
    folds: Sequence[_Fold]
    categories: int
    """How many of the first columns are some, for a booster."""
    columns: int


def predictions(family: Family, data_set: DataSet, setting: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """The truth and what is predicted, of each fold. Raises what the model does."""
    prepared = _prepared(family.name, data_set)
    for fold in prepared.folds:
        model = _model(family, _kind(data_set), setting)
        booster = booster_of(model)
        told: Mapping[str, Any] = {}
        if booster is not None and prepared.categories:
            told = booster.declare_categories(model, prepared.categories, prepared.columns)
        fitted = model.fit(fold.train, fold.train_target, **told)
        yield fold.test_target, np.ravel(fitted.predict(fold.test))


def _kind(data_set: DataSet) -> Kind:
    return "regressor" if data_set.of_numbers else "classifier"


def _model(family: Family, kind: Kind, setting: Mapping[str, Any]) -> Any:
    if family.name == TORCH:
        return importlib.import_module("portfolio_torch").Net(**{**_TORCH_DEFAULTS, **setting})
    module, _, name = family.classes[kind].rpartition(".")
    class_ = getattr(importlib.import_module(module), name)
    fixed = {fixed.name: fixed.value for fixed in family.fixed(kind)}
    if family.name in _FEWER_TREES:  # to spare time; that more are better is known
        fixed["n_estimators"] = _FEWER_TREES[family.name]
    model = class_(**fixed)
    more = {"random_state": 0} if "random_state" in model.get_params() else {}
    booster = booster_of(model)
    if booster is not None:
        more |= booster.defaults(model, 1, 0)
    return class_(**fixed, **more, **setting)


@cache
def _prepared(name: str, data_set: DataSet) -> _Prepared:
    """Once for all settings, as none of them changes the preparation."""
    family, kind = families()[name], _kind(data_set)
    features, target = table(data_set)
    scaling: list[tuple[str, Any]] = [("scaler", StandardScaler())] if family.scaled else []
    last = StandardScaler() if name == TORCH else _model(family, kind, {})
    found = prepare(features, [*([step] for _, step in scaling), [last]])
    steps = [*([("preparation", found.transformer)] if found else []), *scaling]
    splitter = (KFold if data_set.of_numbers else StratifiedKFold)(FOLDS, shuffle=True, random_state=0)
    folds = []
    for train, test in splitter.split(features, target):
        rows, others = features.iloc[train], features.iloc[test]
        if steps:
            transformer = Pipeline(steps)
            rows, others = transformer.fit_transform(rows, target.iloc[train]), transformer.transform(others)
        if not hasattr(rows, "iloc"):
            rows, others = np.asarray(rows, dtype=float), np.asarray(others, dtype=float)
        folds.append(_Fold(rows, others, target.iloc[train].to_numpy(), target.iloc[test].to_numpy()))
    own = found is not None and found.booster is not None
    return _Prepared(folds, found.categories if found and own else 0, found.columns if found and own else 0)
