"""A verification as a round of its own: which run each of its trials is, with which seed, and on which folds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_round, make_spec
from tuning_study.budget import Counts, StopReason
from tuning_study.round import ResolvedRound, is_search, verification_name, verifies
from tuning_study.seeds import trial_seed
from tuning_study.verification import Run, is_due, run_of, run_seed, verification_of


def verifying(candidates: int = 3, **wanted: int) -> ResolvedRound:
    return verification_of(make_round(verification=wanted), used=60, candidates=candidates)


def test_all_candidates_are_measured_once_before_any_is_measured_again() -> None:
    verification = verifying(candidates=2, repeats=3)
    runs = [run_of(number, verification) for number in range(6)]
    assert runs == [Run(0, 0), Run(1, 0), Run(0, 1), Run(1, 1), Run(0, 2), Run(1, 2)]


def test_what_takes_the_place_of_a_failed_run_is_no_run() -> None:
    assert run_of(6, verifying(candidates=2, repeats=3)) is None


@given(st.integers(1, 50), st.integers(2, 40))
def test_every_candidate_is_measured_as_often_as_asked(candidates: int, repeats: int) -> None:
    verification = verifying(candidates, top=candidates, repeats=repeats)
    runs = {run_of(number, verification) for number in range(verification.spec.budget.trials or 0)}
    assert runs == {Run(candidate, repeat) for candidate in range(candidates) for repeat in range(repeats)}


def test_candidates_share_the_seed_of_a_repeat_which_no_trial_of_the_search_has() -> None:
    verification = verifying(candidates=3, repeats=5)
    seeds = [run_seed(number, verification) for number in range(15)]
    assert len(set(seeds)) == 5
    assert all(len({seeds[number] for number in range(first, first + 3)}) == 1 for first in range(0, 15, 3))
    assert not set(seeds) & {trial_seed(verification.seed, number) for number in range(10_000)}


def test_it_has_no_goal_no_pruner_and_a_budget_that_failures_do_not_end() -> None:
    search = make_round(
        metrics=[{"name": "accuracy", "direction": "Maximize", "goal": 0.9}],
        strategy={"pruner": {"type": "Median"}},
        budget={"trials": 9, "failedTrials": 1, "failFast": 1, "duration": "1s"},
        verification={"repeats": 4},
    )
    spec = verification_of(search, used=9, candidates=3).spec
    assert (spec.objectives[0].goal, spec.phases[0].pruner.type) == (None, "None")
    assert (spec.budget.trials, spec.budget.failed_trials, spec.budget.fail_fast) == (12, 13, 0)
    assert spec.budget.duration is None


@pytest.mark.parametrize(("folds", "used"), [(None, 3), (10, 10)])
def test_its_folds_are_those_asked_for_or_the_searchs(folds: int | None, used: int) -> None:
    sklearn = {
        "steps": [{"class": "sklearn.svm.SVC"}],
        "dataset": {"load": "wine"},
        "crossValidation": {"folds": 3},
    }
    search = make_round(objective={"sklearn": sklearn}, verification={"folds": folds})
    found = verification_of(search, used=9, candidates=3).spec.objective.sklearn
    assert found is not None
    assert found.cross_validation.folds == used


def test_its_study_and_its_files_stand_beside_the_searchs() -> None:
    search, verification = make_round(), verifying()
    assert verification.study == verification_name(search.study, 60)
    assert (is_search(search.study), is_search(verification.study)) == (True, False)
    assert verifies(verification.study, search.study)
    assert not verifies(verification.study, make_round(number=2).study)
    assert search.folder != verification.folder


@pytest.mark.parametrize(
    ("over", "complete", "due"),
    [
        (None, 9, False),
        (StopReason.BUDGET_USED, 9, True),
        (StopReason.GOAL_REACHED, 1, True),
        (StopReason.BUDGET_USED, 0, False),
        (StopReason.TOO_MANY_FAILURES, 9, False),
    ],
)
def test_it_follows_a_search_that_came_to_something(over: StopReason | None, complete: int, due: bool) -> None:
    assert is_due(make_spec(verification={}), over, Counts(complete=complete)) is due
    assert not is_due(make_spec(), over, Counts(complete=complete))
