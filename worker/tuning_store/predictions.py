"""Predictions of models in production and their labels, joined by id in the administrator's schema.

The exporter writes what it is sent; the operator's keeper of predictions reads what windows come to, and drops what is
of no use any more. PostgreSQL only.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from tuning_store.exceptions import StoreError
from tuning_store.features import Place
from tuning_store.tenants.registry import told_tables
from tuning_study.api.production import PredictionsSource
from tuning_study.production.predictions import Tally, begin_of

MOST_KEPT = 1_000_000
"""Predictions of one study."""
Value = float | bool | str

_FULL = "SELECT 1 FROM tuning_admin.predictions WHERE study = %(study)s OFFSET %(most)s LIMIT 1"
_ADD = """
    INSERT INTO tuning_admin.predictions AS known (study, id, owner, namespace, {value}, {time}, received_at)
    SELECT %(study)s, id, %(owner)s, %(namespace)s, value, time, clock_timestamp()
    FROM jsonb_to_recordset(%(told)s::jsonb) AS told (id text, value jsonb, time timestamptz)
    ORDER BY id  -- so that two deliveries at once never wait for each other
    ON CONFLICT (study, id) DO UPDATE SET {value} = excluded.{value}, {time} = excluded.{time}
    WHERE known.{time} IS NULL
"""
_ADD_PREDICTIONS = _ADD.format(value="value", time="predicted_at")
_ADD_LABELS = _ADD.format(value="label", time="labelled_at")
_TALLIES = """
    SELECT slot, count(*) AS predictions, count(label) AS labels,
           count(*) FILTER (WHERE alike) AS alike, count(*) FILTER (WHERE alike AND value = label) AS hits,
           count(error) AS numbers, coalesce(sum(abs(error)), 0) AS absolute, coalesce(sum(error * error), 0) AS squared
    FROM (
      SELECT slot, value, label, jsonb_typeof(value) = jsonb_typeof(label) AS alike,
             CASE WHEN %(errors)s AND jsonb_typeof(value) = 'number' AND jsonb_typeof(label) = 'number'
                  THEN (value #>> '{}')::numeric - (label #>> '{}')::numeric END AS error
      FROM (
        SELECT slot, value, CASE WHEN extract(epoch FROM labelled_at) <= (slot + 1) * %(window)s::numeric
                                      + %(delay)s::numeric THEN label END AS label
        FROM tuning_admin.predictions,
             LATERAL (SELECT floor(extract(epoch FROM predicted_at)::numeric / %(window)s::numeric)::bigint) AS w (slot)
        WHERE study = %(study)s AND predicted_at >= %(begin)s AND predicted_at < %(end)s
      ) AS in_time
    ) AS compared GROUP BY slot ORDER BY slot
"""
_DROP = """
    DELETE FROM tuning_admin.predictions WHERE study = %(study)s
    AND (predicted_at < now() - %(kept)s OR (predicted_at IS NULL AND received_at < now() - %(kept)s))
"""
# Of studies that do not watch their predictions any more: longer than any may ask for.
_DROP_OLD = "DELETE FROM tuning_admin.predictions WHERE received_at < now() - interval '92 days'"


class TooManyPredictions(StoreError):
    """More than are kept of one study."""


@dataclass(frozen=True)
class Told:
    """A prediction, or a label."""

    id: str
    value: Value
    time: datetime


@dataclass(frozen=True)
class ToldPredictions:
    """Of one study."""

    place: Place
    predictions: Sequence[Told] = ()
    labels: Sequence[Told] = ()


def keep_predictions(engine: Engine, told: Sequence[ToldPredictions]) -> int:
    """All of it, in any order: what an id was told first stays. Returns how many were not known yet. Raises StoreError,
    and TooManyPredictions; then nothing is kept."""
    with told_tables(engine) as connection:
        return sum(_keep(connection, each) for each in sorted(told, key=lambda each: each.place.study))


def read_tallies(engine: Engine, study: str, source: PredictionsSource, slots: range) -> Sequence[Tally]:
    """Of these windows of a study, by its uid, the oldest first; none of a window without a prediction. Raises
    StoreError."""
    given = {
        "study": study,
        "window": str(source.window.total_seconds()),
        "delay": str(source.delay.total_seconds()),
        "begin": begin_of(slots.start, source),
        "end": begin_of(slots.stop, source),
        "errors": source.score in ("MeanAbsoluteError", "RootMeanSquaredError"),  # else not worth their time
    }
    with told_tables(engine) as connection:
        rows = connection.exec_driver_sql(_TALLIES, given).all()
    return [
        Tally(
            row.slot,
            row.predictions,
            row.labels,
            row.alike,
            row.hits,
            row.numbers,
            float(row.absolute),
            float(row.squared),
        )
        for row in rows
    ]


def drop_predictions(engine: Engine, kept: Mapping[str, timedelta]) -> None:
    """Drop what is older than it is kept, by study, and what nobody has asked for in three months. Raises
    StoreError."""
    with told_tables(engine) as connection:
        for study, time in kept.items():
            connection.exec_driver_sql(_DROP, {"study": study, "kept": time})
        connection.exec_driver_sql(_DROP_OLD)


def _keep(connection: Connection, told: ToldPredictions) -> int:
    added = 0
    for statement, each in ((_ADD_PREDICTIONS, told.predictions), (_ADD_LABELS, told.labels)):
        first: dict[str, Told] = {}
        for one in each:
            first.setdefault(one.id, one)
        documents = [vars(one) | {"time": one.time.isoformat()} for one in first.values()]
        if documents:
            given = vars(told.place) | {"told": json.dumps(documents)}
            added += connection.exec_driver_sql(statement, given).rowcount
    if connection.exec_driver_sql(_FULL, {"study": told.place.study, "most": MOST_KEPT}).first():
        raise TooManyPredictions(
            f"{MOST_KEPT:,} predictions are kept of the study already: send a sample of them, or have its source ask "
            "for a shorter window or delay"
        )
    return added
