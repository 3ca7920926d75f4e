"""What earlier studies suggest for new data."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import choice, make_parameters, real, when
from tuning_study.api.warm_start import History
from tuning_study.search.history import EarlierStudy, recommend

SPACE = make_parameters(real("x"), choice("kernel", ["rbf", "poly"]))
HERE = {"logRows": 2.0, "skew": 0.0}


def study(name: str, best: float, *, apart: float = 0.0, kernel: str = "rbf", points: int = 11) -> EarlierStudy:
    """One that tried x evenly and found `best` best, the worse the farther from it. Its data are so far from HERE."""
    tried = sorted(np.linspace(0, 1, points), key=lambda x: abs(x - best))
    losses = [abs(x - best) for x in tried]
    return EarlierStudy(name, HERE | {"skew": apart}, [{"x": float(x), "kernel": kernel} for x in tried], losses)


def first_x(earlier: Sequence[EarlierStudy], built_in: Sequence[Any] = (), **asked: int) -> list[float]:
    found = recommend(History.model_validate(asked), SPACE, HERE, earlier, built_in).suggestions
    return [each.point["x"] for each in found]


def test_the_best_of_the_most_similar_data_sets_come_first() -> None:
    earlier = [study("far", 0.1, apart=0.9), study("near", 0.5, apart=0.1), study("nearer", 0.7, apart=0.05)]
    assert first_x(earlier, neighbours=2, portfolio=0) == pytest.approx([0.7, 0.5])


def test_a_portfolio_is_what_does_well_on_all_together() -> None:
    earlier = [study(f"low-{n}", 0.2) for n in range(3)] + [study("high", 0.9)]
    assert first_x(earlier, neighbours=0, portfolio=2) == pytest.approx([0.2, 0.9])


def test_portfolio_and_neighbours_take_turns_and_nothing_is_tried_twice() -> None:
    earlier = [study("a", 0.2), study("b", 0.2, apart=0.1), study("c", 0.9, apart=0.3)]
    assert first_x(earlier, neighbours=3, portfolio=5) == pytest.approx([0.2, 0.9])


def test_with_too_few_studies_the_portfolio_is_the_built_in_one() -> None:
    built_in = [{"x": 0.3}, {"x": 0.6}]
    assert first_x([study("a", 0.2), study("b", 0.9, apart=0.5)], built_in) == pytest.approx([0.3, 0.2, 0.6, 0.9])


def test_built_in_points_compete_with_those_of_earlier_studies() -> None:
    earlier = [study(name, best) for name, best in (("a", 0.4), ("b", 0.5), ("c", 0.6))]
    never_tried = [study(each.name, 0.5, points=3) for each in earlier]
    assert first_x(never_tried, [{"x": 0.5, "kernel": "rbf"}], neighbours=0, portfolio=1) == [0.5]
    assert first_x(earlier, [{"x": 0.0, "kernel": "poly"}], neighbours=0, portfolio=1) == pytest.approx([0.5])


def test_without_a_wish_for_history_the_built_in_points_are_tried_in_their_order() -> None:
    found = recommend(None, SPACE, HERE, [study("a", 0.2)], [{"x": 0.6}, {"x": 0.3}])
    assert [each.point for each in found.suggestions] == [{"x": 0.6}, {"x": 0.3}]
    assert found.suggestions[0].reason == "number 1 of the built-in portfolio"


def test_a_space_that_differs_keeps_what_both_have() -> None:
    space = make_parameters(real("x", 0.5, 2.0), real("new"))
    [suggestion] = recommend(History(), space, HERE, [study("a", 0.2)]).suggestions
    assert suggestion.point == {"x": 0.5}


def test_a_space_that_has_nothing_in_common_gets_nothing() -> None:
    assert recommend(History(), make_parameters(real("other")), HERE, [study("a", 0.2)]).suggestions == []


def test_a_suggestion_says_whose_it_is() -> None:
    [suggestion] = recommend(History(), SPACE, HERE, [study("wine", 0.2, apart=0.4)]).suggestions
    assert suggestion.reason == "best of wine, whose data are 0.71 apart"


def test_half_of_the_trials_are_left_to_the_sampler() -> None:
    found = recommend(None, SPACE, HERE, [], [{"x": number / 10} for number in range(8)])
    assert [each.point["x"] for each in found.besides([{"x": 0.0}], 8).suggestions] == [0.1, 0.2, 0.3]
    assert len(found.besides([], None).suggestions) == 8


def test_the_control_tells_what_likeness_is_worth() -> None:
    """Two kinds of data: what is best for one kind is bad for the other."""
    kinds = [study(f"low-{n}", 0.1 + n / 100) for n in range(3)]
    kinds += [study(f"high-{n}", 0.9 - n / 100, apart=1.0) for n in range(3)]
    control = recommend(History(), SPACE, HERE, kinds).control
    assert control is not None
    assert control.studies == 6
    assert control.nearest < 0.1 < 0.4 < control.random


def test_the_control_needs_three_studies() -> None:
    assert recommend(History(), SPACE, HERE, [study("a", 0.1), study("b", 0.2)]).control is None


POINTS = st.fixed_dictionaries({}, optional={"x": st.floats(-9, 9), "k": st.sampled_from("abz"), "y": st.floats(0, 1)})
LOSSES = st.floats(allow_nan=False)


@given(
    st.lists(st.lists(st.tuples(LOSSES, POINTS), max_size=6), max_size=5),
    st.lists(POINTS, max_size=4),
    st.integers(0, 6),
    st.integers(0, 6),
)
def test_whatever_was_tried_suggestions_lie_in_the_space_and_are_tried_once(
    tried: list[list[tuple[float, dict[str, Any]]]], built_in: list[dict[str, Any]], neighbours: int, portfolio: int
) -> None:
    space = make_parameters(real("x"), choice("k", ["a", "b"]), real("y") | when("k", "a"))
    earlier = []
    for number, trials in enumerate(tried):
        order = sorted(trials, key=lambda entry: entry[0])
        points, losses = [point for _, point in order], [loss for loss, _ in order]
        earlier.append(EarlierStudy(f"s{number}", {"skew": float(number)}, points, losses))
    found = recommend(History(neighbours=neighbours, portfolio=portfolio), space, HERE, earlier, built_in).suggestions
    points = [each.point for each in found]
    assert all(point for point in points)
    assert all(points.index(point) == index for index, point in enumerate(points))
    assert all(0 <= point.get("x", 0) <= 1 and point.get("k", "a") in "ab" for point in points)
    assert all("y" not in point or point.get("k") == "a" for point in points)
