"""The administrator's registry: which schema is whose, and what is kept of namespaces that are gone."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, DateTime, Engine, MetaData, Table, Text, create_engine, select, text, update
from sqlalchemy.exc import ProgrammingError

from tuning_store.exceptions import SchemaOutdated, translated
from tuning_store.schema.migrate import applied_to, migrate
from tuning_store.schema.migrations import all_of
from tuning_store.sql import tables
from tuning_store.tenants import migrations
from tuning_store.urls import driver_url, engine_arguments

_NOT_MADE = {"42P01", "3F000", "42703"}  # undefined table, schema, column

# The administrator's own: which schema is whose, and what is kept of whom. Tenants may neither read nor lock it.
registry = Table(
    "tenants",
    MetaData(schema="tuning_admin"),
    Column("schema", Text, primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("version", Text),  # of what was made in the schema: see schemas
    Column("uid", Text),  # the namespace's, once the operator has seen it; never where it may not list namespaces
    Column("gone_since", DateTime(timezone=True)),  # null while the namespace lives
    Column("kept", Text),  # why the schema or the role of one that is gone is still here
)
_applied = tables.migrations.to_metadata(MetaData(), schema="tuning_admin", name="migrations")
MIGRATIONS = all_of(migrations.__name__, migrations.__path__)


@dataclass(frozen=True)
class Tenant:
    """A namespace's place in the database; its role has the schema's name.

    Every role can read the names of all schemas and roles, so that this one says nothing.
    """

    schema: str
    namespace: str
    owner: str


def tenant_of(namespace: str, owner: str) -> Tenant:
    """Distinct for two clusters on one server."""
    digest = hashlib.sha256(f"{owner}/{namespace}".encode()).hexdigest()[:24]
    return Tenant(f"tuning_{digest}", namespace, owner)


def registered(connection: Connection) -> list[Tenant]:
    """Every tenant that was ever made; none for a login that is not the administrator's."""
    readable = connection.execute(
        text(
            "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'tuning_admin'"
            " AND relname = 'tenants' AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')"
        )
    ).scalar_one()
    if not readable:
        return []
    known = select(registry.c.schema, registry.c.namespace, registry.c.owner)
    return [Tenant(*row) for row in connection.execute(known.order_by(registry.c.namespace, registry.c.owner))]


def note(connection: Connection, schema: str, **values: Any) -> None:
    """Write down what is known of a tenant."""
    connection.execute(update(registry).where(registry.c.schema == schema).values(values))


@contextmanager
def administering(url: str, longest_wait: str | None = None) -> Iterator[Connection]:
    """A transaction of the administrator, alone with the registry; no lock is waited for longer than told."""
    engine = create_engine(driver_url(url), **engine_arguments(url))
    try:
        with translated():
            _make_registry(engine)
            with engine.begin() as connection:
                if longest_wait is not None:
                    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{longest_wait}'")
                _lock(connection)
                yield connection
    finally:
        engine.dispose()


@contextmanager
def told_tables(engine: Engine) -> Iterator[Connection]:
    """A transaction with the tables of what production tells. Raises SchemaOutdated where the operator has yet to make
    them, and StoreError."""
    with translated():
        try:
            with engine.begin() as connection:
                yield connection
        except ProgrammingError as error:
            if getattr(error.orig, "pgcode", None) not in _NOT_MADE:
                raise
            raise SchemaOutdated("no tables of what production tells yet: is the operator running?") from error


def _make_registry(engine: Engine) -> None:
    """Without a lock, as the table that is the lock may not be there yet: these migrations may be raced."""
    if not applied_to(engine, _applied) >= {migration.number for migration in MIGRATIONS}:
        migrate(engine, MIGRATIONS, _applied, raced=True)


def _lock(connection: Connection) -> None:
    """A table of the administrator's own, which no tenant may lock, as it could an advisory lock."""
    connection.exec_driver_sql("LOCK TABLE tuning_admin.tenants IN SHARE ROW EXCLUSIVE MODE")
