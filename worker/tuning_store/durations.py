"""How long trials took, as the buckets of a histogram, for many rounds by one statement."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from sqlalchemy import Engine, String, literal, select, union_all

from tuning_store import tables
from tuning_store.exceptions import translated
from tuning_store.progress import Place
from tuning_store.tables import DURATION_BOUNDS, in_schema

BOUNDS = DURATION_BOUNDS


@dataclass(frozen=True)
class Durations:
    """`cumulative` counts the trials up to each of BOUNDS, and all of them last."""

    cumulative: Sequence[int]
    total_seconds: float


def read_durations(engine: Engine, schemas: Sequence[str | None]) -> Mapping[Place, Durations]:
    """Durations of the finished trials of all rounds of all `schemas`. PostgreSQL only."""
    if not schemas:
        return {}
    with translated(), engine.connect() as connection:
        rows = connection.execute(union_all(*(_of(schema) for schema in schemas))).all()
    counts: dict[Place, list[int]] = {}
    totals: dict[Place, float] = defaultdict(float)
    for row in rows:
        place = row.schema, row.study_name
        before = counts.get(place, [0] * len(row.durations))
        counts[place] = [a + b for a, b in zip(before, row.durations, strict=True)]
        totals[place] += row.total_seconds
    return {place: Durations(list(accumulate(found)), totals[place]) for place, found in counts.items()}


def _of(schema: str | None) -> Any:
    rounds, shares = in_schema(tables.rounds, schema), in_schema(tables.shares, schema)
    label = literal(schema, String).label("schema")
    return select(label, rounds.c.study_name, shares.c.durations, shares.c.total_seconds).join(
        shares, shares.c.study_id == rounds.c.study_id
    )
