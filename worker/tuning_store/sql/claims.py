"""Claims as SQL statements: each method is one transaction that first locks the study, so that counts are exact.

Used by sql.storage for MySQL and SQLite, where a worker's whole claim is made of these; by PostgreSQL's workers for all
but claim and heartbeat; and by the operator, whose connections serve many rounds.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState
from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, update

from tuning_store.exceptions import ClaimLost, UnknownRound, translated
from tuning_store.optuna_internals import models
from tuning_store.retry import RetryPolicy, retried
from tuning_store.sql.tables import (
    claims,
    rounds,
    server_now,
    studies,
    trial_user_attributes,
    trial_values,
    trials,
    workers,
)
from tuning_store.values import ClaimedTrial, limits_of
from tuning_study.attributes import FAILURE_ATTRIBUTE
from tuning_study.budget import ClaimDecision, Counts, StopReason, may_claim, result_counts, stop_reason
from tuning_study.worker_contract import MAX_ATTEMPTS


class SqlClaims:
    """See interfaces.Claims. `worker` is whose claim and heartbeat are meant; the operator has none."""

    def __init__(self, engine: Engine, retry: RetryPolicy | None = None, worker: str | None = None) -> None:
        self._engine, self.retry, self._worker = engine, retry or RetryPolicy(), worker

    @property
    def _own_worker(self) -> str:
        assert self._worker is not None, "a store that was opened without a worker claims nothing"
        return self._worker

    def claim(self, study_id: int) -> ClaimedTrial | ClaimDecision:
        return self.retry.telling(lambda repeated: self._claim(study_id, repeated))

    def _claim(self, study_id: int, repeated: bool) -> ClaimedTrial | ClaimDecision:
        with self._locked(study_id) as (connection, row):
            own = _running_of(connection, study_id, [self._own_worker])
            _release(connection, own) if repeated else _requeue_lost(connection, own)
            counts = _counts(connection, study_id)
            decision = may_claim(counts, limits_of(row))
            if decision is not ClaimDecision.TAKE:
                return decision
            if row.first_claim_at is None:
                connection.execute(update(rounds).where(rounds.c.study_id == study_id).values(first_claim_at=row.now))
            trial_id, number = _oldest_waiting(connection, study_id) or new_trial(
                connection, study_id, TrialState.RUNNING
            )
            attempt = _assign(connection, study_id, trial_id, self._own_worker)
            return ClaimedTrial(trial_id, number, counts.used + counts.running, attempt)

    def record_heartbeat(self, study_id: int) -> StopReason | None:
        worker = self._own_worker
        with translated(), self._engine.begin() as connection:
            seen = connection.execute(
                update(workers)
                .where(workers.c.study_id == study_id, workers.c.worker == worker)
                .values(seen_at=server_now())
            )
            if seen.rowcount == 0:
                connection.execute(
                    insert(workers).values(
                        study_id=study_id, worker=worker, started_at=server_now(), seen_at=server_now()
                    )
                )
            row = _read_round(connection, study_id)
            return stop_reason(_counts(connection, study_id), limits_of(row))

    @retried
    def release(self, study_id: int, worker: str, *, killed: bool = False) -> list[int]:
        with self._locked(study_id) as (connection, _):
            found = _running_of(connection, study_id, [worker])
            return _requeue_lost(connection, found) if killed else _release(connection, found)

    @retried
    def fail_trials_of(self, study_id: int, worker: str, reason: str) -> list[int]:
        with self._locked(study_id) as (connection, _):
            found = _running_of(connection, study_id, [worker])
            for trial in found:
                _fail(connection, trial.trial_id, reason)
            return [trial.number for trial in found]

    @retried
    def requeue_stale(self, study_id: int, *, stale_after: timedelta, alive: Sequence[str] = ()) -> list[int]:
        with self._locked(study_id) as (connection, row):
            stale = connection.execute(
                select(claims.c.worker)
                .distinct()
                .select_from(
                    claims.join(trials, trials.c.trial_id == claims.c.trial_id).outerjoin(
                        workers, (workers.c.study_id == claims.c.study_id) & (workers.c.worker == claims.c.worker)
                    )
                )
                .where(claims.c.study_id == study_id, trials.c.state == TrialState.RUNNING)
                .where(workers.c.seen_at.is_(None) | (workers.c.seen_at < row.now - stale_after))
            ).scalars()
            return _requeue_lost(connection, _running_of(connection, study_id, [n for n in stale if n not in alive]))

    @retried
    def forget_workers(self, study_id: int, names: Sequence[str], *, stale_after: timedelta) -> bool:
        with translated(), self._engine.begin() as connection:
            of_study = workers.c.study_id == study_id
            connection.execute(delete(workers).where(of_study, workers.c.worker.in_(names)))
            row = _read_round(connection, study_id)
            heard = select(workers.c.worker).where(of_study, workers.c.seen_at >= row.now - stale_after).limit(1)
            return connection.execute(heard).one_or_none() is not None

    @retried
    def stop(self, study_id: int, reason: StopReason, detail: str) -> None:
        with self._locked(study_id) as (connection, row):
            if row.stop is None:
                connection.execute(
                    update(rounds).where(rounds.c.study_id == study_id).values(stop=reason.value, detail=detail)
                )

    # What a worker's storage does to a claimed trial.

    def adopt(self, study_id: int, trial_id: int) -> None:
        """Give the worker a trial that its objective asked for itself: nobody else would end it when both are gone."""
        with self._locked(study_id) as (connection, _):
            _assign(connection, study_id, trial_id, self._own_worker)

    def finish(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None, *, repeated: bool = False
    ) -> bool:
        """Store a trial's end. False when the budget was lowered meanwhile and has no room for it: it waits again.

        Raises ClaimLost if the trial was given to another worker, and UpdateFinishedTrialError if it is finished.
        `repeated`: the answer to the first attempt was lost, so a trial that is the worker's and in `state` already is
        a success.
        """
        with translated(), self._engine.connect() as connection:
            study_id = connection.execute(select(trials.c.study_id).where(trials.c.trial_id == trial_id)).scalar_one()
        with self._locked(study_id) as (connection, row):
            found = connection.execute(
                select(trials.c.state, claims.c.worker)
                .select_from(trials.outerjoin(claims, claims.c.trial_id == trials.c.trial_id))
                .where(trials.c.trial_id == trial_id)
            ).one()
            if repeated and found.state is state and found.worker == self._worker:
                return True
            if found.state.is_finished():
                raise UpdateFinishedTrialError(f"trial {trial_id} is {found.state.name} already")
            if found.state is not TrialState.RUNNING or found.worker != self._worker:
                raise ClaimLost(f"trial {trial_id} is {found.state.name} and belongs to {found.worker}")
            if state is not TrialState.FAIL and not result_counts(_counts(connection, study_id), limits_of(row)):
                _set_state(connection, [trial_id], TrialState.WAITING)
                return False
            for objective, value in enumerate(values or ()):
                stored, kind = models.TrialValueModel.value_to_stored_repr(value)
                connection.execute(
                    insert(trial_values).values(trial_id=trial_id, objective=objective, value=stored, value_type=kind)
                )
            _set_state(connection, [trial_id], state)
            return True

    @contextmanager
    def _locked(self, study_id: int) -> Iterator[tuple[Connection, Row[Any]]]:
        """A transaction that holds the study, with the round as it stands."""
        with locked_study(self._engine, study_id) as connection:
            yield connection, _read_round(connection, study_id)


@contextmanager
def locked_study(engine: Engine, study_id: int) -> Iterator[Connection]:
    """A transaction that holds the study's row, as Optuna does to number a trial. A study has no other lock."""
    with translated(), engine.connect() as connection:
        if connection.dialect.name == "sqlite":  # has no row locks: take the database's write lock at once
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        with connection.begin() if connection.dialect.name != "sqlite" else _commit_at_end(connection):
            held = select(studies.c.study_id).where(studies.c.study_id == study_id).with_for_update()
            if connection.execute(held).one_or_none() is None:
                raise UnknownRound(f"study {study_id} is no longer in the store")
            yield connection


@contextmanager
def _commit_at_end(connection: Connection) -> Iterator[None]:
    yield
    connection.commit()


def new_trial(connection: Connection, study_id: int, state: TrialState) -> tuple[int, int]:
    """Id and number of one more trial, that runs from now or waits. The study must be locked."""
    started = server_now() if state is TrialState.RUNNING else None
    last = connection.execute(select(func.max(trials.c.number)).where(trials.c.study_id == study_id)).scalar_one()
    number = 0 if last is None else last + 1
    created = connection.execute(
        insert(trials).values(study_id=study_id, number=number, state=state, datetime_start=started)
    )
    assert created.inserted_primary_key is not None
    return created.inserted_primary_key[0], number


def _read_round(connection: Connection, study_id: int) -> Row[Any]:
    found = select(rounds, server_now().label("now")).where(rounds.c.study_id == study_id)
    row = connection.execute(found).one_or_none()
    if row is None:
        raise UnknownRound(f"study {study_id} is no longer in the store")
    return row


def _counts(connection: Connection, study_id: int) -> Counts:
    counted = select(trials.c.state, func.count()).where(trials.c.study_id == study_id).group_by(trials.c.state)
    by_state: dict[TrialState, int] = dict(connection.execute(counted).all())
    return Counts(
        complete=by_state.get(TrialState.COMPLETE, 0),
        pruned=by_state.get(TrialState.PRUNED, 0),
        failed=by_state.get(TrialState.FAIL, 0),
        running=by_state.get(TrialState.RUNNING, 0),
        waiting=by_state.get(TrialState.WAITING, 0),
    )


def _oldest_waiting(connection: Connection, study_id: int) -> tuple[int, int] | None:
    found = connection.execute(
        select(trials.c.trial_id, trials.c.number)
        .where(trials.c.study_id == study_id, trials.c.state == TrialState.WAITING)
        .order_by(trials.c.trial_id)
        .limit(1)
    ).one_or_none()
    if found is None:
        return None
    connection.execute(
        update(trials)
        .where(trials.c.trial_id == found.trial_id)
        .values(state=TrialState.RUNNING, datetime_start=server_now())
    )
    return found.trial_id, found.number


def _assign(connection: Connection, study_id: int, trial_id: int, worker: str) -> int:
    """Returns which attempt this is."""
    moved = connection.execute(
        update(claims).where(claims.c.trial_id == trial_id).values(worker=worker, attempts=claims.c.attempts + 1)
    )
    if moved.rowcount == 0:
        connection.execute(insert(claims).values(trial_id=trial_id, study_id=study_id, worker=worker, attempts=1))
    attempts: int = connection.execute(select(claims.c.attempts).where(claims.c.trial_id == trial_id)).scalar_one()
    return attempts


def _running_of(connection: Connection, study_id: int, names: Sequence[str]) -> list[Row[Any]]:
    found = connection.execute(
        select(trials.c.trial_id, trials.c.number, claims.c.attempts)
        .join(claims, claims.c.trial_id == trials.c.trial_id)
        .where(claims.c.study_id == study_id, claims.c.worker.in_(names), trials.c.state == TrialState.RUNNING)
        .order_by(trials.c.number)
    )
    return [*found]


def _release(connection: Connection, found: Sequence[Row[Any]]) -> list[int]:
    """Trials wait again, and what was tried of them is charged to nobody."""
    ids = [trial.trial_id for trial in found]
    _set_state(connection, ids, TrialState.WAITING)
    connection.execute(update(claims).where(claims.c.trial_id.in_(ids)).values(attempts=claims.c.attempts - 1))
    return [trial.number for trial in found]


def _requeue_lost(connection: Connection, found: Sequence[Row[Any]]) -> list[int]:
    """Trials whose workers were lost wait again; one that lost MAX_ATTEMPTS may well be what kills them: it failed."""
    for trial in found:
        if trial.attempts >= MAX_ATTEMPTS:
            _fail(connection, trial.trial_id, f"its worker went away {trial.attempts} times")
        else:
            _set_state(connection, [trial.trial_id], TrialState.WAITING)
    return [trial.number for trial in found]


def _fail(connection: Connection, trial_id: int, reason: str) -> None:
    attributes = trial_user_attributes.c
    connection.execute(
        delete(trial_user_attributes).where(attributes.trial_id == trial_id, attributes.key == FAILURE_ATTRIBUTE)
    )
    connection.execute(
        insert(trial_user_attributes).values(trial_id=trial_id, key=FAILURE_ATTRIBUTE, value_json=json.dumps(reason))
    )
    _set_state(connection, [trial_id], TrialState.FAIL)


def _set_state(connection: Connection, trial_ids: Sequence[int], state: TrialState) -> None:
    ended = {"datetime_complete": server_now()} if state.is_finished() else {}
    connection.execute(update(trials).where(trials.c.trial_id.in_(trial_ids)).values(state=state, **ended))
