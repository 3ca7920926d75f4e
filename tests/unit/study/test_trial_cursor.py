"""A cursor gives each finished trial once, in whatever order trials end."""

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from tuning_study.search.samplers.trial_cursor import Cursor


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study()


def test_a_trial_is_given_when_it_has_ended_and_never_again(study: optuna.Study) -> None:
    cursor, slow, quick = Cursor(), study.ask(), study.ask()
    assert cursor.finished(study.get_trials(deepcopy=False)) == []
    study.tell(quick, 1.0)
    assert [trial.number for trial in cursor.finished(study.get_trials(deepcopy=False))] == [quick.number]
    study.tell(slow, state=TrialState.FAIL)
    assert [trial.number for trial in cursor.finished(study.get_trials(deepcopy=False))] == [slow.number]
    assert cursor.finished(study.get_trials(deepcopy=False)) == []


def test_what_runs_beside_a_trial(study: optuna.Study) -> None:
    cursor, first, own = Cursor(), study.ask(), study.ask()
    study.enqueue_trial({"x": 1})
    trials = study.get_trials(deepcopy=False)
    cursor.finished(trials)
    assert [trial.number for trial in cursor.running(trials, besides=trials[own.number])] == [first.number]


@given(st.lists(st.sampled_from(["ask", "end the oldest", "end the newest", "look", "look at an older list"])))
def test_each_finished_trial_is_given_exactly_once(steps: list[str]) -> None:
    study, cursor, running, given_so_far = optuna.create_study(), Cursor(), [], []
    older = study.get_trials(deepcopy=False)
    for step in steps:
        if step == "ask":
            running.append(study.ask())
        elif step.startswith("end") and running:
            study.tell(running.pop(0 if step == "end the oldest" else -1), 0.0)
        elif step == "look":
            older = list(study.get_trials(deepcopy=False))
            given_so_far += [trial.number for trial in cursor.finished(older)]
        elif step == "look at an older list":
            given_so_far += [trial.number for trial in cursor.finished(older)]
    given_so_far += [trial.number for trial in cursor.finished(study.get_trials(deepcopy=False))]
    ended = [trial.number for trial in study.trials if trial.state.is_finished()]
    assert sorted(given_so_far) == ended
