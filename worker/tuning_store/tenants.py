"""A PostgreSQL schema and role for each namespace, so that no pod sees, changes or hinders another namespace's data."""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import optuna
from psycopg2.extensions import encrypt_password  # type: ignore[import-untyped]
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    Table,
    Text,
    create_engine,
    func,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.schema import CreateSchema, CreateTable

from tuning_store import postgres, schema, tables
from tuning_store.exceptions import AuthenticationRefused, StoreError, translated
from tuning_store.urls import driver_url, engine_arguments

CONNECTIONS = 80
"""Of one role, unless told otherwise: three greedy namespaces leave room on a server of 300."""

# The administrator's own: which schema is whose. Tenants may neither read nor lock it.
_registry = Table(
    "tenants",
    MetaData(schema="tuning_admin"),
    Column("schema", Text, primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("version", Text),  # of what was made in the schema: see _version
)
_MAKE_REGISTRY = (
    CreateSchema("tuning_admin", if_not_exists=True),
    CreateTable(_registry, if_not_exists=True),
    text("ALTER TABLE tuning_admin.tenants ADD COLUMN IF NOT EXISTS version text"),
)
_SERVER = func.current_setting("server_version_num")
_MADE_BY_ANOTHER = {"23505", "42P06", "42P07"}  # unique violation, duplicate schema, duplicate table

# What a role sets for itself it can set back; these are for accidents. A frozen worker must not hold its round's lock.
_ROLE_SETTINGS = {"statement_timeout": "2min", "idle_in_transaction_session_timeout": "60s"}

# Functions that every role may call unless told otherwise, and that reach beyond its own schema: locks and large
# objects that are all roles' alike, and what others do, lock and store.
_COMMON_FUNCTIONS = r"""
    SELECT oid::regprocedure::text FROM pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace AND has_function_privilege('public', oid, 'EXECUTE')
      AND (proname ~ '^(pg_.*advisory|pg_stat_get_|lo_|pg_.*_size$)'
           OR proname IN ('pg_lock_status', 'pg_blocking_pids', 'loread', 'lowrite'))
      AND proname NOT IN ('pg_column_size')
"""


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


def create(admin_url: str, tenant: Tenant) -> None:
    """The tenant's schema and tables. Safe to repeat."""
    with _administering(admin_url) as connection:
        _close_common_ground(connection)
        connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{tenant.schema}"')
        connection.execute(insert(_registry).values(vars(tenant)).on_conflict_do_nothing())
    with _administering(admin_url) as connection:
        schema.create(admin_url, tenant.schema)
        ours = update(_registry).where(_registry.c.schema == tenant.schema)
        connection.execute(ours.values(version=func.concat(_version(), _SERVER)))


def made(engine: Engine) -> set[str]:
    """The schemas for which `create` would change nothing, so that a start with many tenants is one statement."""
    statement = text(
        "SELECT schema FROM tuning_admin.tenants JOIN pg_tables ON schemaname = schema AND tablename = 'tuning_shares'"
        " WHERE version = :version || current_setting('server_version_num')"
    )
    with translated(), engine.connect() as connection:
        try:
            return set(connection.execute(statement, {"version": _version()}).scalars())
        except ProgrammingError:  # no registry yet, or an older one
            return set()


@cache
def _version() -> str:
    """Changes whenever `create` might have something new to make; a newer server does too."""
    tables_of = "".join(str(CreateTable(table)) for table in tables.metadata.sorted_tables)
    server = files(postgres).joinpath("server.sql").read_text()
    return hashlib.sha256(f"{tables_of}{server}{optuna.__version__}".encode()).hexdigest()[:16] + "/"


def create_role(admin_url: str, tenant: Tenant, connections: int = CONNECTIONS) -> str:
    """The tenant's role, with a new password; returns the URL to log in with. Raises PermissionRefused.

    The role may read and write rows of its own schema, and nothing else. Sessions that are open stay open.
    """
    name, password = tenant.schema, secrets.token_hex(24)
    with _administering(admin_url) as connection:
        if connection.execute(text("SELECT FROM pg_roles WHERE rolname = :name"), {"name": name}).first() is None:
            connection.exec_driver_sql(f'CREATE ROLE "{name}"')
            if not _is_superuser(connection):  # who must be a member, to end the role's sessions
                connection.exec_driver_sql(f'GRANT "{name}" TO CURRENT_USER')
        # Its hash alone: a server's log may quote the statement.
        verifier = encrypt_password(password, name, connection.connection.dbapi_connection)
        for statement in (
            f"ALTER ROLE \"{name}\" LOGIN CONNECTION LIMIT {connections} PASSWORD '{verifier}'",
            f'ALTER ROLE "{name}" SET search_path = "{name}"',
            *(f"ALTER ROLE \"{name}\" SET {key} = '{value}'" for key, value in _ROLE_SETTINGS.items()),
            f'GRANT USAGE ON SCHEMA "{name}" TO "{name}"',
            *_grants(name),
        ):
            connection.exec_driver_sql(statement)
        if _is_superuser(connection):  # and only one can take it back
            connection.exec_driver_sql(f"ALTER ROLE \"{name}\" SET temp_file_limit = '1GB'")
    return (
        make_url(admin_url)
        .set(drivername="postgresql", username=name, password=password)
        .render_as_string(hide_password=False)
    )


def _grants(name: str) -> Iterator[str]:
    """On the tables that are there, and on those that a newer version adds."""
    rights = {"TABLES": "SELECT, INSERT, UPDATE, DELETE", "SEQUENCES": "USAGE, SELECT, UPDATE"}
    for kind, right in rights.items():
        yield f'GRANT {right} ON ALL {kind} IN SCHEMA "{name}" TO "{name}"'
        yield f'ALTER DEFAULT PRIVILEGES IN SCHEMA "{name}" GRANT {right} ON {kind} TO "{name}"'


def shared_url(admin_url: str, tenant: Tenant) -> str:
    """The administrator's own login, looking at the tenant's schema: where it may not create roles."""
    return (
        make_url(admin_url)
        .set(drivername="postgresql")
        .update_query_dict({"options": f"-csearch_path={tenant.schema}"})
        .render_as_string(hide_password=False)
    )


def login_works(url: str) -> bool:
    """False where the server refuses the login; one that is away, or full, says nothing of a password."""
    engine = create_engine(driver_url(url), **engine_arguments(url))
    try:
        with translated(), engine.connect():
            return True
    except AuthenticationRefused:
        return False
    except StoreError:
        return True
    finally:
        engine.dispose()


def schemas(engine: Engine) -> list[str | None]:
    """Every tenant's schema that has its tables, all of this version's."""
    with translated(), engine.connect() as connection:
        rows = connection.execute(
            text("SELECT schemaname FROM pg_tables WHERE tablename = 'tuning_shares' AND schemaname LIKE 'tuning\\_%'")
        )
        return [row.schemaname for row in rows]


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
    known = select(_registry.c.schema, _registry.c.namespace, _registry.c.owner)
    return [Tenant(*row) for row in connection.execute(known.order_by(_registry.c.namespace, _registry.c.owner))]


def end_blockers(engine: Engine, seconds: float) -> list[str]:
    """End the tenants' sessions that kept one of the administrator's waiting for `seconds`; returns whose they were.

    A role may lock its own tables for as long as it likes, and so halt a statement that reads all tenants' at once.
    """
    with translated(), engine.begin() as connection:
        if not registered(connection):
            return []
        ended = connection.execute(
            text("""
                WITH RECURSIVE chain(pid) AS (
                    SELECT unnest(pg_blocking_pids(pid)) FROM pg_stat_activity
                    WHERE usename = current_user AND wait_event_type = 'Lock'
                      AND query_start < clock_timestamp() - make_interval(secs => :seconds)
                  UNION
                    SELECT unnest(pg_blocking_pids(pid)) FROM chain
                )
                SELECT namespace, pg_terminate_backend(pid) FROM chain
                JOIN pg_stat_activity USING (pid) JOIN tuning_admin.tenants ON schema = usename
                WHERE cardinality(pg_blocking_pids(pid)) = 0
            """),
            {"seconds": seconds},
        )
        return sorted({row.namespace for row in ended})


@contextmanager
def _administering(url: str) -> Iterator[Connection]:
    """A transaction of the administrator, alone with the registry."""
    engine = create_engine(driver_url(url), **engine_arguments(url))
    try:
        with translated():
            _make_registry(engine)
            with engine.begin() as connection:
                connection.exec_driver_sql("LOCK TABLE tuning_admin.tenants IN SHARE ROW EXCLUSIVE MODE")
                yield connection
    finally:
        engine.dispose()


def _make_registry(engine: Engine) -> None:
    for statement in _MAKE_REGISTRY:
        try:
            with engine.begin() as connection:
                if not _has_registry(connection):
                    connection.execute(statement)
        except (IntegrityError, ProgrammingError) as error:
            if getattr(error.orig, "pgcode", None) not in _MADE_BY_ANOTHER:
                raise


def _has_registry(connection: Connection) -> bool:
    found = inspect(connection)
    if not found.has_table(_registry.name, _registry.schema):
        return False
    return any(column["name"] == "version" for column in found.get_columns(_registry.name, _registry.schema))


def _close_common_ground(connection: Connection) -> None:
    """Take from PUBLIC what lets one tenant see or hinder another, as far as this administrator may.

    An owner of the database can do the first, only a superuser the second; PostgreSQL merely warns of the rest.
    """
    database = connection.execute(text("SELECT quote_ident(current_database())")).scalar_one()
    connection.exec_driver_sql(f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")
    connection.exec_driver_sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    if _is_superuser(connection):
        for function in connection.execute(text(_COMMON_FUNCTIONS)).scalars().all():
            connection.exec_driver_sql(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")
            connection.exec_driver_sql(f"GRANT EXECUTE ON FUNCTION {function} TO pg_monitor")


def _is_superuser(connection: Connection) -> bool:
    answer: bool = connection.execute(text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")).scalar_one()
    return answer
