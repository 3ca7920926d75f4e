"""Keeps the threads of a study's workers within the machine's cores, where the manifest does not say how many."""

from collections.abc import Mapping
from typing import Any

import joblib
from sklearn.base import BaseEstimator

from tuning_worker.objectives.boosters import booster_of

# Of scikit-learn's others n_jobs starts processes, each with a copy of the table, or is deprecated.
_THREADED = ("sklearn.ensemble._forest", "sklearn.ensemble._iforest", "sklearn.neighbors.")

NAMES = frozenset(["n_jobs", "thread_count"])
"""Of the parameters of a model that are its threads."""


def threads() -> int:
    """The cores that are this worker's: whoever starts it sets LOKY_MAX_CPU_COUNT, and joblib knows of cgroups."""
    return int(joblib.cpu_count())


def defaults(model: BaseEstimator, seed: int) -> Mapping[str, Any]:
    """Parameters of the model that the manifest leaves out: threads, and of boosters the seed and silence."""
    booster = booster_of(model)
    if booster is not None:
        return booster.defaults(model, threads(), seed)
    idle = model.get_params(deep=False).get("n_jobs", 0) is None and type(model).__module__.startswith(_THREADED)
    return {"n_jobs": threads()} if idle and threads() > 1 else {}
