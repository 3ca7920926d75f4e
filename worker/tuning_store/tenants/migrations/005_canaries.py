"""What is known of a canary between two looks: one row for each study that has or had one."""

from collections.abc import Sequence

from tuning_store.schema.migrations import Step, sql

_STATEMENTS = (
    """
    CREATE TABLE IF NOT EXISTS tuning_admin.canaries (
      study text PRIMARY KEY,  -- the uid of the resource
      owner text NOT NULL,  -- the cluster
      namespace text NOT NULL,
      deployment text NOT NULL,  -- the uid of the canary's Deployment
      state jsonb NOT NULL
    )
    """,
)


def steps(_: str) -> Sequence[Step]:
    return [sql(statement) for statement in _STATEMENTS]
