"""Runs of several strategies compared: each built from trials that ended one after another, a second apart."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random

import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from builders import make_objectives
from tuning_study.results.comparison import Comparison, Run, estimate, run_of

BEGAN = datetime(2026, 3, 8, 12)
Value = float | str | tuple[float, ...]
PRUNED = "pruned"
FAILED = "failed"


def trial(number: int, value: Value, *, begin: float, seconds: float = 1, reports: int = 0) -> FrozenTrial:
    """Of one objective or several; a text says how a trial without a value ended."""
    state = {PRUNED: TrialState.PRUNED, FAILED: TrialState.FAIL}.get(str(value), TrialState.COMPLETE)
    made = create_trial(
        state=state,
        values=None if isinstance(value, str) else list(value) if isinstance(value, tuple) else [value],
        intermediate_values=dict.fromkeys(range(reports), 99.0),
    )
    made.number = number
    made.datetime_start = BEGAN + timedelta(seconds=begin)
    made.datetime_complete = BEGAN + timedelta(seconds=begin + seconds)
    return made


def run(*values: Value, budget: int | None = None, reports: Sequence[int] = (), verified: float | None = None) -> Run:
    made = [
        trial(number, value, begin=number, reports=reports[number] if reports else 0)
        for number, value in enumerate(values)
    ]
    return run_of(made, budget=budget, verified=verified)


def compare(direction: str = "Maximize", **runs: Sequence[Run]) -> Comparison:
    return Comparison(make_objectives(direction), runs)


# --- A run


def test_a_run_is_cut_at_the_budget_in_the_order_in_which_its_trials_ended() -> None:
    late = trial(0, 9.0, begin=0, seconds=50)
    cut = run_of([late, trial(1, 1.0, begin=1), trial(2, 2.0, begin=3)], budget=2)
    assert [entry.number for entry in cut.complete()] == [1, 2]


def test_failed_trials_take_time_and_none_of_the_budget() -> None:
    found = run(FAILED, 1.0, FAILED, 2.0, 3.0, budget=2)
    assert (found.trials, found.failed, found.total("seconds")) == (2, 2, 4.0)


def test_a_pause_is_no_time_and_trials_at_once_are_counted_once() -> None:
    day = 86400.0
    found = run_of(
        [trial(0, 1.0, begin=0, seconds=4), trial(1, 1.0, begin=2, seconds=4), trial(2, 1.0, begin=day)], budget=None
    )
    assert [moment.seconds for moment in found.moments] == [4, 6, 7]


def test_what_a_pruned_trial_reported_is_never_the_best() -> None:
    found = run(0.5, PRUNED, reports=(3, 2))
    assert compare(TPE=[found]).finals("TPE") == [0.5]
    assert (found.pruned, found.total("reports")) == (1, 5)


def test_a_run_without_an_end_is_empty() -> None:
    assert run_of([], budget=10).total("seconds") == 0
    assert compare(TPE=[run_of([], budget=10)]).best("TPE") is None


# --- Differences


def test_a_difference_is_of_pairs_of_one_seed() -> None:
    found = compare(TPE=[run(1.0), run(5.0), run(9.0)], Random=[run(0.9), run(4.8), run(8.9)])
    difference = found.difference("Random")
    assert difference is not None
    assert difference.mean == pytest.approx(-0.1333, abs=1e-3)
    assert difference.high is not None
    assert difference.high > 0
    assert found.verdict("Random") == "no difference shown"


@pytest.mark.parametrize(
    ("direction", "shift", "want"),
    [
        ("Maximize", 1.0, "better"),
        ("Maximize", -1.0, "worse"),
        ("Minimize", 1.0, "worse"),
        ("Minimize", -1.0, "better"),
    ],
)
def test_the_verdict_follows_the_direction(direction: str, shift: float, want: str) -> None:
    first = [run(float(value)) for value in (1, 5, 9)]
    other = [run(value + shift * noise) for value, noise in ((1, 1.0), (5, 1.1), (9, 0.9))]
    assert compare(direction, TPE=first, Random=other).verdict("Random") == want


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([run(2.0)], id="one seed"),
        pytest.param([run(2.0), run(2.0)], id="differences that are all equal, of a metric with few steps"),
    ],
)
def test_what_cannot_be_told_from_chance_is_no_difference(others: list[Run]) -> None:
    found = compare(TPE=[run(1.0)] * len(others), Random=others)
    difference = found.difference("Random")
    assert difference is not None
    assert (difference.mean, difference.low) == (1.0, None)
    assert found.verdict("Random") == "no difference shown"


def test_several_differences_hold_together() -> None:
    values = (0.1, 0.2, 0.4, 0.3)
    alone, among = estimate(values), estimate(values, among=3)
    assert alone.low is not None
    assert among.low is not None
    assert among.low < alone.low < alone.mean == among.mean


def test_equal_strategies_are_seldom_told_apart_however_many_there_are() -> None:
    chance, wrong, times = Random(0), 0, 400
    for _ in range(times):
        names = [f"s{index}" for index in range(6)]
        runs = {name: [run(chance.gauss(0, 1)) for _ in range(5)] for name in names}
        found = Comparison(make_objectives("Maximize"), runs)
        wrong += any(found.verdict(name) != "no difference shown" for name in names[1:])
    assert wrong / times < 0.06


def test_a_run_that_found_nothing_feasible_is_left_out_of_means_and_pairs() -> None:
    nothing = run(PRUNED, PRUNED)
    found = compare(TPE=[run(1.0), nothing, run(3.0)], Random=[run(2.0), run(7.0), run(5.0)])
    best, difference = found.best("TPE"), found.difference("Random")
    assert best is not None
    assert difference is not None
    assert (best.mean, difference.mean) == (2.0, 1.5)


def test_infinite_values_are_no_best() -> None:
    assert compare(TPE=[run(float("inf"), 2.0)]).finals("TPE") == [2.0]


def test_a_verified_value_stands_for_the_searchs() -> None:
    assert compare(TPE=[run(0.99, verified=0.95)]).finals("TPE") == [0.95]


# --- On the way


def test_strategies_are_compared_after_as_much_as_the_thriftiest_of_a_seed_used() -> None:
    whole = run(1.0, 2.0, 3.0, 4.0, reports=(5, 5, 5, 5))
    thrifty = run(1.5, PRUNED, PRUNED, 3.5, reports=(5, 2, 1, 2))
    found = compare(Without=[whole], Median=[thrifty])
    assert [found.along(name, "trials", 1.0) for name in found.names] == [4.0, 3.5]
    assert [found.along(name, "reports", 1.0) for name in found.names] == [2.0, 3.5]
    assert found.along("Median", "reports", 0.1) is None, "nothing had ended by then"
    assert found.saved("Without") == 0
    assert found.saved("Median") == pytest.approx(1 - 10 / (4 * 3.5))


# --- Several objectives


def test_of_several_objectives_the_volume_of_the_combined_set_is_shared() -> None:
    objectives = make_objectives("Minimize", "Maximize")
    corner, stairs = run((0.0, 0.0), (1.0, 1.0)), run((0.0, 0.0), (1.0, 1.0), (0.2, 0.9))
    found = Comparison(objectives, {"NSGAII": [corner], "Random": [stairs]})
    assert found.maximized
    mine, whole = found.finals("NSGAII")[0], found.finals("Random")[0]
    assert mine is not None
    assert whole == 1.0
    assert 0 < mine < 1
