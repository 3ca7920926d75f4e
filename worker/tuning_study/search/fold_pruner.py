"""Lets a pruner that compares folds judge trials of cross-validation, whose reports are means of all folds so far.

Reports are means because the other pruners, and a pruned trial's last report, need the best estimate there is. Wilcoxon
pairs a trial's folds with those of the best trial, so it needs each fold by itself. Built by `strategy`.
"""

from copy import copy
from dataclasses import dataclass
from itertools import count
from typing import cast

import optuna
from optuna.pruners import BasePruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from tuning_study.attributes import FIRST_FOLD_ATTRIBUTE

_DIGITS = 12  # that a fold's value keeps of the 16 of a mean


class FoldPruner(BasePruner):
    """Shows the pruner trials whose step is the number of a fold, and whose value is that of the fold alone."""

    def __init__(self, pruner: BasePruner) -> None:
        self._pruner = pruner

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        return self._pruner.prune(cast(optuna.Study, _StudyOfFolds(study)), by_fold(trial))


@dataclass(frozen=True)
class _StudyOfFolds:
    """What such a pruner asks a study."""

    _study: optuna.Study

    @property
    def direction(self) -> StudyDirection:
        return self._study.direction

    @property
    def best_trial(self) -> FrozenTrial:
        """Raises ValueError while there is none."""
        return by_fold(self._study.best_trial)


def by_fold(trial: FrozenTrial) -> FrozenTrial:
    """A copy of the trial that reports each fold, from 0. What it reported before its first fold, it does not."""
    first = int(trial.user_attrs.get(FIRST_FOLD_ATTRIBUTE, 0))
    means = trial.intermediate_values
    folds: dict[int, float] = {}
    total = 0.0
    for fold in count():
        if first + fold not in means:
            break
        upto = means[first + fold] * (fold + 1)
        folds[fold] = _difference(upto, total)
        total = upto
    copied = copy(trial)
    copied.intermediate_values = folds
    return copied


def _difference(minuend: float, subtrahend: float) -> float:
    """Without the last digits, which are chance: folds that are equal must not become unequal."""
    found = minuend - subtrahend
    if abs(found) < 10**-_DIGITS * abs(minuend):
        return 0.0
    return float(f"{found:.{_DIGITS}g}")
