"""Carries out the migrations that a store has not had yet, and notes each in a table beside those it changes."""

from collections.abc import Sequence

import structlog
from sqlalchemy import Engine, Table, insert, inspect, select
from sqlalchemy.exc import DBAPIError

from tuning_store.schema.migrations import Migration, Step, create_table
from tuning_store.sql.tables import server_now

log = structlog.get_logger()

# Of schemas, tables, types and functions that another program has made at this moment: duplicates, and a unique
# violation in PostgreSQL's own catalogue.
_MADE_BY_ANOTHER = {"42P06", "42P07", "42710", "42723", "23505"}


def migrate(engine: Engine, migrations: Sequence[Migration], applied: Table, *, raced: bool = False) -> None:
    """Bring tables up to date. The caller holds a lock; or it is `raced`, and what another makes at once is no error.

    Each step is a transaction. What was cut off at any of them is made whole by the next call. Tables that have had
    newer migrations than these stay as they are.
    """
    had = applied_to(engine, applied)
    for migration in migrations:
        if migration.number in had:
            continue
        if had:  # of a new store they are just made
            log.info("the store's tables are changed", migration=f"{migration.number:03}_{migration.name}")
        for step in migration.steps(engine.dialect.name):
            _carry_out(engine, step, raced)
        for step in (create_table(applied), _note(migration, applied)):
            _carry_out(engine, step, raced)


def applied_to(engine: Engine, applied: Table) -> set[int]:
    """The numbers of the migrations that tables have had."""
    with engine.connect() as connection:
        if not inspect(connection).has_table(applied.name, applied.schema):
            return set()
        return set(connection.execute(select(applied.c.number)).scalars())


def _note(migration: Migration, applied: Table) -> Step:
    row = {"number": migration.number, "name": migration.name, "applied_at": server_now()}
    return lambda connection: connection.execute(insert(applied).values(row))


def _carry_out(engine: Engine, step: Step, raced: bool) -> None:
    try:
        with engine.begin() as connection:
            step(connection)
    except DBAPIError as error:
        if not raced or getattr(error.orig, "pgcode", None) not in _MADE_BY_ANOTHER:
            raise
