"""How long trials took, as the buckets of a histogram, for many rounds by one grouped statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from sqlalchemy import Double, Engine, case, cast, func, literal, select, union_all
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from tuning_store import tables
from tuning_store.exceptions import translated
from tuning_store.tables import in_schema

BOUNDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)  # seconds


@dataclass(frozen=True)
class Durations:
    """`cumulative` counts the trials up to each of BOUNDS, and all of them last."""

    cumulative: Sequence[int]
    total_seconds: float


class seconds_between(FunctionElement[float]):
    """Seconds from the first timestamp to the second."""

    type = Double()
    inherit_cache = True


@compiles(seconds_between, "postgresql")
def _postgresql_seconds(element: Any, compiler: Any, **kwargs: Any) -> str:
    start, end = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"extract(epoch from {end} - {start})"


def read_durations(engine: Engine, schemas: Sequence[str | None]) -> Mapping[str, Durations]:
    """Durations of the finished trials of all rounds of all `schemas`, by the study's name. PostgreSQL only."""
    if not schemas:
        return {}
    with translated(), engine.connect() as connection:
        rows = connection.execute(union_all(*(_grouped(schema) for schema in schemas))).all()
    counts: dict[str, list[int]] = {}
    totals: dict[str, float] = {}
    for row in rows:
        counts.setdefault(row.study_name, [0] * (len(BOUNDS) + 1))[row.bucket] += row.number
        totals[row.study_name] = totals.get(row.study_name, 0.0) + float(row.total)
    return {name: Durations(list(accumulate(found)), totals[name]) for name, found in counts.items()}


def _grouped(schema: str | None) -> Any:
    rounds, trials = in_schema(tables.rounds, schema), in_schema(tables.trials, schema)
    seconds = cast(seconds_between(trials.c.datetime_start, trials.c.datetime_complete), Double)
    bucket = case(*((seconds <= literal(bound), index) for index, bound in enumerate(BOUNDS)), else_=len(BOUNDS)).label(
        "bucket"
    )
    return (
        select(
            rounds.c.study_name,
            bucket,
            func.count().label("number"),
            func.sum(seconds).label("total"),
        )
        .select_from(rounds.join(trials, trials.c.study_id == rounds.c.study_id))
        .where(trials.c.datetime_complete.is_not(None), trials.c.datetime_start.is_not(None))
        .group_by(rounds.c.study_name, bucket)
    )
