"""Builds scikit-learn objects from a manifest: a pipeline's steps, and `{class, args}` wherever a value may be one."""

import importlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from tuning_study.api.objective import Select, SklearnObjective, Step
from tuning_worker.exceptions import ObjectiveRejected
from tuning_worker.hints import did_you_mean

COLUMNS = "columns"
"""The step before all others where the manifest says what is done with some columns."""


def build_steps(objective: SklearnObjective) -> list[tuple[str, BaseEstimator]]:
    """The pipeline's own steps. Raises ObjectiveRejected for a class that does not import, or refuses its arguments."""
    return _steps(objective.steps)


def column_steps(objective: SklearnObjective, table: pandas.DataFrame) -> tuple[str, ColumnTransformer]:
    """The step before all others, of the manifest's `columns`.

    Raises ObjectiveRejected for columns that are not in the table.
    """
    chosen = []
    for index, (name, entry) in enumerate(zip(objective.column_names, objective.columns or [], strict=True)):
        chosen.append((name, Pipeline(_steps(entry.steps)), _selected(entry.select, table, f"columns[{index}].select")))
    return COLUMNS, ColumnTransformer(chosen, remainder="passthrough")


def _selected(select: Select, table: pandas.DataFrame, place: str) -> list[str]:
    if select.pattern is not None and (problem := _pattern_problem(select.pattern)):
        raise ObjectiveRejected(f"{place}.pattern: {problem}")
    names = [str(name) for name in table.columns]
    found = _matching(select, table)
    unknown = [name for name in found if name not in names]
    if unknown:
        raise ObjectiveRejected(
            f"{place}.names: the table has no column {unknown[0]!r}{did_you_mean(unknown[0], names)}"
        )
    if not found:
        raise ObjectiveRejected(f"{place}: no column of the table is selected; it has {', '.join(names[:50])}")
    return found


def _matching(select: Select, table: pandas.DataFrame) -> list[str]:
    if select.names is not None:
        return list(select.names)
    if select.pattern is not None:
        return [name for name in table.columns if re.search(select.pattern, str(name))]
    numbers = table.select_dtypes(include=["number", "bool"]).columns
    return list(numbers) if select.dtype == "number" else [name for name in table.columns if name not in numbers]


def _pattern_problem(pattern: str) -> str | None:
    try:
        re.compile(pattern)
    except re.error as error:
        return f"{pattern!r} is no regular expression: {error}"
    return None


def _steps(steps: Sequence[Step]) -> list[tuple[str, BaseEstimator]]:
    return [(step.address, _estimator(step)) for step in steps]


def build(value: Any, where: str) -> Any:
    """The value with an object in the place of each `{class, args}` in it. `where` begins a message.

    Raises ObjectiveRejected.
    """
    if isinstance(value, list):
        return [build(entry, where) for entry in value]
    if not isinstance(value, Mapping):
        return value
    if isinstance(value.get("class"), str) and value.keys() <= {"class", "args"}:
        return construct(value["class"], value.get("args") or {}, where)
    return {name: build(entry, where) for name, entry in value.items()}


def set_values(estimator: BaseEstimator, values: Mapping[str, Any]) -> None:
    """Set parameters by their addresses, as scikit-learn's set_params; what is a whole step is set before its own.

    Raises ValueError for an address that does not exist.
    """
    lists = {address: value for address, value in values.items() if isinstance(value, list)}
    estimator.set_params(**{address: value for address, value in values.items() if address not in lists})
    known = estimator.get_params()
    for address, value in lists.items():
        owner, _, name = address.rpartition("__")
        estimator.set_params(**{address: _as_taken(type(known.get(owner, estimator)), name, value)})


def _estimator(step: Step) -> BaseEstimator:
    built = construct(step.class_, step.args, "steps")
    if not hasattr(built, "fit") or not hasattr(built, "get_params"):
        raise ObjectiveRejected(f"steps: {step.class_} is no scikit-learn estimator")
    return built


def construct(path: str, args: Mapping[str, Any], where: str) -> Any:
    """An object of the class with this path. `where` begins a message. Raises ObjectiveRejected."""
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, ValueError) as error:
        raise ObjectiveRejected(f"{where}: {path} does not import in the worker's image: {error}") from error
    except AttributeError as error:
        raise ObjectiveRejected(f"{where}: the module {module} has no {name}; correct the class") from error
    given = {argument: _as_taken(found, argument, build(value, where)) for argument, value in args.items()}
    try:
        return found(**given)
    except TypeError as error:
        raise ObjectiveRejected(f"{where}: {path} refuses its args: {error}") from error


def _as_taken(owner: Any, name: str, value: Any) -> Any:
    """A list as a tuple where scikit-learn says that the argument is one, as ngram_range is: JSON has no tuples."""
    taken = getattr(owner, "_parameter_constraints", {}).get(name, [])
    return tuple(value) if isinstance(value, list) and tuple in taken and list not in taken else value
