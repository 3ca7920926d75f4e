"""A worker's part in verification: it begins when the search is over, and leaves out runs that can change nothing."""

import threading
from datetime import timedelta

import optuna
import structlog

from tuning_store import rounds
from tuning_store.store import Store
from tuning_study.attributes import CANDIDATES_ATTRIBUTE, INCUMBENT_ATTRIBUTE
from tuning_study.results.verified import dropped, measured
from tuning_study.round import ResolvedRound
from tuning_study.verification import is_due, run_of
from tuning_worker.lost_trials import LostTrials
from tuning_worker.settings import Settings

log = structlog.get_logger()

_LOOK = timedelta(seconds=0.5)  # between two looks whether the search's last trials have ended


def begin(settings: Settings, store: Store, stopping: threading.Event) -> ResolvedRound | None:
    """The round that verifies, once the search's last trial has ended; None when there is nothing to verify."""
    search = settings.round
    if search.spec.verification is None:
        return None
    lost = LostTrials(store.claims, store.rounds.find(search.study), settings.stale_after)
    while not stopping.is_set():
        standing = store.readings.progress()[search.study]
        if not is_due(search.spec, standing.stop_reason, standing.counts):
            return None
        if not standing.counts.running:
            return rounds.begin_verification(store, search)
        lost.look()
        stopping.wait(_LOOK.total_seconds())
    return None


def is_needless(verification: ResolvedRound, study: optuna.Study, number: int) -> bool:
    """Whether the verification's trial need not run: its candidate can hardly win any more, or it only stands in for a
    run that failed."""
    run = run_of(number, verification)
    if run is None:
        return True
    candidates = study.user_attrs[CANDIDATES_ATTRIBUTE]
    found = measured(verification, candidates, study.get_trials(deepcopy=False))
    incumbent = study.user_attrs.get(INCUMBENT_ATTRIBUTE)  # which all runs of the best are to be compared with
    if run.candidate not in dropped(verification.spec.objectives, found) - {incumbent}:
        return False
    log.info("a candidate can hardly win any more", trial=candidates[run.candidate], repeat=run.repeat)
    return True
