-- What a worker does with a trial, each in one round trip: claim, write, finish, and read what changed.
--
-- The tables are Optuna's, and so is the lock: whoever numbers a trial holds its study's row, as RDBStorage does, so
-- that workers of plain Optuna may share the study. The rule of the budget is tuning_study.budget; a test holds this
-- file against it.
--
-- A function that was released never changes, because workers of that release still call it. What is to be different
-- gets a new name (tuning_claim_v2) and a migration that installs it; a test holds the text of each against a digest.

-- Parameters, reports and attributes of a trial. What is there already is replaced: it may be written twice.
CREATE OR REPLACE FUNCTION tuning_write_children_v1(trial int, changes json) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF changes->'params' IS NOT NULL THEN
    INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)
      SELECT trial, name, value, distribution
      FROM json_to_recordset(changes->'params') AS p(name text, value float8, distribution text)
      ON CONFLICT (trial_id, param_name) DO UPDATE
        SET param_value = excluded.param_value, distribution_json = excluded.distribution_json;
  END IF;
  IF changes->'reports' IS NOT NULL THEN
    INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)
      SELECT trial, step, value, kind::trialintermediatevaluetype
      FROM json_to_recordset(changes->'reports') AS r(step int, value float8, kind text)
      ON CONFLICT (trial_id, step) DO UPDATE
        SET intermediate_value = excluded.intermediate_value,
            intermediate_value_type = excluded.intermediate_value_type;
  END IF;
  IF changes->'user' IS NOT NULL THEN
    INSERT INTO trial_user_attributes (trial_id, key, value_json)
      SELECT trial, key, value FROM json_each_text(changes->'user')
      ON CONFLICT (trial_id, key) DO UPDATE SET value_json = excluded.value_json;
  END IF;
  IF changes->'system' IS NOT NULL THEN
    INSERT INTO trial_system_attributes (trial_id, key, value_json)
      SELECT trial, key, value FROM json_each_text(changes->'system')
      ON CONFLICT (trial_id, key) DO UPDATE SET value_json = excluded.value_json;
  END IF;
  IF changes->'values' IS NOT NULL THEN
    INSERT INTO trial_values (trial_id, objective, value, value_type)
      SELECT trial, objective, value, kind::trialvaluetype
      FROM json_to_recordset(changes->'values') AS v(objective int, value float8, kind text)
      ON CONFLICT (trial_id, objective) DO UPDATE SET value = excluded.value, value_type = excluded.value_type;
  END IF;
END $$;

-- Changes of a trial that runs. The trial is locked, so that its state cannot change under the writer.
CREATE OR REPLACE FUNCTION tuning_write_v1(trial int, claimant text, changes json, OUT outcome text)
LANGUAGE plpgsql AS $$
DECLARE
  held record;
BEGIN
  SELECT t.state, c.worker INTO held FROM trials t LEFT JOIN tuning_claims c USING (trial_id)
    WHERE t.trial_id = trial FOR NO KEY UPDATE OF t;
  outcome := CASE
    WHEN NOT FOUND THEN 'unknown'
    WHEN held.state NOT IN ('RUNNING', 'WAITING') THEN 'finished'
    WHEN claimant IS NOT NULL AND (held.state <> 'RUNNING' OR held.worker IS DISTINCT FROM claimant) THEN 'lost'
    ELSE 'written' END;
  IF outcome = 'written' THEN
    PERFORM tuning_write_children_v1(trial, changes);
  END IF;
END $$;

-- A new trial of plain Optuna, without a budget; `given` is the trial that it copies.
CREATE OR REPLACE FUNCTION tuning_create_v1(
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
    PERFORM tuning_write_children_v1(trial, given);
  END IF;
END $$;

-- A round before one more trial; `ended` is why it takes no more (budget.StopReason), 'unknown' without a round.
CREATE OR REPLACE FUNCTION tuning_progress_v1(
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
CREATE OR REPLACE FUNCTION tuning_heartbeat_v1(study int, claimant text, OUT ended text) LANGUAGE plpgsql AS $$
BEGIN
  SELECT progress.ended INTO ended FROM tuning_progress_v1(study) AS progress;
  IF ended IS DISTINCT FROM 'unknown' THEN
    INSERT INTO tuning_workers (study_id, worker, started_at, seen_at)
      VALUES (study, claimant, timezone('utc', clock_timestamp()), timezone('utc', clock_timestamp()))
      ON CONFLICT (study_id, worker) DO UPDATE SET seen_at = excluded.seen_at;
  END IF;
END $$;

-- One more trial for the worker: the oldest that waits, or a new one. A trial that is still its own waits again first:
-- the answer to its claim was lost, or the worker died. One that brought its worker down too often has failed.
CREATE OR REPLACE FUNCTION tuning_claim_v1(
  study int, claimant text, max_attempts int, failure_key text, repeated boolean,
  OUT decision text, OUT trial int, OUT assigned int, OUT taken bigint, OUT attempt int, OUT fresh boolean,
  OUT started timestamp
) LANGUAGE plpgsql AS $$
DECLARE
  progress record;
  running bigint;
BEGIN
  -- Whoever comes after a crash of the server finds the claim gone, as if never made; what must last is the result.
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM FROM studies WHERE study_id = study FOR NO KEY UPDATE;
  PERFORM tuning_requeue_v1(study, claimant, max_attempts, failure_key, repeated);
  SELECT * INTO progress FROM tuning_progress_v1(study);
  SELECT count(*) INTO running FROM trials WHERE study_id = study AND state = 'RUNNING';
  taken := progress.used + running;
  decision := CASE
    WHEN progress.ended = 'unknown' THEN 'unknown'
    WHEN progress.ended IS NOT NULL THEN 'Over'
    WHEN progress.paused OR taken >= progress.trials THEN 'Wait'
    ELSE 'Take' END;
  IF decision <> 'Take' THEN
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

-- The end of a trial. 'requeued': the budget was lowered meanwhile and has no room for it.
CREATE OR REPLACE FUNCTION tuning_finish_v1(
  trial int, claimant text, ending trialstate, changes json, repeated boolean, OUT outcome text, OUT ended timestamp
) LANGUAGE plpgsql AS $$
DECLARE
  held record;
BEGIN
  IF claimant IS NOT NULL THEN
    PERFORM FROM studies WHERE study_id = (SELECT study_id FROM trials WHERE trial_id = trial) FOR NO KEY UPDATE;
  END IF;
  SELECT t.state, t.study_id, c.worker INTO held FROM trials t LEFT JOIN tuning_claims c USING (trial_id)
    WHERE t.trial_id = trial FOR NO KEY UPDATE OF t;
  ended := timezone('utc', clock_timestamp());
  outcome := CASE
    WHEN NOT FOUND THEN 'unknown'
    WHEN repeated AND held.state = ending AND held.worker = claimant THEN 'stored'
    WHEN held.state NOT IN ('RUNNING', 'WAITING') THEN 'finished'
    WHEN claimant IS NOT NULL AND (held.state <> 'RUNNING' OR held.worker IS DISTINCT FROM claimant) THEN 'lost'
    WHEN claimant IS NOT NULL AND ending <> 'FAIL' AND (SELECT trials FROM tuning_rounds WHERE study_id = held.study_id)
      <= (SELECT sum(complete + pruned) FROM tuning_shares WHERE study_id = held.study_id) THEN 'requeued'
    ELSE 'stored' END;
  IF outcome = 'stored' AND held.state IN ('RUNNING', 'WAITING') THEN
    PERFORM tuning_write_children_v1(trial, changes);
    UPDATE trials SET state = ending, datetime_complete = CASE WHEN ending <> 'WAITING' THEN ended END
      WHERE trial_id = trial;
  ELSIF outcome = 'requeued' THEN
    UPDATE trials SET state = 'WAITING' WHERE trial_id = trial;
  END IF;
END $$;

-- A trial that waits begins, for plain Optuna; `started` is NULL when it does not wait.
CREATE OR REPLACE FUNCTION tuning_run_waiting_v1(trial int, OUT outcome text, OUT started timestamp)
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE trials SET state = 'RUNNING', datetime_start = timezone('utc', clock_timestamp())
    WHERE trial_id = trial AND state = 'WAITING' RETURNING datetime_start INTO started;
  SELECT CASE WHEN state IN ('RUNNING', 'WAITING') THEN 'open' ELSE 'finished' END INTO outcome
    FROM trials WHERE trial_id = trial;
  outcome := coalesce(outcome, 'unknown');
END $$;

-- What a worker was running waits again; or has failed, when it was lost that often before.
CREATE OR REPLACE FUNCTION tuning_requeue_v1(
  study int, claimant text, max_attempts int, failure_key text, repeated boolean
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  mine record;
BEGIN
  FOR mine IN
    SELECT t.trial_id, c.attempts FROM trials t JOIN tuning_claims c USING (trial_id)
    WHERE t.study_id = study AND t.state = 'RUNNING' AND c.worker = claimant
  LOOP
    IF repeated THEN  -- not lost: the answer to the claim was
      UPDATE tuning_claims SET attempts = attempts - 1 WHERE trial_id = mine.trial_id;
      UPDATE trials SET state = 'WAITING' WHERE trial_id = mine.trial_id;
    ELSIF mine.attempts >= max_attempts THEN
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
CREATE OR REPLACE FUNCTION tuning_read_v1(study int, last int, known int[])
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
