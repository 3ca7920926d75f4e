"""Optuna's storage interface on PostgreSQL. See functions.sql for what happens in the server."""

import copy
import json
import threading
import time
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

import structlog
from optuna import Study
from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from psycopg2.errors import UndefinedTable

from tuning_store.exceptions import ClaimLost, StoreError
from tuning_store.optuna_internals import BaseHeartbeat, FrozenStudy, id_of_trial, stale_trials
from tuning_store.postgres import rows
from tuning_store.postgres.claims import PostgresClaims
from tuning_store.postgres.connection import Connection
from tuning_store.postgres.trial_buffer import TrialBuffer
from tuning_store.postgres.trial_cache import TrialCache
from tuning_store.retry import RetryPolicy, retried
from tuning_store.tables_version import TablesVersion, check
from tuning_study.attributes import CONSTRAINT_PREFIX

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from sqlalchemy import Engine

    from tuning_store.postgres.progress import PostgresReadings
    from tuning_store.sql.rounds import SqlRounds

log = structlog.get_logger()

_MAX_BUFFERED = 1.0  # longest time that a change stays buffered, in seconds, give or take _FLUSH_INTERVAL
_FLUSH_INTERVAL = 0.5  # seconds
_CREATE_AS_WORKER = """
    WITH made AS MATERIALIZED (SELECT * FROM tuning_create_v1(%s, NULL)),
    claimed AS (INSERT INTO tuning_claims (trial_id, study_id, worker, attempts)
                SELECT trial, %s, %s, 1 FROM made WHERE trial IS NOT NULL)
    SELECT * FROM made"""
"""A trial that an objective asks for by study.ask() is its worker's: nobody else would end it when both are gone."""
_TABLES_VERSION = "SELECT (SELECT max(number) FROM tuning_migrations), (SELECT version_num FROM alembic_version)"
_TABLES = "SELECT to_regclass('tuning_rounds') IS NOT NULL, to_regclass('alembic_version') IS NOT NULL"
_STUDY_ATTRS = "SELECT key, value_json FROM studies LEFT JOIN {table} USING (study_id) WHERE study_id = %s"
_SET_STUDY_ATTR = """
    INSERT INTO {table} (key, value_json, study_id) SELECT %s, %s, study_id FROM studies WHERE study_id = %s
    ON CONFLICT (study_id, key) DO UPDATE SET value_json = excluded.value_json RETURNING study_id"""
_MAX_NAME = 512  # characters of Optuna's columns for names


class PostgresStorage(BaseStorage, BaseHeartbeat):
    """See StudyStorage, and Optuna's BaseStorage. Safe for several threads; a pickled copy has connections of its own.

    What this process does to a trial that it runs is buffered, and written with the trial's end or within two seconds.
    Reading all trials is one round trip that brings what is new. Every operation is repeated by the connection's retry
    policy.
    """

    def __init__(
        self, connection: Connection, worker: str | None = None, heartbeat: Mapping[str, Any] | None = None
    ) -> None:
        """`heartbeat` is what Optuna's RDBStorage takes of it."""
        self._connection, self.worker, self._heartbeat = connection, worker, dict(heartbeat or {})
        self._lock = threading.Lock()
        self._caches: dict[int, TrialCache] = {}  # by study
        self._buffers: dict[int, TrialBuffer] = {}  # by trial
        self._numbers: dict[int, tuple[int, int]] = {}  # by trial: its study and number
        self._directions: dict[int, list[StudyDirection]] = {}
        self._writer: threading.Thread | None = None
        self._closed = threading.Event()

    def __reduce__(self) -> Any:
        return PostgresStorage, (self._connection, self.worker, self._heartbeat)

    def as_worker(self, worker: str) -> "PostgresStorage":
        return PostgresStorage(self._connection, worker, self._heartbeat)

    @property
    def retry(self) -> RetryPolicy:
        return self._connection.retry

    @cached_property
    def claims(self) -> PostgresClaims:
        return PostgresClaims(self._connection, self)

    @cached_property
    def rounds(self) -> "SqlRounds":
        from tuning_store.sql.rounds import SqlRounds

        return SqlRounds(self.engine)

    @cached_property
    def readings(self) -> "PostgresReadings":
        from tuning_store.postgres.progress import PostgresReadings

        return PostgresReadings(self.engine)

    @cached_property
    def _studies(self) -> "RDBStorage":
        """Optuna's own storage on the same tables, for what is asked seldom: most workers never import SQLAlchemy."""
        from sqlalchemy import NullPool

        from tuning_store.sql.storage import rdb_storage
        from tuning_store.urls import engine_arguments

        arguments = engine_arguments(self._connection.url) | {"connect_args": dict(self._connection.arguments)}
        if self.worker is not None:  # workers are many, and connections few: what is asked seldom keeps none
            arguments = {"connect_args": arguments["connect_args"], "poolclass": NullPool}
        return rdb_storage(self._connection.source, arguments, self.retry, **self._heartbeat)

    @property
    def engine(self) -> "Engine":
        """SQLAlchemy's, on the same database."""
        return self._studies.engine

    def check_tables(self) -> None:
        """Raises SchemaOutdated or SchemaMismatch where they are not what this program needs."""
        check(self._tables_version())

    def _tables_version(self) -> TablesVersion:
        try:
            return TablesVersion(*self._connection.call_once(_TABLES_VERSION, ())[0])
        except UndefinedTable:
            [(ours, optunas)] = self._connection.call_once(_TABLES, ())
        revision = self._connection.call_once("SELECT version_num FROM alembic_version", ()) if optunas else []
        return TablesVersion(0 if ours else None, revision[0][0] if revision else None)

    def flush(self) -> None:
        """Write what is not written yet. Nothing happens to trials that are no longer this worker's."""
        for buffer in self._open_buffers():
            with suppress(ClaimLost, UpdateFinishedTrialError, KeyError):
                self._write(buffer, self._connection.call)

    def close(self) -> None:
        """Write what is not written yet, and let go of the connections."""
        self._closed.set()
        self.flush()
        if "_studies" in vars(self):
            self._studies.remove_session()
            self._studies.engine.dispose()
        self._connection.close()

    # Studies are few, and what is known of them changes seldom: Optuna's own code serves, but for what every worker
    # asks at its start.

    @retried
    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        return self._studies.create_new_study(directions, study_name)

    @retried
    def delete_study(self, study_id: int) -> None:
        with self._lock:
            self._caches.pop(study_id, None)
        self.forget_buffers(study_id)
        self._studies.delete_study(study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._set_study_attr("study_user_attributes", study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._set_study_attr("study_system_attributes", study_id, key, value)

    def _set_study_attr(self, table: str, study_id: int, key: str, value: Any) -> None:
        _check_name(key)
        if not self._connection.call(_SET_STUDY_ATTR.format(table=table), (key, json.dumps(value), study_id)):
            raise KeyError(f"no study {study_id} in the store")

    def get_study_id_from_name(self, study_name: str) -> int:
        found = self._connection.call("SELECT study_id FROM studies WHERE study_name = %s", (study_name,))
        if not found:
            raise KeyError(f"no study {study_name!r} in the store")
        return int(found[0][0])

    @retried
    def get_study_name_from_id(self, study_id: int) -> str:
        return self._studies.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        if study_id not in self._directions:
            statement = "SELECT direction FROM study_directions WHERE study_id = %s ORDER BY objective"
            found = self._connection.call(statement, (study_id,))
            if not found:
                raise KeyError(f"no study {study_id} in the store")
            self._directions[study_id] = [StudyDirection[direction] for (direction,) in found]
        return self._directions[study_id]

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._study_attrs("study_user_attributes", study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._study_attrs("study_system_attributes", study_id)

    def _study_attrs(self, table: str, study_id: int) -> dict[str, Any]:
        found = self._connection.call(_STUDY_ATTRS.format(table=table), (study_id,))
        if not found:
            raise KeyError(f"no study {study_id} in the store")
        return {key: json.loads(text) for key, text in found if key is not None}

    @retried
    def get_all_studies(self) -> list[FrozenStudy]:
        return self._studies.get_all_studies()

    # Trials begin.

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        given = None if template_trial is None else json.dumps(rows.whole_trial(template_trial))
        [(trial_id, number, started)] = (
            self._connection.call("SELECT * FROM tuning_create_v1(%s, %s)", (study_id, given))
            if self.worker is None or given is not None
            else self._connection.call(_CREATE_AS_WORKER, (study_id, study_id, self.worker))
        )
        if trial_id is None:
            raise KeyError(f"no study {study_id} in the store")
        if template_trial is None:
            self.begin_buffer(study_id, rows.new_trial(trial_id, number, started))
        self._numbers[trial_id] = study_id, number
        return int(trial_id)

    def begin_buffer(self, study_id: int, trial: FrozenTrial) -> None:
        """From now on this process runs `trial`, and buffers its changes."""
        trial_id = id_of_trial(trial)
        with self._lock:
            self._buffers[trial_id] = TrialBuffer(study_id, trial)
            self._numbers[trial_id] = study_id, trial.number
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_in_time, name="writer", daemon=True)
                self._writer.start()

    def forget_buffers(self, study_id: int) -> None:
        """This process runs none of the study's trials any more; what was not written of them is lost."""
        with self._lock:
            self._buffers = {key: buffer for key, buffer in self._buffers.items() if buffer.study_id != study_id}

    # Trials change.

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        _check_name(param_name)
        buffer = self._buffers.get(trial_id)
        if buffer is None:
            self._check_updatable(trial_id)
        study_id = self._number_of(trial_id)[0]
        check_distribution_compatibility(self._first_distribution(study_id, param_name, distribution), distribution)
        if buffer is not None:
            buffer.set_param(param_name, param_value_internal, distribution)
        else:
            self._write_now(trial_id, rows.children(params={param_name: (param_value_internal, distribution)}))

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        if (buffer := self._buffers.get(trial_id)) is not None:
            buffer.report(step, intermediate_value)
        else:
            self._check_updatable(trial_id)
            self._write_now(trial_id, rows.children(reports={step: intermediate_value}))

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        _check_name(key)
        text = json.dumps(value)
        if (buffer := self._buffers.get(trial_id)) is not None:
            buffer.set_user_attr(key, text)
        else:
            self._check_updatable(trial_id)
            self._write_now(trial_id, rows.children(user={key: text}))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        _check_name(key)
        text = json.dumps(value)
        if (buffer := self._buffers.get(trial_id)) is not None:
            buffer.set_system_attr(key, text)
            if not key.startswith(CONSTRAINT_PREFIX):  # the samplers of other workers act on it
                self._write(buffer, self._connection.call)
        else:
            self._check_updatable(trial_id)
            self._write_now(trial_id, rows.children(system={key: text}))

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        if state is TrialState.RUNNING:
            return self._run_waiting(trial_id)
        buffer = self._buffers.get(trial_id)
        if buffer is None:
            buffer = TrialBuffer(self._number_of(trial_id)[0], self._read(trial_id))
        with buffer.writing:
            taken = buffer.take()
            changes = taken.to_json(values)
            try:
                outcome, ended = self.retry.telling(
                    lambda repeated: self._connection.call_once(
                        "SELECT * FROM tuning_finish_v1(%s, %s, %s, %s, %s)",
                        (trial_id, self.worker, state.name, changes, repeated),
                    )
                )[0]
            except BaseException:
                buffer.restore(taken)
                raise
            self._buffers.pop(trial_id, None)
        if outcome == "requeued":
            return False
        self._check(trial_id, outcome)
        self._cache(buffer.study_id).remember_finished(buffer.ended(state, values, rows.local_time(ended)))
        return True

    def _run_waiting(self, trial_id: int) -> bool:
        [(found, started)] = self._connection.call("SELECT * FROM tuning_run_waiting_v1(%s)", (trial_id,))
        if found in ("unknown", "finished"):
            self._check(trial_id, found)
        if started is None:
            return False
        self.begin_buffer(self._number_of(trial_id)[0], self._read(trial_id))
        return True

    def _write_in_time(self) -> None:
        """Writes what would otherwise stay unseen for long. What fails here is tried again, or told at the end."""
        while not self._closed.wait(_FLUSH_INTERVAL):
            with self._lock:
                if not self._buffers:
                    self._writer = None
                    return
            for buffer in self._open_buffers():
                since = buffer.pending_since
                if since is not None and time.monotonic() - since >= _MAX_BUFFERED:
                    try:
                        self._write(buffer, self._connection.call_once)
                    except (StoreError, KeyError, UpdateFinishedTrialError) as error:
                        log.warning(
                            "the trial's parameters and reports wait", trial=buffer.trial.number, why=str(error)
                        )

    def _write(self, buffer: TrialBuffer, send: Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]) -> None:
        with buffer.writing:
            taken = buffer.take()
            if taken.since is None:
                return
            try:
                outcome = self._send(id_of_trial(buffer.trial), taken.to_json(), send)
            except StoreError:
                buffer.restore(taken)
                raise
        self._check(id_of_trial(buffer.trial), outcome)

    def _write_now(self, trial_id: int, changes: dict[str, Any]) -> None:
        self._check(trial_id, self._send(trial_id, json.dumps(changes), self._connection.call))

    def _send(self, trial_id: int, changes: str, send: Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]) -> str:
        outcome: str = send("SELECT tuning_write_v1(%s, %s, %s)", (trial_id, self.worker, changes))[0][0]
        return outcome

    def _check(self, trial_id: int, outcome: str) -> None:
        if outcome == "unknown":
            raise KeyError(f"no trial {trial_id} in the store")
        if outcome == "finished":
            raise UpdateFinishedTrialError(f"trial {trial_id} is finished already")
        if outcome == "lost":
            raise ClaimLost(f"trial {trial_id} is no longer {self.worker}'s")

    def _check_updatable(self, trial_id: int) -> None:
        self.check_trial_is_updatable(trial_id, self.get_trial(trial_id).state)

    def _first_distribution(self, study_id: int, name: str, given: BaseDistribution) -> BaseDistribution:
        """What the study's trials draw this parameter from; `given` if this is the first."""
        known = self._cache(study_id).distributions
        if name not in known:
            found = self._connection.call(
                "SELECT p.distribution_json FROM trial_params p JOIN trials t USING (trial_id) "
                "WHERE t.study_id = %s AND p.param_name = %s LIMIT 1",
                (study_id, name),
            )
            known[name] = rows.read_distribution(found[0][0]) if found else given
        return known[name]

    def _open_buffers(self) -> list[TrialBuffer]:
        with self._lock:
            return list(self._buffers.values())

    # Trials are read.

    def get_trial(self, trial_id: int) -> FrozenTrial:
        if (buffer := self._buffers.get(trial_id)) is not None:
            return rows.copy_trial(buffer.trial)
        if trial_id in self._numbers:
            study_id, number = self._numbers[trial_id]
            finished = self._cache(study_id).finished(number)
            if finished is not None:
                return finished
        return self._read(trial_id)

    def _read(self, trial_id: int) -> FrozenTrial:
        found = self._connection.call(rows.READ, (None, None, [trial_id]))
        if not found:
            raise KeyError(f"no trial {trial_id} in the store")
        return rows.copy_trial(rows.read_trial(found[0]))

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        cache = self._cache(study_id)
        self._refresh(study_id, cache)
        trials = cache.trials(states)
        return copy.deepcopy(trials) if deepcopy else trials

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        found = self._connection.call(
            "SELECT trial_id FROM trials WHERE study_id = %s AND number = %s", (study_id, trial_number)
        )
        if not found:
            raise KeyError(f"no trial {trial_number} in study {study_id}")
        trial_id: int = found[0][0]
        return trial_id

    def _number_of(self, trial_id: int) -> tuple[int, int]:
        """The trial's study and number."""
        if trial_id not in self._numbers:
            found = self._connection.call("SELECT study_id, number FROM trials WHERE trial_id = %s", (trial_id,))
            if not found:
                raise KeyError(f"no trial {trial_id} in the store")
            self._numbers[trial_id] = found[0][0], found[0][1]
        return self._numbers[trial_id]

    def _cache(self, study_id: int) -> TrialCache:
        with self._lock:
            return self._caches.setdefault(study_id, TrialCache())

    def _refresh(self, study_id: int, cache: TrialCache) -> None:
        with cache.refreshing:
            cache.begin(self._connection.losses)
            found = self._connection.call(rows.READ, (study_id, cache.last, cache.open))
            if not found and cache.last < 0:
                self.get_study_directions(study_id)  # raises for a study that is not there
            cache.add(self._with_buffers(rows.read_trial(row)) for row in found)

    def _with_buffers(self, trial: FrozenTrial) -> FrozenTrial:
        """What this process knows of a trial that it runs is more than the store has got."""
        buffer = self._buffers.get(id_of_trial(trial))
        return rows.copy_trial(buffer.trial) if buffer and trial.state is TrialState.RUNNING else trial

    # Heartbeats, for plain Optuna's optimize(); the operator's workers have theirs in tuning_workers.

    def record_heartbeat(self, trial_id: int) -> None:
        self._connection.call(
            "INSERT INTO trial_heartbeats (trial_id, heartbeat) VALUES (%s, localtimestamp) "
            "ON CONFLICT (trial_id) DO UPDATE SET heartbeat = excluded.heartbeat RETURNING trial_id",
            (trial_id,),
        )

    @retried
    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        return stale_trials(self._studies, study_id)

    def get_heartbeat_interval(self) -> int | None:
        interval: int | None = self._heartbeat.get("heartbeat_interval")
        return interval

    def get_heartbeat_stale_trial_callback(self) -> Callable[[Study, FrozenTrial], None] | None:
        callback: Callable[[Study, FrozenTrial], None] | None = self._heartbeat.get("heartbeat_stale_trial_callback")
        return callback


def _check_name(name: str) -> None:
    """PostgreSQL would refuse it too, but later, when the change is written."""
    if "\x00" in name:
        raise ValueError(f"the name {name!r} has a NUL character, which PostgreSQL cannot store; leave it out")
    if any("\ud800" <= character <= "\udfff" for character in name):
        raise ValueError(f"the name {name!r} is no text that UTF-8 could hold: half of a character is missing")
    if len(name) > _MAX_NAME:
        raise ValueError(f"the name {name[:40]!r}… has {len(name)} characters; write at most {_MAX_NAME}")
