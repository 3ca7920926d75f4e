"""The registry, as the last version without migrations made it: where it is already nothing changes."""

from collections.abc import Sequence

from tuning_store.schema.migrations import Step, sql

_STATEMENTS = (
    "CREATE SCHEMA IF NOT EXISTS tuning_admin",
    "CREATE TABLE IF NOT EXISTS tuning_admin.tenants "
    "(schema text PRIMARY KEY, namespace text NOT NULL, owner text NOT NULL, version text)",
    "ALTER TABLE tuning_admin.tenants ADD COLUMN IF NOT EXISTS version text, ADD COLUMN IF NOT EXISTS uid text, "
    "ADD COLUMN IF NOT EXISTS gone_since timestamptz, ADD COLUMN IF NOT EXISTS kept text",
)


def steps(_: str) -> Sequence[Step]:
    return [sql(statement) for statement in _STATEMENTS]
