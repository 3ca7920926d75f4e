"""Makes a store's tables and brings them up to date: Optuna's, whose own first start is a race, and ours.

Called by whoever administers a store, before any worker of theirs starts: the operator, and `tuning run`.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from optuna.storages import RDBStorage
from sqlalchemy import Engine, create_engine, inspect, text

from tuning_store import optuna_internals
from tuning_store.exceptions import StoreUnavailable, translated
from tuning_store.schema import migrations
from tuning_store.schema.migrate import migrate
from tuning_store.sql import tables
from tuning_store.tables_version import check_optunas
from tuning_store.urls import driver_url, engine_arguments, is_redis

MIGRATIONS = migrations.all_of(migrations.__name__, migrations.__path__)
_LOCK = 0x7475_6E69  # "tuni"
_OPTUNAS = {*tables.trials.metadata.tables, "alembic_version"}


def create(url: str, schema: str | None = None) -> None:
    """Optuna's tables, stamped with its revision, and ours with every migration. Safe to repeat, side by side too.

    What was cut off is made whole by repeating it. Raises SchemaMismatch where Optuna's tables are of another revision
    than this program's Optuna needs: nothing is changed then. Nothing happens for a Redis, which has no tables.

    With a `schema`, which is a tenant's, the caller holds the lock (tenants.create): a tenant could hold ours for ever.
    """
    if is_redis(url):
        return
    url = driver_url(url)
    arguments = engine_arguments(url, schema)
    engine = create_engine(url, **arguments)
    try:
        with translated(), _alone(engine, locked=schema is not None):
            if _OPTUNAS - set(inspect(engine).get_table_names()):
                RDBStorage(url, engine_kwargs=arguments).engine.dispose()
            check_optunas(tables.optunas_revision(engine))
            migrate(engine, MIGRATIONS, tables.migrations)
    finally:
        engine.dispose()


def import_ahead() -> None:
    """What `create` imports when it needs it, for who has nothing else to do."""
    import alembic.command  # noqa: F401

    _ = optuna_internals.models


@contextmanager
def _alone(engine: Engine, *, locked: bool) -> Iterator[None]:
    """While no other program makes tables here."""
    match engine.dialect.name:
        case "postgresql" if not locked:
            with engine.begin() as connection:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
                yield
        case "mysql" | "mariadb":
            with engine.connect() as connection:  # which holds the lock until it is closed
                alone = connection.execute(text("SELECT get_lock(md5(concat('tuning:', database())), 60)")).scalar()
                if not alone:
                    raise StoreUnavailable("another program has been making this database's tables for a minute")
                try:
                    yield
                finally:
                    connection.invalidate()
        case "sqlite":
            with _alone_with_file(engine.url.database):
                yield
        case _:
            yield


@contextmanager
def _alone_with_file(database: str | None) -> Iterator[None]:
    """By a file beside the SQLite file, whose own locks would keep Optuna's connections out too."""
    if not database or database == ":memory:":
        yield
        return
    with open(f"{database}.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
