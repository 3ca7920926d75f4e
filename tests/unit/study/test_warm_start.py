"""Points that a round begins with."""

from tuning_study.api.parameters import Parameter
from tuning_study.search.warm_start import starting_points

SPACE = [Parameter(name="C", type="Float", min=0, max=1)]


def test_what_is_outside_the_space_is_moved_into_it_and_told() -> None:
    points, changes = starting_points(SPACE, [{"C": 0.5}, {"C": 7.0}])
    assert points == [{"C": 0.5}, {"C": 1.0}]
    assert changes == ["C: 7.0 is outside the space; 1.0 is tried instead"]


def test_without_a_space_points_stay_as_they_are() -> None:
    assert starting_points([], [{"anything": 7.0}]) == ([{"anything": 7.0}], [])
