"""The private parts of Optuna that a worker stands on: named here, and nowhere else in this package."""

import optuna
from optuna.study._tell import _tell_with_warning as tell_trial

__all__ = ["stop_was_asked", "tell_trial"]


def stop_was_asked(study: optuna.Study) -> bool:
    """Whether the objective called study.stop()."""
    return study._stop_flag
