"""A PostgreSQL schema and role for each namespace, so that no pod sees, changes or hinders another namespace's data."""

import hashlib
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

import optuna
from psycopg2.extensions import encrypt_password  # type: ignore[import-untyped]
from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Engine,
    MetaData,
    Table,
    Text,
    create_engine,
    delete,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.schema import CreateSchema, CreateTable

from tuning_store import postgres, schema, tables
from tuning_store.exceptions import AuthenticationRefused, StoreError, translated
from tuning_store.urls import driver_url, engine_arguments

R = TypeVar("R")
CONNECTIONS = 80
"""Of one role, unless told otherwise: three greedy namespaces leave room on a server of 300."""

# The administrator's own: which schema is whose, and what is kept of whom. Tenants may neither read nor lock it.
_registry = Table(
    "tenants",
    MetaData(schema="tuning_admin"),
    Column("schema", Text, primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("version", Text),  # of what was made in the schema: see _version
    Column("uid", Text),  # the namespace's, once the operator has seen it; never where it may not list namespaces
    Column("gone_since", DateTime(timezone=True)),  # null while the namespace lives
    Column("kept", Text),  # why the schema or the role of one that is gone is still here
)
_MAKE_REGISTRY = (
    CreateSchema("tuning_admin", if_not_exists=True),
    CreateTable(_registry, if_not_exists=True),
    text(
        "ALTER TABLE tuning_admin.tenants ADD COLUMN IF NOT EXISTS version text, ADD COLUMN IF NOT EXISTS uid text,"
        " ADD COLUMN IF NOT EXISTS gone_since timestamptz, ADD COLUMN IF NOT EXISTS kept text"
    ),
)
_SERVER = func.current_setting("server_version_num")
_MADE_BY_ANOTHER = {"23505", "42P06", "42P07"}  # unique violation, duplicate schema, duplicate table
_DROPPED_MEANWHILE = {"42P01", "3F000", "XX000"}  # undefined table, undefined schema, "could not open relation"
_STILL_NEEDED, _LOCKED = "2BP01", "55P03"
_CAME_BACK = "a namespace of this name is there again"
_LONGEST_WAIT = "5s"  # of a cleanup for a lock: who makes another tenant waits behind it

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


# Views, and tables with foreign keys, that read a schema's tables from elsewhere: CASCADE would take from them too.
_READERS = """
    SELECT DISTINCT reader.oid::regclass::text AS name FROM pg_depend d
    JOIN pg_class own ON d.refclassid = 'pg_class'::regclass AND own.oid = d.refobjid
    JOIN pg_namespace n ON n.oid = own.relnamespace AND n.nspname = :schema
    LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
    LEFT JOIN pg_constraint c ON d.classid = 'pg_constraint'::regclass AND c.oid = d.objid
    JOIN pg_class reader ON reader.oid IN (r.ev_class, c.conrelid) AND reader.relnamespace <> n.oid
    ORDER BY name
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
    """The tenant's schema and tables. Safe to repeat; who does so takes its namespace for one that lives."""
    with _administering(admin_url) as connection:
        _close_common_ground(connection)
        connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{tenant.schema}"')
        lives = {"gone_since": None, "kept": None}
        row = insert(_registry).values(vars(tenant))
        connection.execute(row.on_conflict_do_update(index_elements=["schema"], set_=lives))
    with _administering(admin_url) as connection:
        schema.create(admin_url, tenant.schema)
        ours = update(_registry).where(_registry.c.schema == tenant.schema)
        connection.execute(ours.values(version=func.concat(_version(), _SERVER)))


def made(engine: Engine) -> set[str]:
    """The schemas for which `create` would change nothing, so that a start with many tenants is one statement."""
    statement = text(
        "SELECT schema FROM tuning_admin.tenants JOIN pg_tables ON schemaname = schema AND tablename = 'tuning_shares'"
        " WHERE version = :version || current_setting('server_version_num') AND gone_since IS NULL"
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
        if not _has_role(connection, name):
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


def in_all(engine: Engine, read: Callable[[Sequence[str | None]], R]) -> R:
    """What `read` finds in every tenant's schema; it is asked again when one of them is dropped meanwhile."""
    for last in (False, False, True):
        try:
            return read(schemas(engine))
        except DBAPIError as error:
            if last or getattr(error.orig, "pgcode", None) not in _DROPPED_MEANWHILE:
                raise
    raise AssertionError("the last try returns or raises")


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


@dataclass(frozen=True)
class Gone:
    """A tenant whose namespace is gone."""

    tenant: Tenant
    since: datetime | None
    """None when no earlier look found it gone."""
    kept: str | None = field(default=None, compare=False)
    """Why something of it was kept so far."""


def note_living(admin_url: str, owner: str, living: Mapping[str, str]) -> list[Gone]:
    """Write down which of the cluster's namespaces live, `living` being their uids by name. Returns the others."""
    with _administering(admin_url, _LONGEST_WAIT) as connection:
        known = connection.execute(select(_registry).where(_registry.c.owner == owner)).all()
        gone = [row for row in known if row.namespace not in living]
        for row in known:
            lives = {"uid": living.get(row.namespace), "gone_since": None, "kept": None}
            if row in gone and row.gone_since is None:
                _note(connection, row.schema, gone_since=func.now())
            elif row not in gone and lives != {key: getattr(row, key) for key in lives}:
                _note(connection, row.schema, **lives)
    return [Gone(Tenant(row.schema, row.namespace, row.owner), row.gone_since, row.kept) for row in gone]


def drop(admin_url: str, gone: Gone) -> str | None:
    """Drop the schema and the role of a namespace that is gone. Returns why something is kept, None when nothing is.

    Nothing is dropped of one that came back: the registry then has another moment, or none, since when it is gone.
    What is cut off half way is made whole by repeating it, or by `create` and `create_role`.
    """
    try:
        kept = _shut_out(admin_url, gone) or _remove(admin_url, gone)
    except (StoreError, DBAPIError) as error:
        said, _, _ = str(getattr(error, "orig", error)).partition("\n")
        kept = f"it cannot be dropped: {said}"
    if kept not in (None, gone.kept):
        with _administering(admin_url, _LONGEST_WAIT) as connection:
            if _is_gone(connection, gone):
                _note(connection, gone.tenant.schema, kept=kept)
    return kept


def _shut_out(admin_url: str, gone: Gone) -> str | None:
    """Let nobody log in any more, unless there is something to keep.

    A transaction before the removal: until it is committed, a session that is ended comes back.
    """
    schema = gone.tenant.schema
    with _administering(admin_url, _LONGEST_WAIT) as connection:
        if not _is_gone(connection, gone):
            return _CAME_BACK
        try:
            with connection.begin_nested():
                kept = _kept(connection, gone.tenant)
        except DBAPIError as error:
            if getattr(error.orig, "pgcode", None) != _LOCKED:
                raise
            _end_sessions(connection, schema)
            kept = _kept(connection, gone.tenant)
        if kept is None and _has_role(connection, schema):
            connection.exec_driver_sql(f'ALTER ROLE "{schema}" NOLOGIN')
        return kept


def _remove(admin_url: str, gone: Gone) -> str | None:
    schema = gone.tenant.schema
    with _administering(admin_url, _LONGEST_WAIT) as connection:
        if not _is_gone(connection, gone):
            return _CAME_BACK
        _end_sessions(connection, schema)
        for table in _tables_with_history(connection, schema):
            connection.exec_driver_sql(f'LOCK TABLE "{schema}".{table} IN ACCESS EXCLUSIVE MODE')
        if kept := _kept(connection, gone.tenant):  # a round may have begun until the lock
            return kept
        connection.exec_driver_sql(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
        kept = _drop_role(connection, schema) if _has_role(connection, schema) else None
        if kept is None:
            connection.execute(delete(_registry).where(_registry.c.schema == schema))
        return kept


def _drop_role(connection: Connection, role: str) -> str | None:
    """What it owns elsewhere in this database goes to the administrator. Returns what of another needs it."""
    connection.exec_driver_sql(f'REASSIGN OWNED BY "{role}" TO CURRENT_USER')
    connection.exec_driver_sql(f'DROP OWNED BY "{role}"')
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(f'DROP ROLE "{role}"')
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) != _STILL_NEEDED:
            raise
        needed: Any = error.orig
        return f"its role is needed elsewhere: {', '.join(needed.diag.message_detail.splitlines())}"
    return None


def _is_gone(connection: Connection, gone: Gone) -> bool:
    """Still, and since the moment that is known: who came back meanwhile has another, or none."""
    row = _registry.c.schema == gone.tenant.schema
    since = connection.execute(select(_registry.c.gone_since).where(row)).scalar_one_or_none()
    return since is not None and since == gone.since


def _kept(connection: Connection, tenant: Tenant) -> str | None:
    there = _tables_with_history(connection, tenant.schema)
    rounds, studies = dict[str, bool](), list[str]()
    if tables.rounds.name in there:
        kept_rounds = tables.in_schema(tables.rounds, tenant.schema)
        for name, retain in connection.execute(select(kept_rounds.c.study_name, kept_rounds.c.retain)):
            rounds[name] = retain
    if tables.studies.name in there:
        names = select(tables.in_schema(tables.studies, tenant.schema).c.study_name)
        studies = list(connection.execute(names).scalars())
    readers = connection.execute(text(_READERS), {"schema": tenant.schema}).scalars().all()
    return why_kept(tenant.namespace, rounds, studies, readers)


def why_kept(
    namespace: str, rounds: Mapping[str, bool], studies: Collection[str], readers: Collection[str]
) -> str | None:
    """What a schema holds that must not go with its namespace, or None.

    `rounds` by name, and whether each is retained; `studies` are Optuna's, of which plain Optuna may have made some;
    `readers` are the tables and views elsewhere that need the schema's.
    """
    retained = sum(rounds.values())
    # Only a namespace's own names count as rounds: its login may write any name, and must not keep its schema thereby.
    ours = [name for name in rounds if _is_rounds(name, namespace) and not rounds[name]]
    others = [name for name in studies if name not in rounds and not _is_rounds(name, namespace)]
    reasons = [
        f"{_count(retained, 'round')} retained" if retained else "",
        f"{_count(len(ours), 'round')} not dropped yet" if ours else "",
        f"{_count(len(others), 'study', 'studies')} of plain Optuna: {min(others)[:100]!r}" if others else "",
        f"read from elsewhere: {', '.join(readers)}" if readers else "",
    ]
    return "; ".join(filter(None, reasons)) or None


def _is_rounds(study: str, namespace: str) -> bool:
    return study.startswith(f"{namespace}/") and study.count("/") == 3


def _count(number: int, one: str, many: str = "") -> str:
    return f"1 {one} is" if number == 1 else f"{number} {many or one + 's'} are"


def _tables_with_history(connection: Connection, schema: str) -> list[str]:
    there = text("SELECT tablename FROM pg_tables WHERE schemaname = :schema")
    found = set(connection.execute(there, {"schema": schema}).scalars())
    return [table.name for table in (tables.rounds, tables.studies) if table.name in found]


def _note(connection: Connection, schema: str, **values: Any) -> None:
    connection.execute(update(_registry).where(_registry.c.schema == schema).values(values))


def _has_role(connection: Connection, name: str) -> bool:
    return connection.execute(text("SELECT FROM pg_roles WHERE rolname = :name"), {"name": name}).first() is not None


def _end_sessions(connection: Connection, role: str) -> None:
    """The role's own, in this database: the server may have others, which are none of ours."""
    ended = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = :role AND datname = current_database()"
    )
    connection.execute(text(ended), {"role": role})


@contextmanager
def _administering(url: str, longest_wait: str | None = None) -> Iterator[Connection]:
    """A transaction of the administrator, alone with the registry; no lock is waited for longer than told."""
    engine = create_engine(driver_url(url), **engine_arguments(url))
    try:
        with translated():
            _make_registry(engine)
            with engine.begin() as connection:
                if longest_wait is not None:
                    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{longest_wait}'")
                connection.exec_driver_sql("LOCK TABLE tuning_admin.tenants IN SHARE ROW EXCLUSIVE MODE")
                yield connection
    finally:
        engine.dispose()


def _make_registry(engine: Engine) -> None:
    with engine.connect() as connection:
        if _has_registry(connection):
            return
    for statement in _MAKE_REGISTRY:
        try:
            with engine.begin() as connection:
                connection.execute(statement)
        except (IntegrityError, ProgrammingError) as error:
            if getattr(error.orig, "pgcode", None) not in _MADE_BY_ANOTHER:
                raise


def _has_registry(connection: Connection) -> bool:
    of_registry = text("SELECT attname FROM pg_attribute WHERE attrelid = to_regclass('tuning_admin.tenants')")
    return set(connection.execute(of_registry).scalars()) >= set(_registry.columns.keys())


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
