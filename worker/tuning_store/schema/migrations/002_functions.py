"""The functions that a worker calls, with versions in their names.

Those without a version stay for the workers of the version before, which call them; they go with the next migration of
functions.
"""

from collections.abc import Sequence

from tuning_store.postgres.functions import definition
from tuning_store.schema.migrations import Step, sql

_NAMES = (
    "tuning_write_children_v1",
    "tuning_write_v1",
    "tuning_create_v1",
    "tuning_progress_v1",
    "tuning_heartbeat_v1",
    "tuning_requeue_v1",
    "tuning_claim_v1",
    "tuning_finish_v1",
    "tuning_run_waiting_v1",
    "tuning_read_v1",
)


def steps(dialect: str) -> Sequence[Step]:
    return [sql(definition(name)) for name in _NAMES] if dialect == "postgresql" else []
