"""The record: what was done about a study, when, by whom and why. Lines are added, and never changed.

A tenant reads its own by the view `tuning_record` of its schema, and may write none.
"""

from collections.abc import Sequence

from tuning_store.schema.migrations import Step, sql

_STATEMENTS = (
    """
    CREATE TABLE IF NOT EXISTS tuning_admin.record (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      study text NOT NULL,  -- the uid of the resource
      key text NOT NULL,  -- tells the study's lines apart, so that one that is told twice is kept once
      owner text NOT NULL,  -- the cluster
      namespace text NOT NULL,
      name text NOT NULL,
      at timestamptz NOT NULL,
      kind text NOT NULL,
      actor text NOT NULL,
      message text NOT NULL,
      evidence jsonb NOT NULL,
      UNIQUE (study, key)
    )
    """,
    "CREATE INDEX IF NOT EXISTS record_name ON tuning_admin.record (owner, namespace, name, id)",
    """
    CREATE OR REPLACE FUNCTION tuning_admin.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'lines of tuning_admin.record are never changed';
    END $$
    """,
    "DROP TRIGGER IF EXISTS record_is_append_only ON tuning_admin.record",
    """
    CREATE TRIGGER record_is_append_only BEFORE UPDATE ON tuning_admin.record
      FOR EACH ROW EXECUTE FUNCTION tuning_admin.refuse_change()
    """,
    """
    CREATE OR REPLACE FUNCTION tuning_admin.offer_record(tenant text) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
      EXECUTE format(
        'CREATE OR REPLACE VIEW %I.tuning_record AS'
        ' SELECT r.id, r.study, r.name, r.at, r.kind, r.actor, r.message, r.evidence'
        ' FROM tuning_admin.record r JOIN tuning_admin.tenants t USING (owner, namespace) WHERE t.schema = %L',
        tenant, tenant);
    END $$
    """,
    """
    DO $$
    DECLARE tenant text;
    BEGIN
      FOR tenant IN SELECT t.schema FROM tuning_admin.tenants t JOIN pg_namespace n ON n.nspname = t.schema LOOP
        PERFORM tuning_admin.offer_record(tenant);
      END LOOP;
    END $$
    """,
)


# Two operators that replace one function at once disturb each other, unless one of them waits.
_ONE_AT_A_TIME = "LOCK TABLE tuning_admin.tenants IN SHARE ROW EXCLUSIVE MODE;"


def steps(_: str) -> Sequence[Step]:
    return [sql(_ONE_AT_A_TIME + statement) for statement in _STATEMENTS]
