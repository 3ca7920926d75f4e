"""Splits the rows of a table into those to fit on and those to score on, the same for every trial of a round."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
)

from tuning_study.api.objective import CrossValidation, SklearnObjective, Splitter, SplitterClass
from tuning_worker.exceptions import ObjectiveRejected
from tuning_worker.objectives.estimators import construct
from tuning_worker.objectives.rehearsal import Fold
from tuning_worker.objectives.tables import Data

_LEAST_FOLDS = 2
_PLACE = "crossValidation.splitter"


@dataclass(frozen=True)
class Splits:
    how: CrossValidation
    splitter: Splitter | Any
    """A name, or an object of scikit-learn's kind."""
    classifies: bool
    seed: int
    data: Data

    @classmethod
    def of_objective(cls, objective: SklearnObjective, data: Data, seed: int, *, classifies: bool) -> "Splits":
        """Raises ObjectiveRejected for a class that is no splitter."""
        splitter = objective.splitter
        if isinstance(splitter, SplitterClass):
            splitter = construct(splitter.class_, splitter.args, _PLACE)
            if not (hasattr(splitter, "split") and hasattr(splitter, "get_n_splits")):
                raise ObjectiveRejected(f"{_PLACE}: {type(splitter).__name__} has no `split` and is no splitter")
        return cls(objective.cross_validation, splitter, classifies, seed, data)

    @property
    def folds(self) -> int:
        """Parts of the rows, of which each class should have some; of a splitter of its own kind the fewest."""
        return self.how.folds if isinstance(self.splitter, str) else _LEAST_FOLDS

    @property
    def in_one_repeat(self) -> int:
        if not isinstance(self.splitter, str):
            return int(self.splitter.get_n_splits(self.data.features, self.data.target, self.data.groups))
        return 1 if self.splitter == "Holdout" else self.how.folds

    @property
    def number(self) -> int:
        """How many models a trial fits."""
        return self.in_one_repeat * self.how.repeats

    def __iter__(self) -> Iterator[Fold]:
        """Raises ValueError for rows that cannot be split so."""
        named = isinstance(self.splitter, str)
        groups = self.data.groups if self.splitter == "Group" or not named else None  # others warn of them
        for repeat in range(self.how.repeats):
            splitter = self._shuffled((self.seed + repeat) % 2**32)
            yield from splitter.split(self.data.features, self.data.target, groups)

    def hold_out(self, rows: Any, fraction: float) -> Fold:
        """Some of these rows apart: the last in time, whole groups, or as many of each class.

        Raises ValueError for rows that cannot be split so.
        """
        seed = self.seed % 2**32
        if self.data.in_time or self.splitter == "TimeSeries":
            last = max(round(fraction * len(rows)), 1)
            return rows[:-last], rows[-last:]
        if self.data.groups is not None:
            groups = numpy.asarray(self.data.groups)[rows]
            ((kept, apart),) = GroupShuffleSplit(1, test_size=fraction, random_state=seed).split(rows, groups=groups)
            return rows[kept], rows[apart]
        if not self.classifies:
            ((kept, apart),) = ShuffleSplit(1, test_size=fraction, random_state=seed).split(rows)
            return rows[kept], rows[apart]
        classes = numpy.unique(numpy.asarray(self.data.target)[rows], return_inverse=True)[1]
        alone = numpy.bincount(classes)[classes] < 2  # a class of one row is fitted on
        several, labels = rows[~alone], classes[~alone]
        ((kept, apart),) = StratifiedShuffleSplit(1, test_size=fraction, random_state=seed).split(several, labels)
        return numpy.concatenate([several[kept], rows[alone]]), several[apart]

    def _shuffled(self, seed: int) -> Any:
        folds = self.how.folds
        match self.splitter:
            case "TimeSeries":
                return TimeSeriesSplit(folds)
            case "Group":
                return (StratifiedGroupKFold if self.classifies else GroupKFold)(folds, shuffle=True, random_state=seed)
            case "Holdout":
                split = StratifiedShuffleSplit if self.classifies else ShuffleSplit
                return split(1, test_size=1 / folds, random_state=seed)
            case "KFold":
                return KFold(folds, shuffle=True, random_state=seed)
            case "Auto" | "Stratified":
                stratified = self.classifies or self.splitter == "Stratified"
                return (StratifiedKFold if stratified else KFold)(folds, shuffle=True, random_state=seed)
            case _:
                splitter = deepcopy(self.splitter)
                if getattr(splitter, "random_state", seed) is None and getattr(splitter, "shuffle", True):
                    splitter.random_state = seed
                return splitter
