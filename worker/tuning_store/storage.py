"""Opens a store: its ledger of rounds, and the Optuna storage beside it."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Dialect, Engine, NullPool, event
from sqlalchemy.engine import make_url

from tuning_store import claims
from tuning_store import schema as tables_of
from tuning_store.claims import Claimed
from tuning_store.exceptions import PermissionRefused, StoreError, translated
from tuning_store.ledger import Ledger, SqlLedger
from tuning_store.patience import Patience, waits_out_outages
from tuning_store.postgres.link import Link
from tuning_store.postgres.storage import PostgresStorage
from tuning_store.urls import driver_url, engine_arguments, is_redis
from tuning_study.budget import Claim, Over

if TYPE_CHECKING:
    from tuning_store.journal.storage import RedisStorage

Url = str | Callable[[], str]
"""Where the store is; a function is asked again at each new connection, so that a password may change meanwhile."""


@waits_out_outages("claim", "get_best_trial", "get_n_trials", "remove_session")
class PatientStorage(_CachedStorage):
    """Optuna's cached RDBStorage whose every operation waits out an outage, and whose results obey the claim."""

    def __init__(self, backend: RDBStorage, worker: str | None, patience: Patience) -> None:
        super().__init__(backend)
        self._worker = worker
        self._patience = patience

    def claim(self, study_id: int) -> Claimed | Claim:
        """See claims.claim."""
        assert self._worker is not None
        found = claims.claim(self._backend.engine, study_id, self._worker)
        self.get_all_trials(study_id, deepcopy=False)  # Optuna's cache knows only trials that it has read
        return found

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        trial_id = super().create_new_trial(study_id, template_trial)
        if self._worker is not None and template_trial is None:
            claims.take(self._backend.engine, study_id, trial_id, self._worker)
        return trial_id

    def beat(self, study_id: int) -> Over | None:
        """See claims.beat."""
        assert self._worker is not None
        return claims.beat(self._backend.engine, study_id, self._worker)

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        if self._worker is None or not state.is_finished():
            return super().set_trial_state_values(trial_id, state, values)
        engine, worker = self._backend.engine, self._worker
        return self._patience.repeat(lambda again: claims.finish(engine, trial_id, worker, state, values, again=again))

    def flush(self) -> None:
        """Nothing is kept back."""

    def as_worker(self, worker: str) -> "PatientStorage":
        return PatientStorage(self._backend, worker, self._patience)

    def close(self) -> None:
        self.remove_session()
        self._backend.engine.dispose()


@dataclass(frozen=True)
class Store:
    """An open store. `worker` is whose claims its results are checked against; None for readers."""

    ledger: Ledger
    storage: "PostgresStorage | PatientStorage | RedisStorage"
    patience: Patience
    worker: str | None = None

    @property
    def engine(self) -> Engine:
        """Of an SQL store, for the functions that are for those alone."""
        assert isinstance(self.ledger, SqlLedger)
        return self.ledger.engine

    def load_study(self, name: str) -> optuna.Study:
        return optuna.load_study(study_name=name, storage=self.storage)

    def claim(self, study_id: int) -> Claimed | Claim:
        """One more trial for this store's worker; see claims.claim."""
        return self.storage.claim(study_id)

    def beat(self, study_id: int) -> Over | None:
        """This store's worker lives; see claims.beat. Does not wait for a server that is away."""
        return self.storage.beat(study_id)

    def give_back(self, study_id: int) -> None:
        """What this worker runs waits for another, with all that is known of it; see claims.give_back."""
        assert self.worker is not None
        worker = self.worker
        self.storage.flush()
        self.patience(lambda: self.ledger.give_back(study_id, worker))

    def fail_running(self, study_id: int, reason: str) -> list[int]:
        """What this worker runs has failed; returns the numbers. See claims.fail_running."""
        assert self.worker is not None
        worker = self.worker
        self.storage.flush()
        return self.patience(lambda: self.ledger.fail_running(study_id, worker, reason))

    def stop(self, study_id: int, reason: Over, detail: str) -> None:
        """The round is over for all workers; see claims.stop."""
        self.patience(lambda: self.ledger.stop(study_id, reason, detail))

    def put_back_lost(self, study_id: int, *, silent: timedelta) -> list[int]:
        """What workers ran that were not seen for so long waits for others; see claims.put_back_lost."""
        return self.patience(lambda: self.ledger.put_back_lost(study_id, silent=silent))

    def as_worker(self, worker: str) -> "Store":
        """The same connections, with another worker's claims."""
        return replace(self, storage=self.storage.as_worker(worker), worker=worker)

    def close(self) -> None:
        self.storage.close()


def open_store(
    url: Url, *, schema: str | None = None, worker: str | None = None, patience: Patience | None = None
) -> Store:
    """The store behind a PostgreSQL, MySQL, SQLite or Redis URL; its tables exist (schema.create made them)."""
    patience = patience or Patience(seconds=5.0)
    if isinstance(url, str) and is_redis(url):
        return _open_redis(url, worker, patience)
    address = patience(lambda: _current(url))
    arguments = engine_arguments(address, schema)
    if make_url(address).get_backend_name() != "postgresql":
        backend = _rdb(url, arguments, patience)
        return Store(SqlLedger(backend.engine), PatientStorage(backend, worker, patience), patience, worker)
    if worker is not None:  # workers are many, and connections few: what is asked seldom keeps none
        arguments = {"connect_args": arguments["connect_args"], "poolclass": NullPool}
    backend = _rdb(url, arguments, patience)
    link = Link(address, arguments["connect_args"], patience)
    for engine in (backend.engine, link.engine):
        _ask_again(engine, url)
    return Store(SqlLedger(backend.engine), PostgresStorage(link, backend, worker), patience, worker)


def _open_redis(url: str, worker: str | None, patience: Patience) -> Store:
    try:
        from tuning_store.journal.ledger import RedisLedger
        from tuning_store.journal.log import connect
        from tuning_store.journal.storage import RedisStorage
    except ImportError as error:
        raise StoreError("redis:// needs the package redis: pip install redis") from error
    redis = connect(url)
    storage = patience(lambda: RedisStorage(redis, worker, patience))
    return Store(RedisLedger(redis, storage), storage, patience, worker)


def open_storage(url: str, **heartbeat: Any) -> BaseStorage:
    """An Optuna storage, for `optuna.create_study(storage=…)` and the like: ours for PostgreSQL, else Optuna's own.

    Makes the tables that are missing. `heartbeat` is what Optuna's RDBStorage takes: `heartbeat_interval` and
    `grace_period` in seconds, `heartbeat_stale_trial_callback`.
    """
    address = driver_url(url)
    arguments = engine_arguments(address)
    with suppress(PermissionRefused):  # a login that may not make tables: whoever made it has made them
        tables_of.create(address)
    if make_url(address).get_backend_name() != "postgresql":
        return optuna.storages.get_storage(RDBStorage(address, engine_kwargs=arguments, **heartbeat))
    patience = Patience(seconds=60.0)
    backend = _rdb(address, arguments, patience, **heartbeat)
    return PostgresStorage(Link(address, arguments["connect_args"], patience), backend)


def _current(url: Url) -> str:
    return driver_url(url if isinstance(url, str) else url())


def _rdb(url: Url, arguments: dict[str, Any], patience: Patience, **heartbeat: Any) -> RDBStorage:
    options = {"skip_compatibility_check": True, "skip_table_creation": True, **heartbeat}
    with translated():
        return patience(lambda: RDBStorage(_current(url), engine_kwargs=dict(arguments), **options))


def _ask_again(engine: Engine, url: Url) -> None:
    if isinstance(url, str):
        return

    @event.listens_for(engine, "do_connect")
    def use_current_url(dialect: Dialect, _: Any, __: Any, parameters: dict[str, Any]) -> None:
        parameters.update(dialect.create_connect_args(make_url(_current(url)))[1])
