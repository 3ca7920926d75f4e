"""Trials in a row that improve nothing end a round, on every kind of store."""

import optuna
import pytest

from builders import make_round, make_spec
from tuning_store.optuna_internals import id_of_study
from tuning_store.store import Store
from tuning_store.values import ClaimedTrial
from tuning_study.budget import StopReason
from tuning_worker.no_improvement import NoImprovement

from .conftest import StartRound

STUDY = make_round().study


@pytest.mark.parametrize(
    ("values", "over"), [([0.9, 0.5, 0.6, 0.7], True), ([0.9, 0.5, 0.6, 0.95], False), ([0.9, 0.5, 0.6], False)]
)
def test_a_round_ends(store: Store, begin: StartRound, values: list[float], over: bool) -> None:
    begin(budget={"trials": 100})
    worker = store.as_worker("w-0")
    study = worker.load_study(STUDY)
    check = NoImprovement(store, study, make_spec(budget={"trials": 100, "noImprovement": 3}))
    for value in values:
        check.check()
        claimed = worker.claims.claim(id_of_study(study))
        assert isinstance(claimed, ClaimedTrial)
        study.tell(optuna.Trial(study, claimed.trial_id), value)
    check.check()
    found = store.readings.progress()[STUDY]
    assert (found.stop_reason is StopReason.NO_IMPROVEMENT) is over
    assert found.detail == ("none of the last 3 trials has improved the best value" if over else None)
