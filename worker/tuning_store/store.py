"""Opens a store of any kind: Optuna's storage, and the claims, rounds and readings beside it.

What one kind of store needs is imported when a store of that kind is opened: a worker's start is mostly imports.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import optuna
import structlog
from optuna.storages import BaseStorage

from tuning_store.exceptions import PermissionRefused, SchemaOutdated, StoreError
from tuning_store.interfaces import Claims, Readings, Rounds
from tuning_store.postgres.connection import Connection
from tuning_store.postgres.storage import PostgresStorage
from tuning_store.retry import RetryPolicy
from tuning_store.urls import backend, connect_arguments, is_redis

if TYPE_CHECKING:
    from tuning_store.redis.storage import RedisStorage
    from tuning_store.sql.storage import SqlStorage

log = structlog.get_logger()

Url = str | Callable[[], str]
"""Where the store is; a function is asked again at each new connection, so that a password may change meanwhile."""


@dataclass(frozen=True)
class Store:
    """An open store. Safe for several threads; each call takes a connection for as long as it lasts.

    See interfaces for claims, rounds and readings. What needs more than a worker's everyday statements is opened when
    it is first asked for.
    """

    storage: "PostgresStorage | SqlStorage | RedisStorage"
    """For Optuna: what it stores obeys the claims of the store's worker."""

    @property
    def claims(self) -> Claims:
        return self.storage.claims

    @property
    def rounds(self) -> Rounds:
        return self.storage.rounds

    @property
    def readings(self) -> Readings:
        return self.storage.readings

    @property
    def worker(self) -> str | None:
        """Whose claims these are; None for readers."""
        return self.storage.worker

    @property
    def retry(self) -> RetryPolicy:
        return self.storage.retry

    def load_study(self, name: str) -> optuna.Study:
        """Optuna's study. Raises KeyError for one that is not there."""
        return optuna.load_study(study_name=name, storage=self.storage)

    def as_worker(self, worker: str) -> "Store":
        """The same connections, with another worker's claims."""
        return Store(self.storage.as_worker(worker))

    def close(self) -> None:
        """Write what is still kept back, and let go of the connections."""
        self.storage.close()


def open_store(
    url: Url,
    *,
    schema: str | None = None,
    worker: str | None = None,
    retry: RetryPolicy | None = None,
    read_only: bool = False,
) -> Store:
    """The store behind a PostgreSQL, MySQL, SQLite or Redis URL. Its tables were made by schema.create.

    `schema` and `read_only` are for PostgreSQL: where the tables are, and that the server refuses to write.

    Raises SchemaOutdated where they are older than this program needs, after `retry.outdated_seconds`, and
    SchemaMismatch where Optuna's are not what its Optuna needs.
    """
    retry = retry or RetryPolicy(seconds=5.0)
    address = retry(lambda: url if isinstance(url, str) else url())
    if is_redis(address):
        return Store(_redis_storage(address, worker, retry))
    if backend(address) != "postgresql":
        return Store(_sql_storage(address, worker, retry))
    storage = PostgresStorage(Connection(url, connect_arguments(address, schema, read_only=read_only), retry), worker)
    with _closed_on_error(storage.close):
        _await_tables(storage.check_tables, retry)
    return Store(storage)


def _sql_storage(url: str, worker: str | None, retry: RetryPolicy) -> "SqlStorage":
    from tuning_store.sql.storage import SqlStorage, check_tables, rdb_storage
    from tuning_store.urls import driver_url, engine_arguments

    address = driver_url(url)
    arguments = engine_arguments(address)
    _await_tables(lambda: check_tables(address, arguments), retry)
    return SqlStorage(rdb_storage(address, arguments, retry), worker, retry)


def _redis_storage(url: str, worker: str | None, retry: RetryPolicy) -> "RedisStorage":
    try:
        from tuning_store.redis.log import connect
        from tuning_store.redis.storage import RedisStorage
    except ImportError as error:
        raise StoreError("redis:// needs the package redis: pip install redis") from error
    redis = connect(url)
    with _closed_on_error(redis.close):
        storage = retry(lambda: RedisStorage(redis, worker, retry))
        retry(storage.check_format)
        return storage


@contextmanager
def _closed_on_error(close: Callable[[], object]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        close()
        raise


def _await_tables(check: Callable[[], None], retry: RetryPolicy) -> None:
    try:
        replace(retry, outdated_seconds=0.0)(check)
    except SchemaOutdated as outdated:
        if not retry.outdated_seconds:
            raise
        log.warning("waiting for the store's tables", seconds=retry.outdated_seconds, why=str(outdated))
        retry(check)


def open_storage(url: str, **heartbeat: Any) -> BaseStorage:
    """An Optuna storage, for `optuna.create_study(storage=…)` and the like: ours for PostgreSQL, else Optuna's own.

    Makes the tables that are missing and brings ours up to date; where the login may not, it raises as open_store does.
    `heartbeat` is what Optuna's RDBStorage takes: `heartbeat_interval` and `grace_period` in seconds,
    `heartbeat_stale_trial_callback`.
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
    ours = PostgresStorage(Connection(url, connect_arguments(url), RetryPolicy(seconds=60.0)), heartbeat=heartbeat)
    with _closed_on_error(ours.close):
        ours.check_tables()
    return ours
