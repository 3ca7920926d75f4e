"""How rounds stand: counts, shares and bests, read for many rounds, and for many tenants, by one grouped statement."""

import functools
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from optuna.distributions import json_to_distribution
from optuna.trial import TrialState
from sqlalchemy import Column, Engine, Select, String, Table, cast, func, literal, select, union_all

from tuning_store import tables
from tuning_store.claims import active_seconds, limits_of
from tuning_store.exceptions import translated
from tuning_store.tables import in_schema, server_now
from tuning_study.budget import Counts, Limits, Over, over
from tuning_study.results import CONSTRAINT_PREFIX, FAILURE_ATTRIBUTE, Candidate

_STATES = {
    TrialState.COMPLETE.name: "complete",
    TrialState.PRUNED.name: "pruned",
    TrialState.FAIL.name: "failed",
    TrialState.RUNNING.name: "running",
    TrialState.WAITING.name: "waiting",
}


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

    @property
    def over(self) -> Over | None:
        return over(self.counts, self.limits)


@dataclass(frozen=True)
class RunningTrial:
    number: int
    worker: str
    seconds: float
    attempts: int


def read(engine: Engine, schemas: Sequence[str | None] = (None,)) -> dict[str, Progress]:
    """All rounds of all `schemas`, by the study's name. One statement, however many rounds there are."""
    if not schemas:
        return {}
    with translated(), engine.connect() as connection:
        rows = connection.execute(_all_rounds(tuple(schemas), engine.dialect.name)).all()
    by_study: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        by_study[row.study_name].append(row)
    return {study: _progress(study, group) for study, group in by_study.items()}


def read_candidates(engine: Engine, study: str, schema: str | None = None) -> list[Candidate]:
    """The complete trials of a round, as far as choosing the best needs them."""
    trials, values = in_schema(tables.trials, schema), in_schema(tables.trial_values, schema)
    rounds, attributes = in_schema(tables.rounds, schema), in_schema(tables.trial_system_attributes, schema)
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


def read_point(
    engine: Engine, study: str, number: int, schema: str | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A trial's parameters and its user attributes, as Optuna tells them."""
    trials, rounds = in_schema(tables.trials, schema), in_schema(tables.rounds, schema)
    params, attributes = in_schema(tables.trial_params, schema), in_schema(tables.trial_user_attributes, schema)
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


def read_failures(engine: Engine, study: str, schema: str | None = None) -> list[tuple[str, int]]:
    """Why trials failed, the most frequent reason first."""
    trials, rounds = in_schema(tables.trials, schema), in_schema(tables.rounds, schema)
    attributes = in_schema(tables.trial_user_attributes, schema)
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


@functools.lru_cache(maxsize=4)  # to build it for many tenants costs more than to run it
def _all_rounds(schemas: tuple[str | None, ...], dialect: str) -> Any:
    return union_all(*(_grouped(schema, dialect) for schema in schemas))


def _grouped(schema: str | None, dialect: str) -> Any:
    """Rows of a round, a worker, a state and how many; PostgreSQL has counted those that are finished."""
    rounds, trials, claims = (in_schema(t, schema) for t in (tables.rounds, tables.trials, tables.claims))
    is_open = trials.c.state.in_([TrialState.RUNNING, TrialState.WAITING])
    joined = trials.c.study_id == rounds.c.study_id
    counted = _counts(
        rounds,
        cast(trials.c.state, String),
        claims.c.worker,
        func.count(trials.c.trial_id),
        func.max(trials.c.datetime_complete),
        schema,
    ).group_by(rounds.c.study_id, *_columns(rounds), cast(trials.c.state, String), claims.c.worker)
    if dialect != "postgresql":
        return counted.select_from(
            rounds.outerjoin(trials, joined).outerjoin(claims, claims.c.trial_id == trials.c.trial_id)
        )
    running = counted.select_from(
        rounds.outerjoin(trials, joined & is_open).outerjoin(claims, claims.c.trial_id == trials.c.trial_id)
    )
    shares = in_schema(tables.shares, schema)
    last = shares.c.last_finished_at
    finished = [
        _counts(rounds, literal(state), func.nullif(shares.c.worker, ""), shares.c[counted], last, schema).join(
            shares, shares.c.study_id == rounds.c.study_id
        )
        for state, counted in _FINISHED.items()
    ]
    return union_all(running, *finished)


_FINISHED = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


def _counts(rounds: Table, state: Any, worker: Any, number: Any, last: Any, schema: str | None) -> Select[Any]:
    return select(
        *_columns(rounds),
        server_now().label("now"),
        literal(schema, String).label("schema"),
        state.label("state"),
        worker.label("worker"),
        number.label("number"),
        last.label("last"),
    )


def _columns(rounds: Table) -> list[Column[Any]]:
    return [column for column in rounds.c if column.name != "study_id"]


def _progress(study: str, rows: Sequence[Any]) -> Progress:
    row = rows[0]
    by_worker: dict[str | None, list[Any]] = defaultdict(list)
    for entry in rows:
        by_worker[entry.worker].append(entry)
    return Progress(
        study=study,
        schema=row.schema,
        owner=row.owner,
        digest=row.digest,
        counts=_sum(rows),
        limits=limits_of(row),
        duration=row.duration,
        detail=row.detail,
        retain=row.retain,
        started_at=row.started_at,
        last_finished_at=max((entry.last for entry in rows if entry.last is not None), default=None),
        shares={worker: _sum(by_worker[worker]) for worker in sorted(filter(None, by_worker))},
    )


def _sum(rows: Iterable[Any]) -> Counts:
    totals: dict[str, int] = defaultdict(int)
    for row in rows:
        if row.state is not None:
            totals[_STATES[row.state]] += row.number
    return Counts(**totals)
