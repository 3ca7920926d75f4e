"""What production tells of studies: alerts and observations of all namespaces, which no tenant may read or write."""

from collections.abc import Sequence

from tuning_store.schema.migrations import Step, sql

_STATEMENTS = (
    # An alert of a study by its labels. `changed_at` moves when it begins or ends, not with each repetition.
    """
    CREATE TABLE IF NOT EXISTS tuning_admin.alerts (
      study text,  -- the uid of the resource
      key text,
      owner text NOT NULL,  -- the cluster
      namespace text NOT NULL,
      name text NOT NULL,
      reason text NOT NULL,
      evidence jsonb NOT NULL,
      starts_at timestamptz NOT NULL,
      seen_at timestamptz NOT NULL,
      resolved_at timestamptz,
      changed_at timestamptz NOT NULL,
      PRIMARY KEY (study, key)
    )
    """,
    "CREATE INDEX IF NOT EXISTS alerts_changed_at ON tuning_admin.alerts (changed_at)",
    """
    CREATE TABLE IF NOT EXISTS tuning_admin.observations (
      study text,
      metric text,
      time timestamptz,
      owner text NOT NULL,
      namespace text NOT NULL,
      value float8 NOT NULL,
      samples bigint,
      counter float8,  -- of samples, as Prometheus told it; the next observation's are what it has grown by
      received_at timestamptz NOT NULL,
      PRIMARY KEY (study, metric, time)
    )
    """,
    "CREATE INDEX IF NOT EXISTS observations_received_at ON tuning_admin.observations (received_at)",
    # A feature's bins, and how many values of the sample that a round was tuned on are in each.
    """
    CREATE TABLE IF NOT EXISTS tuning_admin.feature_references (
      study text,
      feature text,
      owner text NOT NULL,
      namespace text NOT NULL,
      reference jsonb NOT NULL,
      made_at timestamptz NOT NULL,
      PRIMARY KEY (study, feature)
    )
    """,
    # What production has sent since, in these bins.
    """
    CREATE TABLE IF NOT EXISTS tuning_admin.feature_counts (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      study text NOT NULL,
      feature text NOT NULL,
      owner text NOT NULL,
      namespace text NOT NULL,
      counts jsonb NOT NULL,
      received_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS feature_counts_study ON tuning_admin.feature_counts (study, feature, received_at)",
    "CREATE INDEX IF NOT EXISTS feature_counts_received_at ON tuning_admin.feature_counts (received_at)",
)


def steps(_: str) -> Sequence[Step]:
    return [sql(statement) for statement in _STATEMENTS]
