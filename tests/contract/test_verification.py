"""The verification of a round in every kind of store: begun once, by any worker, and gone with its search."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier

import optuna
import pytest

from builders import MAXIMIZE, MINIMIZE, make_round
from tuning_dashboard.listing import Listing
from tuning_dashboard.stores import OneStore
from tuning_store import rounds
from tuning_store.exceptions import UnknownRound
from tuning_store.store import Store, open_store
from tuning_store.values import ClaimedTrial
from tuning_study.api.budget import Budget
from tuning_study.api.selection import Selection
from tuning_study.attributes import METRICS_ATTRIBUTE
from tuning_study.budget import ClaimDecision, StopReason
from tuning_study.round import read_round

from .conftest import start_round

VALUES = (0.5, 0.9, 0.1, 0.7)
SEARCH = make_round(budget={"trials": 4}, verification={"top": 2, "repeats": 3})


def run(store: Store, study_name: str, values: Sequence[float | tuple[float, ...]]) -> list[float]:
    """So many trials, by one worker; returns the parameter of each."""
    worker = store.as_worker("w-0")
    study, study_id, given = worker.load_study(study_name), store.rounds.find(study_name), []
    for value in values:
        claimed = worker.claims.claim(study_id)
        assert isinstance(claimed, ClaimedTrial)
        trial = optuna.Trial(study, claimed.trial_id)
        given.append(trial.suggest_float("x", 0, 1))
        trial.set_user_attr(METRICS_ATTRIBUTE, {"accuracy": value} if isinstance(value, float) else {})
        study.tell(trial, value)
    return given


@pytest.fixture
def searched(store: Store) -> list[float]:
    """The parameter of each of the search's trials."""
    start_round(store, SEARCH)
    return run(store, SEARCH.study, VALUES)


def test_its_runs_have_the_parameters_of_the_best_trials_in_turn(store: Store, searched: list[float]) -> None:
    verification = rounds.begin_verification(store, SEARCH)
    assert verification is not None
    given = run(store, verification.study, [0.8, 0.75] * 3)
    assert given == [searched[1], searched[3]] * 3
    assert store.as_worker("w-0").claims.claim(store.rounds.find(verification.study)) is ClaimDecision.OVER
    assert store.readings.progress()[verification.study].stop_reason is StopReason.BUDGET_USED


def test_what_it_came_to_is_read_with_the_numbers_of_the_search(store: Store, searched: list[float]) -> None:
    verification = rounds.begin_verification(store, SEARCH)
    assert verification is not None
    run(store, verification.study, [0.6, 0.75, 0.65, 0.76, 0.62, 0.78])
    found = rounds.read_verification(store, verification.study)
    assert [candidate.trial for candidate in found.candidates] == [1, 3]
    assert found.best == 1
    assert found.candidates[1].metrics == {"accuracy": pytest.approx(0.763, abs=0.001)}


RETUNING = make_round(budget={"trials": 4}, verification={"top": 1, "repeats": 3}, number=2)


def test_the_parameters_of_before_are_measured_beside_the_best_whatever_the_search_thought_of_them(
    store: Store,
) -> None:
    points = [{"x": 0.25}, {"x": 0.5}]
    start_round(store, RETUNING, points=points, incumbent=True)
    run(store, RETUNING.study, (0.1, 0.9, 0.5, 0.7))
    verification = rounds.begin_verification(store, RETUNING)
    assert verification is not None
    assert run(store, verification.study, [0.9, 0.6] * 3) == [0.5, 0.25] * 3
    found = rounds.read_verification(store, verification.study)
    assert ([candidate.trial for candidate in found.candidates], found.best, found.incumbent) == ([1, 0], 0, 1)


def test_a_list_of_studies_tells_the_runs_mean_once_they_are_done(store: Store, searched: list[float]) -> None:
    def listed() -> object:
        (row,) = Listing(OneStore(store)).rows()
        return row["best"]

    assert listed() == [0.9]
    verification = rounds.begin_verification(store, SEARCH)
    assert verification is not None
    run(store, verification.study, [0.6, 0.75, 0.65, 0.76, 0.62])
    assert listed() == [0.9]
    run(store, verification.study, [0.78])
    assert listed() == [pytest.approx((0.75 + 0.76 + 0.78) / 3)]


def test_a_selection_decides_what_is_measured_again_and_what_is_named(store: Store) -> None:
    search = make_round(
        metrics=[MAXIMIZE, MINIMIZE],
        selection={"policy": "Lexicographic", "order": ["accuracy", "latencyMs"], "tolerance": {"accuracy": 0.1}},
        budget={"trials": 4},
        verification={"top": 2, "repeats": 2},
    )
    start_round(store, search)
    run(store, search.study, [(0.9, 9.0), (0.85, 2.0), (0.5, 1.0), (0.82, 4.0)])
    verification = rounds.begin_verification(store, search)
    assert verification is not None
    run(store, verification.study, [(0.85, 2.0), (0.9, 9.0)] * 2)  # trial 1, which is chosen, comes first
    found = rounds.read_verification(store, verification.study, search.spec.selection)
    assert [candidate.trial for candidate in found.candidates] == [1, 0]
    assert (found.best, found.among) == (0, 2)
    by_accuracy = Selection(policy="Lexicographic", order=["accuracy"])
    assert rounds.read_verification(store, verification.study, by_accuracy).best == 1


def test_a_changed_selection_is_read_with_its_round_by_everybody(store: Store) -> None:
    search = make_round(metrics=[MAXIMIZE, MINIMIZE], selection={"policy": "Knee"})
    start_round(store, search)
    for selection in (None, Selection(policy="Weighted", weights={"accuracy": 1}), Selection(policy="Knee")):
        rounds.set_selection(store, search.study, selection)
        assert read_round(store.load_study(search.study).user_attrs).spec.selection == selection


def test_workers_that_begin_it_at_the_same_moment_begin_it_once(
    store: Store, store_url: str, searched: list[float]
) -> None:
    both = Barrier(3)

    def begin(_: int) -> object:
        with closing(open_store(store_url)) as own:
            both.wait(60)
            return rounds.begin_verification(own, SEARCH)

    with ThreadPoolExecutor(3) as workers:
        first, *others = workers.map(begin, range(3))
    assert first is not None
    assert all(other == first for other in others)
    (name,) = (name for name in store.readings.progress() if name != SEARCH.study)
    assert store.readings.progress()[name].counts.waiting == 6


def test_a_search_without_a_complete_trial_has_none(store: Store) -> None:
    start_round(store, SEARCH)
    assert rounds.begin_verification(store, SEARCH) is None


def test_a_search_that_went_on_is_verified_anew(store: Store, searched: list[float]) -> None:
    before = rounds.begin_verification(store, SEARCH)
    store.rounds.set_budget(SEARCH.study, Budget(trials=5))
    run(store, SEARCH.study, [0.95])
    after = rounds.begin_verification(store, SEARCH)
    assert before is not None
    assert after is not None
    assert before.study != after.study
    assert [c.trial for c in rounds.read_verification(store, after.study).candidates] == [4, 1]


def test_it_goes_with_its_search(store: Store, searched: list[float]) -> None:
    verification = rounds.begin_verification(store, SEARCH)
    assert verification is not None
    rounds.drop(store, SEARCH.study)
    assert store.storage.get_all_studies() == []
    with pytest.raises(UnknownRound):
        store.rounds.find(verification.study)
