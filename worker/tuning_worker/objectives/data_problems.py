"""Says before any trial what of a data set no model could use, and what of it many models do not take. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import pandas
from sklearn.utils.multiclass import type_of_target

from tuning_worker.hints import shown
from tuning_worker.objectives.dates import ANY_DATE

_ENOUGH_ROWS = 20  # from here on no column equals the target by chance
_FEWEST_FOLDS = 2
_NAMED = 5  # columns, or classes, that a message names
_COMMAS = ("numbers with commas", "write `decimal: ','` for 1234,5, or 1234.5 for 1,234.5 in the file")
_INFINITE = ("infinite values", "correct or remove these rows")
_MARKS = 3  # texts among numbers or dates that may stand for no value; of more, the column's values are names


@dataclass(frozen=True)
class Task:
    """What a pipeline makes of its data."""

    model: str
    classifies: bool
    regresses: bool
    folds: int


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
        noun = "row is" if rows == 1 else "rows are"
        yield f"{rows} {noun} too few for {task.folds} folds: {_more_rows(rows, task.folds)}"
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
            f"{counts.iloc[0]}: {_more_rows(int(counts.iloc[0]), task.folds, ' of each class')}"
        )
    same = _equal_columns(features, target)
    if same:
        yield f"{_listed(same)} equals the target in every row, so that every model is perfect: remove the column"


def _more_rows(most: int, folds: int, of: str = "") -> str:
    """What is possible with `most` rows: two folds are the fewest that there are."""
    if most < _FEWEST_FOLDS:
        return f"give at least {folds} rows{of}, or {_FEWEST_FOLDS} and set crossValidation.folds to {_FEWEST_FOLDS}"
    return f"give more rows, or set crossValidation.folds to at most {most}"


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


def misread(features: pandas.DataFrame) -> str | None:
    """Columns of numbers and dates that were read as text, and how to have them read."""
    commas = [name for name, column in _text_columns(features) if _has_commas(column)]
    if commas:
        return f"{_COMMAS[0]} in {_listed(commas)}: {_COMMAS[1]}"
    numbers, dates = _texts_among_numbers(features), _texts_among_dates(features)
    told = [*_told(_marks(numbers), "numbers"), *_told(_marks(dates), "dates")]
    return "; ".join(told) or None


def _marks(among: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """Those with so few texts that each may stand for no value."""
    return {name: texts for name, texts in among.items() if len(texts) <= _MARKS}


def _texts_among_dates(frame: pandas.DataFrame) -> dict[str, list[str]]:
    """Columns that are dates for the most part, with what is none in them."""
    found = {}
    for name, column in _text_columns(frame):
        dates = column.str.fullmatch(ANY_DATE)
        if not dates.all() and dates.mean() > 0.5:
            found[name] = list(column[~dates].unique())
    return found


def why_not_fitted(features: Any, *, prepared: bool = False) -> list[str]:
    """What of the features many models do not take, and what would help; of a prepared table, what still may be."""
    frame = pandas.DataFrame(features)
    numeric = frame.select_dtypes(include=["number", "bool"])
    infinite = [str(name) for name, column in numeric.items() if numpy.isinf(column.to_numpy(dtype=float)).any()]
    if prepared:
        return [f"{_INFINITE[0]} in {_listed(infinite)}: {_INFINITE[1]}"] if infinite else []
    among_numbers = _texts_among_numbers(frame)
    commas = [name for name, column in _text_columns(frame) if _has_commas(column)]
    explained = {*map(str, numeric.columns), *among_numbers, *commas}
    text = [str(name) for name in frame.columns if str(name) not in explained]
    missing = [str(name) for name, column in frame.items() if column.isna().any()]
    found = [
        (commas, *_COMMAS),
        (
            text,
            "no numbers",
            "encode them in `columns` or in a step before, as sklearn.preprocessing.OrdinalEncoder does",
        ),
        (missing, "rows without a value", "fill them in a step before, as sklearn.impute.SimpleImputer does"),
        (infinite, *_INFINITE),
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


def _told(among: Mapping[str, Sequence[str]], kind: str = "numbers") -> list[str]:
    return [
        f"text among the {kind} of column {shown(name)} ({_quoted(texts)}): write `missing: "
        f"{json.dumps(list(texts[:_MARKS]), ensure_ascii=False)}` if there is no value, correct the cells, or "
        "encode the column in `columns`"
        for name, texts in among.items()
    ][:_NAMED]


def _quoted(texts: Sequence[str]) -> str:
    return ", ".join(repr(text[:40]) for text in texts[:3]) + (", …" if len(texts) > 3 else "")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ("columns " if len(names) > 1 else "column ") + ", ".join(map(shown, names[:_NAMED])) + more
