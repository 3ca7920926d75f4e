"""Which trial of a Pareto set each policy of `spec.selection` names."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_candidates, make_objectives
from tuning_study.api.selection import Selection
from tuning_study.results.best import best, ranked
from tuning_study.results.candidates import Candidate
from tuning_study.results.pareto import pareto_front
from tuning_study.results.selection import choose, in_order

TWO = make_objectives("Maximize", "Minimize")  # m0 and m1
THREE = make_objectives("Maximize", "Minimize", "Minimize")
KNEE = Selection(policy="Knee")


def lexicographic(*order: str, **tolerance: float) -> Selection:
    return Selection(policy="Lexicographic", order=list(order), tolerance=tolerance or None)


def weighted(**weights: float) -> Selection:
    return Selection(policy="Weighted", weights=weights)


def aspiring(**aspiration: float) -> Selection:
    return Selection(policy="AchievementScalarizing", aspiration=aspiration)


# accuracy, size: the last one is dominated
TRADE_OFF = make_candidates((0.970, 900.0), (0.965, 300.0), (0.955, 250.0), (0.800, 100.0), (0.600, 90.0), (0.9, 400.0))
# accuracy, latency, size
FOREST = make_candidates((0.95, 40.0, 900.0), (0.94, 20.0, 700.0), (0.93, 10.0, 300.0), (0.80, 2.0, 20.0))


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        (lexicographic("m0"), 0),
        (lexicographic("m1"), 4),
        (lexicographic("m0", "m1", m0=0.01), 1),  # 0.965 is within 1 % of 0.970: 0.9603
        (lexicographic("m0", "m1", m0=0.02), 2),
        (lexicographic("m0", m0=0.02), 2),  # m1, which is not named, decides among the rest
        (lexicographic("m1", "m0", m1=0.2), 3),  # up to 108
        (weighted(m0=1), 0),
        (weighted(m1=1), 4),
        (weighted(m0=1, m1=1), 2),
        (weighted(m0=1, m1=0.01), 0),
        (KNEE, 2),
        (aspiring(m0=0.95, m1=260.0), 2),
        (aspiring(m0=0.80, m1=100.0), 3),
        (aspiring(m0=0.97, m1=900.0), 0),
        (aspiring(m0=0.90, m1=800.0), 1),  # reached by 1, 2 and 5; this one exceeds both by most
    ],
)
def test_a_policy_names_a_trial_of_the_front(selection: Selection, chosen: int) -> None:
    found = choose(selection, TWO, TRADE_OFF)
    assert found is not None and found.number == chosen


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        (lexicographic("m0", m0=0.03), 2),  # m1 decides among the rest, then m2
        (lexicographic("m0", "m2", m0=0.02), 1),
        (weighted(m0=1, m1=0.1, m2=0.1), 2),
        (KNEE, 2),
        (aspiring(m0=0.94, m1=25.0, m2=800.0), 1),
    ],
)
def test_three_objectives(selection: Selection, chosen: int) -> None:
    found = choose(selection, THREE, FOREST)
    assert found is not None and found.number == chosen


def test_the_tolerance_of_negative_values_reaches_towards_the_worse_ones() -> None:
    found = choose(lexicographic("m0", "m1", m0=0.1), TWO, make_candidates((-1.0, 9.0), (-1.09, 2.0), (-1.2, 1.0)))
    assert found is not None and found.number == 1


def test_only_feasible_trials_are_chosen_among() -> None:
    infeasible = [Candidate(9, (0.99, 1.0), feasible=False)]
    assert best(TWO, [*TRADE_OFF, *infeasible], lexicographic("m0")) == TRADE_OFF[0]
    assert best(TWO, infeasible, lexicographic("m0")) is None
    assert best(TWO, infeasible) == infeasible[0]


@pytest.mark.parametrize("selection", [KNEE, lexicographic("m0"), weighted(m0=1, m1=1), aspiring(m0=1.0, m1=1.0)])
class TestEveryPolicy:
    def test_leaves_out_what_is_infinite(self, selection: Selection) -> None:
        assert choose(selection, TWO, make_candidates((math.inf, 1.0), (0.5, 2.0), (0.6, -math.inf))) == Candidate(
            1, (0.5, 2.0)
        )

    def test_names_the_only_one(self, selection: Selection) -> None:
        assert choose(selection, TWO, make_candidates((0.5, 2.0))) == Candidate(0, (0.5, 2.0))
        assert choose(selection, TWO, []) is None

    def test_takes_the_earlier_of_equal_trials(self, selection: Selection) -> None:
        found = choose(selection, TWO, make_candidates((0.5, 2.0), (0.5, 2.0)))
        assert found is not None and found.number == 0

    @given(values=st.lists(st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 2), min_size=1, max_size=8))
    def test_orders_the_front_whatever_the_values(self, selection: Selection, values: list[tuple[float, ...]]) -> None:
        found = make_candidates(*values)
        ordered = list(in_order(selection, TWO, found))
        assert sorted(ordered, key=lambda c: c.number) == sorted(pareto_front(TWO, found), key=lambda c: c.number)
        assert ranked(TWO, found, selection)[: len(ordered)] == ordered


@given(values=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12))
def test_a_knee_does_not_depend_on_units(values: list[tuple[int, int]]) -> None:
    megabytes = choose(KNEE, TWO, make_candidates(*[(float(a), float(b)) for a, b in values]))
    bytes = choose(KNEE, TWO, make_candidates(*[(float(a), b * 2.0**20) for a, b in values]))
    assert megabytes is not None and bytes is not None
    assert megabytes.number == bytes.number


def test_a_front_whose_extremes_are_one_trial_still_has_a_knee() -> None:
    found = make_candidates((0.9, 1.0, 50.0), (0.5, 2.0, 20.0), (0.6, 3.0, 10.0), (0.8, 1.5, 15.0))
    chosen = choose(KNEE, THREE, found)
    assert chosen is not None and chosen.number == 3


def test_the_rest_of_the_front_is_ranked_by_the_policy_too() -> None:
    numbers = [entry.number for entry in ranked(TWO, TRADE_OFF, lexicographic("m0", "m1", m0=0.02))]
    assert numbers == [2, 1, 0, 3, 4, 5]
