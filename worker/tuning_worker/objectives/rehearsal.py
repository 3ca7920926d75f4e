"""Chooses what to try before any trial: few rows and few points, which stand for all. Nothing here does I/O."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import pandas

from tuning_study.api.parameters import Parameter
from tuning_study.search import space
from tuning_study.values import Value

Rows = Any  # positions in the table, an array
Fold = tuple[Rows, Rows]  # to fit on, and to score on

_FEW = 200  # rows that are fitted on, besides those that each stand for something
_OF_EACH_CLASS = 5
_TEXTS = 500  # different values of a column, of which each has a row
_MOST_POINTS = 16
_PLACES = (0.0, 1.0, 0.5, 0.25)  # between a parameter's min and max


@dataclass(frozen=True)
class Failure:
    metric: str | None  # the one that could not be computed; None if the model failed
    kind: str
    reason: str
    fitted: bool = False  # it could not predict then

    @property
    def same_for_all(self) -> tuple[str | None, str, str]:
        """The failure without the numbers in its words, which may be a parameter's."""
        return self.metric, self.kind, re.sub(r"\d[\d.e+-]*", "#", self.reason)


def points(parameters: Sequence[Parameter]) -> list[space.Point]:
    """Points that hold each categorical value once, low ends first: fewer trees fit faster. Last none at all."""
    widest = max((len(parameter.values or []) for parameter in parameters), default=0)
    count = min(max(len(_PLACES), widest), _MOST_POINTS)
    corners = [{parameter.name: _value(parameter, index) for parameter in parameters} for index in range(count)]
    return [*(space.clip(parameters, corner)[0] for corner in corners), {}]


def _value(parameter: Parameter, index: int) -> Value:
    if parameter.values:
        return parameter.values[index % len(parameter.values)]
    assert parameter.min is not None and parameter.max is not None  # a rule of Parameter
    place = _PLACES[index % len(_PLACES)]
    if parameter.scale == "Log":
        return float(parameter.min * (parameter.max / parameter.min) ** place)
    return float(parameter.min + place * (parameter.max - parameter.min))


def verdict(
    fail: Callable[[space.Point, Sequence[Fold]], Failure | None],
    candidates: Sequence[space.Point],
    few: Sequence[Fold],
    whole: Sequence[Fold],
) -> Failure | None:
    """The failure that no parameters could avoid, if there is one.

    All candidates must fail alike on a few rows, the pipeline as it is written among them. Where the model failed, not
    a scorer, it must do so on all rows too: few may be too few for it.
    """
    failures = []
    for point in candidates:
        failure = fail(point, few)
        if failure is None:
            return None
        failures.append(failure)
    if len({failure.same_for_all for failure in failures}) > 1:
        return None
    if failures[0].metric is not None:
        return failures[0]
    confirmed = fail({}, whole)
    return confirmed if confirmed is not None and confirmed.same_for_all == failures[0].same_for_all else None


def telling_folds(folds: Iterable[Fold], features: Any, target: Any, *, classifies: bool) -> list[Fold]:
    """The first fold, and the one whose rows to score on differ most from those to fit on."""
    codes = [pandas.factorize(column)[0] for column in [*_texts(features), *([target] if classifies else [])]]
    first, hardest, strange = None, None, (0, 0)
    for fold in folds:
        first = first or fold
        new, lacking = zip((0, 0), *(_differences(code, fold) for code in codes), strict=True)
        if (sum(new), sum(lacking)) > strange:
            hardest, strange = fold, (sum(new), sum(lacking))
    return [fold for fold in (first, hardest if hardest is not first else None) if fold is not None]


def _differences(codes: Any, fold: Fold) -> tuple[int, int]:
    """How many values are only to score on, which is worse, and how many only to fit on."""
    train, test = (numpy.bincount(codes[rows] + 1, minlength=codes.max() + 2) > 0 for rows in fold)
    return int((test & ~train).sum()), int((train & ~test).sum())


def few_rows(fold: Fold, features: Any, target: Any, *, classifies: bool) -> Fold:
    """A few rows of both parts: each class, and of each column what is missing, largest, or text."""
    train, test = (_few(rows, features, target, classifies) for rows in fold)
    return train, test


def _few(rows: Rows, features: Any, target: Any, classifies: bool) -> Rows:
    if len(rows) <= _FEW:
        return rows
    chosen = numpy.zeros(len(rows), dtype=bool)
    if classifies:
        labels = pandas.Series(numpy.asarray(target)[rows])
        places = labels.groupby(labels, sort=False).cumcount()
        chosen |= (places < max(_OF_EACH_CLASS, _FEW // labels.nunique())).to_numpy()
    else:
        chosen[numpy.linspace(0, len(rows) - 1, _FEW).astype(int)] = True
    frame = pandas.DataFrame(features)
    for index in range(frame.shape[1]):  # column by column: a second table would take its room again
        chosen[_telling_places(frame.iloc[:, index].iloc[rows])] = True
    return rows[chosen]


def _telling_places(column: Any) -> Any:
    """Where the column has no value, its largest number, or a text: those that are no numbers, then each once."""
    missing = column.isna().to_numpy()
    places = [missing.argmax()] if missing.any() else []
    if pandas.api.types.is_numeric_dtype(column):
        sizes = numpy.abs(column.to_numpy(dtype=float, na_value=numpy.nan))
        return places if missing.all() else [*places, numpy.nanargmax(sizes)]
    texts = column.astype(str)
    odd = pandas.to_numeric(texts, errors="coerce").isna().to_numpy() & ~missing
    return [*places, *numpy.flatnonzero(odd)[:1], *numpy.flatnonzero(~texts.duplicated().to_numpy())[:_TEXTS]]


def _texts(features: Any) -> list[Any]:
    frame = pandas.DataFrame(features)
    return [column.astype(str) for _, column in frame.select_dtypes(exclude=["number", "bool"]).items()]
