"""How rounds stand, read from the tables of any SQL database. postgres.progress reads many tenants at once."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from optuna.distributions import json_to_distribution
from optuna.trial import TrialState
from sqlalchemy import Engine, String, case, cast, func, select

from tuning_store.exceptions import translated
from tuning_store.sql import tables
from tuning_store.sql.tables import server_now
from tuning_store.values import Progress, RunningTrial, TrialDetails, active_seconds, limits_of
from tuning_study.attributes import CONSTRAINT_PREFIX, FAILURE_ATTRIBUTE
from tuning_study.budget import Counts
from tuning_study.results.candidates import Candidate

STATES = ("COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING")
"""Of a trial, in the order of the fields of Counts."""


class SqlReadings:
    """See interfaces.Readings."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def progress(self) -> dict[str, Progress]:
        by_study: dict[str, list[Any]] = defaultdict(list)
        with translated(), self._engine.connect() as connection:
            for row in connection.execute(_counted()):
                by_study[row.study_name].append(row)
        return {study: _of_workers(rows) for study, rows in by_study.items()}

    def candidates(self, study: str) -> list[Candidate]:
        trials, values = tables.trials, tables.trial_values
        rounds, attributes = tables.rounds, tables.trial_system_attributes
        complete = (rounds.c.study_name == study) & (cast(trials.c.state, String) == TrialState.COMPLETE.name)
        joined = rounds.join(trials, trials.c.study_id == rounds.c.study_id)
        with translated(), self._engine.connect() as connection:
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

    def trial(self, study: str, number: int) -> TrialDetails:
        trials, rounds = tables.trials, tables.rounds
        params, attributes = tables.trial_params, tables.trial_user_attributes
        joined = rounds.join(trials, trials.c.study_id == rounds.c.study_id)
        wanted = (rounds.c.study_name == study) & (trials.c.number == number)
        with translated(), self._engine.connect() as connection:
            parameters = connection.execute(
                select(params.c.param_name, params.c.param_value, params.c.distribution_json)
                .select_from(joined.join(params, params.c.trial_id == trials.c.trial_id))
                .where(wanted)
                .order_by(params.c.param_id)
            ).all()
            noted = connection.execute(
                select(attributes.c.key, attributes.c.value_json)
                .select_from(joined.join(attributes, attributes.c.trial_id == trials.c.trial_id))
                .where(wanted)
            ).all()
        return TrialDetails(
            {name: json_to_distribution(known).to_external_repr(value) for name, value, known in parameters},
            {key: json.loads(value) for key, value in noted},
        )

    def failures(self, study: str) -> list[tuple[str, int]]:
        trials, rounds, attributes = tables.trials, tables.rounds, tables.trial_user_attributes
        count = func.count()
        with translated(), self._engine.connect() as connection:
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

    def running(self, study: str) -> list[RunningTrial]:
        rounds, trials, claims = tables.rounds, tables.trials, tables.claims
        with translated(), self._engine.connect() as connection:
            rows = connection.execute(
                select(
                    trials.c.number,
                    claims.c.worker,
                    claims.c.attempts,
                    trials.c.datetime_start,
                    server_now().label("now"),
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

    def workers(self, study: str) -> dict[int, str]:
        rounds, trials, claims = tables.rounds, tables.trials, tables.claims
        with translated(), self._engine.connect() as connection:
            rows = connection.execute(
                select(trials.c.number, claims.c.worker)
                .select_from(rounds.join(trials, trials.c.study_id == rounds.c.study_id))
                .join(claims, claims.c.trial_id == trials.c.trial_id)
                .where(rounds.c.study_name == study)
            )
            return {row.number: row.worker for row in rows}

    def active_seconds(self, study: str) -> float:
        with translated(), self._engine.connect() as connection:
            row = connection.execute(
                select(tables.rounds, server_now().label("now")).where(tables.rounds.c.study_name == study)
            ).one()
            return active_seconds(row)


def _counted() -> Any:
    """A row for each worker of a round, by counting the trials: databases that do not count as trials finish."""
    rounds, trials, claims = tables.rounds, tables.trials, tables.claims
    state = cast(trials.c.state, String)
    return (
        select(
            *rounds.c,
            server_now().label("now"),
            func.max(trials.c.datetime_complete).label("last"),
            claims.c.worker,
            *(func.sum(case((state == each, 1), else_=0)).label(each.lower()) for each in STATES),
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
    counts = [(row.worker, *map(int, row[-len(STATES) :])) for row in rows]
    return progress_of(rows[0], None, counts, last, {})


def progress_of(
    row: Any,
    schema: str | None,
    counts: Iterable[Sequence[Any]],
    last_finished_at: datetime | None,
    seconds_since_heartbeat: Mapping[str, float],
) -> Progress:
    """`row` is a row of tuning_rounds with `now`. Each of `counts` is a worker, or None for trials that nobody claimed,
    and its trials in each of STATES; a worker may come twice."""
    by_worker: dict[str | None, list[int]] = defaultdict(lambda: [0] * len(STATES))
    for worker, *numbers in counts:
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
        last_finished_at=last_finished_at,
        counts_by_worker={worker: Counts(*by_worker[worker]) for worker in sorted(filter(None, by_worker))},
        seconds_since_heartbeat=seconds_since_heartbeat,
    )
