"""An exact budget for programs that have an Optuna objective and a study of their own, in any number of processes."""

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import optuna
import structlog
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from tuning_client.exceptions import WrongUse
from tuning_store import schema
from tuning_store.exceptions import ClaimLost, StoreError
from tuning_store.optuna_internals import CachedStorage, begin_trial, id_of_study, rdb_of, storage_of
from tuning_store.postgres.storage import PostgresStorage
from tuning_store.retry import RetryPolicy
from tuning_store.sql.storage import SqlStorage
from tuning_store.values import ClaimedTrial, Owner
from tuning_study.api.budget import Budget
from tuning_study.budget import ClaimDecision

log = structlog.get_logger()

_Storage = PostgresStorage | SqlStorage

_HEARTBEAT = 5.0  # seconds
_STALE_AFTER = timedelta(seconds=60)
_IDLE = 0.1  # seconds between two tries while those that run may use up the rest
_SEARCH = 10.0  # seconds between two searches for the trials of dead processes
_PATIENCE = 60.0  # seconds that a database may be away
_ENDLESS = 1_000_000


def optimize(
    study: optuna.Study,
    objective: Callable[[optuna.Trial], float | Sequence[float]],
    *,
    trials: int,
    catch: type[Exception] | tuple[type[Exception], ...] = (),
) -> None:
    """`study.optimize` with a budget that all processes together use exactly.

        study = optuna.create_study(storage=tuning.open_storage(url), study_name="mine", load_if_exists=True)
        tuning.optimize(study, objective, trials=1000)

    Ends when `trials` trials of the study are complete or pruned, whoever ran them. A failed trial does not count; its
    error is raised here unless `catch` names it. The trial of a process that died waits again after a minute, and that
    of an interrupted one at once. `study` must be on PostgreSQL, MySQL or SQLite; raises WrongUse for another.
    """
    with _worker_of(study, trials) as storage:
        own = optuna.load_study(
            study_name=study.study_name, storage=storage, sampler=study.sampler, pruner=study.pruner
        )
        for trial in _claimed(own, storage):
            _run(own, trial, objective, catch)


def _run(
    study: optuna.Study,
    trial: optuna.Trial,
    objective: Callable[[optuna.Trial], float | Sequence[float]],
    catch: type[Exception] | tuple[type[Exception], ...],
) -> None:
    try:
        result = objective(trial)
    except optuna.TrialPruned:
        _tell(study, trial, state=TrialState.PRUNED)
    except Exception as error:
        _tell(study, trial, state=TrialState.FAIL)
        if not isinstance(error, catch):
            raise
    else:
        _tell(study, trial, values=result)


def _tell(study: optuna.Study, trial: optuna.Trial, **result: Any) -> None:
    try:
        study.tell(trial, **result)
    except (ClaimLost, UpdateFinishedTrialError) as lost:  # this process was silent for so long that others took over
        log.warning("the trial is no longer ours", trial=trial.number, reason=str(lost))


def _claimed(study: optuna.Study, storage: _Storage) -> Iterator[optuna.Trial]:
    study_id, next_search = id_of_study(study), 0.0
    while True:
        match storage.claims.claim(study_id):
            case ClaimedTrial() as claimed:
                begin_trial(study)
                yield optuna.Trial(study, claimed.trial_id)
            case ClaimDecision.OVER:
                return
            case _:
                if time.monotonic() >= next_search:
                    storage.claims.requeue_stale(study_id, stale_after=_STALE_AFTER)
                    next_search = time.monotonic() + _SEARCH
                time.sleep(_IDLE)


@contextmanager
def _worker_of(study: optuna.Study, trials: int) -> Iterator[_Storage]:
    """The study's storage with claims of this process's own, alive for as long as the block lasts."""
    worker, study_id, ended = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}", id_of_study(study), Event()
    storage = _as_worker(study, worker)
    budget = Budget(trials=trials, failed_trials=_ENDLESS)
    storage.rounds.add(study_id, study.study_name, "", budget, Owner("local"), [])
    storage.rounds.set_budget(study.study_name, budget)
    storage.claims.record_heartbeat(study_id)  # who was never seen alive counts as dead
    beat = Thread(target=_beat, args=(storage, study_id, ended), name="heartbeat", daemon=True)
    beat.start()
    try:
        yield storage
    finally:
        ended.set()
        beat.join()
        storage.claims.release(study_id, worker)
        storage.claims.forget_workers(study_id, [worker], stale_after=_STALE_AFTER)


def _as_worker(study: optuna.Study, worker: str) -> _Storage:
    storage = storage_of(study)
    if isinstance(storage, PostgresStorage):
        return storage.as_worker(worker)
    rdb = rdb_of(storage) if isinstance(storage, CachedStorage) else storage
    if isinstance(rdb, RDBStorage):
        schema.create(rdb.url)
        return SqlStorage(rdb, worker, RetryPolicy(seconds=_PATIENCE))
    raise WrongUse(
        f"study: a budget for several processes needs a database, and this study is on {type(storage).__name__}: "
        "make it with storage=tuning.open_storage(URL)"
    )


def _beat(storage: _Storage, study_id: int, ended: Event) -> None:
    while not ended.wait(_HEARTBEAT):
        try:
            storage.claims.record_heartbeat(study_id)
        except StoreError as error:
            log.warning("the store did not take the heartbeat", error=str(error))
