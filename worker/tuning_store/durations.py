"""How long trials took, as the buckets of a histogram, for many rounds by one statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from sqlalchemy import Engine, select, union_all

from tuning_store import tables
from tuning_store.exceptions import translated
from tuning_store.tables import DURATION_BOUNDS, in_schema

BOUNDS = DURATION_BOUNDS


@dataclass(frozen=True)
class Durations:
    """`cumulative` counts the trials up to each of BOUNDS, and all of them last."""

    cumulative: Sequence[int]
    total_seconds: float


def read_durations(engine: Engine, schemas: Sequence[str | None]) -> Mapping[str, Durations]:
    """Durations of the finished trials of all rounds of all `schemas`, by the study's name. PostgreSQL only."""
    if not schemas:
        return {}
    with translated(), engine.connect() as connection:
        rows = connection.execute(union_all(*(_of(schema) for schema in schemas))).all()
    counts: dict[str, list[int]] = {}
    totals: dict[str, float] = {}
    for row in rows:
        before = counts.get(row.study_name, [0] * len(row.durations))
        counts[row.study_name] = [a + b for a, b in zip(before, row.durations, strict=True)]
        totals[row.study_name] = totals.get(row.study_name, 0.0) + row.total_seconds
    return {name: Durations(list(accumulate(found)), totals[name]) for name, found in counts.items()}


def _of(schema: str | None) -> Any:
    rounds, shares = in_schema(tables.rounds, schema), in_schema(tables.shares, schema)
    return select(rounds.c.study_name, shares.c.durations, shares.c.total_seconds).join(
        shares, shares.c.study_id == rounds.c.study_id
    )
