"""How long trials took, as the buckets of a histogram, for many rounds by one statement. For the exporter."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from sqlalchemy import Engine, String, literal, select, union_all

from tuning_store.exceptions import translated
from tuning_store.sql import tables
from tuning_store.sql.tables import in_schema
from tuning_store.values import Durations, RoundKey


def read_durations(engine: Engine, schemas: Sequence[str | None]) -> Mapping[RoundKey, Durations]:
    """Durations of the finished trials of all rounds of all `schemas`. PostgreSQL only."""
    if not schemas:
        return {}
    with translated(), engine.connect() as connection:
        rows = connection.execute(union_all(*(_of(schema) for schema in schemas))).all()
    buckets: dict[RoundKey, list[int]] = {}
    totals: dict[RoundKey, float] = defaultdict(float)
    for row in rows:
        key = row.schema, row.study_name
        before = buckets.get(key, [0] * len(row.durations))
        buckets[key] = [a + b for a, b in zip(before, row.durations, strict=True)]
        totals[key] += row.total_seconds
    return {key: Durations(list(accumulate(found)), totals[key]) for key, found in buckets.items()}


def _of(schema: str | None) -> Any:
    rounds = in_schema(tables.rounds, schema)
    counts = in_schema(tables.counts_by_worker, schema)
    label = literal(schema, String).label("schema")
    return select(label, rounds.c.study_name, counts.c.durations, counts.c.total_seconds).join(
        counts, counts.c.study_id == rounds.c.study_id
    )
