"""Requests that programs have counted on both sides of a canary while it serves."""

from collections.abc import Sequence

from tuning_store.schema.migrations import Step, sql

_STATEMENTS = (
    """
    CREATE TABLE IF NOT EXISTS tuning_admin.canary_counts (
      study text,  -- the uid of the resource
      parameters text,  -- the ConfigMap that the requests were served with
      metric text,
      sender text,
      owner text NOT NULL,  -- the cluster
      namespace text NOT NULL,
      bad bigint NOT NULL,  -- what the sender's counters stand at
      total bigint NOT NULL,
      counted_bad bigint NOT NULL DEFAULT 0,  -- what they have grown by
      counted_total bigint NOT NULL DEFAULT 0,
      told_at timestamptz NOT NULL,
      PRIMARY KEY (study, parameters, metric, sender)
    )
    """,
)


def steps(_: str) -> Sequence[Step]:
    return [sql(statement) for statement in _STATEMENTS]
