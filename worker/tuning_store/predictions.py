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

_COUNT = "SELECT count(*) FROM (SELECT FROM tuning_admin.predictions WHERE study = %(study)s LIMIT %(most)s) AS kept"
_ADD = """
    INSERT INTO tuning_admin.predictions AS known (study, id, owner, namespace, {value}, {time}, received_at)
    SELECT %(study)s, id, %(owner)s, %(namespace)s, value, time, clock_timestamp()
    FROM jsonb_to_recordset(%(told)s::jsonb) AS told (id text, value jsonb, time timestamptz)
    ORDER BY id  -- so that two deliveries at once never wait for each other
    ON CONFLICT (study, id) DO UPDATE SET {value} = excluded.{value}, {time} = excluded.{time}
    WHERE known.{time} IS NULL
    RETURNING predicted_at
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


@dataclass(frozen=True)
class Kept:
    """What was not known yet of what was told."""

    stored: int
    """Predictions and labels."""
    labelled: Mapping[str, Sequence[datetime]]
    """By study: when the predictions were made whose labels these are, as far as they are known."""


class PredictionLog:
    """Where an exporter writes what it is sent. May be called from several threads."""

    def __init__(self, engine: Engine) -> None:
        """`engine` is the administrator's."""
        self._engine = engine
        self._room: dict[str, int] = {}  # by study: how many may be added before all are counted anew

    def keep(self, told: Sequence[ToldPredictions]) -> Kept:
        """All of it, in any order: what an id was told first stays. Raises StoreError, and TooManyPredictions; then
        nothing is kept."""
        stored = 0
        labelled: dict[str, list[datetime]] = {each.place.study: [] for each in told}
        with told_tables(self._engine) as connection:
            for each in sorted(told, key=lambda each: each.place.study):
                predicted = _add(connection, _ADD_PREDICTIONS, each.place, each.predictions)
                joined = _add(connection, _ADD_LABELS, each.place, each.labels)
                stored += len(predicted) + len(joined)
                labelled[each.place.study] += [time for time in joined if time is not None]
                self._make_sure_of_room(connection, each.place.study, len(predicted) + len(joined))
        return Kept(stored, labelled)

    def _make_sure_of_room(self, connection: Connection, study: str, added: int) -> None:
        """Counting a million takes a tenth of a second, so it is done again only when half of the room that there was
        is used up: two exporters keep the limit together."""
        self._room[study] = self._room.get(study, 0) - added
        if self._room[study] < 0:
            kept = connection.exec_driver_sql(_COUNT, {"study": study, "most": MOST_KEPT + 1}).scalar_one()
            if kept > MOST_KEPT:
                raise TooManyPredictions(
                    f"{MOST_KEPT:,} predictions are kept of the study already: send a sample of them, or have its "
                    "source ask for a shorter window or delay"
                )
            self._room[study] = (MOST_KEPT - kept) // 2


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


def _add(connection: Connection, statement: str, place: Place, told: Sequence[Told]) -> Sequence[datetime | None]:
    """Of each that was not known yet, when the prediction was made; None where only its label is known."""
    first: dict[str, Told] = {}
    for one in told:
        first.setdefault(one.id, one)
    if not first:
        return ()
    documents = [vars(one) | {"time": one.time.isoformat()} for one in first.values()]
    given = vars(place) | {"told": json.dumps(documents)}
    return connection.exec_driver_sql(statement, given).scalars().all()
