"""The worker's life: open the store, check the objective, take trials until the round is over or it is told to stop."""

import os
import threading
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any, NoReturn

import optuna
import structlog

from tuning_store.exceptions import StoreError
from tuning_store.optuna_internals import id_of_study
from tuning_store.retry import FOREVER, RetryPolicy
from tuning_store.store import Store, open_store
from tuning_store.values import ClaimedTrial
from tuning_store.versions import installed_versions
from tuning_study.attributes import PREPARATION_ATTRIBUTE, VERSIONS_ATTRIBUTE
from tuning_study.budget import SUCCESSES, ClaimDecision, StopReason
from tuning_study.search.strategy import Samplers
from tuning_study.worker_contract import ExitCode
from tuning_worker import objectives, verifying
from tuning_worker.exceptions import ObjectiveRejected
from tuning_worker.fail_fast import FailFast
from tuning_worker.fingerprint import keep_fingerprint
from tuning_worker.heartbeat import Heartbeat
from tuning_worker.known import known
from tuning_worker.lost_trials import LostTrials
from tuning_worker.no_improvement import NoImprovement
from tuning_worker.reference import keep_reference
from tuning_worker.run import discard_folders, discard_left_behind, left_behind
from tuning_worker.settings import Settings
from tuning_worker.supervision import Stage, SupervisorLink, UnexpectedEnd
from tuning_worker.trial import WorkerContext, run_trial

log = structlog.get_logger()

_NEW_PASSWORD = 180.0  # seconds until a kubelet has certainly written a Secret that changed
_NEW_TABLES = 300.0  # seconds until an operator that is being updated has surely changed the tables
_IDLE = timedelta(seconds=0.5)  # between two tries when there is nothing to claim


def work(settings: Settings, supervisor: SupervisorLink, predecessor: UnexpectedEnd | None = None) -> ExitCode:
    """Run until the round is over, and its verification. `predecessor` is how the process before this one ended, if it
    did not decide to."""
    stopping = threading.Event()
    if supervisor.connected:
        threading.Thread(target=_await_stop, args=(supervisor, stopping), name="stop", daemon=True).start()
    rotates = callable(settings.store_url)
    refused = _NEW_PASSWORD if rotates else 0.0
    retry = RetryPolicy(FOREVER, until=stopping, refused_seconds=refused, outdated_seconds=_NEW_TABLES)
    try:
        store = open_store(settings.store_url, worker=settings.worker, retry=retry)
        study = store.load_study(settings.round.study)
    except StoreError as error:
        log.error("the store cannot be used", error=str(error))
        return ExitCode.STOPPED if stopping.is_set() else ExitCode.CRASHED
    with closing(store):
        code = _work_on(study, settings, store, supervisor, stopping, predecessor)
        if code is ExitCode.DONE and (verification := verifying.begin(settings, store, stopping)) is not None:
            structlog.contextvars.bind_contextvars(study=verification.study)
            log.info("the search is over: its best trials are measured again")
            study, settings = store.load_study(verification.study), replace(settings, round=verification)
            code = _work_on(study, settings, store, supervisor, stopping, predecessor)
    return ExitCode.STOPPED if code is ExitCode.DONE and stopping.is_set() else code


def _work_on(
    study: optuna.Study,
    settings: Settings,
    store: Store,
    supervisor: SupervisorLink,
    stopping: threading.Event,
    predecessor: UnexpectedEnd | None,
) -> ExitCode:
    """Take trials of one round until it is over, or the worker is told to stop."""
    study_id = id_of_study(study)
    with Heartbeat(settings, store.claims, study_id, stopping, supervisor) as heartbeat:
        try:
            if predecessor is not None:
                _settle(predecessor, store, study_id, settings)
            if settings.round.spec.verification is not None and store.claims.record_heartbeat(study_id) in SUCCESSES:
                return ExitCode.DONE  # a worker that begins during the verification needs no objective of the search
            supervisor.reached(Stage.LOADING)
            objective = objectives.load(settings.round, settings.code)
        except ObjectiveRejected as rejected:
            log.error("the objective cannot run", reason=str(rejected))
            store.claims.stop(study_id, StopReason.REJECTED, str(rejected))
            return ExitCode.REJECTED
        supervisor.reached(Stage.READY)
        _record(study, VERSIONS_ATTRIBUTE, installed_versions())
        if objective.preparation:
            _record(study, PREPARATION_ATTRIBUTE, list(objective.preparation))
        samplers = Samplers(settings.round.spec, settings.round.seed)
        keep_reference(study, settings.round, objective)
        keep_fingerprint(study, settings.round)
        first = known(store, study, settings.round, objective)
        _take_trials(WorkerContext(settings, store, study, samplers, objective, heartbeat, first), supervisor, stopping)
    return ExitCode.DONE


def _record(study: optuna.Study, attribute: str, value: Any) -> None:
    """For readers of the study; each worker says the same."""
    if study.user_attrs.get(attribute) != value:
        study.set_user_attr(attribute, value)


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
    if failed := store.claims.fail_trials_of(study_id, settings.worker, predecessor.reason):
        log.warning("the trial ended its process", trials=failed, reason=predecessor.reason)
        for number in failed:
            discard_folders(settings.checkpoints, settings.artifacts, settings.round, number)


def _take_trials(context: WorkerContext, supervisor: SupervisorLink, stopping: threading.Event) -> None:
    study_id = id_of_study(context.study)
    fail_fast = FailFast(context.store, context.study, context.settings.round.spec.budget)
    fail_fast.check()  # the process before this one may have been ended by its trial
    no_improvement = NoImprovement(context.store, context.study, context.settings.round.spec)
    no_improvement.check()
    lost = LostTrials(context.store.claims, study_id, context.settings.stale_after)
    while not stopping.is_set():
        match context.store.claims.claim(study_id):
            case ClaimedTrial() as claimed:
                supervisor.reached(Stage.TRIAL)
                if not run_trial(context, claimed) and supervisor.connected:
                    _make_way(supervisor)
                fail_fast.check()
                no_improvement.check()
            case ClaimDecision.OVER:
                _clean_up(context)
                return
            case _:
                lost.look()
                stopping.wait(_IDLE.total_seconds())


def _clean_up(context: WorkerContext) -> None:
    settings = context.settings
    places = settings.checkpoints, settings.artifacts, settings.round
    if left_behind(*places):  # else nobody need read the history
        discard_left_behind(*places, context.study.get_trials(deepcopy=False))


def _make_way(supervisor: SupervisorLink) -> NoReturn:
    """For another process, which has all files and memory to itself."""
    log.warning("this process lacks files or memory: another takes its place")
    supervisor.replace()
    os._exit(ExitCode.CRASHED)
