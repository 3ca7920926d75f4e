"""Optuna's RDBStorage as this package uses it: whole for MySQL and SQLite, for studies alone beside PostgreSQL."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Dialect, Engine, create_engine, event
from sqlalchemy.engine import make_url

from tuning_store.exceptions import translated
from tuning_store.optuna_internals import CachedStorage
from tuning_store.retry import RetryPolicy, retrying
from tuning_store.sql import tables
from tuning_store.sql.claims import SqlClaims
from tuning_store.sql.readers import SqlReadings
from tuning_store.sql.rounds import SqlRounds
from tuning_store.tables_version import TablesVersion, check
from tuning_store.urls import driver_url
from tuning_store.values import ClaimedTrial
from tuning_study.budget import ClaimDecision


@retrying("get_best_trial", "get_n_trials", "remove_session")
class SqlStorage(CachedStorage):
    """Optuna's cached RDBStorage whose every operation is retried, and whose results obey the claim.

    See StudyStorage.
    """

    def __init__(self, backend: RDBStorage, worker: str | None, retry: RetryPolicy) -> None:
        super().__init__(backend)
        self.worker, self.retry, self.engine = worker, retry, backend.engine
        self._rdb = backend

    @cached_property
    def claims(self) -> "_Claims":
        return _Claims(self)

    @cached_property
    def rounds(self) -> SqlRounds:
        return SqlRounds(self.engine)

    @cached_property
    def readings(self) -> SqlReadings:
        return SqlReadings(self.engine)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        trial_id = super().create_new_trial(study_id, template_trial)
        if self.worker is not None and template_trial is None:
            self.claims.adopt(study_id, trial_id)
        return trial_id

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        if self.worker is None or not state.is_finished():
            return super().set_trial_state_values(trial_id, state, values)
        finish = self.claims.finish
        return self.retry.telling(lambda repeated: finish(trial_id, state, values, repeated=repeated))

    def as_worker(self, worker: str) -> "SqlStorage":
        return SqlStorage(self._rdb, worker, self.retry)

    def close(self) -> None:
        self.remove_session()
        self.engine.dispose()


class _Claims(SqlClaims):
    def __init__(self, storage: SqlStorage) -> None:
        super().__init__(storage.engine, storage.retry, storage.worker)
        self._storage = storage

    def claim(self, study_id: int) -> ClaimedTrial | ClaimDecision:
        found = super().claim(study_id)
        self._storage.get_all_trials(study_id, deepcopy=False)  # Optuna's cache knows only trials that it has read
        return found


def check_tables(url: str, arguments: dict[str, Any]) -> None:
    """Raises SchemaOutdated or SchemaMismatch where they are not what this program needs."""
    engine = create_engine(url, **arguments)
    try:
        with translated():
            check(TablesVersion(tables.migrations_applied(engine), tables.optunas_revision(engine)))
    finally:
        engine.dispose()


def rdb_storage(
    url: str | Callable[[], str], arguments: dict[str, Any], retry: RetryPolicy, **heartbeat: Any
) -> RDBStorage:
    """On tables that are there. A `url` that is a function is asked again for each connection."""
    options = {"skip_compatibility_check": True, "skip_table_creation": True, **heartbeat}
    with translated():
        storage = retry(lambda: RDBStorage(_current_url(url), engine_kwargs=dict(arguments), **options))
    if not isinstance(url, str):
        _ask_for_each_connection(storage.engine, url)
    return storage


def _current_url(url: str | Callable[[], str]) -> str:
    return driver_url(url if isinstance(url, str) else url())


def _ask_for_each_connection(engine: Engine, url: Callable[[], str]) -> None:
    @event.listens_for(engine, "do_connect")
    def use_current_url(dialect: Dialect, _: Any, __: Any, parameters: dict[str, Any]) -> None:
        parameters.update(dialect.create_connect_args(make_url(_current_url(url)))[1])
