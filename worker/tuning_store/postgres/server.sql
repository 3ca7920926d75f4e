-- What a worker does with a trial, each in one round trip: claim, write, finish, and read what changed.
--
-- The tables are Optuna's, and so is the lock: whoever numbers a trial holds its study's row, as RDBStorage does, so
-- that workers of plain Optuna may share the study. The rule of the budget is tuning_study.budget; a test holds this
-- file against it. A changed signature gets a new name: workers of the version before are still running.

CREATE INDEX IF NOT EXISTS tuning_trials_number ON trials (study_id, number);
CREATE INDEX IF NOT EXISTS tuning_trials_open ON trials (study_id, state, trial_id) WHERE state IN ('RUNNING', 'WAITING');

-- A kept summary of finished trials, by whoever wrote them: counting them again would cost more with every trial.
CREATE TABLE IF NOT EXISTS tuning_shares (
  study_id int REFERENCES studies ON DELETE CASCADE,
  worker varchar(255),  -- empty for trials that nobody claimed
  complete bigint NOT NULL DEFAULT 0,
  pruned bigint NOT NULL DEFAULT 0,
  failed bigint NOT NULL DEFAULT 0,
  last_finished_at timestamp,
  total_seconds float8 NOT NULL DEFAULT 0,
  durations bigint[] NOT NULL DEFAULT array_fill(0, ARRAY[1 + cardinality('{BOUNDS}'::float8[])]),
  PRIMARY KEY (study_id, worker)
) WITH (fillfactor = 50);  -- a row is written with every trial, and never grows: it stays in its page

CREATE OR REPLACE FUNCTION tuning_tally() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  who text := coalesce((SELECT worker FROM tuning_claims WHERE trial_id = NEW.trial_id), '');
  seconds float8 := coalesce(extract(epoch FROM NEW.datetime_complete - NEW.datetime_start), 0);
  bucket int := 1 + width_bucket(seconds, '{BOUNDS}'::float8[]);
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
END $$;

DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'tuning_tally_update' AND tgrelid = 'trials'::regclass) THEN
    INSERT INTO tuning_shares (study_id, worker, complete, pruned, failed, last_finished_at, total_seconds, durations)
      SELECT study_id, who, sum((state = 'COMPLETE')::int * n), sum((state = 'PRUNED')::int * n),
        sum((state = 'FAIL')::int * n), max(last), sum(seconds),
        (SELECT array_agg(coalesce(sum_of, 0) ORDER BY b) FROM (
          SELECT b, (SELECT sum(u.n) FROM unnest(array_agg(bucket), array_agg(n)) AS u(bucket, n) WHERE u.bucket = b)
            AS sum_of FROM generate_series(1, 1 + cardinality('{BOUNDS}'::float8[])) AS b) AS counted)
      FROM (
        SELECT study_id, coalesce(worker, '') AS who, state, count(*) AS n, max(datetime_complete) AS last,
          sum(coalesce(extract(epoch FROM datetime_complete - datetime_start), 0)) AS seconds,
          1 + width_bucket(
            coalesce(extract(epoch FROM datetime_complete - datetime_start), 0)::float8, '{BOUNDS}'::float8[]
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
END $$;

-- Parameters, reports and attributes of a trial; what is there already is replaced, so that it may be said twice.
CREATE OR REPLACE FUNCTION tuning_write_children(trial int, said json) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF said->'params' IS NOT NULL THEN
    INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)
      SELECT trial, name, value, distribution
      FROM json_to_recordset(said->'params') AS p(name text, value float8, distribution text)
      ON CONFLICT (trial_id, param_name) DO UPDATE
        SET param_value = excluded.param_value, distribution_json = excluded.distribution_json;
  END IF;
  IF said->'reports' IS NOT NULL THEN
    INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)
      SELECT trial, step, value, kind::trialintermediatevaluetype
      FROM json_to_recordset(said->'reports') AS r(step int, value float8, kind text)
      ON CONFLICT (trial_id, step) DO UPDATE
        SET intermediate_value = excluded.intermediate_value,
            intermediate_value_type = excluded.intermediate_value_type;
  END IF;
  IF said->'user' IS NOT NULL THEN
    INSERT INTO trial_user_attributes (trial_id, key, value_json)
      SELECT trial, key, value FROM json_each_text(said->'user')
      ON CONFLICT (trial_id, key) DO UPDATE SET value_json = excluded.value_json;
  END IF;
  IF said->'system' IS NOT NULL THEN
    INSERT INTO trial_system_attributes (trial_id, key, value_json)
      SELECT trial, key, value FROM json_each_text(said->'system')
      ON CONFLICT (trial_id, key) DO UPDATE SET value_json = excluded.value_json;
  END IF;
  IF said->'values' IS NOT NULL THEN
    INSERT INTO trial_values (trial_id, objective, value, value_type)
      SELECT trial, objective, value, kind::trialvaluetype
      FROM json_to_recordset(said->'values') AS v(objective int, value float8, kind text)
      ON CONFLICT (trial_id, objective) DO UPDATE SET value = excluded.value, value_type = excluded.value_type;
  END IF;
END $$;

-- The trial as it stands before a write: locked, so that its state cannot change under the writer.
CREATE OR REPLACE FUNCTION tuning_write(trial int, claimant text, said json, OUT outcome text)
LANGUAGE plpgsql AS $$
DECLARE
  stands record;
BEGIN
  SELECT t.state, c.worker INTO stands FROM trials t LEFT JOIN tuning_claims c USING (trial_id)
    WHERE t.trial_id = trial FOR NO KEY UPDATE OF t;
  outcome := CASE
    WHEN NOT FOUND THEN 'unknown'
    WHEN stands.state NOT IN ('RUNNING', 'WAITING') THEN 'finished'
    WHEN claimant IS NOT NULL AND (stands.state <> 'RUNNING' OR stands.worker IS DISTINCT FROM claimant) THEN 'lost'
    ELSE 'written' END;
  IF outcome = 'written' THEN
    PERFORM tuning_write_children(trial, said);
  END IF;
END $$;

-- A new trial of plain Optuna, without a budget; `given` is the trial that it copies.
CREATE OR REPLACE FUNCTION tuning_create(
  study int, given json, OUT trial int, OUT assigned int, OUT started timestamp
) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM studies WHERE study_id = study FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  started := CASE WHEN given IS NULL THEN timezone('utc', clock_timestamp()) ELSE (given->>'started')::timestamp END;
  INSERT INTO trials (study_id, number, state, datetime_start, datetime_complete)
    SELECT study, 1 + coalesce((SELECT max(number) FROM trials WHERE study_id = study), -1),
      coalesce(given->>'state', 'RUNNING')::trialstate, started, (given->>'completed')::timestamp
    RETURNING trial_id, number INTO trial, assigned;
  IF given IS NOT NULL THEN
    PERFORM tuning_write_children(trial, given);
  END IF;
END $$;

-- How a round stands before one more trial; `ended` is why it takes no more (budget.Over), 'unknown' without a round.
CREATE OR REPLACE FUNCTION tuning_standing(
  study int, OUT ended text, OUT used bigint, OUT trials bigint, OUT paused boolean
) LANGUAGE plpgsql STABLE AS $$
DECLARE
  round tuning_rounds;
  failures bigint;
BEGIN
  SELECT * INTO round FROM tuning_rounds WHERE study_id = study;
  IF NOT FOUND THEN
    ended := 'unknown';
    RETURN;
  END IF;
  SELECT coalesce(sum(complete + pruned), 0), coalesce(sum(failed), 0) INTO used, failures
    FROM tuning_shares WHERE study_id = study;
  trials := round.trials;
  paused := round.paused_at IS NOT NULL;
  ended := CASE
    WHEN round.stop IS NOT NULL THEN round.stop
    WHEN used >= trials THEN 'BudgetUsed'
    WHEN failures >= round.failed_trials THEN 'TooManyFailures'
    WHEN extract(epoch FROM coalesce(round.paused_at, timezone('utc', clock_timestamp())) - round.first_claim_at)
      - round.paused_for >= round.duration THEN 'DurationUsed' END;
END $$;

-- The worker lives; it learns whether its round is over.
CREATE OR REPLACE FUNCTION tuning_beat(study int, claimant text, OUT ended text) LANGUAGE plpgsql AS $$
BEGIN
  SELECT standing.ended INTO ended FROM tuning_standing(study) AS standing;
  IF ended IS DISTINCT FROM 'unknown' THEN
    INSERT INTO tuning_workers (study_id, worker, started_at, seen_at)
      VALUES (study, claimant, timezone('utc', clock_timestamp()), timezone('utc', clock_timestamp()))
      ON CONFLICT (study_id, worker) DO UPDATE SET seen_at = excluded.seen_at;
  END IF;
END $$;

-- One more trial for the worker: the oldest that waits, or a new one. A trial that is still its own waits again first:
-- the answer to its claim was lost, or the worker died. One that brought its worker down too often has failed.
CREATE OR REPLACE FUNCTION tuning_claim(
  study int, claimant text, most_attempts int, failure_key text, again boolean,
  OUT verdict text, OUT trial int, OUT assigned int, OUT taken bigint, OUT attempt int, OUT fresh boolean,
  OUT started timestamp
) LANGUAGE plpgsql AS $$
DECLARE
  standing record;
  running bigint;
BEGIN
  -- Whoever comes after a crash of the server finds the claim gone, as if never made; what must last is the result.
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM FROM studies WHERE study_id = study FOR NO KEY UPDATE;
  PERFORM tuning_put_back(study, claimant, most_attempts, failure_key, again);
  SELECT * INTO standing FROM tuning_standing(study);
  SELECT count(*) INTO running FROM trials WHERE study_id = study AND state = 'RUNNING';
  taken := standing.used + running;
  verdict := CASE
    WHEN standing.ended = 'unknown' THEN 'unknown'
    WHEN standing.ended IS NOT NULL THEN 'Over'
    WHEN standing.paused OR taken >= standing.trials THEN 'Wait'
    ELSE 'Take' END;
  IF verdict <> 'Take' THEN
    RETURN;
  END IF;
  started := timezone('utc', clock_timestamp());
  UPDATE tuning_rounds SET first_claim_at = started WHERE study_id = study AND first_claim_at IS NULL;
  SELECT t.trial_id, t.number INTO trial, assigned FROM trials t
    WHERE t.study_id = study AND t.state = 'WAITING' ORDER BY t.trial_id LIMIT 1;
  fresh := trial IS NULL;
  IF fresh THEN
    INSERT INTO trials (study_id, number, state, datetime_start)
      SELECT study, 1 + coalesce((SELECT max(number) FROM trials WHERE study_id = study), -1), 'RUNNING', started
      RETURNING trial_id, number INTO trial, assigned;
  ELSE
    UPDATE trials SET state = 'RUNNING', datetime_start = started WHERE trial_id = trial;
  END IF;
  INSERT INTO tuning_claims AS c (trial_id, study_id, worker, attempts) VALUES (trial, study, claimant, 1)
    ON CONFLICT (trial_id) DO UPDATE SET worker = claimant, attempts = c.attempts + 1
    RETURNING attempts INTO attempt;
END $$;

-- The end of a trial. 'put back': the budget was lowered meanwhile and has no room for it.
CREATE OR REPLACE FUNCTION tuning_finish(
  trial int, claimant text, ending trialstate, said json, again boolean, OUT outcome text, OUT ended timestamp
) LANGUAGE plpgsql AS $$
DECLARE
  stands record;
BEGIN
  IF claimant IS NOT NULL THEN
    PERFORM FROM studies WHERE study_id = (SELECT study_id FROM trials WHERE trial_id = trial) FOR NO KEY UPDATE;
  END IF;
  SELECT t.state, t.study_id, c.worker INTO stands FROM trials t LEFT JOIN tuning_claims c USING (trial_id)
    WHERE t.trial_id = trial FOR NO KEY UPDATE OF t;
  ended := timezone('utc', clock_timestamp());
  outcome := CASE
    WHEN NOT FOUND THEN 'unknown'
    WHEN again AND stands.state = ending AND stands.worker = claimant THEN 'stored'
    WHEN stands.state NOT IN ('RUNNING', 'WAITING') THEN 'finished'
    WHEN claimant IS NOT NULL AND (stands.state <> 'RUNNING' OR stands.worker IS DISTINCT FROM claimant) THEN 'lost'
    WHEN claimant IS NOT NULL AND ending <> 'FAIL' AND (SELECT trials FROM tuning_rounds WHERE study_id = stands.study_id)
      <= (SELECT sum(complete + pruned) FROM tuning_shares WHERE study_id = stands.study_id) THEN 'put back'
    ELSE 'stored' END;
  IF outcome = 'stored' AND stands.state IN ('RUNNING', 'WAITING') THEN
    PERFORM tuning_write_children(trial, said);
    UPDATE trials SET state = ending, datetime_complete = CASE WHEN ending <> 'WAITING' THEN ended END
      WHERE trial_id = trial;
  ELSIF outcome = 'put back' THEN
    UPDATE trials SET state = 'WAITING' WHERE trial_id = trial;
  END IF;
END $$;

-- A trial that waits begins, for plain Optuna; `started` is NULL when it does not wait.
CREATE OR REPLACE FUNCTION tuning_run_waiting(trial int, OUT outcome text, OUT started timestamp)
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE trials SET state = 'RUNNING', datetime_start = timezone('utc', clock_timestamp())
    WHERE trial_id = trial AND state = 'WAITING' RETURNING datetime_start INTO started;
  SELECT CASE WHEN state IN ('RUNNING', 'WAITING') THEN 'open' ELSE 'finished' END INTO outcome
    FROM trials WHERE trial_id = trial;
  outcome := coalesce(outcome, 'unknown');
END $$;

-- What a worker was running waits again; or has failed, when it was lost that often before.
CREATE OR REPLACE FUNCTION tuning_put_back(
  study int, claimant text, most_attempts int, failure_key text, again boolean
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  mine record;
BEGIN
  FOR mine IN
    SELECT t.trial_id, c.attempts FROM trials t JOIN tuning_claims c USING (trial_id)
    WHERE t.study_id = study AND t.state = 'RUNNING' AND c.worker = claimant
  LOOP
    IF again THEN  -- not lost: the answer to the claim was
      UPDATE tuning_claims SET attempts = attempts - 1 WHERE trial_id = mine.trial_id;
      UPDATE trials SET state = 'WAITING' WHERE trial_id = mine.trial_id;
    ELSIF mine.attempts >= most_attempts THEN
      INSERT INTO trial_user_attributes (trial_id, key, value_json)
        VALUES (mine.trial_id, failure_key, to_json(format('its worker went away %s times', mine.attempts))::text)
        ON CONFLICT (trial_id, key) DO UPDATE SET value_json = excluded.value_json;
      UPDATE trials SET state = 'FAIL', datetime_complete = timezone('utc', clock_timestamp())
        WHERE trial_id = mine.trial_id;
    ELSE
      UPDATE trials SET state = 'WAITING' WHERE trial_id = mine.trial_id;
    END IF;
  END LOOP;
END $$;

-- Whole trials: those of the study numbered above `last`, and those of `known` that were open when last read.
CREATE OR REPLACE FUNCTION tuning_read(study int, last int, known int[])
RETURNS TABLE (
  id int, num int, status text, started timestamp, completed timestamp,
  space text, params json, objectives json, reports json, user_attributes json, system_attributes json
) LANGUAGE sql STABLE AS $$
  SELECT t.trial_id, t.number, t.state::text, t.datetime_start, t.datetime_complete,
    p.space, p.params,
    (SELECT json_agg(json_build_array(v.value, v.value_type) ORDER BY v.objective)
       FROM trial_values v WHERE v.trial_id = t.trial_id),
    (SELECT json_agg(json_build_array(r.step, r.intermediate_value, r.intermediate_value_type)
                     ORDER BY r.trial_intermediate_value_id)
       FROM trial_intermediate_values r WHERE r.trial_id = t.trial_id),
    (SELECT json_object_agg(a.key, a.value_json ORDER BY a.trial_user_attribute_id)
       FROM trial_user_attributes a WHERE a.trial_id = t.trial_id),
    (SELECT json_object_agg(a.key, a.value_json ORDER BY a.trial_system_attribute_id)
       FROM trial_system_attributes a WHERE a.trial_id = t.trial_id)
  FROM (
    SELECT * FROM trials WHERE study_id = study AND number > last
    UNION ALL
    SELECT * FROM trials WHERE trial_id = ANY (known) AND (study IS NULL OR number <= last)
  ) AS t, LATERAL (
    -- The names and distributions are the same text for most trials, which the reader need not take apart again.
    SELECT string_agg(to_json(param_name)::text || distribution_json, E'\n' ORDER BY param_id) AS space,
      json_agg(param_value ORDER BY param_id) AS params
    FROM trial_params WHERE trial_id = t.trial_id
  ) AS p
  ORDER BY t.number
$$;
