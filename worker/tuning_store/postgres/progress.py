"""Progress of many rounds of a PostgreSQL, and of many tenants, by one statement: for the operator and the exporter."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import Engine

from tuning_store.exceptions import translated
from tuning_store.sql import tables
from tuning_store.sql.readers import SqlReadings, progress_of
from tuning_store.values import Progress, RoundKey

# PostgreSQL has counted finished trials by worker (functions.sql), so that the cost does not grow with their number.
_PROGRESS = """
    SELECT {columns}, timezone('utc', clock_timestamp()) AS now, {label} AS schema, s.*
    FROM {schema}tuning_rounds r CROSS JOIN LATERAL (
        SELECT json_agg(json_build_array(worker, complete, pruned, failed, running, waiting)) AS counts,
               json_object_agg(worker, silent) FILTER (WHERE silent IS NOT NULL) AS seconds_since_heartbeat,
               max(last_finished_at) AS last
        FROM (
            SELECT nullif(worker, '') AS worker, complete, pruned, failed, 0 AS running, 0 AS waiting,
                   NULL::double precision AS silent, last_finished_at
            FROM {schema}tuning_shares s WHERE s.study_id = r.study_id
          UNION ALL
            SELECT c.worker, 0, 0, 0,
                   count(*) FILTER (WHERE state = 'RUNNING'), count(*) FILTER (WHERE state = 'WAITING'),
                   extract(epoch FROM timezone('utc', clock_timestamp())
                                      - max(seen_at) FILTER (WHERE state = 'RUNNING')), NULL
            FROM {schema}trials t LEFT JOIN {schema}tuning_claims c USING (trial_id)
            LEFT JOIN {schema}tuning_workers w ON w.study_id = t.study_id AND w.worker = c.worker
            WHERE t.study_id = r.study_id AND state IN ('RUNNING', 'WAITING') GROUP BY c.worker
        ) counted
    ) s"""
_ALL, _SOME = "", " WHERE r.study_name = ANY (%s)"


class PostgresReadings(SqlReadings):
    """See interfaces.Readings."""

    def progress(self) -> dict[str, Progress]:
        return {name: progress for (_, name), progress in read_all(self._engine, [None]).items()}


def read_all(engine: Engine, schemas: Iterable[str | None]) -> dict[RoundKey, Progress]:
    """All rounds of all `schemas`; None is where the login looks by itself."""
    return _read(engine, [_statement(schema) + _ALL for schema in schemas], ())


def read_some(engine: Engine, wanted: Mapping[str | None, Collection[str]]) -> dict[RoundKey, Progress]:
    """Of each schema the rounds that are named, as far as they exist."""
    return _read(engine, [_statement(schema) + _SOME for schema in wanted], tuple(map(list, wanted.values())))


def _read(engine: Engine, parts: Sequence[str], parameters: tuple[list[str], ...]) -> dict[RoundKey, Progress]:
    if not parts:
        return {}
    with translated(), engine.connect() as connection:
        rows = connection.exec_driver_sql(" UNION ALL ".join(parts), parameters).all()
    return {
        (row.schema, row.study_name): progress_of(
            row, row.schema, row.counts or (), row.last, row.seconds_since_heartbeat or {}
        )
        for row in rows
    }


def _statement(schema: str | None) -> str:
    columns = ", ".join(f"r.{column.name}" for column in tables.rounds.c)
    if schema is None:
        return _PROGRESS.format(columns=columns, label="NULL::text", schema="")
    return _PROGRESS.format(columns=columns, label=f"'{schema}'", schema=f'"{schema}".')
