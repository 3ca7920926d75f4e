"""How rounds stand: counts, shares and bests, read for many rounds, and for many tenants, by one statement."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from optuna.distributions import json_to_distribution
from optuna.trial import TrialState
from sqlalchemy import Engine, String, case, cast, func, select

from tuning_store import tables
from tuning_store.claims import active_seconds, limits_of
from tuning_store.exceptions import translated
from tuning_store.tables import server_now
from tuning_study.budget import Counts, Limits, Over, over
from tuning_study.results import CONSTRAINT_PREFIX, FAILURE_ATTRIBUTE, Candidate

Place = tuple[str | None, str]
"""A tenant's schema and a round's name. A name alone says nothing: each tenant writes its own tables."""

_STATES = ("COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING")  # as the fields of Counts

# PostgreSQL has counted finished trials by worker (server.sql), so that the cost does not grow with their number.
_STANDING = """
    SELECT {columns}, timezone('utc', clock_timestamp()) AS now, {label} AS schema, s.*
    FROM {schema}tuning_rounds r CROSS JOIN LATERAL (
        SELECT json_agg(json_build_array(worker, complete, pruned, failed, running, waiting)) AS shares,
               json_object_agg(worker, silent) FILTER (WHERE silent IS NOT NULL) AS silent,
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


@dataclass(frozen=True)
class Progress:
    """A round at one moment."""

    study: str
    schema: str | None
    owner: str
    digest: str
    counts: Counts
    limits: Limits
    duration: float | None
    detail: str | None
    retain: bool
    started_at: datetime
    last_finished_at: datetime | None = None
    shares: Mapping[str, Counts] = field(default_factory=dict)  # by worker
    silent: Mapping[str, float] = field(default_factory=dict, compare=False)
    """Seconds since each worker that runs a trial was heard of; they grow by themselves. PostgreSQL alone tells."""

    @property
    def over(self) -> Over | None:
        return over(self.counts, self.limits)


@dataclass(frozen=True)
class RunningTrial:
    number: int
    worker: str
    seconds: float
    attempts: int


def read(engine: Engine) -> dict[str, Progress]:
    """All rounds of the login's own schema, by the study's name."""
    if engine.dialect.name == "postgresql":
        return {name: progress for (_, name), progress in read_all(engine, [None]).items()}
    by_study: dict[str, list[Any]] = defaultdict(list)
    with translated(), engine.connect() as connection:
        for row in connection.execute(_counted()):
            by_study[row.study_name].append(row)
    return {study: _of_workers(rows) for study, rows in by_study.items()}


def read_all(engine: Engine, schemas: Iterable[str | None]) -> dict[Place, Progress]:
    """All rounds of all `schemas` of a PostgreSQL."""
    return _read(engine, [_standing(schema) + _ALL for schema in schemas], ())


def read_some(engine: Engine, wanted: Mapping[str | None, Collection[str]]) -> dict[Place, Progress]:
    """Of each schema of a PostgreSQL the rounds that are named, as far as they exist."""
    return _read(engine, [_standing(schema) + _SOME for schema in wanted], tuple(map(list, wanted.values())))


def _read(engine: Engine, parts: Sequence[str], parameters: tuple[list[str], ...]) -> dict[Place, Progress]:
    if not parts:
        return {}
    with translated(), engine.connect() as connection:
        rows = connection.exec_driver_sql(" UNION ALL ".join(parts), parameters).all()
    return {
        (row.schema, row.study_name): _progress(row, row.schema, row.shares or (), row.last, row.silent or {})
        for row in rows
    }


def _standing(schema: str | None) -> str:
    columns = ", ".join(f"r.{column.name}" for column in tables.rounds.c)
    if schema is None:
        return _STANDING.format(columns=columns, label="NULL::text", schema="")
    return _STANDING.format(columns=columns, label=f"'{schema}'", schema=f'"{schema}".')


def read_candidates(engine: Engine, study: str) -> list[Candidate]:
    """The complete trials of a round, as far as choosing the best needs them."""
    trials, values = tables.trials, tables.trial_values
    rounds, attributes = tables.rounds, tables.trial_system_attributes
    complete = (rounds.c.study_name == study) & (cast(trials.c.state, String) == TrialState.COMPLETE.name)
    joined = rounds.join(trials, trials.c.study_id == rounds.c.study_id)
    with translated(), engine.connect() as connection:
        found: dict[int, list[float]] = defaultdict(list)
        for row in connection.execute(
            select(trials.c.number, values.c.value, cast(values.c.value_type, String).label("kind"))
            .select_from(joined.join(values, values.c.trial_id == trials.c.trial_id))
            .where(complete)
            .order_by(trials.c.number, values.c.objective)
        ):
            infinity = {"INF_POS": float("inf"), "INF_NEG": float("-inf")}
            found[row.number].append(infinity.get(row.kind, row.value))
        infeasible = {
            row.number
            for row in connection.execute(
                select(trials.c.number, attributes.c.value_json)
                .select_from(joined.join(attributes, attributes.c.trial_id == trials.c.trial_id))
                .where(complete, attributes.c.key.startswith(CONSTRAINT_PREFIX))
            )
            if json.loads(row.value_json) > 0
        }
    return [Candidate(number, tuple(listed), number not in infeasible) for number, listed in found.items()]


def read_point(engine: Engine, study: str, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """A trial's parameters and its user attributes, as Optuna tells them."""
    trials, rounds = tables.trials, tables.rounds
    params, attributes = tables.trial_params, tables.trial_user_attributes
    joined = rounds.join(trials, trials.c.study_id == rounds.c.study_id)
    wanted = (rounds.c.study_name == study) & (trials.c.number == number)
    with translated(), engine.connect() as connection:
        point = connection.execute(
            select(params.c.param_name, params.c.param_value, params.c.distribution_json)
            .select_from(joined.join(params, params.c.trial_id == trials.c.trial_id))
            .where(wanted)
            .order_by(params.c.param_id)
        ).all()
        said = connection.execute(
            select(attributes.c.key, attributes.c.value_json)
            .select_from(joined.join(attributes, attributes.c.trial_id == trials.c.trial_id))
            .where(wanted)
        ).all()
    told = {name: json_to_distribution(known).to_external_repr(value) for name, value, known in point}
    return told, {key: json.loads(value) for key, value in said}


def read_failures(engine: Engine, study: str) -> list[tuple[str, int]]:
    """Why trials failed, the most frequent reason first."""
    trials, rounds, attributes = tables.trials, tables.rounds, tables.trial_user_attributes
    count = func.count()
    with translated(), engine.connect() as connection:
        rows = connection.execute(
            select(attributes.c.value_json, count)
            .select_from(
                rounds.join(trials, trials.c.study_id == rounds.c.study_id).join(
                    attributes, attributes.c.trial_id == trials.c.trial_id
                )
            )
            .where(rounds.c.study_name == study, attributes.c.key == FAILURE_ATTRIBUTE)
            .where(cast(trials.c.state, String) == TrialState.FAIL.name)
            .group_by(attributes.c.value_json)
            .order_by(count.desc())
        )
        return [(str(json.loads(reason)), number) for reason, number in rows]


def read_running(engine: Engine, study: str) -> list[RunningTrial]:
    """What each worker is at."""
    rounds, trials, claims = tables.rounds, tables.trials, tables.claims
    with translated(), engine.connect() as connection:
        rows = connection.execute(
            select(
                trials.c.number, claims.c.worker, claims.c.attempts, trials.c.datetime_start, server_now().label("now")
            )
            .select_from(rounds.join(trials, trials.c.study_id == rounds.c.study_id))
            .join(claims, claims.c.trial_id == trials.c.trial_id)
            .where(rounds.c.study_name == study, trials.c.state == TrialState.RUNNING)
            .order_by(trials.c.number)
        ).all()
    return [
        RunningTrial(
            row.number,
            row.worker,
            (row.now - row.datetime_start).total_seconds() if row.datetime_start else 0.0,
            row.attempts,
        )
        for row in rows
    ]


def read_workers(engine: Engine, study: str) -> dict[int, str]:
    """Who ran which trial."""
    rounds, trials, claims = tables.rounds, tables.trials, tables.claims
    with translated(), engine.connect() as connection:
        rows = connection.execute(
            select(trials.c.number, claims.c.worker)
            .select_from(rounds.join(trials, trials.c.study_id == rounds.c.study_id))
            .join(claims, claims.c.trial_id == trials.c.trial_id)
            .where(rounds.c.study_name == study)
        )
        return {row.number: row.worker for row in rows}


def read_active(engine: Engine, study: str) -> float:
    """Seconds that the round has run, without its pauses."""
    with translated(), engine.connect() as connection:
        row = connection.execute(
            select(tables.rounds, server_now().label("now")).where(tables.rounds.c.study_name == study)
        ).one()
        return active_seconds(row)


def _counted() -> Any:
    """A row for each worker of a round, by counting the trials: databases that keep no shares."""
    rounds, trials, claims = tables.rounds, tables.trials, tables.claims
    state = cast(trials.c.state, String)
    return (
        select(
            *rounds.c,
            server_now().label("now"),
            func.max(trials.c.datetime_complete).label("last"),
            claims.c.worker,
            *(func.sum(case((state == each, 1), else_=0)).label(each.lower()) for each in _STATES),
        )
        .select_from(
            rounds.outerjoin(trials, trials.c.study_id == rounds.c.study_id).outerjoin(
                claims, claims.c.trial_id == trials.c.trial_id
            )
        )
        .group_by(*rounds.c, claims.c.worker)
    )


def _of_workers(rows: Sequence[Any]) -> Progress:
    last = max((row.last for row in rows if row.last is not None), default=None)
    shares = [(row.worker, *map(int, row[-len(_STATES) :])) for row in rows]
    return _progress(rows[0], None, shares, last, {})


def _progress(
    row: Any,
    schema: str | None,
    shares: Iterable[Sequence[Any]],
    last: datetime | None,
    silent: Mapping[str, float],
) -> Progress:
    """`shares` are a worker, or None, and its trials in each of _STATES; a worker may come twice."""
    by_worker: dict[str | None, list[int]] = defaultdict(lambda: [0] * len(_STATES))
    for worker, *numbers in shares:
        by_worker[worker] = [before + more for before, more in zip(by_worker[worker], numbers, strict=True)]
    return Progress(
        study=row.study_name,
        schema=schema,
        owner=row.owner,
        digest=row.digest,
        counts=Counts(*map(sum, zip(*by_worker.values(), strict=True))),
        limits=limits_of(row),
        duration=row.duration,
        detail=row.detail,
        retain=row.retain,
        started_at=row.started_at,
        last_finished_at=last,
        shares={worker: Counts(*by_worker[worker]) for worker in sorted(filter(None, by_worker))},
        silent=silent,
    )
