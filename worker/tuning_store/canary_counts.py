"""Requests that programs count on both sides of a canary and send, while it serves.

The exporter writes what it is sent; the operator's canary keeper reads sums, and forgets them when another canary
begins. PostgreSQL only.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine

from tuning_store.exceptions import StoreError
from tuning_store.features import Place
from tuning_store.tenants.registry import told_tables

MOST_SENDERS = 10_000
"""Of one study; one that counts two metrics is two."""

# The first counts of a sender say where it stands. A total that falls has begun anew from zero.
_KEEP = """
    INSERT INTO tuning_admin.canary_counts AS known
      (study, parameters, metric, sender, owner, namespace, bad, total, told_at)
    SELECT %(study)s, %(parameters)s, metric, %(sender)s, %(owner)s, %(namespace)s, bad, total, %(time)s
    FROM jsonb_to_recordset(%(counts)s::jsonb) AS told (metric text, bad bigint, total bigint)
    ORDER BY metric  -- so that two deliveries at once never wait for each other
    ON CONFLICT (study, parameters, metric, sender) DO UPDATE SET
      bad = excluded.bad, total = excluded.total, told_at = excluded.told_at,
      counted_bad = known.counted_bad + excluded.bad
        - CASE WHEN excluded.total < known.total THEN 0 ELSE known.bad END,
      counted_total = known.counted_total + excluded.total
        - CASE WHEN excluded.total < known.total THEN 0 ELSE known.total END
    WHERE excluded.told_at >= known.told_at
"""
_FULL = "SELECT 1 FROM tuning_admin.canary_counts WHERE study = %(study)s OFFSET %(most)s LIMIT 1"
_READ = """
    SELECT parameters, metric, sum(counted_bad)::bigint AS bad, sum(counted_total)::bigint AS total
    FROM tuning_admin.canary_counts WHERE study = %(study)s GROUP BY parameters, metric
"""
_FORGET = "DELETE FROM tuning_admin.canary_counts WHERE study = %(study)s"


class TooManySenders(StoreError):
    """More than are kept of one study."""


@dataclass(frozen=True)
class Count:
    """What the two counters of a metric stand at, or have grown by."""

    bad: int
    total: int


@dataclass(frozen=True)
class ToldCounts:
    """What one sender says of the requests that were served with some parameters."""

    place: Place
    parameters: str
    """Name of their ConfigMap."""
    sender: str
    time: datetime
    counts: Mapping[str, Count]
    """By metric, since the sender began."""


def keep_counts(engine: Engine, told: Sequence[ToldCounts]) -> None:
    """All of it, or nothing where it raises StoreError or TooManySenders. Counts that are older than what their sender
    has said meanwhile change nothing."""
    with told_tables(engine) as connection:
        for each in sorted(told, key=lambda each: (each.place.study, each.parameters, each.sender)):
            _keep(connection, each)


def read_counts(engine: Engine, study: str) -> Mapping[str, Mapping[str, Count]]:
    """What all senders have counted since they were first heard of, by parameters and metric. `study` is a uid. Raises
    StoreError."""
    found: dict[str, dict[str, Count]] = {}
    with told_tables(engine) as connection:
        for row in connection.exec_driver_sql(_READ, {"study": study}):
            found.setdefault(row.parameters, {})[row.metric] = Count(row.bad, row.total)
    return found


def forget_counts(engine: Engine, study: str) -> None:
    """Those of a canary before. Raises StoreError."""
    with told_tables(engine) as connection:
        connection.exec_driver_sql(_FORGET, {"study": study})


def _keep(connection: Connection, told: ToldCounts) -> None:
    counts = [{"metric": metric, **vars(count)} for metric, count in told.counts.items()]
    given = {"parameters": told.parameters, "sender": told.sender, "time": told.time, "counts": json.dumps(counts)}
    connection.exec_driver_sql(_KEEP, vars(told.place) | given)
    if connection.exec_driver_sql(_FULL, {"study": told.place.study, "most": MOST_SENDERS}).first():
        raise TooManySenders(
            f"{MOST_SENDERS:,} senders count requests of the study's canary already: give `sender` a name that stays, "
            "such as the pod's, or send the sums of several pods"
        )
