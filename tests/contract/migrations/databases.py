"""What the tables of a database are, and those of the version before migrations."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from optuna.storages import RDBStorage
from sqlalchemy import Engine, create_engine, inspect

from tuning_store import tenants
from tuning_store.tenants import Tenant
from tuning_store.urls import driver_url, engine_arguments

OLD = (Path(__file__).parent / "fixtures" / "store_05b2e4d.sql").read_text()
OLDS = Tenant("tuning_605156e963297b56daf8acab", "team", "cluster")


@contextmanager
def engine_on(url: str, schema_name: str | None = None) -> Iterator[Engine]:
    engine = create_engine(driver_url(url), **engine_arguments(driver_url(url), schema_name))
    yield engine
    engine.dispose()


def run_script(url: str, script: str) -> None:
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(script)
    connection.close()


def upgrade(url: str) -> None:
    tenants.create(url, OLDS)


def described(engine: Engine, schema_name: str | None = None) -> dict[str, Any]:
    """All that a schema's tables are, and its functions and triggers."""
    found = inspect(engine)
    made: dict[str, Any] = {}
    for table in found.get_table_names(schema_name):
        columns = [(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(table, schema_name)]
        keys = found.get_pk_constraint(table, schema_name)["constrained_columns"]
        indexes = [(one["name"], one["column_names"], one["unique"]) for one in found.get_indexes(table, schema_name)]
        unique = [one["column_names"] for one in found.get_unique_constraints(table, schema_name)]
        made[table] = (sorted(columns), keys, sorted(indexes), sorted(unique))
    if engine.dialect.name == "postgresql":
        where = "n.nspname = coalesce(%s, current_schema())"
        with engine.connect() as connection:
            functions = f"SELECT proname, prosrc FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace WHERE {where}"
            made |= {f"{name}()": text for name, text in connection.exec_driver_sql(functions, (schema_name,))}
            triggers = (
                "SELECT tgname, c.relname, p.proname, tgtype FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid "
                "JOIN pg_proc p ON p.oid = tgfoid "
                f"JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT tgisinternal AND {where}"
            )
            made |= {name: tuple(rest) for name, *rest in connection.exec_driver_sql(triggers, (schema_name,))}
    return made


def optunas(url: str, schema_name: str | None = None) -> None:
    RDBStorage(driver_url(url), engine_kwargs=engine_arguments(driver_url(url), schema_name)).engine.dispose()
