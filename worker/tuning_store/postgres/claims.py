"""Claims on PostgreSQL: what comes with every trial is one round trip to a function of functions.sql; the rest, which a
worker needs when something went wrong, is sql.claims, imported then."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from optuna.trial import FrozenTrial

from tuning_store.exceptions import UnknownRound
from tuning_store.postgres import rows
from tuning_store.postgres.connection import Connection
from tuning_store.retry import RetryPolicy
from tuning_store.values import ClaimedTrial
from tuning_study.attributes import FAILURE_ATTRIBUTE
from tuning_study.budget import ClaimDecision, StopReason
from tuning_study.worker_contract import MAX_ATTEMPTS

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tuning_store.sql.claims import SqlClaims


class Buffers(Protocol):
    """Of a storage, what claims need."""

    worker: str | None

    @property
    def retry(self) -> RetryPolicy: ...
    @property
    def engine(self) -> "Engine": ...
    def begin_buffer(self, study_id: int, trial: FrozenTrial) -> None: ...
    def forget_buffers(self, study_id: int) -> None: ...
    def flush(self) -> None: ...


class PostgresClaims:
    """See interfaces.Claims. Before a trial is taken from its worker, what this process still buffers is written."""

    def __init__(self, connection: Connection, storage: Buffers) -> None:
        self._connection, self._storage = connection, storage

    @cached_property
    def _statements(self) -> "SqlClaims":
        from tuning_store.sql.claims import SqlClaims

        return SqlClaims(self._storage.engine, self._storage.retry, self._storage.worker)

    def claim(self, study_id: int) -> ClaimedTrial | ClaimDecision:
        [(decision, trial_id, number, taken, attempt, fresh, started)] = self._storage.retry.telling(
            lambda repeated: self._connection.call_once(
                "SELECT * FROM tuning_claim_v1(%s, %s, %s, %s, %s)",
                (study_id, self._storage.worker, MAX_ATTEMPTS, FAILURE_ATTRIBUTE, repeated),
            )
        )
        self._storage.forget_buffers(study_id)
        if decision == "unknown":
            raise UnknownRound(f"study {study_id} is no longer in the store")
        if decision != ClaimDecision.TAKE:
            return ClaimDecision(decision)
        self._storage.begin_buffer(study_id, self._new_or_read(trial_id, number, started, fresh))
        return ClaimedTrial(trial_id, number, taken, attempt)

    def _new_or_read(self, trial_id: int, number: int, started: datetime, fresh: bool) -> FrozenTrial:
        if fresh:
            return rows.new_trial(trial_id, number, started)
        return rows.copy_trial(rows.read_trial(self._connection.call(rows.READ, (None, None, [trial_id]))[0]))

    def record_heartbeat(self, study_id: int) -> StopReason | None:
        [(ended,)] = self._connection.call_once("SELECT tuning_heartbeat_v1(%s, %s)", (study_id, self._storage.worker))
        if ended == "unknown":
            raise UnknownRound(f"study {study_id} is no longer in the store")
        return None if ended is None else StopReason(ended)

    def release(self, study_id: int, worker: str, *, killed: bool = False) -> list[int]:
        self._storage.flush()
        return self._statements.release(study_id, worker, killed=killed)

    def fail_trials_of(self, study_id: int, worker: str, reason: str) -> list[int]:
        self._storage.flush()
        return self._statements.fail_trials_of(study_id, worker, reason)

    def requeue_stale(self, study_id: int, *, stale_after: timedelta, alive: Sequence[str] = ()) -> list[int]:
        return self._statements.requeue_stale(study_id, stale_after=stale_after, alive=alive)

    def forget_workers(self, study_id: int, names: Sequence[str], *, stale_after: timedelta) -> bool:
        return self._statements.forget_workers(study_id, names, stale_after=stale_after)

    def stop(self, study_id: int, reason: StopReason, detail: str) -> None:
        self._statements.stop(study_id, reason, detail)
