"""Predictions and their labels, and what share of the predictions behind an observation has a label."""

from collections.abc import Sequence

from tuning_store.schema.migrations import Step, sql

_STATEMENTS = (
    # Whichever comes first makes the row. `value` and `label` are numbers, texts or booleans.
    """
    CREATE TABLE IF NOT EXISTS tuning_admin.predictions (
      study text,  -- the uid of the resource
      id text,
      owner text NOT NULL,  -- the cluster
      namespace text NOT NULL,
      value jsonb,
      predicted_at timestamptz,
      label jsonb,
      labelled_at timestamptz,
      received_at timestamptz NOT NULL,
      PRIMARY KEY (study, id)
    )
    """,
    "CREATE INDEX IF NOT EXISTS predictions_predicted_at ON tuning_admin.predictions (study, predicted_at)",
    "CREATE INDEX IF NOT EXISTS predictions_received_at ON tuning_admin.predictions (received_at)",
    "ALTER TABLE tuning_admin.observations ADD COLUMN IF NOT EXISTS coverage float8",
)


def steps(_: str) -> Sequence[Step]:
    return [sql(statement) for statement in _STATEMENTS]
