"""Our tables, as the last version without migrations made them: where they are already nothing changes."""

from collections.abc import Sequence

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Double, Index, Integer, MetaData, String, Table, Text

from tuning_store.schema.migrations import Step, create_index, create_table, sql

_metadata = MetaData()
_rounds = Table(
    "tuning_rounds",
    _metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("study_name", String(512), nullable=False, unique=True),
    Column("owner", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("trials", BigInteger),
    Column("failed_trials", BigInteger, nullable=False),
    Column("duration", Double),
    Column("stop", String(32)),
    Column("detail", Text),
    Column("started_at", DateTime, nullable=False),
    Column("first_claim_at", DateTime),
    Column("paused_at", DateTime),
    Column("paused_for", Double, nullable=False),
    Column("retain", Boolean, nullable=False),
)
_workers = Table(
    "tuning_workers",
    _metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("worker", String(255), primary_key=True),
    Column("started_at", DateTime, nullable=False),
    Column("seen_at", DateTime, nullable=False),
)
_claims = Table(
    "tuning_claims",
    _metadata,
    Column("trial_id", Integer, primary_key=True, autoincrement=False),
    Column("study_id", Integer, nullable=False),
    Column("worker", String(255), nullable=False),
    Column("attempts", Integer, nullable=False),
)

_BOUNDS = "'{0.1,0.5,1.0,5.0,15.0,60.0,300.0,900.0,3600.0,14400.0,86400.0}'::float8[]"

_POSTGRESQL = (
    "CREATE INDEX IF NOT EXISTS tuning_trials_number ON trials (study_id, number)",
    "CREATE INDEX IF NOT EXISTS tuning_trials_open ON trials (study_id, state, trial_id) "
    "WHERE state IN ('RUNNING', 'WAITING')",
    # A kept summary of finished trials, by whoever wrote them: counting them again would cost more with every trial.
    # A row is written with every trial, and never grows: with this fill factor it stays in its page.
    """
    CREATE TABLE IF NOT EXISTS tuning_shares (
      study_id int REFERENCES studies ON DELETE CASCADE,
      worker varchar(255),  -- empty for trials that nobody claimed
      complete bigint NOT NULL DEFAULT 0,
      pruned bigint NOT NULL DEFAULT 0,
      failed bigint NOT NULL DEFAULT 0,
      last_finished_at timestamp,
      total_seconds float8 NOT NULL DEFAULT 0,
      durations bigint[] NOT NULL DEFAULT array_fill(0, ARRAY[1 + cardinality({BOUNDS})]),
      PRIMARY KEY (study_id, worker)
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE OR REPLACE FUNCTION tuning_tally() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    DECLARE
      who text := coalesce((SELECT worker FROM tuning_claims WHERE trial_id = NEW.trial_id), '');
      seconds float8 := coalesce(extract(epoch FROM NEW.datetime_complete - NEW.datetime_start), 0);
      bucket int := 1 + width_bucket(seconds, {BOUNDS});
    BEGIN
      LOOP
        UPDATE tuning_shares SET
          complete = complete + (NEW.state = 'COMPLETE')::int,
          pruned = pruned + (NEW.state = 'PRUNED')::int,
          failed = failed + (NEW.state = 'FAIL')::int,
          last_finished_at = greatest(last_finished_at, NEW.datetime_complete),
          total_seconds = total_seconds + seconds,
          durations[bucket] = durations[bucket] + 1
        WHERE study_id = NEW.study_id AND worker = who;
        EXIT WHEN FOUND;
        INSERT INTO tuning_shares VALUES (NEW.study_id, who) ON CONFLICT DO NOTHING;
      END LOOP;
      RETURN NULL;
    END $$
    """,
    # What was finished before is counted with the triggers' creation, under the table's lock. One statement, so that a
    # trial is counted by this or by a trigger, and never by both.
    """
    DO $$ BEGIN
      IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'tuning_tally_update' AND tgrelid = 'trials'::regclass) THEN
        LOCK TABLE trials IN SHARE ROW EXCLUSIVE MODE;
        INSERT INTO tuning_shares
            (study_id, worker, complete, pruned, failed, last_finished_at, total_seconds, durations)
          SELECT study_id, who, sum((state = 'COMPLETE')::int * n), sum((state = 'PRUNED')::int * n),
            sum((state = 'FAIL')::int * n), max(last), sum(seconds),
            (SELECT array_agg(coalesce(sum_of, 0) ORDER BY b) FROM (
              SELECT b, (
                SELECT sum(u.n) FROM unnest(array_agg(bucket), array_agg(n)) AS u(bucket, n) WHERE u.bucket = b
              ) AS sum_of FROM generate_series(1, 1 + cardinality({BOUNDS})) AS b) AS counted)
          FROM (
            SELECT study_id, coalesce(worker, '') AS who, state, count(*) AS n, max(datetime_complete) AS last,
              sum(coalesce(extract(epoch FROM datetime_complete - datetime_start), 0)) AS seconds,
              1 + width_bucket(
                coalesce(extract(epoch FROM datetime_complete - datetime_start), 0)::float8, {BOUNDS}
              ) AS bucket
            FROM trials LEFT JOIN tuning_claims USING (trial_id, study_id)
            WHERE state IN ('COMPLETE', 'PRUNED', 'FAIL') GROUP BY 1, 2, 3, bucket
          ) AS finished GROUP BY study_id, who
          ON CONFLICT DO NOTHING;
        CREATE TRIGGER tuning_tally_insert AFTER INSERT ON trials FOR EACH ROW
          WHEN (NEW.state IN ('COMPLETE', 'PRUNED', 'FAIL')) EXECUTE FUNCTION tuning_tally();
        CREATE TRIGGER tuning_tally_update AFTER UPDATE OF state ON trials FOR EACH ROW
          WHEN (NEW.state IN ('COMPLETE', 'PRUNED', 'FAIL') AND OLD.state NOT IN ('COMPLETE', 'PRUNED', 'FAIL'))
          EXECUTE FUNCTION tuning_tally();
      END IF;
    END $$
    """,
)


def steps(dialect: str) -> Sequence[Step]:
    ours = [create_table(_rounds), create_table(_workers), create_table(_claims)]
    ours.append(create_index(Index("ix_tuning_claims_study_id", _claims.c.study_id)))
    return [*ours, *(sql(text.replace("{BOUNDS}", _BOUNDS)) for text in _POSTGRESQL if dialect == "postgresql")]
