"""What scikit-learn has no common word for in boosters: categories, early stopping, threads. One module a library.

A module is imported when a study has a model of its library, which is then installed.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy
from sklearn.base import BaseEstimator
from sklearn.preprocessing import OrdinalEncoder

from tuning_worker.objectives.tables import Rows

_MODULES = {
    "sklearn.ensemble._hist_gradient_boosting": "hist_gradient_boosting",
    "xgboost": "xgb",
    "lightgbm": "lgbm",
    "catboost": "cat",
}
_MAX_CATEGORIES = 254  # of one column, for libraries that give each a bin of a byte; rarer ones share the last


class RoundWatch(Protocol):
    """Hears how far a fit has come. Either call may raise TrialPruned, which ends the fit."""

    metric: str | None
    """The scorer of which values are wanted; None where nobody wants any."""

    def is_due(self, rounds: int) -> bool:
        """Whether a value is wanted after so many rounds."""

    def score(self, rounds: int, predicted: Any, evaluation: Rows) -> None:
        """`predicted` answers as a fitted model would about the eval rows, whatever it is asked to predict."""

    def value(self, rounds: int, value: float) -> None:
        """The same, where the library has computed the scorer itself."""


@dataclass(frozen=True)
class EarlyStop:
    evaluation: Rows
    patience: int
    """Rounds without a smaller loss of the eval rows."""
    watch: RoundWatch


class Booster(Protocol):
    wants_frame: bool
    """Whether a table with categories must be a pandas one."""

    def max_rounds(self, model: BaseEstimator) -> int:
        """That a fit of the model has at most."""

    def set_rounds(self, model: BaseEstimator, rounds: int) -> None:
        """Make it so many, and no fewer by early stopping."""

    def defaults(self, model: BaseEstimator, threads: int, seed: int) -> Mapping[str, Any]:
        """Parameters that the manifest leaves out: threads, the seed, and no output of the library's own."""

    def for_target(self, model: BaseEstimator, target: Any) -> BaseEstimator:
        """The model, or one of the same parameters that takes such a target where the library's own does not."""

    def refuses_name(self, column: str) -> bool:
        """Whether the library takes no table with a column of this name."""

    def category_encoder(self) -> OrdinalEncoder:
        """Makes texts the numbers that the library takes for categories."""

    def declare_categories(self, model: BaseEstimator, categories: int, columns: int) -> Mapping[str, Any]:
        """Tell the model that the first `categories` of its table's columns are some; what its `fit` wants besides."""

    def fit(self, model: BaseEstimator, rows: Rows, plan: EarlyStop, more: Mapping[str, Any]) -> int:
        """Fit until the loss of the eval rows has not fallen for some rounds; how many rounds were best.

        `more` is what `declare_categories` returned.
        """


def booster_of(model: Any) -> Booster | None:
    """Of the library that the model's class is of or derived from."""
    for base in type(model).__mro__:
        for module, adapter in _MODULES.items():
            if base.__module__ == module or base.__module__.startswith(f"{module}."):
                found: Booster = importlib.import_module(f"{__name__}.{adapter}").BOOSTER
                return found
    return None


def float_categories() -> OrdinalEncoder:
    """For libraries to which a missing category is NaN, as one is that they were not fitted on."""
    return OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=numpy.nan,
        encoded_missing_value=numpy.nan,
        max_categories=_MAX_CATEGORIES,
    )
