"""When an evolution strategy has converged, and where it starts again: decided from costs and counts alone."""

import math
from collections.abc import Sequence

import pytest

from tuning_study.search.samplers.restarts import Convergence, Restarts, Start

WIDE, ALIKE = [9.0, 5.0, 3.0, 1.0], [1.0001, 1.0, 5.0, 1.0]


@pytest.mark.parametrize(
    ("generations", "reached"),
    [
        ([WIDE, ALIKE, ALIKE, ALIKE], [False, False, False, True]),
        ([WIDE, ALIKE, ALIKE, WIDE, ALIKE], [False] * 5),
        ([WIDE, [math.inf] * 3 + [1.0], WIDE, WIDE, WIDE], [False] * 5),
        ([[2.0] * 4] * 3, [False, False, True]),
        ([WIDE, [8e6, 1e6, 2e6, 0.0], WIDE, WIDE, WIDE], [False, False, False, False, True]),
    ],
)
def test_it_has_converged_after_three_generations_whose_better_half_is_alike(
    generations: Sequence[Sequence[float]], reached: list[bool]
) -> None:
    convergence = Convergence()
    assert [convergence.reached_with(costs) for costs in generations] == reached


def test_each_start_is_elsewhere_and_the_first_in_the_middle() -> None:
    means = [Start(number).mean(2).tolist() for number in range(5)]
    assert means[0] == [0.5, 0.5]
    assert len({tuple(mean) for mean in means}) == 5
    assert Start(3).mean(2).tolist() == means[3]


def starts(restarts: Restarts, trials: Sequence[int]) -> list[Start]:
    """Those after starts that took so many trials."""
    start, found = Start(), []
    for taken in trials:
        start = restarts.after(start, taken)
        found.append(start)
    return found


def test_without_a_strategy_it_begins_anew_where_it_was() -> None:
    assert starts(Restarts("None", 2), [9, 9]) == [Start(), Start()]


def test_ipop_multiplies_the_population_each_time() -> None:
    assert [start.population for start in starts(Restarts("IPOP", 3), [50, 50, 50])] == [3, 9, 27]


def test_bipop_spends_as_much_on_small_populations_as_on_large_ones() -> None:
    found = starts(Restarts("BIPOP", 2), [50, 100, 60, 60, 400])
    assert [start.population for start in found if start.step == 1] == [2, 4]  # the first, and after 120 small trials
    small = found[1:3]
    assert all(1 <= start.population <= 2 and 0.01 <= start.step < 1 for start in small)
    assert small[0] != small[1]
    assert found[4].step < 1


def test_the_next_start_hangs_on_nothing_but_the_trials_before() -> None:
    taken = [10, 80, 30, 30, 200, 50]
    assert starts(Restarts("BIPOP", 2), taken) == starts(Restarts("BIPOP", 2), taken)
