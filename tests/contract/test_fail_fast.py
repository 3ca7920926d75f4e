"""The first trials of a round that fail alike end it, on every kind of store."""

import optuna
import pytest
from optuna.trial import TrialState

from builders import make_round
from tuning_store.optuna_internals import id_of_study
from tuning_store.store import Store
from tuning_store.values import ClaimedTrial
from tuning_study.api.budget import Budget
from tuning_study.attributes import FAILURE_ATTRIBUTE, FORGIVEN_ATTRIBUTE
from tuning_study.budget import StopReason
from tuning_worker.fail_fast import FailFast

from .conftest import StartRound

STUDY = make_round().study
BUDGET = Budget(trials=100, fail_fast=3)


def end_trial(store: Store, reason: str | None) -> None:
    """One more trial, which fails for the reason, or ends well."""
    worker = store.as_worker("w-0")
    study = worker.load_study(STUDY)
    claimed = worker.claims.claim(id_of_study(study))
    assert isinstance(claimed, ClaimedTrial)
    trial = optuna.Trial(study, claimed.trial_id)
    if reason is None:
        study.tell(trial, 1.0)
    else:
        trial.set_user_attr(FAILURE_ATTRIBUTE, reason)
        study.tell(trial, state=TrialState.FAIL)


@pytest.mark.parametrize(
    ("reasons", "budget", "over"),
    [
        (["KeyError: 1"] * 3, BUDGET, True),
        (["KeyError: 1"] * 2, BUDGET, False),
        (["KeyError: 1", None, "KeyError: 1", "KeyError: 1"], BUDGET, False),
        (["KeyError: 1", "ValueError", "KeyError: 1"], BUDGET, False),
        (["KeyError: 1"] * 5, Budget(trials=100, fail_fast=0), False),
        (["KeyError: 1"] * 3, Budget(trials=100, fail_fast=3, failed_trials=3), False),
    ],
)
def test_a_round_ends(store: Store, begin: StartRound, reasons: list[str | None], budget: Budget, over: bool) -> None:
    begin(budget={"trials": 100})
    check = FailFast(store, store.load_study(STUDY), budget)
    for reason in reasons:
        end_trial(store, reason)
        check.check()
    found = store.readings.progress()[STUDY]
    assert (found.stop_reason is StopReason.FAILED_FAST) is over
    assert found.detail == ("the first 3 trials failed alike: KeyError: 1" if over else None)


def test_forgiven_failures_do_not_count(store: Store, begin: StartRound) -> None:
    begin(budget={"trials": 100})
    for _ in range(3):
        end_trial(store, "KeyError: 1")
    store.load_study(STUDY).set_user_attr(FORGIVEN_ATTRIBUTE, 3)
    check = FailFast(store, store.load_study(STUDY), BUDGET)
    check.check()
    end_trial(store, "KeyError: 1")
    check.check()
    assert store.readings.progress()[STUDY].stop_reason is None


def test_a_round_that_failed_fast_may_be_opened_again(store: Store, begin: StartRound) -> None:
    study = begin(budget={"trials": 100})
    store.claims.stop(study, StopReason.FAILED_FAST, "alike")
    store.rounds.reopen(STUDY)
    assert store.readings.progress()[STUDY].stop_reason is None
