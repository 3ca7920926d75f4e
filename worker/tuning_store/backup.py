"""Studies as one file and back: portable between servers and their versions, and safe to read, whoever wrote it.

The file is gzip'd JSON lines. First the format; then, for each place (a namespace's schema, or the login's own), a line
that names it, and for each table its columns and rows; last how many rows there were, so that a file that was cut off
is known by it.
"""

import gzip
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from itertools import groupby, islice
from pathlib import Path
from typing import IO, Any

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Engine,
    Table,
    func,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy import Enum as EnumType
from sqlalchemy.exc import DBAPIError

from tuning_store import schema, tenants
from tuning_store.exceptions import SchemaMismatch, StoreError, translated
from tuning_store.optuna_internals import models
from tuning_store.sql import tables
from tuning_store.tables_version import REQUIRED
from tuning_store.tenants import Tenant, tenant_of

FORMAT, VERSION = "tuning-backup", 1
_BATCH = 1000
_LONGEST_LINE = 64 * 1024 * 1024
_VERSIONS = {"version_info", "alembic_version"}  # made with the tables
_IDS = {"study_id": tables.studies, "trial_id": tables.trials}

Place = Tenant | None
"""None is where the login looks by itself."""


class BackupUnusable(StoreError):
    """The file cannot be restored, or not here; nothing was changed."""


@dataclass(frozen=True)
class Contents:
    """What a file holds."""

    places: tuple[Place, ...]
    studies: tuple[str, ...]
    trials: int


def write(engine: Engine, path: Path, namespace: str | None = None) -> Contents:
    """All that the login may see, or one namespace of it, as it stands at one moment. Replaces `path` once whole."""
    draft = path.with_name(f"{path.name}.part")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw:
            with gzip.open(raw, "wt", encoding="utf-8", compresslevel=6) as lines, _snapshot(engine) as connection:
                contents = _write(connection, lines, namespace)
            raw.flush()
            os.fsync(raw.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return contents


def check(path: Path) -> Contents:
    """Read the file to its end. Raises BackupUnusable."""
    places, studies, trials = list[Place](), list[str](), 0
    for entry in _entries(path):
        if isinstance(entry, _Start):
            places.append(entry.place)
        elif entry.table is tables.studies:
            studies.append(str(entry.values["study_name"]))
        elif entry.table is tables.trials:
            trials += 1
    return Contents(tuple(places), tuple(studies), trials)


def restore(engine: Engine, path: Path) -> Contents:
    """Write the file's studies: all, or none. Raises BackupUnusable.

    An administrator's login puts each namespace in its place, which is made if need be; any other puts the one that
    the file holds into its own.
    """
    contents = check(path)
    in_places = _may(engine, "has_database_privilege(current_database(), 'CREATE')", elsewhere=False)
    if len(contents.places) > 1 and not in_places:
        raise BackupUnusable(
            f"the file holds {len(contents.places)} namespaces; restore it with the administrator's login, or make a "
            "backup of one namespace"
        )
    url = engine.url.render_as_string(hide_password=False)
    try:
        for place in contents.places:
            if place is not None and in_places:
                tenants.create(url, place)
            elif _may(engine, "has_schema_privilege(current_schema(), 'CREATE')", elsewhere=True):
                schema.create(url)
    except SchemaMismatch as error:
        raise BackupUnusable(f"{error}; nothing was restored") from error
    with _writing(engine) as connection:
        destinations: dict[_Start, _Destination] = {}
        rows = (entry for entry in _entries(path) if isinstance(entry, _Row))
        for (start, kept), group in groupby(rows, key=lambda row: (row.start, row.table)):
            if start not in destinations:
                where = start.place.schema if start.place is not None and in_places else None
                destinations[start] = _Destination(connection, where, start.optuna)
            while batch := [row.values for row in islice(group, _BATCH)]:
                destinations[start].write(kept, batch)
        for destination in destinations.values():
            destination.number_on()
    return contents


def _write(connection: Connection, lines: IO[str], namespace: str | None) -> Contents:
    places = _places(connection, namespace)
    studies: list[str] = []
    rows = trials = 0
    _say(lines, {"format": FORMAT, "version": VERSION})
    for place, where in places:
        options = {"schema_translate_map": {None: where}}
        optuna = connection.execute(select(tables.optunas_version), execution_options=options).scalar_one()
        _check_migrated(connection, place, where)
        named = {"namespace": place.namespace, "owner": place.owner} if place else None
        _say(lines, {"place": named, "optuna": optuna})
        for kept in _tables():
            _say(lines, {"table": kept.name, "columns": [c.name for c in _columns(kept)]})
            statement = select(*_columns(kept)).order_by(*kept.primary_key)
            for row in connection.execute(statement, execution_options=options | {"yield_per": _BATCH}):
                _say(lines, [_plain(value) for value in row])
                rows += 1
                if kept is tables.studies:
                    studies.append(row.study_name)
                trials += kept is tables.trials
    _say(lines, {"end": rows})
    return Contents(tuple(place for place, _ in places), tuple(studies), trials)


def _places(connection: Connection, namespace: str | None) -> list[tuple[Place, str | None]]:
    """Each place with its schema; None for a schema that the login looks into by itself."""
    found: list[tuple[Place, str | None]] = [
        (tenant, tenant.schema)
        for tenant in (tenants.registered(connection) if connection.dialect.name == "postgresql" else ())
        if namespace in (None, tenant.namespace) and inspect(connection).has_table(tables.rounds.name, tenant.schema)
    ]
    if inspect(connection).has_table(tables.rounds.name):
        own = _own_place(connection)
        if namespace is None or (own is not None and own.namespace == namespace):
            found.append((own, None))
    for _, where in found:
        if where is not None:  # as pg_dump does: none of them is dropped until the backup has ended
            connection.exec_driver_sql(f'LOCK TABLE "{where}".{tables.rounds.name} IN ACCESS SHARE MODE')
    if not found:
        raise BackupUnusable(
            "there is nothing to back up: no study's tables are here"
            if namespace is None
            else f"there is no namespace {namespace} in this store, as far as this login sees"
        )
    return found


def _check_migrated(connection: Connection, place: Place, where: str | None) -> None:
    """Older tables may lack what a backup of this version reads."""
    migrations, number = tables.in_schema(tables.migrations, where), 0
    if inspect(connection).has_table(migrations.name, where):
        number = connection.execute(select(func.max(migrations.c.number))).scalar_one() or 0
    if number < REQUIRED:
        name = f"the tables of {place.namespace}" if place else "the tables"
        raise BackupUnusable(
            f"{name} are of version {number}, and this program needs {REQUIRED}: make the backup with the version of "
            "this program that uses them, or let an operator of this version bring them up to date first"
        )


def _own_place(connection: Connection) -> Place:
    """Whose place it is that a namespace's own login looks into, as far as its rounds tell."""
    if connection.dialect.name != "postgresql":
        return None
    here = connection.execute(text("SELECT current_schema()")).scalar_one()
    for name, owner in connection.execute(select(tables.rounds.c.study_name, tables.rounds.c.owner).distinct()):
        tenant = tenant_of(name.partition("/")[0], owner)
        if tenant.schema == here:
            return tenant
    return None


def _tables() -> list[Table]:
    """In an order in which they can be written: a claim before its trial, which a trigger counts as its worker's."""
    ours = tables.metadata.sorted_tables
    theirs = [kept for kept in models.BaseModel.metadata.sorted_tables if kept.name not in _VERSIONS]
    return [tables.studies, *ours, *(kept for kept in theirs if kept is not tables.studies)]


def _columns(kept: Table) -> list[Column[Any]]:
    """Without the numbers that rows have for themselves, which are given anew in the same order."""
    return [c for c in kept.columns if c.name in _IDS or not (c.primary_key and c is kept.autoincrement_column)]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.name if isinstance(value, Enum) else value


def _value(of: Column[Any], plain: Any) -> Any:
    if plain is None:
        return None
    if isinstance(of.type, DateTime):
        return datetime.fromisoformat(plain)
    if isinstance(of.type, EnumType) and of.type.enum_class is not None:
        return of.type.enum_class[plain]
    return plain


def _say(lines: IO[str], what: Any) -> None:
    lines.write(json.dumps(what, separators=(",", ":")))
    lines.write("\n")


@dataclass(frozen=True)
class _Start:
    """The rows of another place follow."""

    place: Place
    optuna: str


@dataclass(frozen=True)
class _Row:
    start: _Start
    table: Table
    values: dict[str, Any]


def _entries(path: Path) -> Iterator[_Start | _Row]:
    """What the file says, checked line by line. Raises BackupUnusable."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield from _parsed(_lines(lines, path), path)
    except FileNotFoundError as error:
        raise BackupUnusable(f"there is no file {path}") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise BackupUnusable(f"{path} is damaged or was cut off ({error}); nothing was restored") from error


def _lines(lines: IO[str], path: Path) -> Iterator[Any]:
    number = 0
    while line := lines.readline(_LONGEST_LINE):
        number += 1
        try:
            yield json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BackupUnusable(f"{path}, line {number}: not JSON; nothing was restored") from error


def _parsed(lines: Iterator[Any], path: Path) -> Iterator[_Start | _Row]:
    known = {kept.name: kept for kept in _tables()}
    header = next(lines, None)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise BackupUnusable(f"{path} is not a backup that `tuning backup` wrote")
    if header.get("version") != VERSION:
        raise BackupUnusable(f"{path} is of version {header.get('version')}; this program reads version {VERSION}")
    start: _Start | None = None
    kept: Table | None = None
    columns, rows, ended = list[Column[Any]](), 0, False
    for number, line in enumerate(lines, start=2):
        try:
            match line:
                case list() if start is not None and kept is not None and not ended:
                    yield _Row(start, kept, {c.name: _value(c, plain) for c, plain in zip(columns, line, strict=True)})
                    rows += 1
                case {"place": named, "optuna": str(optuna)} if not ended:
                    place = tenant_of(str(named["namespace"]), str(named["owner"])) if named else None
                    start, kept = _Start(place, optuna), None
                    yield start
                case {"table": str(name), "columns": [*names]} if not ended:
                    kept = known[name]
                    columns = [kept.columns[of] for of in names]
                case {"end": int(said)} if said == rows and not ended:
                    ended = True
                case _:
                    raise ValueError("unexpected record")
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise BackupUnusable(
                f"{path}, line {number}: {error}. The file is damaged, or of a newer version of this program; "
                "nothing was restored"
            ) from error
    if not ended:
        raise BackupUnusable(f"{path} was cut off; nothing was restored")


class _Destination:
    """A place in the middle of a restore. What is there already keeps its ids; those of the file are moved behind."""

    def __init__(self, connection: Connection, where: str | None, optuna: str) -> None:
        self._connection, self._options = connection, {"schema_translate_map": {None: where}}
        self._where = f'"{where}".' if where else ""
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(
                f"LOCK TABLE {self._where}studies, {self._where}trials IN SHARE ROW EXCLUSIVE MODE"
            )
        found = self._execute(select(tables.optunas_version)).scalar_one()
        if found != optuna:
            raise BackupUnusable(
                f"the backup's tables are of Optuna's version {optuna}, and this store's of {found}; restore it with "
                "the version of this program that wrote it, and upgrade afterwards"
            )
        self._after = {name: self._execute(select(func.max(of.c[name]))).scalar_one() or 0 for name, of in _IDS.items()}

    def write(self, kept: Table, rows: Sequence[dict[str, Any]]) -> None:
        if kept is tables.studies:
            self._refuse_known([row["study_name"] for row in rows])
        moved = [
            {name: value + self._after[name] if name in _IDS else value for name, value in row.items()} for row in rows
        ]
        self._execute(insert(kept), moved)

    def number_on(self) -> None:
        """PostgreSQL counts ids apart from the rows that have them."""
        if self._connection.dialect.name != "postgresql":
            return
        for name, of in _IDS.items():
            last = self._execute(select(func.max(of.c[name]))).scalar_one()
            if last is not None:
                sequence = func.pg_get_serial_sequence(f"{self._where}{of.name}", name)
                self._execute(select(func.setval(sequence, last)))

    def _refuse_known(self, names: Sequence[str]) -> None:
        known = self._execute(select(tables.studies.c.study_name).where(tables.studies.c.study_name.in_(names)))
        there = sorted(known.scalars())
        if there:
            more = f" and {len(there) - 3} more" if len(there) > 3 else ""
            raise BackupUnusable(
                f"the store holds {', '.join(there[:3])}{more} already; nothing was restored. Restore into an empty "
                "server, or delete what is there first"
            )

    def _execute(self, statement: Any, rows: Any = None) -> Any:
        return self._connection.execute(statement, rows, execution_options=self._options)


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one moment for as long as the block lasts."""
    with translated(), engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        else:
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


@contextmanager
def _writing(engine: Engine) -> Iterator[Connection]:
    """One transaction."""
    try:
        with translated(), engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()
    except DBAPIError as error:
        raise BackupUnusable(f"the store does not take the file's rows ({error.orig}); nothing was restored") from error


def _may(engine: Engine, right: str, *, elsewhere: bool) -> bool:
    """Whether the login has this right of PostgreSQL's."""
    with translated(), engine.connect() as connection:
        if connection.dialect.name != "postgresql":
            return elsewhere
        return bool(connection.execute(text(f"SELECT {right}")).scalar_one())
