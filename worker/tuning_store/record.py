"""The record of what was done about studies, kept in the administrator's schema: lines are added, and never changed.

The operator writes it, and reads from it what it must know again; people read it as their namespace's login, by the
view `tuning_record` of its schema. PostgreSQL only.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import ProgrammingError

from tuning_store.exceptions import translated
from tuning_store.tenants.registry import told_tables

VIEW = "tuning_record"

_ADD = """
    INSERT INTO tuning_admin.record (study, key, owner, namespace, name, at, kind, actor, message, evidence)
    SELECT study, key, %(owner)s, namespace, name, at, kind, actor, message, evidence
    FROM jsonb_to_recordset(%(lines)s::jsonb) AS told
      (study text, key text, namespace text, name text, at timestamptz, kind text, actor text, message text,
       evidence jsonb)
    ON CONFLICT DO NOTHING
"""
_EVIDENCE = "SELECT evidence FROM tuning_admin.record WHERE study = %(study)s AND key = %(key)s"
_READ = f"SELECT study, name, at, kind, actor, message, evidence FROM {VIEW} WHERE name = %(name)s ORDER BY id"  # noqa: S608
_NO_VIEW = "42P01"  # undefined table


@dataclass(frozen=True)
class Line:
    """One thing that was done, or refused."""

    kind: str
    """What, as one word that programs can rely on."""
    message: str
    at: datetime
    actor: str
    """Who or what asked for it."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """In numbers and names. JSON values."""
    study: str = ""
    """The uid of the resource."""
    name: str = ""
    namespace: str = ""
    key: str = ""
    """Tells the study's lines apart: one that is added twice is kept once."""


def add(engine: Engine, owner: str, lines: Sequence[Line]) -> None:
    """Add lines about studies of the cluster `owner`; those that are there already change nothing. Raises StoreError;
    then none is added."""
    documents = [{**vars(line), "at": line.at.isoformat(), "evidence": dict(line.evidence)} for line in lines]
    text = json.dumps(documents).replace("\\u0000", "\\ufffd")  # the one character that no text of PostgreSQL may have
    with told_tables(engine) as connection:
        connection.exec_driver_sql(_ADD, {"owner": owner, "lines": text})


def evidence_of(engine: Engine, study: str, key: str) -> Mapping[str, Any] | None:
    """Of the study's line with this key; None where there is none. Raises StoreError."""
    with told_tables(engine) as connection:
        found = connection.exec_driver_sql(_EVIDENCE, {"study": study, "key": key}).one_or_none()
    return found.evidence if found is not None else None


def read_own(engine: Engine, name: str) -> list[Line]:
    """Of the studies of this name in the namespace whose login the engine has, the oldest line first: of one that was
    deleted and made anew too. Empty where the operator keeps no record yet. Raises StoreError."""
    with translated(), engine.connect() as connection:
        try:
            rows = connection.exec_driver_sql(_READ, {"name": name}).all()
        except ProgrammingError as error:
            if getattr(error.orig, "pgcode", None) != _NO_VIEW:
                raise
            return []
    return [Line(row.kind, row.message, row.at, row.actor, row.evidence, row.study, row.name) for row in rows]


def forget(engine: Engine, studies: Collection[str]) -> None:
    """Drop the lines of studies that are gone and kept nothing. Raises StoreError."""
    with told_tables(engine) as connection:
        connection.exec_driver_sql(
            "DELETE FROM tuning_admin.record WHERE study = ANY (%(gone)s)", {"gone": list(studies)}
        )
