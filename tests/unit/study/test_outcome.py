"""Whether a retuning has found anything better than the parameters of before."""

from collections.abc import Sequence
from random import Random

import pytest

from builders import make_objectives
from tuning_study.results.outcome import Comparison, compare
from tuning_study.results.verified import Measured, Verified

MAXIMIZE, MINIMIZE = make_objectives("Maximize"), make_objectives("Minimize")
BEFORE = (0.900, 0.905, 0.895, 0.902, 0.898)


def measured(values: Sequence[float | tuple[float, ...]], trial: int = 0) -> Measured:
    runs = {place: value if isinstance(value, tuple) else (value,) for place, value in enumerate(values)}
    return Measured(trial, runs, {}, seconds=1.0, failed=0, feasible=len(values))


def verified(
    *candidates: Sequence[float | tuple[float, ...]],
    best: int | None = 1,
    incumbent: int | None = 0,
    overlap: float = 0.0,
) -> Verified:
    found = [measured(values, trial) for trial, values in enumerate(candidates)]
    return Verified(found, overlap, best, (), incumbent=incumbent)


def outcome(found: Comparison | None) -> str | None:
    return found.outcome if found is not None else None


def test_a_difference_that_every_run_shows_is_an_improvement() -> None:
    found = compare(
        MAXIMIZE,
        verified(
            BEFORE, [value + 0.02 + shift for value, shift in zip(BEFORE, (0.001, 0, 0.002, -0.001, 0), strict=True)]
        ),
    )
    assert outcome(found) == "Improved"
    assert found is not None and found.in_words.startswith(
        "m0 0.9 → 0.9204 over 5 runs of both: better by 0.0204 (0.019"
    )


def test_one_that_chance_alone_makes_is_none() -> None:
    found = compare(MAXIMIZE, verified(BEFORE, (0.905, 0.900, 0.899, 0.903, 0.899)))
    assert outcome(found) == "NoBetter"
    assert found is not None and found.differences[0].better > 0.05


def test_less_is_better_where_it_is_minimized() -> None:
    lower = [value - 0.02 for value in BEFORE]
    assert outcome(compare(MINIMIZE, verified(BEFORE, lower))) == "Improved"
    assert outcome(compare(MAXIMIZE, verified(BEFORE, lower))) == "NoBetter"


def test_where_the_parameters_of_before_are_the_best_nothing_is_better() -> None:
    found = compare(MAXIMIZE, verified(BEFORE, (0.8,) * 5, best=0))
    assert found == Comparison("NoBetter")
    assert found.in_words == "the parameters of before are the best still"


@pytest.mark.parametrize(
    "found", [verified(BEFORE, BEFORE, incumbent=None), verified(BEFORE, BEFORE, best=None), verified((0.9,), (0.95,))]
)
def test_what_was_not_measured_is_not_compared(found: Verified) -> None:
    assert compare(MAXIMIZE, found) is None


def test_the_best_of_many_has_to_be_surer() -> None:
    better = (0.903, 0.909, 0.897, 0.909, 0.900)
    assert outcome(compare(MAXIMIZE, verified(BEFORE, better))) == "Improved"
    among_many = verified(BEFORE, better, *[BEFORE] * 20)
    assert outcome(compare(MAXIMIZE, among_many)) == "NoBetter"


def test_runs_that_share_rows_say_less() -> None:
    better = (0.903, 0.909, 0.897, 0.909, 0.900)
    assert outcome(compare(MAXIMIZE, verified(BEFORE, better, overlap=0.5))) == "NoBetter"


def test_of_several_objectives_one_is_better_and_none_worse() -> None:
    both = make_objectives("Maximize", "Minimize")
    before = [(value, 10.0 + value) for value in BEFORE]
    faster = [(value, 5.0 + value) for value in BEFORE]
    dearer = [(value + 0.02, 20.0 + value) for value in BEFORE]
    assert outcome(compare(both, verified(before, faster))) == "Improved"
    assert outcome(compare(both, verified(before, dearer))) == "NoBetter"


def test_equal_parameters_are_seldom_an_improvement() -> None:
    """Of five candidates that are all as good as the parameters of before, the best of ten runs each."""
    random, improved = Random(7), 0
    for _ in range(400):
        candidates = [[random.gauss(0.9, 0.01) for _ in range(10)] for _ in range(6)]
        best = max(range(6), key=lambda place: sum(candidates[place]))
        improved += outcome(compare(MAXIMIZE, verified(*candidates, best=best))) == "Improved"
    assert improved / 400 <= 0.05
