"""Reads a data set, and says before any trial what in it no model could use."""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import pandas
import sklearn.datasets
import structlog
from sklearn.utils.multiclass import type_of_target

from tuning_study.spec import Dataset, Table
from tuning_worker.exceptions import ObjectiveRejected
from tuning_worker.hints import did_you_mean, shown

log = structlog.get_logger()

_UNNAMED = re.compile(r"Unnamed: \d+(?:_level_\d+)?")  # what pandas calls a column without a name
_ENOUGH_ROWS = 20  # from here on no column equals the target by chance
_NAMED = 5  # columns, or classes, that a message names


@dataclass(frozen=True)
class Task:
    """What a pipeline makes of its data."""

    model: str
    classifies: bool
    regresses: bool
    folds: int


def load(dataset: Dataset) -> tuple[Any, Any]:
    """Features and target."""
    if dataset.load is not None:
        return _load_known(dataset.load)
    table = dataset.csv or dataset.parquet
    assert table is not None  # a rule of Dataset
    frame = _read(table, is_csv=dataset.csv is not None)
    if table.target not in frame.columns:
        raise ObjectiveRejected(f"dataset: {table.path} has no column {table.target!r}{_other_columns(table, frame)}")
    frame = _without_row_numbers(frame, table)
    return frame.drop(columns=[table.target]), frame[table.target]


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


def _read(table: Table, *, is_csv: bool) -> pandas.DataFrame:
    try:
        frame = (pandas.read_csv if is_csv else pandas.read_parquet)(table.path)
    except pandas.errors.EmptyDataError as error:
        raise ObjectiveRejected(f"dataset: {table.path} is empty") from error
    except UnicodeDecodeError as error:
        raise ObjectiveRejected(f"dataset: {table.path} is not UTF-8 ({error}): save it as UTF-8") from error
    except Exception as error:
        beside = _files_beside(Path(table.path)) if isinstance(error, FileNotFoundError) else ""
        raise ObjectiveRejected(f"dataset: {table.path} cannot be read in the worker's pod: {error}{beside}") from error
    names = _header(table.path) if is_csv else list(frame.columns)
    if is_csv and not isinstance(frame.index, pandas.RangeIndex):  # pandas took the first column for row names
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
    return frame


def _header(path: str) -> list[str]:
    """The names as they are in the file: pandas makes a, a.1 of a, a."""
    try:
        first = pandas.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False)
    except ValueError:  # its first line has fewer fields than the others
        return []
    return [name for name in map(str, first.iloc[0]) if name]


def _files_beside(path: Path) -> str:
    try:
        return did_you_mean(path.name, [other.name for other in path.parent.iterdir()])
    except OSError:
        return ""


def _other_columns(table: Table, frame: pandas.DataFrame) -> str:
    names = [str(name) for name in frame.columns]
    near = did_you_mean(table.target, names)
    has = f"; it has {', '.join(map(shown, names[:50]))}"
    separator = next((mark for mark in (";", "\t", "|") if len(names) == 1 and mark in names[0]), None)
    if separator is not None:
        return f"{has}: its columns are separated by {separator!r}, save it with commas"
    return f"{near}{'' if near else has}" if len(names) > _NAMED else f"{has}{near}"


def _without_row_numbers(frame: pandas.DataFrame, table: Table) -> pandas.DataFrame:
    """Without columns that have no name and number the rows, or are empty: to_csv and spreadsheets leave them."""
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
    return frame.drop(columns=dropped)


def _numbers_rows(column: pandas.Series) -> bool:
    return bool(pandas.api.types.is_integer_dtype(column) and column.is_unique)


def _counts(column: pandas.Series) -> bool:
    return len(column) >= _ENOUGH_ROWS and _numbers_rows(column) and bool((column.diff().iloc[1:] == 1).all())


def problem(features: Any, target: Any, task: Task) -> str | None:
    """What no parameters could mend, in words that say what to do."""
    return next(_problems(features, target, task), None)


def _problems(features: Any, target: Any, task: Task) -> Iterator[str]:
    values = numpy.asarray(target)
    rows = len(values)
    if rows == 0:
        yield "the table has no rows"
    if features.shape[1] == 0:
        yield "the table has no column besides the target: there is nothing to predict it from"
    if values.ndim > 1:
        return
    missing = pandas.isna(values)
    if missing.any():
        yield (
            f"the target has no value in {missing.sum()} of {rows} rows (the first is row {missing.argmax() + 1}; "
            "NA, None and null count as none too): fill them, or remove these rows"
        )
    numeric = pandas.api.types.is_numeric_dtype(target)
    if numeric and not numpy.isfinite(values.astype(float)).all():
        yield "the target is infinite in some rows: correct or remove them"
    if rows < task.folds:
        yield (
            f"{rows} rows are too few for {task.folds} folds: give more rows, "
            f"or set crossValidation.folds to at most {rows}"
        )
    if task.regresses and not numeric:
        yield f"the target holds text such as {str(values[0])!r}, and {task.model} predicts numbers: use a classifier"
    if task.classifies and numeric and type_of_target(values).startswith("continuous"):
        yield (
            f"the target has {len(numpy.unique(values))} different numbers with fractions, and {task.model} predicts "
            "classes: use a regressor, or make classes of the numbers"
        )
    if task.classifies or task.regresses:
        yield from _target_tells_nothing(features, target, task)


def _target_tells_nothing(features: Any, target: Any, task: Task) -> Iterator[str]:
    counts = pandas.Series(numpy.asarray(target)).value_counts()
    if len(counts) == 1:
        yield f"the target is {counts.index[0]!s} in every row: there is nothing to learn"
    if task.classifies and counts.iloc[0] < task.folds:
        yield (
            f"no class has as many rows as there are folds ({task.folds}); the largest, {counts.index[0]!s}, has "
            f"{counts.iloc[0]}: give more rows, or set crossValidation.folds to at most {counts.iloc[0]}"
        )
    same = _equal_columns(features, target)
    if same:
        yield f"{_listed(same)} equals the target in every row, so that every model is perfect: remove the column"


def _equal_columns(features: Any, target: Any) -> list[str]:
    if not hasattr(features, "columns") or len(features) < _ENOUGH_ROWS:
        return []
    numeric = pandas.api.types.is_numeric_dtype
    return [
        str(name)
        for name, column in features.items()
        if numeric(column) == numeric(target) and bool((column.to_numpy() == target.to_numpy()).all())
    ]


def rare_classes(target: Any, folds: int) -> list[str]:
    """Classes with fewer rows than folds, with their numbers: some fold has none of them to fit or to score on."""
    counts = pandas.Series(numpy.asarray(target)).value_counts()
    return [f"{name!s} ({count})" for name, count in counts[counts < folds].items()]


def why_not_fitted(features: Any) -> list[str]:
    """What of the features many models do not take, and what would help."""
    frame = pandas.DataFrame(features)
    numeric = frame.select_dtypes(include=["number", "bool"])
    among_numbers = _texts_among_numbers(frame)
    commas = [name for name, column in _text_columns(frame) if _has_commas(column)]
    explained = {*map(str, numeric.columns), *among_numbers, *commas}
    text = [str(name) for name in frame.columns if str(name) not in explained]
    missing = [str(name) for name, column in frame.items() if column.isna().any()]
    infinite = [str(name) for name, column in numeric.items() if numpy.isinf(column.to_numpy(dtype=float)).any()]
    found = [
        (commas, "numbers with commas", "write 1234.5 for 1,234.5 and for 1234,5"),
        (text, "no numbers", "encode them in a step before, as sklearn.preprocessing.OrdinalEncoder does"),
        (missing, "rows without a value", "fill them in a step before, as sklearn.impute.SimpleImputer does"),
        (infinite, "infinite values", "correct or remove these rows"),
    ]
    return [
        *_told(among_numbers),
        *(f"{what} in {_listed(names)}: {advice}" for names, what, advice in found if names),
    ]


def why_no_prediction(features: Any, folds: int) -> list[str]:
    """What of the features a fold may have only to score on, and what would help."""
    frame = pandas.DataFrame(features)
    among_numbers = _texts_among_numbers(frame)
    found = []
    for name, column in _text_columns(frame):
        counts = column.value_counts()
        rare = list(counts[counts < folds].index)
        if rare and name not in among_numbers:
            found.append(
                f"values with fewer rows than the {folds} folds in column {shown(name)} ({_quoted(rare)}): "
                "let the encoder take unknown ones, as handle_unknown does, or remove these rows"
            )
    return [*_told(among_numbers), *found[:_NAMED]]


def _texts_among_numbers(frame: pandas.DataFrame) -> dict[str, list[str]]:
    """Columns that are numbers for the most part, with what is none in them."""
    found = {}
    for name, column in _text_columns(frame):
        strange = pandas.to_numeric(column, errors="coerce").isna()
        if strange.any() and strange.mean() < 0.5 and not _has_commas(column):
            found[name] = list(column[strange].unique())
    return found


def _has_commas(column: Any) -> bool:
    plain = pandas.to_numeric(column.str.replace(",", ""), errors="coerce")
    return len(column) > 0 and bool(plain.notna().all()) and bool(column.str.contains(",").any())


def _text_columns(frame: pandas.DataFrame) -> Iterator[tuple[str, Any]]:
    for name, column in frame.select_dtypes(exclude=["number", "bool"]).items():
        yield str(name), column.dropna().astype(str)


def _told(among_numbers: Mapping[str, Sequence[str]]) -> list[str]:
    return [
        f"text among the numbers of column {shown(name)} ({_quoted(texts)}): leave the cells empty, or correct them"
        for name, texts in among_numbers.items()
    ][:_NAMED]


def _quoted(texts: Sequence[str]) -> str:
    return ", ".join(repr(text[:40]) for text in texts[:3]) + (", …" if len(texts) > 3 else "")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ("columns " if len(names) > 1 else "column ") + ", ".join(map(shown, names[:_NAMED])) + more
