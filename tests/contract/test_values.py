"""A value of a category keeps its type through every store, and Optuna's own programs read the study."""

from typing import Any

import optuna
import pytest

from builders import choice, make_round
from tuning_report.round_history import read, rows
from tuning_store.optuna_internals import id_of_study
from tuning_store.store import Store
from tuning_store.values import ClaimedTrial
from tuning_study.search.space import suggest

from .conftest import StartRound

VALUES = [[10], [20, 10], {"class": "a.B"}, "text", True, None]
FIELDS: dict[str, Any] = {"parameters": [choice("layers", VALUES)]}
STUDY = make_round(**FIELDS).study


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_as_it_is_in_the_manifest(store: Store, begin: StartRound, value: object) -> None:
    study_id = begin(points=({"layers": value},), **FIELDS)
    worker = store.as_worker("worker-0")
    claimed = worker.claims.claim(study_id)
    assert isinstance(claimed, ClaimedTrial)
    study = worker.load_study(STUDY)
    trial = optuna.Trial(study, claimed.trial_id)
    parameters = make_round(**FIELDS).spec.parameters
    assert suggest(trial, parameters) == {"layers": value}
    study.tell(trial, 1.0)
    (row,) = rows(history := read(store, STUDY), history.trials)
    assert row["parameters"] == {"layers": value}
    assert id_of_study(study) == study_id
    plain = store.load_study(STUDY).trials[0]
    assert hash(plain.distributions["layers"]), "optuna-dashboard keeps distributions in sets"
