"""Stores that this program has opened, kept open until it ends: a notebook asks the same one again and again.

What reads histories is imported when one is read: a first run does not wait for it.
"""

import atexit
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

with warnings.catch_warnings():  # in a notebook Optuna's progress bar asks for ipywidgets, and none is shown
    warnings.filterwarnings("ignore", message="IProgress not found")
    import optuna

from tuning_client.local import database

if TYPE_CHECKING:
    from tuning_client.target import Target
    from tuning_report.round_history import History

_open = ExitStack()
_running: set[Path] = set()
_studies: dict[tuple["Target", str], optuna.Study] = {}
_lock = threading.Lock()
atexit.register(_open.close)


def read(target: "Target", name: str | None) -> "History":
    """The history of a study's last round. Raises WrongUse for a study that is not there."""
    from tuning_client import histories

    _keep_running(target)
    with quiet_optuna():
        return histories.read(target, name)


def names(target: "Target") -> list[str]:
    from tuning_client import histories

    _keep_running(target)
    with quiet_optuna():
        return histories.names(target)


def optuna_study(target: "Target", name: str, study: str) -> optuna.Study:
    """The study, by its name in Optuna, on a storage that is opened once and stays open until this program ends."""
    from tuning_client import histories

    _keep_running(target)
    with _lock, quiet_optuna():
        if (target, study) not in _studies:
            storage = _open.enter_context(histories.study_storage(target, name))
            _studies[target, study] = optuna.load_study(study_name=study, storage=storage)
        return _studies[target, study]


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Our own use of Optuna says nothing; its user's stays as it was set."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _keep_running(target: "Target") -> None:
    """The server of a folder's store starts once, not for each question."""
    folder = target.folder.resolve()
    with _lock:
        if target.local and folder not in _running and database.exists(folder):
            _open.enter_context(database.database(folder))
            _running.add(folder)
