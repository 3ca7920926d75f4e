"""Makes the tables, once and before any worker starts: Optuna's own first start is a race."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

from optuna.storages import RDBStorage
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import make_url

from tuning_store import postgres, tables
from tuning_store.exceptions import StoreUnavailable, translated
from tuning_store.urls import driver_url, engine_arguments, is_redis

_LOCK = 0x7475_6E69  # "tuni"
_OPTUNAS = {*tables.trials.metadata.tables, "alembic_version"}


def create(url: str, schema: str | None = None) -> None:
    """Optuna's tables, stamped with its schema version, and ours. Safe to repeat and to run side by side.

    Nothing happens for a Redis, which has no tables.
    """
    if is_redis(url):
        return
    url = driver_url(url)
    arguments = engine_arguments(url, schema)
    engine = create_engine(url, **arguments)
    try:
        with _alone(url), translated(), engine.begin() as connection:
            # A tenant could hold such a lock for ever; who makes tenants has another (tenants.create).
            if connection.dialect.name == "postgresql" and schema is None:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            elif connection.dialect.name in ("mysql", "mariadb"):  # held until the connection ends
                alone = connection.execute(text("SELECT get_lock(md5(concat('tuning:', database())), 60)")).scalar()
                if not alone:
                    raise StoreUnavailable("another program has been making this database's tables for a minute")
            # Optuna uses connections of its own, so what it made is only seen by looking with another one.
            if _OPTUNAS - set(inspect(engine).get_table_names()):
                RDBStorage(url, engine_kwargs=arguments).engine.dispose()
            tables.metadata.create_all(connection)
            if connection.dialect.name == "postgresql":
                bounds = "{" + ",".join(map(str, tables.DURATION_BOUNDS)) + "}"
                server = files(postgres).joinpath("server.sql").read_text().replace("{BOUNDS}", bounds)
                connection.execution_options(no_parameters=True).exec_driver_sql(server)
    finally:
        engine.dispose()


@contextmanager
def _alone(url: str) -> Iterator[None]:
    """Alone with an SQLite file, whose own locks would keep Optuna's connections out too."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        yield
        return
    with open(f"{parsed.database}.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
