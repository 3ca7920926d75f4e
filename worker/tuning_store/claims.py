"""Who runs which trial. Each function is one transaction that first locks the study, so that counts are exact."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages._rdb.models import TrialValueModel
from optuna.trial import TrialState
from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, update

from tuning_store.exceptions import ClaimLost, UnknownRound, translated
from tuning_store.tables import (
    claims,
    rounds,
    server_now,
    shares,
    studies,
    trial_user_attributes,
    trial_values,
    trials,
    workers,
)
from tuning_store.values import Claimed
from tuning_study.budget import Claim, Counts, Limits, Over, may_claim, over, result_counts
from tuning_study.results import FAILURE_ATTRIBUTE
from tuning_study.worker_contract import MAX_ATTEMPTS


def claim(engine: Engine, study_id: int, worker: str) -> Claimed | Claim:
    """One more trial for `worker`: the oldest that waits, or a new one. Claim.WAIT or Claim.OVER if there is none.

    A worker runs one trial at a time: one that is still its own was claimed by an attempt whose answer was lost, or by
    an earlier life of the worker. It waits again, or has failed when that happened MAX_ATTEMPTS times.
    """
    with _locked(engine, study_id) as (connection, row):
        _put_back_lost(connection, _running_of(connection, study_id, [worker]))
        counts = _counts(connection, study_id)
        verdict = may_claim(counts, limits_of(row))
        if verdict is not Claim.TAKE:
            return verdict
        if row.first_claim_at is None:
            connection.execute(update(rounds).where(rounds.c.study_id == study_id).values(first_claim_at=row.now))
        trial_id, number = _oldest_waiting(connection, study_id) or new_trial(connection, study_id, TrialState.RUNNING)
        return Claimed(trial_id, number, counts.used + counts.running, _assign(connection, study_id, trial_id, worker))


def take(engine: Engine, study_id: int, trial_id: int, worker: str) -> None:
    """Give `worker` a trial that its objective asked for itself: nobody else would end it when both are gone."""
    with _locked(engine, study_id) as (connection, _):
        _assign(connection, study_id, trial_id, worker)


def finish(
    engine: Engine,
    trial_id: int,
    worker: str,
    state: TrialState,
    values: Sequence[float] | None = None,
    *,
    again: bool = False,
) -> bool:
    """Store a trial's end. False when the budget was lowered meanwhile and has no room for it: it waits again.

    Raises ClaimLost if the trial was given to another worker, and UpdateFinishedTrialError if it is finished; but what
    is said `again`, because the first answer was lost, may find it so.
    """
    with translated(), engine.connect() as connection:
        study_id = connection.execute(select(trials.c.study_id).where(trials.c.trial_id == trial_id)).scalar_one()
    with _locked(engine, study_id) as (connection, row):
        found = connection.execute(
            select(trials.c.state, claims.c.worker)
            .select_from(trials.outerjoin(claims, claims.c.trial_id == trials.c.trial_id))
            .where(trials.c.trial_id == trial_id)
        ).one()
        if again and found.state is state and found.worker == worker:
            return True
        if found.state.is_finished():
            raise UpdateFinishedTrialError(f"trial {trial_id} is {found.state.name} already")
        if found.state is not TrialState.RUNNING or found.worker != worker:
            raise ClaimLost(f"trial {trial_id} is {found.state.name} and belongs to {found.worker}")
        if state is not TrialState.FAIL and not result_counts(_counts(connection, study_id), limits_of(row)):
            _set_state(connection, [trial_id], TrialState.WAITING)
            return False
        for objective, value in enumerate(values or ()):
            stored, kind = TrialValueModel.value_to_stored_repr(value)
            connection.execute(
                insert(trial_values).values(trial_id=trial_id, objective=objective, value=stored, value_type=kind)
            )
        _set_state(connection, [trial_id], state)
        return True


def give_back(engine: Engine, study_id: int, worker: str, *, killed: bool = False) -> list[int]:
    """Put back what `worker` was running: same trial, same parameters, charged to nobody. Returns the numbers.

    A worker that was `killed`, and not by a disruption, may have been so for what its trial did: see put_back_lost.
    """
    with _locked(engine, study_id) as (connection, _):
        found = _running_of(connection, study_id, [worker])
        if killed:
            return _put_back_lost(connection, found)
        ids = [trial.trial_id for trial in found]
        _set_state(connection, ids, TrialState.WAITING)
        connection.execute(update(claims).where(claims.c.trial_id.in_(ids)).values(attempts=claims.c.attempts - 1))
        return [trial.number for trial in found]


def put_back_lost(engine: Engine, study_id: int, *, silent: timedelta, alive: Sequence[str] = ()) -> list[int]:
    """Put back the trials of workers that were not seen for `silent` and are not known to be alive.

    A trial that lost MAX_ATTEMPTS workers has failed: it may well be what kills them. Returns the numbers.
    """
    with _locked(engine, study_id) as (connection, row):
        lost = connection.execute(
            select(claims.c.worker)
            .distinct()
            .select_from(
                claims.join(trials, trials.c.trial_id == claims.c.trial_id).outerjoin(
                    workers, (workers.c.study_id == claims.c.study_id) & (workers.c.worker == claims.c.worker)
                )
            )
            .where(claims.c.study_id == study_id, trials.c.state == TrialState.RUNNING)
            .where(workers.c.seen_at.is_(None) | (workers.c.seen_at < row.now - silent))
        ).scalars()
        return _put_back_lost(connection, _running_of(connection, study_id, [n for n in lost if n not in alive]))


def fail_running(engine: Engine, study_id: int, worker: str, reason: str) -> list[int]:
    """Fail what `worker` was running, for a trial that brought its own worker down. Returns the numbers."""
    with _locked(engine, study_id) as (connection, _):
        found = _running_of(connection, study_id, [worker])
        for trial in found:
            _fail(connection, trial.trial_id, reason)
        return [trial.number for trial in found]


def beat(engine: Engine, study_id: int, worker: str) -> Over | None:
    """Say that `worker` is alive, and learn whether the round is over."""
    with translated(), engine.begin() as connection:
        seen = connection.execute(
            update(workers)
            .where(workers.c.study_id == study_id, workers.c.worker == worker)
            .values(seen_at=server_now())
        )
        if seen.rowcount == 0:
            connection.execute(
                insert(workers).values(study_id=study_id, worker=worker, started_at=server_now(), seen_at=server_now())
            )
        row = connection.execute(_round(study_id)).one_or_none()
        if row is None:
            raise UnknownRound(f"study {study_id} is no longer in the store")
        return over(_counts(connection, study_id), limits_of(row))


def retire(engine: Engine, study_id: int, names: Sequence[str], *, silent: timedelta) -> bool:
    """Forget these workers, which have ended. Whether any other was heard of within `silent`."""
    with translated(), engine.begin() as connection:
        of_study = workers.c.study_id == study_id
        connection.execute(delete(workers).where(of_study, workers.c.worker.in_(names)))
        row = connection.execute(_round(study_id)).one_or_none()
        if row is None:
            raise UnknownRound(f"study {study_id} is no longer in the store")
        heard = select(workers.c.worker).where(of_study, workers.c.seen_at >= row.now - silent).limit(1)
        return connection.execute(heard).one_or_none() is not None


def stop(engine: Engine, study_id: int, reason: Over, detail: str) -> None:
    """End the round for all workers. The first reason stays."""
    with _locked(engine, study_id) as (connection, row):
        if row.stop is None:
            connection.execute(
                update(rounds).where(rounds.c.study_id == study_id).values(stop=reason.value, detail=detail)
            )


@contextmanager
def holding(engine: Engine, study_id: int) -> Iterator[Connection]:
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


@contextmanager
def _locked(engine: Engine, study_id: int) -> Iterator[tuple[Connection, Row[Any]]]:
    """The same, with the round as it stands."""
    with holding(engine, study_id) as connection:
        row = connection.execute(_round(study_id)).one_or_none()
        if row is None:
            raise UnknownRound(f"study {study_id} is no longer in the store")
        yield connection, row


def _round(study_id: int) -> Any:
    return select(rounds, server_now().label("now")).where(rounds.c.study_id == study_id)


def limits_of(row: Any) -> Limits:
    return Limits(
        trials=row.trials,
        failed_trials=row.failed_trials,
        stop=Over(row.stop) if row.stop else None,
        paused=row.paused_at is not None,
        past_deadline=row.duration is not None and active_seconds(row) >= row.duration,
    )


def active_seconds(row: Any) -> float:
    """Seconds since the round's first trial began, without the pauses since."""
    if row.first_claim_at is None:
        return 0.0
    until = row.paused_at or row.now
    return float((until - row.first_claim_at).total_seconds() - row.paused_for)


def _counts(connection: Connection, study_id: int) -> Counts:
    of_study = trials.c.study_id == study_id
    by_state: dict[TrialState, int] = {}
    if connection.dialect.name == "postgresql":  # where finished trials are counted as they finish
        sums = select(*(func.coalesce(func.sum(shares.c[name]), 0) for name in ("complete", "pruned", "failed")))
        finished = connection.execute(sums.where(shares.c.study_id == study_id)).one()
        by_state.update(zip((TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL), map(int, finished), strict=True))
        of_study &= trials.c.state.in_([TrialState.RUNNING, TrialState.WAITING])
    counted = select(trials.c.state, func.count()).where(of_study).group_by(trials.c.state)
    by_state.update((state, number) for state, number in connection.execute(counted))
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


def new_trial(connection: Connection, study_id: int, state: TrialState) -> tuple[int, int]:
    """Id and number of one more trial, that runs from now or waits. The study must be held."""
    started = server_now() if state is TrialState.RUNNING else None
    last = connection.execute(select(func.max(trials.c.number)).where(trials.c.study_id == study_id)).scalar_one()
    number = 0 if last is None else last + 1
    created = connection.execute(
        insert(trials).values(study_id=study_id, number=number, state=state, datetime_start=started)
    )
    assert created.inserted_primary_key is not None
    return created.inserted_primary_key[0], number


def _assign(connection: Connection, study_id: int, trial_id: int, worker: str) -> int:
    moved = connection.execute(
        update(claims).where(claims.c.trial_id == trial_id).values(worker=worker, attempts=claims.c.attempts + 1)
    )
    if moved.rowcount == 0:
        connection.execute(insert(claims).values(trial_id=trial_id, study_id=study_id, worker=worker, attempts=1))
    attempts: int = connection.execute(select(claims.c.attempts).where(claims.c.trial_id == trial_id)).scalar_one()
    return attempts


def _running_of(connection: Connection, study_id: int, names: Sequence[str]) -> list[Any]:
    rows = connection.execute(
        select(trials.c.trial_id, trials.c.number, claims.c.attempts)
        .join(claims, claims.c.trial_id == trials.c.trial_id)
        .where(claims.c.study_id == study_id, claims.c.worker.in_(names), trials.c.state == TrialState.RUNNING)
        .order_by(trials.c.number)
    ).all()
    return list(rows)


def _put_back_lost(connection: Connection, found: Sequence[Row[Any]]) -> list[int]:
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
