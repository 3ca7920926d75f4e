"""What a data set is like, in eleven numbers, so that studies of similar ones can be found.

A worker that has read its data calls it; tuning_study.search.likeness compares what it returns.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas
from numpy.typing import NDArray

from tuning_study.production.features import Reference, reference_of

_ROWS, _COLUMNS = 2000, 100  # what is looked at of a large table
_REFERENCE_ROWS, _MOST_REFERENCES = 100_000, 200  # rows that are counted, and columns
_SPREAD_OUT = 0.95  # of the variance, which so many principal components hold

Matrix = NDArray[np.float64]


def describe(features: Any, target: Any, *, classes: bool) -> dict[str, float]:
    """The features' names are those of likeness.SCALES; every value is finite. `classes` tells a classification.

    A table of more than 2,000 rows or 100 columns is judged by as many of them, evenly spaced; its size is its own.
    """
    frame = features if isinstance(features, pandas.DataFrame) else pandas.DataFrame(np.asarray(features))
    rows, columns = frame.shape
    truth = pandas.Series(np.asarray(target).reshape(len(frame), -1)[:, 0])
    some = frame.iloc[_evenly(rows, _ROWS), _evenly(columns, _COLUMNS)]
    numbers = _numbers(some)
    return {
        "logRows": float(np.log10(max(rows, 1))),
        "logColumns": float(np.log10(max(columns, 1))),
        "categorical": 1 - _numeric(some).shape[1] / max(some.shape[1], 1),
        "missing": float(some.isna().to_numpy().mean()) if some.size else 0.0,
        **_of_classes(truth if classes else None),
        **_of_numbers(numbers),
        "targetCorrelation": _target_correlation(numbers, truth.iloc[_evenly(rows, _ROWS)], classes=classes),
    }


def references_of(features: Any, chosen: Sequence[str]) -> dict[str, Reference]:
    """The distribution of each chosen column, or else of all, at most 200. Columns without names are numbered, from 0.

    Of more than 100,000 rows so many are looked at, evenly spaced.
    """
    frame = features if isinstance(features, pandas.DataFrame) else pandas.DataFrame(np.asarray(features))
    some = frame.iloc[_evenly(len(frame), _REFERENCE_ROWS)]
    columns = {str(name): place for place, name in enumerate(frame.columns)}
    wanted = [name for name in chosen if name in columns] if chosen else list(columns)[:_MOST_REFERENCES]
    return {name: reference_of(some.iloc[:, columns[name]].tolist()) for name in wanted}


def _evenly(count: int, most: int) -> Any:
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int)) if count else []


def _numeric(frame: pandas.DataFrame) -> pandas.DataFrame:
    return frame.select_dtypes(include=["number", "bool"])


def _numbers(frame: pandas.DataFrame) -> Matrix:
    """The numeric columns that vary, standardised, with the mean where a value is missing."""
    values = np.array(_numeric(frame).to_numpy(dtype=float, na_value=np.nan))
    values[~np.isfinite(values)] = np.nan
    values = values[:, ~np.isnan(values).all(axis=0)]
    if not values.size:
        return np.empty((len(frame), 0))
    largest = np.nanmax(np.abs(values), axis=0)
    values = values[:, largest > 0] / largest[largest > 0]  # sums and squares of huge numbers would overflow
    centred = np.nan_to_num(values - np.nanmean(values, axis=0))
    deviations = centred.std(axis=0)
    varying = deviations > 0  # the mean of equal numbers may be off by a rounding
    standardised: Matrix = centred[:, varying] / deviations[varying]
    return standardised


def _of_classes(target: pandas.Series | None) -> dict[str, float]:
    if target is None:
        return {"logClasses": 0.0, "imbalance": 0.0}
    shares = target.value_counts(normalize=True).to_numpy(dtype=float)
    if len(shares) < 2:
        return {"logClasses": 0.0, "imbalance": 1.0}
    entropy = float(-(shares * np.log2(shares)).sum())
    return {"logClasses": math.log2(len(shares)), "imbalance": max(0.0, 1 - entropy / math.log2(len(shares)))}


def _of_numbers(numbers: Matrix) -> dict[str, float]:
    """Of the standardised columns: how skewed, heavy-tailed and correlated they are, and in how few directions."""
    columns = numbers.shape[1]
    if not columns:
        return {"skew": 0.0, "kurtosis": 0.0, "correlation": 0.0, "components": 1.0}
    related = numbers.T @ numbers / len(numbers)
    pairs = np.abs(related[np.triu_indices(columns, 1)])
    shares = np.sort(np.linalg.eigvalsh(related))[::-1] / columns
    needed = int(np.searchsorted(np.cumsum(shares), _SPREAD_OUT)) + 1
    return {
        "skew": float(np.log1p(np.median(np.abs((numbers**3).mean(axis=0))))),
        "kurtosis": float(np.log1p(np.median((numbers**4).mean(axis=0)))),
        "correlation": float(pairs.mean()) if len(pairs) else 0.0,
        "components": min(needed, columns) / columns,
    }


def _target_correlation(numbers: Matrix, target: pandas.Series, *, classes: bool) -> float:
    """Of the column that tells most of the target: the share of its variance that lies between the classes, as a root,
    or its correlation with a number."""
    if not numbers.shape[1]:
        return 0.0
    if classes:
        codes, names = pandas.factorize(target)
        means = np.array([numbers[codes == code].mean(axis=0) for code in range(len(names))])
        shares = np.bincount(codes[codes >= 0], minlength=len(names)) / len(codes)
        return float(np.sqrt(np.clip((shares @ means**2).max(), 0.0, 1.0)))
    truth = _numbers(pandas.DataFrame({"target": pandas.to_numeric(target, errors="coerce")}))
    return float(np.abs(numbers.T @ truth / len(numbers)).max()) if truth.size else 0.0
