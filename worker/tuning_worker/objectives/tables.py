"""Reads a data set: rows, and what some of their columns are for."""

import inspect
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import pandas
import sklearn.datasets
import structlog

from tuning_study.api.dataset import CsvTable, Dataset, Table
from tuning_study.worker_contract import PYTHON_VARIABLE
from tuning_worker.exceptions import ObjectiveRejected
from tuning_worker.hints import did_you_mean, shown
from tuning_worker.objectives.dates import how_read, iso_texts, order_of

log = structlog.get_logger()

_UNNAMED = re.compile(r"Unnamed: \d+(?:_level_\d+)?")  # what pandas calls a column without a name
_ENOUGH_ROWS = 20  # from here on no column counts them by chance
_FEW_COLUMNS = 5
_TWICE_IN_PARQUET = "Multiple matches for FieldRef"  # in pyarrow's words


@dataclass(frozen=True)
class Rows:
    """Some rows of a table, or of what became of it."""

    features: Any
    target: Any
    weights: Any | None = None


@dataclass(frozen=True)
class Data:
    """Rows to learn from: frames and series of a file, arrays of a data set of scikit-learn's."""

    features: Any
    target: Any
    groups: Any | None = None
    weights: Any | None = None
    in_time: bool = False
    """The rows are sorted by their time."""
    told: Sequence[str] = ()
    """What a person should know of how it was read, a line each."""

    def take(self, index: Any) -> Rows:
        """The rows at these positions."""
        weights = None if self.weights is None else self.weights[index]
        return Rows(take_rows(self.features, index), take_rows(self.target, index), weights)


def take_rows(data: Any, index: Any) -> Any:
    return data.iloc[index] if hasattr(data, "iloc") else data[index]


def load(dataset: Dataset) -> Data:
    """The data set, sorted by its time if it has one. Raises ObjectiveRejected."""
    table = dataset.table
    if table is None:
        assert dataset.load is not None  # a rule of Dataset
        return Data(*_load_known(dataset.load))
    frame, read = _read(table)
    index = table.index if isinstance(table, CsvTable) else None
    for name in filter(None, (table.target, index, table.groups, table.time, table.weights)):
        if name not in frame.columns:
            raise ObjectiveRejected(f"dataset: {table.path} has no column {name!r}{_other_columns(name, frame)}")
    frame, told = _without_row_numbers(frame.drop(columns=[index] if index else []), table)
    told = read + told
    frame = _plain_text(frame)
    if table.time is not None:
        times, how = _in_time(frame[table.time], table.time)
        frame = frame.iloc[times.argsort(kind="stable")].reset_index(drop=True)
        told += [f"{table.time}: the order of the rows{how}"] if how else []
    groups = frame[table.groups] if table.groups is not None else None
    weights = _weights(frame[table.weights], table.weights) if table.weights is not None else None
    roles = [name for name in (table.target, table.groups, table.time, table.weights) if name is not None]
    features = frame.drop(columns=[*dict.fromkeys(roles)])
    return Data(features, frame[table.target], groups, weights, in_time=table.time is not None, told=told)


def _weights(column: pandas.Series, name: str) -> Any:
    numbers = pandas.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=numpy.nan)
    wrong = ~(numpy.isfinite(numbers) & (numbers >= 0))
    if wrong.any():
        value = column.iloc[wrong.argmax()]
        holds = "no value" if pandas.isna(value) else repr(str(value))
        raise ObjectiveRejected(
            f"dataset: column {shown(name)} holds {holds} in row {wrong.argmax() + 1}, which is no weight: write "
            "numbers from 0 on"
        )
    return numbers


def _plain_text(frame: pandas.DataFrame) -> pandas.DataFrame:
    """With NaN for no text: encoders do not take pandas.NA."""
    nullable = [name for name, dtype in frame.dtypes.items() if getattr(dtype, "na_value", None) is pandas.NA]
    texts = {name: frame[name].astype(object) for name in nullable if isinstance(frame[name].dtype, pandas.StringDtype)}
    return frame.assign(**{str(name): column.where(column.notna(), numpy.nan) for name, column in texts.items()})


def _in_time(column: pandas.Series, name: str) -> tuple[Any, str]:
    """What rows are sorted by, numbers as they are, all else as dates; and how these were read, if that needs words."""
    times, how = column, ""
    if not pandas.api.types.is_numeric_dtype(column):
        order = None if pandas.api.types.is_datetime64_any_dtype(column) else order_of(column.dropna())
        written = iso_texts(column, order[0]) if order is not None else column
        times, how = pandas.to_datetime(written, errors="coerce"), how_read(*order) if order is not None else ""
    if times.isna().any():
        first = column[times.isna()].iloc[0]
        raise ObjectiveRejected(
            f"dataset: column {shown(name)} holds {first!r} in row {times.isna().to_numpy().argmax() + 1}, which is no "
            "date: write dates as 2026-03-08, or numbers"
        )
    return times.to_numpy(), how


def _load_known(name: str) -> tuple[Any, Any]:
    loader = getattr(sklearn.datasets, f"load_{name}", None)
    if loader is None or "return_X_y" not in inspect.signature(loader).parameters:
        known = sorted(
            name.removeprefix("load_")
            for name in dir(sklearn.datasets)
            if name.startswith("load_")
            and "return_X_y" in inspect.signature(getattr(sklearn.datasets, name)).parameters
        )
        raise ObjectiveRejected(f"dataset: scikit-learn has no data set {name!r}; it has {', '.join(known)}")
    features, target = loader(return_X_y=True)
    return features, target


def _read(table: Table) -> tuple[pandas.DataFrame, list[str]]:
    """The table, and what to tell of its columns' names."""
    is_csv = isinstance(table, CsvTable)
    try:
        frame = _read_csv(table) if isinstance(table, CsvTable) else pandas.read_parquet(table.path)
    except pandas.errors.EmptyDataError as error:
        raise ObjectiveRejected(f"dataset: {table.path} is empty") from error
    except UnicodeDecodeError as error:
        encoding = (table.encoding if isinstance(table, CsvTable) else None) or "UTF-8"
        raise ObjectiveRejected(
            f"dataset: {table.path} is not {encoding} ({error}): write its `encoding`, latin-1 perhaps, or save it as "
            "UTF-8"
        ) from error
    except LookupError as error:
        raise ObjectiveRejected(f"dataset.csv.encoding: {error}; utf-8, latin-1 and cp1252 are some") from error
    except Exception as error:
        if _TWICE_IN_PARQUET in str(error):
            raise ObjectiveRejected(f"dataset: {table.path} has several columns of one name: rename them") from error
        beside = _files_beside(Path(table.path)) if isinstance(error, FileNotFoundError) else ""
        raise ObjectiveRejected(f"dataset: {table.path} cannot be read {_here()}: {error}{beside}") from error
    names = _header(table) if isinstance(table, CsvTable) else list(frame.columns)
    if is_csv and not isinstance(frame.index, pandas.RangeIndex):  # pandas took the first column for row names
        if mark := _other_separator(list(map(str, frame.columns))):
            raise ObjectiveRejected(
                f"dataset: {table.path}: its columns are separated by {mark!r}, and its numbers have commas: write "
                f'`separator: {json.dumps(mark)}` and `decimal: ","`'
            )
        raise ObjectiveRejected(
            f"dataset: {table.path} has more fields in its rows than names in its first line: add the names that are "
            "missing, or remove the separator at the end of each row"
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if table.target in twice:
        raise ObjectiveRejected(
            f"dataset: {table.path} has {names.count(table.target)} columns {table.target!r}: rename all but the target"
        )
    if twice:
        log.warning("columns have the same name", dataset=table.path, columns=twice)
    return frame, [_same_names(name, names.count(name)) for name in twice]


def _same_names(name: str, number: int) -> str:
    """pandas numbers them, and so must whoever has a table with the model score it."""
    known = ", ".join([name, *(f"{name}.{index}" for index in range(1, number))])
    return (
        f"{known}: {number} columns named {name} in the file; a table to score needs these names, as pandas reads them"
    )


def _here() -> str:
    """Where a path of the manifest means something: a pod of workers, or the folder of `tuning run`."""
    in_pod = "KUBERNETES_SERVICE_HOST" in os.environ and PYTHON_VARIABLE not in os.environ
    return "in the worker's pod" if in_pod else f"from the folder {Path.cwd()}"


def _read_csv(table: CsvTable, **more: Any) -> pandas.DataFrame:
    frame: pandas.DataFrame = pandas.read_csv(
        table.path,
        sep=table.separator or ",",
        decimal=table.decimal or ".",
        encoding=table.encoding or "utf-8",
        na_values=table.missing,
        low_memory=False,  # or one column may hold both numbers and texts of numbers
        **more,
    )
    return frame


def _header(table: CsvTable) -> list[str]:
    """The names as they are in the file: pandas makes a, a.1 of a, a."""
    try:
        first = _read_csv(table, header=None, nrows=1, dtype=str, keep_default_na=False)
    except ValueError:  # its first line has fewer fields than the others
        return []
    return [name for name in map(str, first.iloc[0]) if name]


def _files_beside(path: Path) -> str:
    try:
        return did_you_mean(path.name, [other.name for other in path.parent.iterdir()])
    except OSError:
        return ""


def _other_columns(wanted: str, frame: pandas.DataFrame) -> str:
    names = [str(name) for name in frame.columns]
    near = did_you_mean(wanted, names)
    has = f"; it has {', '.join(map(shown, names[:50]))}"
    if separator := _other_separator(names):
        return f"{has}: its columns are separated by {separator!r}: write `separator: {json.dumps(separator)}`"
    return f"{near}{'' if near else has}" if len(names) > _FEW_COLUMNS else f"{has}{near}"


def _other_separator(names: list[str]) -> str | None:
    """What separates the names, if they were read as one."""
    return next((mark for mark in (";", "\t", "|") if len(names) == 1 and mark in names[0]), None)


def _without_row_numbers(frame: pandas.DataFrame, table: Table) -> tuple[pandas.DataFrame, list[str]]:
    """Without columns that have no name and number the rows, or are empty: to_csv and spreadsheets leave them.

    And what to tell of it, and of columns that have a name and count the rows all the same.
    """
    features = [name for name in frame.columns if name != table.target]
    unnamed = [name for name in features if _UNNAMED.fullmatch(str(name)) or not str(name).strip()]
    dropped = [name for name in unnamed if frame[name].isna().all() or _numbers_rows(frame[name])]
    if dropped:
        log.warning(
            "columns without a name that number the rows, or are empty, are left out",
            dataset=table.path,
            columns=dropped,
        )
    counting = [name for name in features if name not in unnamed and _counts(frame[name])]
    if counting:
        log.warning("columns count the rows: leave them out if they say no more", dataset=table.path, columns=counting)
    told = [f"{shown(name)}: left out: it has no name, and numbers the rows or is empty" for name in map(str, dropped)]
    told += [f"{name}: counts the rows: remove it from the file if it says no more" for name in map(str, counting)]
    return frame.drop(columns=dropped), told


def _numbers_rows(column: pandas.Series) -> bool:
    return bool(pandas.api.types.is_integer_dtype(column) and column.is_unique)


def _counts(column: pandas.Series) -> bool:
    return len(column) >= _ENOUGH_ROWS and _numbers_rows(column) and bool((column.diff().iloc[1:] == 1).all())
