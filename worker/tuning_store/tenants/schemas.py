"""A tenant's schema with its tables, and statements that read every tenant's."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import structlog
from sqlalchemy import Engine, Integer, Select, cast, column, create_engine, func, select, table, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError, ProgrammingError

from tuning_store import schema
from tuning_store.exceptions import StoreError, translated
from tuning_store.optuna_internals import TABLES_REVISION
from tuning_store.sql import tables
from tuning_store.tables_version import REQUIRED
from tuning_store.tenants.privileges import close_common_ground
from tuning_store.tenants.registry import Tenant, administering, registry
from tuning_store.tenants.roles import protect_migrations
from tuning_store.urls import driver_url, engine_arguments

log = structlog.get_logger()
R = TypeVar("R")

_DROPPED_MEANWHILE = {"42P01", "3F000", "XX000"}  # undefined table, undefined schema, "could not open relation"

# What the registry's column says of a schema: the last migration, Optuna's revision, and the server's version, of whose
# own functions some are closed to tenants. Versions before there were migrations have no number in front. An operator
# that is older than the tables leaves their number as it is.
_SERVER = func.current_setting("server_version_num")
_NUMBER = func.coalesce(cast(func.substring(registry.c.version, "^([0-9]{1,6})/"), Integer), 0)
_VERSION = func.concat(func.greatest(_NUMBER, REQUIRED), f"/{TABLES_REVISION}/", _SERVER)
_MIGRATED = _NUMBER >= REQUIRED
_pg_tables = table("pg_tables", column("schemaname"), column("tablename"))
_WITH_TABLES = select(registry.c.schema).join(
    _pg_tables,
    (_pg_tables.c.schemaname == registry.c.schema) & (_pg_tables.c.tablename == tables.counts_by_worker.name),
)
_NO_REGISTRY = {"42P01", "3F000", "42703"}  # undefined table, schema or column


def create(admin_url: str, tenant: Tenant) -> None:
    """The tenant's schema and tables, with every migration. Safe to repeat, and to run side by side.

    Who does so takes its namespace for one that lives. Raises SchemaMismatch as schema.create does.
    """
    with administering(admin_url) as connection:
        close_common_ground(connection)
        connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{tenant.schema}"')
        lives = {"gone_since": None, "kept": None}
        row = insert(registry).values(vars(tenant))
        connection.execute(row.on_conflict_do_update(index_elements=["schema"], set_=lives))
    _migrate(admin_url, tenant.schema)


def upgrade(admin_url: str, owner: str) -> list[str]:
    """Bring the owner's tenants up to date whose namespace nobody looks at: those with history alone. Returns theirs.

    One that cannot be brought up to date keeps none of the others from it.
    """
    engine = create_engine(driver_url(admin_url), **engine_arguments(admin_url))
    outdated = select(registry.c.schema, registry.c.namespace).where(registry.c.owner == owner, ~_MIGRATED)
    try:
        found = _read(engine, outdated)
    finally:
        engine.dispose()
    upgraded = []
    for row in found:
        try:
            _migrate(admin_url, row.schema)
        except (StoreError, DBAPIError) as error:
            log.warning("a namespace's tables are not brought up to date", namespace=row.namespace, why=str(error))
        else:
            upgraded.append(row.namespace)
    return upgraded


def made(engine: Engine) -> set[str]:
    """The schemas for which `create` would change nothing, so that a start with many tenants is one statement."""
    same = registry.c.version.endswith(func.concat(f"/{TABLES_REVISION}/", _SERVER))
    return {row.schema for row in _read(engine, _WITH_TABLES.where(_MIGRATED, same, registry.c.gone_since.is_(None)))}


def schemas(engine: Engine) -> list[str | None]:
    """Every tenant's schema whose tables are as new as this program: older ones may lack what it reads."""
    return [row.schema for row in _read(engine, _WITH_TABLES.where(_MIGRATED))]


def _migrate(admin_url: str, schema_name: str) -> None:
    with administering(admin_url) as connection:
        schema.create(admin_url, schema_name)
        protect_migrations(connection, schema_name)
        connection.execute(text("SELECT tuning_admin.offer_record(:schema)"), {"schema": schema_name})
        connection.execute(update(registry).where(registry.c.schema == schema_name).values(version=_VERSION))


def _read(engine: Engine, statement: Select[Any]) -> Sequence[Any]:
    """From the registry; nothing where there is none yet, or an older one."""
    with translated(), engine.connect() as connection:
        try:
            return connection.execute(statement).all()
        except ProgrammingError as error:
            if getattr(error.orig, "pgcode", None) not in _NO_REGISTRY:
                raise
            return []


def in_all(engine: Engine, read: Callable[[Sequence[str | None]], R]) -> R:
    """What `read` finds in every tenant's schema; it is asked again when one of them is dropped meanwhile."""
    for last in (False, False, True):
        try:
            return read(schemas(engine))
        except DBAPIError as error:
            if last or getattr(error.orig, "pgcode", None) not in _DROPPED_MEANWHILE:
                raise
    raise AssertionError("the last try returns or raises")
