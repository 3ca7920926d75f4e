"""Features in production, as counts in the bins of the sample that a study's last round was tuned on.

Kept beside what `production` keeps: the operator writes the references that workers have made of their data, the
exporter references and counts of what it is sent; the operator compares them. PostgreSQL only.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, Engine

from tuning_store.tenants.registry import told_tables
from tuning_study.production.features import Counts, Reference

_MOST_ROWS = 50_000  # of counts, the newest, that are read of one study

# Counts of a reference that is replaced by another are in other bins, and of no use any more.
_FORGET_COUNTS = """
    DELETE FROM tuning_admin.feature_counts WHERE study = %(study)s AND feature IN (
      SELECT feature FROM tuning_admin.feature_references r WHERE study = %(study)s
      AND reference IS DISTINCT FROM (%(references)s::jsonb -> r.feature)
      AND (%(whole)s OR %(references)s::jsonb ? feature)
    )
"""
_FORGET_REFERENCES = """
    DELETE FROM tuning_admin.feature_references
    WHERE study = %(study)s AND %(whole)s AND NOT %(references)s::jsonb ? feature
"""
_KEEP = """
    INSERT INTO tuning_admin.feature_references AS known (study, feature, owner, namespace, reference, made_at)
    SELECT %(study)s, key, %(owner)s, %(namespace)s, value, clock_timestamp() FROM jsonb_each(%(references)s::jsonb)
    ORDER BY key
    ON CONFLICT (study, feature) DO UPDATE SET reference = excluded.reference, made_at = excluded.made_at
    WHERE known.reference <> excluded.reference
"""
_ADD = """
    INSERT INTO tuning_admin.feature_counts (study, feature, owner, namespace, counts, received_at)
    SELECT %(study)s, key, %(owner)s, %(namespace)s, value, clock_timestamp() FROM jsonb_each(%(counts)s::jsonb)
"""
_COUNTS = """
    SELECT feature, counts, received_at FROM (
      SELECT * FROM tuning_admin.feature_counts WHERE study = %(study)s ORDER BY id DESC LIMIT %(most)s
    ) AS newest ORDER BY id
"""


@dataclass(frozen=True)
class Place:
    """Whose features they are."""

    owner: str
    """The cluster."""
    namespace: str
    study: str
    """The uid of the resource."""


@dataclass(frozen=True)
class Sent:
    """What production has sent of one feature at once."""

    time: datetime
    counts: Counts


@dataclass(frozen=True)
class KnownFeatures:
    references: Mapping[str, Reference] = field(default_factory=dict)
    sent: Mapping[str, Sequence[Sent]] = field(default_factory=dict)
    """By feature, the oldest first."""


def keep_references(engine: Engine, place: Place, references: Mapping[str, Reference], *, whole: bool) -> None:
    """Keep the bins of these features; what was counted in other bins is dropped. `whole` tells that the study has no
    other features. Raises StoreError."""
    with told_tables(engine) as connection:
        write_references(connection, place, references, whole=whole)


def write_references(connection: Connection, place: Place, references: Mapping[str, Reference], *, whole: bool) -> None:
    documents = json.dumps({name: reference.document() for name, reference in references.items()})
    given = vars(place) | {"references": documents, "whole": whole}
    for statement in (_FORGET_COUNTS, _FORGET_REFERENCES, _KEEP):
        connection.exec_driver_sql(statement, given)


def read_references(engine: Engine, study: str) -> Mapping[str, Reference]:
    """Of one study, by feature. Raises StoreError."""
    chosen = "SELECT feature, reference FROM tuning_admin.feature_references WHERE study = %(study)s"
    with told_tables(engine) as connection:
        rows = connection.exec_driver_sql(chosen, {"study": study}).all()
    return {row.feature: Reference.from_document(row.reference) for row in rows}


def insert_counts(connection: Connection, place: Place, counts: Mapping[str, Counts]) -> None:
    documents = json.dumps({name: counted.document() for name, counted in counts.items()})
    connection.exec_driver_sql(_ADD, vars(place) | {"counts": documents})


def read_features(engine: Engine, study: str) -> KnownFeatures:
    """Everything that is known of one study's features. Raises StoreError."""
    references = read_references(engine, study)
    with told_tables(engine) as connection:
        rows = connection.exec_driver_sql(_COUNTS, {"study": study, "most": _MOST_ROWS}).all()
    sent: dict[str, list[Sent]] = {}
    for row in rows:
        sent.setdefault(row.feature, []).append(Sent(row.received_at, Counts.from_document(row.counts)))
    return KnownFeatures(references, sent)
