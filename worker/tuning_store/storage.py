"""Opens a store: its ledger of rounds, and the Optuna storage beside it.

What one kind of store needs is imported when a store of that kind is opened: a worker's start is mostly imports.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import optuna
from optuna.storages import BaseStorage

from tuning_store.exceptions import PermissionRefused, StoreError
from tuning_store.patience import Patience
from tuning_store.postgres.link import Link
from tuning_store.postgres.storage import PostgresStorage
from tuning_store.urls import backend, connect_arguments, is_redis
from tuning_store.values import Claimed
from tuning_study.budget import Claim, Over

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tuning_store.journal.storage import RedisStorage
    from tuning_store.ledger import Ledger
    from tuning_store.sql_storage import PatientStorage

Url = str | Callable[[], str]
"""Where the store is; a function is asked again at each new connection, so that a password may change meanwhile."""


@dataclass(frozen=True)
class Store:
    """An open store. `worker` is whose claims its results are checked against; None for readers."""

    storage: "PostgresStorage | PatientStorage | RedisStorage"
    patience: Patience
    open_ledger: "Callable[[], Ledger]"
    worker: str | None = None

    @cached_property
    def ledger(self) -> "Ledger":
        """What is known of rounds beside the trials. Opened when it is first asked for."""
        return self.open_ledger()

    @property
    def engine(self) -> "Engine":
        """Of an SQL store, for the functions that are for those alone."""
        from tuning_store.ledger import SqlLedger

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
    address = patience(lambda: url if isinstance(url, str) else url())
    if is_redis(address):
        return _open_redis(address, worker, patience)
    if backend(address) != "postgresql":
        return _open_sql(address, worker, patience)
    storage = PostgresStorage(Link(url, connect_arguments(address, schema), patience), worker)
    return Store(storage, patience, cache(lambda: _sql_ledger(storage.engine)), worker)


def _sql_ledger(engine: "Engine") -> "Ledger":
    from tuning_store.ledger import SqlLedger

    return SqlLedger(engine)


def _open_sql(url: str, worker: str | None, patience: Patience) -> Store:
    from tuning_store.sql_storage import PatientStorage, rdb_storage
    from tuning_store.urls import driver_url, engine_arguments

    storage = rdb_storage(url, engine_arguments(driver_url(url)), patience)
    return Store(PatientStorage(storage, worker, patience), patience, lambda: _sql_ledger(storage.engine), worker)


def _open_redis(url: str, worker: str | None, patience: Patience) -> Store:
    try:
        from tuning_store.journal.ledger import RedisLedger
        from tuning_store.journal.log import connect
        from tuning_store.journal.storage import RedisStorage
    except ImportError as error:
        raise StoreError("redis:// needs the package redis: pip install redis") from error
    redis = connect(url)
    storage = patience(lambda: RedisStorage(redis, worker, patience))
    return Store(storage, patience, lambda: RedisLedger(redis, storage), worker)


def open_storage(url: str, **heartbeat: Any) -> BaseStorage:
    """An Optuna storage, for `optuna.create_study(storage=…)` and the like: ours for PostgreSQL, else Optuna's own.

    Makes the tables that are missing. `heartbeat` is what Optuna's RDBStorage takes: `heartbeat_interval` and
    `grace_period` in seconds, `heartbeat_stale_trial_callback`.
    """
    from optuna.storages import RDBStorage

    from tuning_store import schema
    from tuning_store.urls import driver_url, engine_arguments

    with suppress(PermissionRefused):  # a login that may not make tables: whoever made it has made them
        schema.create(url)
    if backend(url) != "postgresql":
        address = driver_url(url)
        storage = RDBStorage(address, engine_kwargs=engine_arguments(address), **heartbeat)
        return optuna.storages.get_storage(storage)
    return PostgresStorage(Link(url, connect_arguments(url), Patience(seconds=60.0)), heartbeat=heartbeat)
