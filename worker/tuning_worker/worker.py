"""The worker's life: open the store, check the objective, take trials until the round is over or it is told to stop."""

import signal
import threading
from datetime import timedelta
from types import FrameType

import structlog

from tuning_store import claims
from tuning_store.claims import Claimed
from tuning_store.exceptions import StoreError
from tuning_store.storage import FOREVER, Patience, open_store
from tuning_study.budget import Claim, Over
from tuning_worker import objectives
from tuning_worker.exceptions import ObjectiveRejected
from tuning_worker.pulse import Pulse
from tuning_worker.settings import Settings
from tuning_worker.trial import Bench, run_trial

log = structlog.get_logger()

DONE = 0
REJECTED = 78  # EX_CONFIG: the objective cannot run at all
STOPPED = 143  # SIGTERM: not 0, or Kubernetes would take the worker's index for finished

_IDLE = timedelta(seconds=0.5)  # between two tries when there is nothing to claim
_SEARCH = timedelta(seconds=10)  # between two searches for the trials of dead workers


def work(settings: Settings) -> int:
    """Run until the round is over. Returns the process's exit code."""
    stopping = threading.Event()
    _stop_on(signal.SIGTERM, stopping)
    _stop_on(signal.SIGINT, stopping)
    patience = Patience(FOREVER, until=stopping)
    try:
        store = open_store(settings.store_url, worker=settings.worker, patience=patience)
        study = store.load_study(settings.round.study)
    except StoreError as error:
        log.error("the store cannot be used", error=str(error))
        return STOPPED if stopping.is_set() else 1
    objective = objectives.load(settings.round, settings.code)
    try:
        objective.check()
    except ObjectiveRejected as rejected:
        log.error("the objective cannot run", reason=str(rejected))
        message = str(rejected)
        patience(lambda: claims.stop(store.engine, study._study_id, Over.REJECTED, message))
        return REJECTED
    with Pulse(settings, store, study._study_id, stopping) as pulse:
        _take_trials(Bench(settings, store, study, objective, pulse), stopping)
    store.close()
    return STOPPED if stopping.is_set() else DONE


def _take_trials(bench: Bench, stopping: threading.Event) -> None:
    study_id, worker = bench.study._study_id, bench.settings.worker
    next_search = timedelta()
    while not stopping.is_set():
        match bench.store.patience(lambda: claims.claim(bench.store.engine, study_id, worker)):
            case Claimed() as claimed:
                run_trial(bench, claimed)
            case Claim.OVER:
                return
            case _:
                if next_search <= timedelta():
                    _find_lost(bench, study_id)
                    next_search = _SEARCH
                next_search -= _IDLE
                stopping.wait(_IDLE.total_seconds())


def _find_lost(bench: Bench, study_id: int) -> None:
    lost = bench.store.patience(
        lambda: claims.put_back_lost(bench.store.engine, study_id, silent=bench.settings.silence)
    )
    if lost:
        log.warning("trials of workers that went silent wait again", trials=lost)


def _stop_on(number: signal.Signals, stopping: threading.Event) -> None:
    def stop(_: int, __: FrameType | None) -> None:
        stopping.set()

    signal.signal(number, stop)
