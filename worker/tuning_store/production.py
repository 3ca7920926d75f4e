"""What production tells of studies: alerts and observations, kept in the administrator's schema for all namespaces.

The exporter writes what it is sent, the operator what it asked Prometheus for; the operator decides by it, the exporter
tells it. PostgreSQL only.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine

from tuning_store.tenants.registry import administering, told_tables
from tuning_study.production.observation import Observation
from tuning_study.text import truncate

_LATE = "5 min"  # for which a delivery of a firing may come after that of its end
_SAME = "1 min"  # between beginnings that are one: Prometheus replicas evaluate a rule at different moments
_MAX_TEXT = 2000  # characters
_FIRST, _LAST = 60, 2000  # observations of one metric that are read: a baseline's, and the newest

_NOTE_ALERTS = """
    INSERT INTO tuning_admin.alerts AS known
      (owner, study, namespace, key, name, reason, evidence, starts_at, seen_at, resolved_at, changed_at)
    SELECT %(owner)s, study, namespace, key, name, reason, evidence, starts_at, now(),
           CASE WHEN NOT firing THEN now() END, now()
    FROM jsonb_to_recordset(%(sightings)s::jsonb) AS seen
      (study text, namespace text, key text, name text, reason text, evidence jsonb, starts_at timestamptz, firing bool)
    ORDER BY study, key  -- so that two deliveries at once never wait for each other
    ON CONFLICT (study, key) DO UPDATE SET
      seen_at = excluded.seen_at,
      name = excluded.name, reason = excluded.reason, evidence = excluded.evidence,
      starts_at = CASE WHEN known.resolved_at IS NULL THEN least(known.starts_at, excluded.starts_at)
                       ELSE excluded.starts_at END,
      resolved_at = excluded.resolved_at,
      changed_at = CASE WHEN (known.resolved_at IS NULL) = (excluded.resolved_at IS NULL)
                        THEN known.changed_at ELSE excluded.changed_at END
    WHERE known.resolved_at IS NULL
       OR (excluded.resolved_at IS NULL AND (known.resolved_at <= now() - %(late)s::interval
                                             OR excluded.starts_at > known.starts_at + %(same)s::interval))
"""
_ADD = """
    INSERT INTO tuning_admin.observations
      (owner, study, namespace, metric, time, value, samples, coverage, counter, received_at)
    SELECT %(owner)s, study, namespace, metric, time, value, samples, coverage, counter, clock_timestamp()
    FROM jsonb_to_recordset(%(observations)s::jsonb) AS seen
      (study text, namespace text, metric text, time timestamptz, value float8, samples bigint, coverage float8,
       counter float8)
    ORDER BY study, metric, time
    ON CONFLICT DO NOTHING
"""
_ALERTS = """
    SELECT key, name, reason, evidence, starts_at, seen_at FROM tuning_admin.alerts
    WHERE study = %(study)s AND resolved_at IS NULL ORDER BY starts_at, key
"""
_OBSERVATIONS = """
    SELECT metric, time, value, samples, coverage FROM (
      SELECT *, row_number() OVER (PARTITION BY metric ORDER BY time) AS first,
             row_number() OVER (PARTITION BY metric ORDER BY time DESC) AS last
      FROM tuning_admin.observations
      WHERE study = %(study)s AND time > %(since)s AND samples IS DISTINCT FROM 0
    ) AS numbered WHERE first <= %(first)s OR last <= %(most)s ORDER BY metric, time
"""
# As _OBSERVATIONS numbers them: what no sample is behind is never judged, and only the newest of it is of use. Metrics
# with few observations are left alone, so that most are not numbered at all.
_DROP_UNREAD = """
    WITH judged AS (
      SELECT study, since FROM jsonb_to_recordset(%(judged)s::jsonb) AS given (study text, since timestamptz)
    ), many AS (
      SELECT study, metric, since FROM tuning_admin.observations JOIN judged USING (study)
      GROUP BY study, metric, since HAVING count(*) > %(first)s + %(most)s
    ), numbered AS (
      SELECT study, metric, time, time > since AND samples IS DISTINCT FROM 0 AS judged,
             row_number() OVER (PARTITION BY study, metric, samples IS DISTINCT FROM 0, time > since ORDER BY time)
               AS first,
             row_number() OVER (PARTITION BY study, metric, samples IS DISTINCT FROM 0 ORDER BY time DESC) AS last
      FROM tuning_admin.observations JOIN many USING (study, metric)
    )
    DELETE FROM tuning_admin.observations AS known USING numbered
    WHERE (known.study, known.metric, known.time) = (numbered.study, numbered.metric, numbered.time)
      AND last > %(most)s AND NOT (judged AND first <= %(first)s)
"""
_LAST_READINGS = """
    SELECT DISTINCT ON (study, metric) study, namespace, metric, time, value, counter FROM tuning_admin.observations
    WHERE study = ANY (%(studies)s) ORDER BY study, metric, time DESC
"""
_CHANGED = """
    SELECT study, max(at) AS at FROM (
      SELECT study, changed_at AS at FROM tuning_admin.alerts WHERE changed_at > %(since)s
      UNION ALL
      SELECT study, received_at FROM tuning_admin.observations WHERE received_at > %(since)s
      UNION ALL
      SELECT study, received_at FROM tuning_admin.feature_counts WHERE received_at > %(since)s
      UNION ALL
      SELECT study, made_at FROM tuning_admin.feature_references WHERE made_at > %(since)s
    ) AS changed GROUP BY study
"""
_KNOWN = """
    SELECT study, namespace FROM tuning_admin.alerts WHERE owner = %(owner)s
    UNION SELECT study, namespace FROM tuning_admin.observations WHERE owner = %(owner)s
    UNION SELECT study, namespace FROM tuning_admin.feature_references WHERE owner = %(owner)s
    UNION SELECT study, namespace FROM tuning_admin.predictions WHERE owner = %(owner)s
    UNION SELECT study, namespace FROM tuning_admin.canaries WHERE owner = %(owner)s
    UNION SELECT study, namespace FROM tuning_admin.canary_counts WHERE owner = %(owner)s
"""
_FORGET = (
    "DELETE FROM tuning_admin.alerts WHERE study = ANY (%(gone)s)",
    "DELETE FROM tuning_admin.observations WHERE study = ANY (%(gone)s)",
    "DELETE FROM tuning_admin.feature_counts WHERE study = ANY (%(gone)s)",
    "DELETE FROM tuning_admin.feature_references WHERE study = ANY (%(gone)s)",
    "DELETE FROM tuning_admin.predictions WHERE study = ANY (%(gone)s)",
    "DELETE FROM tuning_admin.canaries WHERE study = ANY (%(gone)s)",
    "DELETE FROM tuning_admin.canary_counts WHERE study = ANY (%(gone)s)",
    # Only the last window is judged.
    "DELETE FROM tuning_admin.feature_counts WHERE received_at < now() - interval '31 days'",
)


@dataclass(frozen=True)
class AlertSighting:
    """What Alertmanager says of one alert of one study."""

    study: str
    """The uid of the resource."""
    namespace: str
    key: str
    """Tells the study's alerts apart: the same for each delivery."""
    name: str
    reason: str
    starts_at: datetime
    firing: bool
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class KnownAlert:
    """An alert that fires."""

    key: str
    name: str
    reason: str
    starts_at: datetime
    seen_at: datetime
    """When Alertmanager last told of it."""
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """One observation of one metric of one study."""

    study: str
    """The uid of the resource."""
    namespace: str
    metric: str
    observation: Observation
    counter: float | None = None
    """Of samples, where their number is a counter's increase."""


@dataclass(frozen=True)
class Evidence:
    """What production has told of one study."""

    alerts: Sequence[KnownAlert] = ()
    observations: Mapping[str, Sequence[Observation]] = field(default_factory=dict)
    """By metric, the oldest first."""


def prepare(admin_url: str) -> None:
    """Make the administrator's tables, or bring them up to date. Safe to repeat, side by side. Raises StoreError."""
    with administering(admin_url):
        pass


def note_alerts(engine: Engine, owner: str, sightings: Sequence[AlertSighting]) -> None:
    """Remember what became of alerts of studies of the cluster `owner`. Told twice, or late, it changes nothing: a
    firing that is delivered within five minutes after its own end is taken for ended. Raises StoreError; then nothing
    is remembered."""
    with told_tables(engine) as connection:
        for firing in (True, False):  # a statement may not meet a row twice, and the end comes after the firing
            rows = {(seen.study, seen.key): seen for seen in sightings if seen.firing is firing}
            documents = [_document(seen) for seen in rows.values()]
            if documents:
                given = {"owner": owner, "sightings": json.dumps(documents), "late": _LATE, "same": _SAME}
                connection.exec_driver_sql(_NOTE_ALERTS, given)


def add_observations(engine: Engine, owner: str, readings: Sequence[Reading]) -> None:
    """Keep observations; one of a moment that is known already changes nothing. Raises StoreError."""
    with told_tables(engine) as connection:
        insert_observations(connection, owner, readings)


def insert_observations(connection: Connection, owner: str, readings: Sequence[Reading]) -> None:
    documents = [
        {
            "study": reading.study,
            "namespace": reading.namespace,
            "metric": reading.metric,
            "time": reading.observation.time.isoformat(),
            "value": reading.observation.value,
            "samples": reading.observation.samples,
            "coverage": reading.observation.coverage,
            "counter": reading.counter,
        }
        for reading in readings
    ]
    connection.exec_driver_sql(_ADD, {"owner": owner, "observations": json.dumps(documents)})


def read_evidence(engine: Engine, study: str, *, observed_since: datetime) -> Evidence:
    """Of one study, by its uid: the alerts that fire, and the first and the newest observations since; without those
    that no sample is behind. Raises StoreError."""
    with told_tables(engine) as connection:
        alerts = connection.exec_driver_sql(_ALERTS, {"study": study}).all()
        given = {"study": study, "since": observed_since, "first": _FIRST, "most": _LAST}
        rows = connection.exec_driver_sql(_OBSERVATIONS, given).all()
    observations: dict[str, list[Observation]] = {}
    for row in rows:
        observations.setdefault(row.metric, []).append(Observation(row.time, row.value, row.samples, row.coverage))
    return Evidence([KnownAlert(**row._mapping) for row in alerts], observations)


def drop_unread(engine: Engine, judged_since: Mapping[str, datetime]) -> None:
    """Drop the observations of these studies, by uid, that read_evidence leaves out: neither among the first since that
    moment nor among the newest. Raises StoreError."""
    judged = [{"study": study, "since": since.isoformat()} for study, since in judged_since.items()]
    with told_tables(engine) as connection:
        given = {"judged": json.dumps(judged), "first": _FIRST, "most": _LAST}
        connection.exec_driver_sql(_DROP_UNREAD, given)


def last_readings(engine: Engine, studies: Collection[str]) -> Mapping[tuple[str, str], Reading]:
    """The newest observation of each metric of these studies, by study and metric. Raises StoreError."""
    with told_tables(engine) as connection:
        rows = connection.exec_driver_sql(_LAST_READINGS, {"studies": list(studies)}).all()
    return {
        (row.study, row.metric): Reading(
            row.study, row.namespace, row.metric, Observation(row.time, row.value), row.counter
        )
        for row in rows
    }


def changed(engine: Engine, since: datetime) -> Mapping[str, datetime]:
    """Studies of which something new was told after `since`, each with the moment by the server's clock. Raises
    StoreError."""
    with told_tables(engine) as connection:
        return {row.study: row.at for row in connection.exec_driver_sql(_CHANGED, {"since": since})}


def known_studies(engine: Engine, owner: str, namespaces: Collection[str] = ()) -> set[str]:
    """The uids of the cluster's studies of which anything is kept; in these namespaces, if any are named. Raises
    StoreError."""
    with told_tables(engine) as connection:
        found = connection.exec_driver_sql(_KNOWN, {"owner": owner}).all()
    return {row.study for row in found if not namespaces or row.namespace in namespaces}


def forget(engine: Engine, studies: Collection[str]) -> None:
    """Drop what was told of studies that are gone, and features so old that nobody asks for them. Raises StoreError."""
    with told_tables(engine) as connection:
        for statement in _FORGET:
            connection.exec_driver_sql(statement, {"gone": list(studies)})


def _document(seen: AlertSighting) -> dict[str, Any]:
    evidence = {_storable(key): _storable(value) for key, value in seen.evidence.items()}
    texts = {"name": _storable(seen.name), "reason": _storable(seen.reason), "evidence": evidence}
    return vars(seen) | texts | {"starts_at": seen.starts_at.isoformat()}


def _storable(text: str) -> str:
    """Without the one character that no text of PostgreSQL may have."""
    return truncate(text, _MAX_TEXT).replace("\x00", "\ufffd")
