"""The worker's life: open the store, check the objective, take trials until the round is over or it is told to stop."""

import signal
import threading
from datetime import timedelta
from types import FrameType

import structlog

from tuning_store.claims import Claimed
from tuning_store.exceptions import StoreError
from tuning_store.patience import FOREVER, Patience
from tuning_store.storage import open_store
from tuning_study.budget import Claim, Over
from tuning_study.strategy import Samplers
from tuning_worker import objectives
from tuning_worker.exceptions import ObjectiveRejected
from tuning_worker.pulse import Pulse
from tuning_worker.settings import Settings
from tuning_worker.trial import Bench, run_trial

log = structlog.get_logger()

DONE = 0
REJECTED = 78  # EX_CONFIG: the objective cannot run at all
STOPPED = 143  # SIGTERM: not 0, or Kubernetes would take the worker's index for finished

_NEW_PASSWORD = 180.0  # seconds until a kubelet has certainly written a Secret that changed
_IDLE = timedelta(seconds=0.5)  # between two tries when there is nothing to claim
_SEARCH = timedelta(seconds=10)  # between two searches for the trials of dead workers


def work(settings: Settings) -> int:
    """Run until the round is over. Returns the process's exit code."""
    stopping = threading.Event()
    _stop_on(signal.SIGTERM, stopping)
    _stop_on(signal.SIGINT, stopping)
    rotates = callable(settings.store_url)
    patience = Patience(FOREVER, until=stopping, refused_seconds=_NEW_PASSWORD if rotates else 0.0)
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
        store.stop(study._study_id, Over.REJECTED, str(rejected))
        return REJECTED
    samplers = Samplers(settings.round.spec, settings.round.seed)
    with Pulse(settings, store, study._study_id, stopping) as pulse:
        _take_trials(Bench(settings, store, study, samplers, objective, pulse), stopping)
    store.close()
    return STOPPED if stopping.is_set() else DONE


def _take_trials(bench: Bench, stopping: threading.Event) -> None:
    study_id = bench.study._study_id
    next_search = timedelta()
    while not stopping.is_set():
        match bench.store.claim(study_id):
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
    lost = bench.store.put_back_lost(study_id, silent=bench.settings.silence)
    if lost:
        log.warning("trials of workers that went silent wait again", trials=lost)


def _stop_on(number: signal.Signals, stopping: threading.Event) -> None:
    def stop(_: int, __: FrameType | None) -> None:
        stopping.set()

    signal.signal(number, stop)
