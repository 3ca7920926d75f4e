"""Hyperparameter tuning from Python: `tuning.tune(objective, …)` on this machine, `Study(…).apply()` on a cluster.

    import tuning

    def objective(params):
        return (params["x"] - 2) ** 2

    study = tuning.tune(objective, parameters={"x": (-10.0, 10.0)}, trials=100)
    study.best_params

Names are imported when they are first used, so that `import tuning` costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuning.exact_budget import optimize
    from tuning.parameters import Choice, Float, Int
    from tuning.study import Study, load, studies, tune
    from tuning_client.exceptions import TuningError, WrongUse
    from tuning_store.store import open_storage

_HOMES = {
    "Choice": "tuning.parameters",
    "Float": "tuning.parameters",
    "Int": "tuning.parameters",
    "Study": "tuning.study",
    "TuningError": "tuning_client.exceptions",
    "WrongUse": "tuning_client.exceptions",
    "optimize": "tuning.exact_budget",
    "load": "tuning.study",
    "open_storage": "tuning_store.store",
    "studies": "tuning.study",
    "tune": "tuning.study",
}

__all__ = [
    "Choice",
    "Float",
    "Int",
    "Study",
    "TuningError",
    "WrongUse",
    "load",
    "open_storage",
    "optimize",
    "studies",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tuning' has no attribute {name!r}; it has {', '.join(_HOMES)}")
    from importlib import import_module

    home = import_module(_HOMES[name])
    found = getattr(home, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(_HOMES)
