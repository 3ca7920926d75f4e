"""What a worker and whoever starts one agree on: exit codes, thread limits and the name of a variable.

Read by `tuning_worker` and by what runs it: the operator's Job and `tuning run`. Standard library only, because the
process that supervises a worker imports it and stays small.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """How `python -m tuning_worker` ends. An objective cannot bring any of these about."""

    DONE = 0  # the round is over
    CRASHED = 1  # the store cannot be used, or the worker's process ended again and again outside a trial
    INVALID_SETTINGS = 2
    REJECTED = 78  # EX_CONFIG: the objective cannot run at all
    STOPPED = 143  # told to stop; not 0, or Kubernetes would take the worker's index for finished


TRIAL_BEGINS = "trial begins"
"""Event of a worker's log, with the trial's number under `trial`: what follows is that trial's, up to the next."""

MAX_ATTEMPTS = 3
"""A trial whose worker was killed this often is not tried again: it may well be the reason."""

PYTHON_VARIABLE = "TUNING_PYTHON"
"""Set on a laptop: what `python` as the first word of a command stands for. In an image it is on the PATH."""

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "LOKY_MAX_CPU_COUNT",  # what `n_jobs=-1` of joblib and scikit-learn takes for all cores
    "PYTHON_CPU_COUNT",  # os.cpu_count() from Python 3.13 on
)


def thread_limits(threads: int) -> dict[str, str]:
    """Environment under which numeric libraries use `threads` cores: several workers share a machine."""
    return dict.fromkeys(_THREAD_VARIABLES, str(threads))
