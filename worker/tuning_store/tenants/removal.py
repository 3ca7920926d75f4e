"""What becomes of a namespace that is gone: its schema and role are dropped, unless something of it must be kept."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, select, text
from sqlalchemy.exc import DBAPIError

from tuning_store.exceptions import StoreError
from tuning_store.sql import tables
from tuning_store.tenants.registry import Tenant, administering, note, registry
from tuning_store.tenants.roles import has_role
from tuning_store.tenants.sessions import end_sessions

_STILL_NEEDED, _LOCKED = "2BP01", "55P03"
_CAME_BACK = "a namespace of this name is there again"
_MAX_WAIT = "5s"  # of a cleanup for a lock: who makes another tenant waits behind it

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
class Gone:
    """A tenant whose namespace is gone."""

    tenant: Tenant
    since: datetime | None
    """None when no earlier look found it gone."""
    kept: str | None = field(default=None, compare=False)
    """Why something of it was kept so far."""


def note_living(admin_url: str, owner: str, living: Mapping[str, str]) -> list[Gone]:
    """Write down which of the cluster's namespaces live, `living` being their uids by name. Returns the others."""
    with administering(admin_url, _MAX_WAIT) as connection:
        known = connection.execute(select(registry).where(registry.c.owner == owner)).all()
        gone = [row for row in known if row.namespace not in living]
        for row in known:
            lives = {"uid": living.get(row.namespace), "gone_since": None, "kept": None}
            if row in gone and row.gone_since is None:
                note(connection, row.schema, gone_since=func.now())
            elif row not in gone and lives != {key: getattr(row, key) for key in lives}:
                note(connection, row.schema, **lives)
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
        with administering(admin_url, _MAX_WAIT) as connection:
            if _is_gone(connection, gone):
                note(connection, gone.tenant.schema, kept=kept)
    return kept


def _shut_out(admin_url: str, gone: Gone) -> str | None:
    """Let nobody log in any more, unless there is something to keep.

    A transaction before the removal: until it is committed, a session that is ended comes back.
    """
    schema = gone.tenant.schema
    with administering(admin_url, _MAX_WAIT) as connection:
        if not _is_gone(connection, gone):
            return _CAME_BACK
        try:
            with connection.begin_nested():
                kept = _kept(connection, gone.tenant)
        except DBAPIError as error:
            if getattr(error.orig, "pgcode", None) != _LOCKED:
                raise
            end_sessions(connection, schema)
            kept = _kept(connection, gone.tenant)
        if kept is None and has_role(connection, schema):
            connection.exec_driver_sql(f'ALTER ROLE "{schema}" NOLOGIN')
        return kept


def _remove(admin_url: str, gone: Gone) -> str | None:
    schema = gone.tenant.schema
    with administering(admin_url, _MAX_WAIT) as connection:
        if not _is_gone(connection, gone):
            return _CAME_BACK
        end_sessions(connection, schema)
        for table in _tables_with_history(connection, schema):
            connection.exec_driver_sql(f'LOCK TABLE "{schema}".{table} IN ACCESS EXCLUSIVE MODE')
        if kept := _kept(connection, gone.tenant):  # a round may have begun until the lock
            return kept
        connection.exec_driver_sql(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
        kept = _drop_role(connection, schema) if has_role(connection, schema) else None
        if kept is None:
            connection.execute(delete(registry).where(registry.c.schema == schema))
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
    row = registry.c.schema == gone.tenant.schema
    since = connection.execute(select(registry.c.gone_since).where(row)).scalar_one_or_none()
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
