"""Stands for a model that is being fitted, when a scorer asks what it would predict for the eval rows."""

from typing import Any

import numpy
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin


class PredictedNumbers(RegressorMixin, BaseEstimator):
    def __init__(self, numbers: Any = None) -> None:
        self.numbers = numbers

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, _: Any) -> Any:
        return self.numbers


class PredictedClasses(ClassifierMixin, BaseEstimator):
    """`probabilities`: of the second class where there are two, else a column for each class."""

    def __init__(self, probabilities: Any = None, classes: Any = None) -> None:
        self.probabilities, self.classes = probabilities, classes

    @property
    def classes_(self) -> Any:
        return numpy.asarray(self.classes)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict_proba(self, _: Any) -> Any:
        given = numpy.asarray(self.probabilities)
        return numpy.column_stack([1 - given, given]) if given.ndim == 1 else given

    def predict(self, rows: Any) -> Any:
        return self.classes_[self.predict_proba(rows).argmax(axis=1)]
