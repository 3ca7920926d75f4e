"""The private parts of Optuna that this package stands on: named here, and nowhere else in it.

A contract test holds each of them against the installed version. Optuna's SQL parts are imported when one of them is
asked for: a worker on PostgreSQL does without SQLAlchemy.
"""

from collections.abc import Callable
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from optuna.storages._cached_storage import _CachedStorage as CachedStorage
    from optuna.storages._rdb import models
    from optuna.storages.journal._storage import JournalOperation

__all__ = [
    "TABLES_REVISION",
    "BaseHeartbeat",
    "CachedStorage",
    "FrozenStudy",
    "JournalOperation",
    "JournalReplay",
    "begin_trial",
    "id_of_study",
    "id_of_trial",
    "models",
    "rdb_of",
    "stale_trials",
    "storage_of",
]

TABLES_REVISION = "v3.2.0.a"
"""Alembic's name for the tables that this Optuna makes and needs."""

_LAZY: dict[str, Callable[[], Any]] = {
    "CachedStorage": lambda: import_module("optuna.storages._cached_storage")._CachedStorage,
    "JournalOperation": lambda: import_module("optuna.storages.journal._storage").JournalOperation,
    "models": lambda: import_module("optuna.storages._rdb.models"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = _LAZY[name]()
    return found


def id_of_study(study: optuna.Study | FrozenStudy) -> int:
    return study._study_id


def id_of_trial(trial: FrozenTrial) -> int:
    return trial._trial_id


def storage_of(study: optuna.Study) -> BaseStorage:
    return study._storage


def rdb_of(storage: "CachedStorage") -> "RDBStorage":
    """The storage behind Optuna's cache."""
    return storage._backend


def begin_trial(study: optuna.Study) -> None:
    """As Study.ask and optimize do: what others finished counts from now on, and study.stop() may be called."""
    study._thread_local.cached_all_trials = None
    study._thread_local.in_optimize_loop = True


def stale_trials(storage: BaseHeartbeat, study_id: int) -> list[int]:
    """Ids of the running trials whose heartbeat, as plain Optuna's optimize() records it, is too old."""
    return storage._get_stale_trial_ids(study_id)


class JournalReplay(JournalStorage):
    """Optuna's JournalStorage, with what it has read of its log. All but `lock` is used while `lock` is held."""

    @property
    def lock(self) -> Lock:
        """Held by whoever reads the log or what was read of it."""
        return self._thread_lock

    @property
    def writer(self) -> str:
        """Who wrote a line of the log: this storage, in this thread."""
        return self._replay_result.worker_id

    def read_on(self) -> None:
        """Read what was appended to the log since."""
        self._sync_with_backend()

    def studies(self) -> list[FrozenStudy]:
        return self._replay_result.get_all_studies()

    def trials_of(self, study_id: int) -> list[FrozenTrial]:
        """By number. The list is the caller's, the trials are not."""
        return list(self._replay_result.get_all_trials(study_id, None))

    def trial(self, trial_id: int) -> FrozenTrial:
        """Raises KeyError for one that is not there."""
        return self._replay_result.get_trial(trial_id)

    def study_of(self, trial_id: int) -> int:
        return self._replay_result._trial_id_to_study_id[trial_id]
