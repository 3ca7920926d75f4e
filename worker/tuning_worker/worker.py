"""The worker's life: open the store, check the objective, take trials until the round is over or it is told to stop."""

import os
import threading
from contextlib import closing
from datetime import timedelta
from typing import NoReturn

import structlog

from tuning_store.exceptions import StoreError
from tuning_store.patience import FOREVER, Patience
from tuning_store.storage import Store, open_store
from tuning_store.values import Claimed
from tuning_study.budget import Claim, Over
from tuning_study.strategy import Samplers
from tuning_study.worker_contract import ExitCode
from tuning_worker import objectives
from tuning_worker.exceptions import ObjectiveRejected
from tuning_worker.pulse import Pulse
from tuning_worker.run import discard_checkpoints
from tuning_worker.settings import Settings
from tuning_worker.supervision import Stage, SupervisorLink, UnexpectedEnd
from tuning_worker.trial import Bench, run_trial

log = structlog.get_logger()

_NEW_PASSWORD = 180.0  # seconds until a kubelet has certainly written a Secret that changed
_IDLE = timedelta(seconds=0.5)  # between two tries when there is nothing to claim
_SEARCH = timedelta(seconds=10)  # between two searches for the trials of dead workers


def work(settings: Settings, supervisor: SupervisorLink, predecessor: UnexpectedEnd | None = None) -> ExitCode:
    """Run until the round is over. `predecessor` is how the process before this one ended, if it did not decide to."""
    stopping = threading.Event()
    if supervisor.connected:
        threading.Thread(target=_await_stop, args=(supervisor, stopping), name="stop", daemon=True).start()
    rotates = callable(settings.store_url)
    patience = Patience(FOREVER, until=stopping, refused_seconds=_NEW_PASSWORD if rotates else 0.0)
    try:
        store = open_store(settings.store_url, worker=settings.worker, patience=patience)
        study = store.load_study(settings.round.study)
    except StoreError as error:
        log.error("the store cannot be used", error=str(error))
        return ExitCode.STOPPED if stopping.is_set() else ExitCode.CRASHED
    with closing(store), Pulse(settings, store, study._study_id, stopping, supervisor) as pulse:
        try:
            if predecessor is not None:
                _settle(predecessor, store, study._study_id, settings)
            supervisor.reached(Stage.LOADING)
            objective = objectives.load(settings.round, settings.code)
            objective.check()
        except ObjectiveRejected as rejected:
            log.error("the objective cannot run", reason=str(rejected))
            store.stop(study._study_id, Over.REJECTED, str(rejected))
            return ExitCode.REJECTED
        supervisor.reached(Stage.READY)
        samplers = Samplers(settings.round.spec, settings.round.seed)
        _take_trials(Bench(settings, store, study, samplers, objective, pulse), supervisor, stopping)
    return ExitCode.STOPPED if stopping.is_set() else ExitCode.DONE


def _await_stop(supervisor: SupervisorLink, stopping: threading.Event) -> None:
    supervisor.wait_for_stop()
    stopping.set()


def _settle(predecessor: UnexpectedEnd, store: Store, study_id: int, settings: Settings) -> None:
    """The trial that the process before this one was running. One that was killed may be tried again: claim decides.

    Raises ObjectiveRejected if it ended before it could run any.
    """
    if predecessor.killed:
        return
    if predecessor.stage is Stage.LOADING:
        raise ObjectiveRejected(f"{predecessor.reason} (it happened while the objective was loaded)")
    if failed := store.fail_running(study_id, predecessor.reason):
        log.warning("the trial ended its process", trials=failed, reason=predecessor.reason)
        for number in failed:
            discard_checkpoints(settings.checkpoints, settings.round, number)


def _take_trials(bench: Bench, supervisor: SupervisorLink, stopping: threading.Event) -> None:
    study_id = bench.study._study_id
    next_search = timedelta()
    while not stopping.is_set():
        match bench.store.claim(study_id):
            case Claimed() as claimed:
                supervisor.reached(Stage.TRIAL)
                if not run_trial(bench, claimed) and supervisor.connected:
                    _make_way(supervisor)
            case Claim.OVER:
                return
            case _:
                if next_search <= timedelta():
                    _find_lost(bench, study_id)
                    next_search = _SEARCH
                next_search -= _IDLE
                stopping.wait(_IDLE.total_seconds())


def _make_way(supervisor: SupervisorLink) -> NoReturn:
    """For another process, which has all files and memory to itself."""
    log.warning("this process lacks files or memory: another takes its place")
    supervisor.replace()
    os._exit(ExitCode.CRASHED)


def _find_lost(bench: Bench, study_id: int) -> None:
    lost = bench.store.put_back_lost(study_id, silent=bench.settings.silence)
    if lost:
        log.warning("trials of workers that went silent wait again", trials=lost)
