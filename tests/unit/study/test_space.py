"""The search space: what a trial is asked for, where a known-good point lands, and every point of a grid."""

import json
import math
from itertools import pairwise
from typing import Any

import optuna
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from builders import choice, make_parameters, real, when, whole
from tuning_study.api.parameters import Parameter
from tuning_study.search.space import applies, check_space, clip, distribution, grid, in_order, suggest
from tuning_study.values import same_value

SVC = make_parameters(
    choice("kernel", ["rbf", "poly"]),
    real("C", 1e-3, 1e3, scale="Log"),
    whole("degree", 2, 5, **when("kernel", "poly")),
    real("coef0", 0, 1, **when("degree", 3, 4)),
)


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        (real("x", 0, 1), FloatDistribution(0, 1)),
        (real("x", 0, 1, step=0.25), FloatDistribution(0, 1, step=0.25)),
        (real("x", 1e-3, 1e3, scale="Log"), FloatDistribution(1e-3, 1e3, log=True)),
        (whole("n", 1, 9), IntDistribution(1, 9)),
        (whole("n", 1, 9, step=2), IntDistribution(1, 9, step=2)),
        (whole("n", 1, 1024, scale="Log"), IntDistribution(1, 1024, log=True)),
        (choice("k", ["a", 1.5, False, None]), CategoricalDistribution(("a", 1.5, False, None))),
    ],
)
def test_a_parameter_becomes_the_distribution_that_says_the_same(parameter: dict[str, Any], expected: object) -> None:
    assert distribution(*make_parameters(parameter)) == expected


def test_a_parameter_comes_after_the_one_its_condition_names_however_they_are_written() -> None:
    order = [parameter.name for parameter in in_order(SVC[::-1])]
    assert sorted(order) == sorted(parameter.name for parameter in SVC)
    assert order.index("kernel") < order.index("degree") < order.index("coef0")


@pytest.mark.parametrize(
    ("fixed", "expected"),
    [
        ({"kernel": "rbf", "C": 1.0, "degree": 3, "coef0": 0.5}, {"kernel", "C"}),
        ({"kernel": "poly", "C": 1.0, "degree": 2, "coef0": 0.5}, {"kernel", "C", "degree"}),
        ({"kernel": "poly", "C": 1.0, "degree": 3, "coef0": 0.5}, {"kernel", "C", "degree", "coef0"}),
    ],
)
def test_a_trial_is_asked_only_for_what_its_conditions_leave(fixed: dict[str, Any], expected: set[str]) -> None:
    trial = optuna.trial.FixedTrial(fixed)
    assert set(suggest(trial, SVC)) == expected  # type: ignore[arg-type]


def test_a_condition_on_true_is_not_met_by_one() -> None:
    (conditional,) = make_parameters(real("x", **when("flag", True)))
    assert applies(conditional, {"flag": True})
    assert not applies(conditional, {"flag": 1})
    assert not applies(conditional, {})


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [(True, 1, False), (0, False, False), (None, "None", False), (1, 1.0, True), ("a", "a", True), (None, None, True)],
)
def test_scalars_are_equal_as_yaml_tells_them_apart(left: Any, right: Any, same: bool) -> None:
    assert same_value(left, right) is same


CLIPPED = [
    (real("x", 0, 1), 0.5, 0.5),
    (real("x", 0, 1), -3, 0.0),
    (real("x", 0, 1), 99, 1.0),
    (real("x", 0, 1, step=0.25), 0.6, 0.5),
    (real("x", 0, 0.3, step=0.1), 0.3, 0.3),
    (real("x", 0, 1, step=0.3), 1.0, 0.9),
    (real("x", -2.6, -2.3000000000000003, step=0.1), 0, -2.4),
    (whole("n", 1, 9), 3.7, 4),
    (whole("n", 1, 10, step=4), 10, 9),
    (whole("n", 1, 9), 20, 9),
    (choice("k", [True, 2]), 2, 2),
]


@pytest.mark.parametrize(("parameter", "given_value", "expected"), CLIPPED)
def test_a_value_is_moved_to_the_nearest_in_the_space(
    parameter: dict[str, Any], given_value: Any, expected: Any
) -> None:
    point, changes = clip(make_parameters(parameter), {parameter["name"]: given_value})
    assert point == {parameter["name"]: expected}
    assert bool(changes) is not same_value(given_value, expected)


@pytest.mark.parametrize(
    ("parameter", "given_value"),
    [(choice("k", ["a"]), "b"), (choice("k", [1]), True), (real("k"), "0.5"), (real("k"), True), (whole("k"), None)],
)
def test_a_value_that_is_near_to_nothing_is_left_to_the_sampler_and_told(
    parameter: dict[str, Any], given_value: Any
) -> None:
    point, (change,) = clip(make_parameters(parameter), {"k": given_value})
    assert point == {}
    assert "left to the sampler" in change


def test_a_point_loses_what_its_own_conditions_leave_out_without_a_word() -> None:
    assert clip(SVC, {"kernel": "rbf", "degree": 3}) == ({"kernel": "rbf"}, [])


def test_an_unknown_name_in_a_point_is_told() -> None:
    _, (change,) = clip(SVC, {"gamma": 1})
    assert change == "gamma: no such parameter; it is left out"


def test_a_grid_has_every_point_once_and_none_that_its_conditions_rule_out() -> None:
    points = list(grid(make_parameters(choice("k", ["a", "b"]), whole("n", 1, 5, step=2, **when("k", "b")))))
    assert points == [{"k": "a"}, {"k": "b", "n": 1}, {"k": "b", "n": 3}, {"k": "b", "n": 5}]


def test_a_float_grid_ends_at_its_maximum() -> None:
    points = list(grid(make_parameters(real("x", 0, 0.3, step=0.1))))
    assert [point["x"] for point in points] == [0, 0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ([real("a", **when("b", 1)), real("b", **when("a", 1))], "goes in a circle"),
        ([choice("k", [1, True])], "1 and True are equal: remove one"),
        ([choice("k", ["a", "a"])], "'a' and 'a' are equal"),
        ([choice("k", ["a", "b"]), real("x", **when("k", "c"))], "k is never 'c'; its values are 'a', 'b'"),
        ([choice("k", ["1"]), real("x", **when("k", 1))], "k is never 1; its values are '1'"),
        ([whole("n", 1, 5), real("x", **when("n", 2, 6))], "n is never 6; it goes from 1 to 5 by 1"),
        ([whole("n", 1, 9, step=3), real("x", **when("n", 5))], "n is never 5; it goes from 1 to 9 by 3"),
        ([whole("n", 1, 9, step=3), real("x", **when("n", 9))], "n is never 9; it goes from 1 to 9 by 3"),
        ([whole("n"), real("x", **when("n", 2.5))], "n is never 2.5"),
        ([whole("n"), real("x", **when("n", True))], "n is never True"),
        ([whole("n"), real("x", **when("n", "2"))], "n is never '2'"),
        ([whole("n"), real("x", **when("n", None))], "n is never None"),
        ([real("y", 0, 1), real("x", **when("y", 1.5))], "y is never 1.5; it goes from 0 to 1"),
        ([real("y", 0, 1, step=0.1), real("x", **when("y", 0.35))], "y is never 0.35; it goes from 0 to 1 by 0.1"),
        (
            [choice("k", ["a"]), whole("n", **when("k", "a")), whole("m", **when("n", 9)), real("x", **when("m", 1))],
            "parameters.m.when: n is never 9",
        ),
    ],
)
def test_a_space_that_makes_no_sense_is_told_with_what_to_do(parameters: list[Any], problem: str) -> None:
    (found,) = check_space(make_parameters(*parameters))
    assert problem in found


@pytest.mark.parametrize(
    "parameters",
    [
        SVC,
        make_parameters(whole("n", 1, 9, step=3), real("x", **when("n", 1, 4, 7))),
        make_parameters(whole("n"), real("x", **when("n", 2.0))),
        make_parameters(real("y", 0, 1, step=0.1), real("x", **when("y", 0.3, 0.7))),
        make_parameters(real("y", -0.3, 0.3, step=0.1), real("x", **when("y", 0))),
    ],
)
def test_a_space_that_makes_sense_has_no_problems(parameters: list[Parameter]) -> None:
    assert check_space(parameters) == []


@pytest.mark.parametrize("value", [0.3, 0.6, 0.7])
def test_a_condition_on_a_stepped_float_is_met_whatever_the_sum_of_its_steps(value: float) -> None:
    """3 * 0.1 is 0.30000000000000004, which a person writes as 0.3."""
    parameters = make_parameters(real("y", 0, 1, step=0.1), whole("n", **when("y", value)))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    points = [suggest(study.ask(), parameters) for _ in range(60)]
    assert any("n" in point for point in points)
    assert all(("n" in point) is (point["y"] == value) for point in points)


# --- Invariants, on spaces that nobody thought of

NAMES = ["a", "b", "c", "d"]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.floats(allow_nan=False), st.sampled_from(["", "rbf", "None"])
)


@st.composite
def a_parameter(draw: st.DrawFn, name: str, earlier: list[dict[str, Any]], stepped: bool) -> dict[str, Any]:
    kind = draw(st.sampled_from(["Float", "Int", "Categorical"]))
    if kind == "Categorical":
        values = draw(st.lists(SCALARS, min_size=1, max_size=3, unique_by=repr))
        distinct = [v for i, v in enumerate(values) if not any(v == earlier_one for earlier_one in values[:i])]
        made = choice(name, distinct)
    elif kind == "Int":
        low, step = draw(st.integers(-5, 5)), draw(st.integers(1, 3))
        made = whole(name, low, low + draw(st.just(0) | st.integers(step, 5)), step=step)
    else:
        lowest, width = draw(st.integers(-30, 30)) / 10, draw(st.sampled_from([0.1, 0.3, 0.25, 0.7]))
        made = real(name, lowest, lowest + draw(st.just(0) | st.integers(math.ceil(width * 10), 9)) / 10)
        made |= {"step": width} if stepped or draw(st.booleans()) else {}
    parents = [entry for entry in earlier if entry["type"] == "Categorical"]
    conditional: bool = draw(st.booleans())
    if parents and conditional:
        parent = draw(st.sampled_from(parents))
        made |= when(parent["name"], draw(st.sampled_from(parent["values"])))
    return made


@st.composite
def spaces(draw: st.DrawFn, stepped: bool = False) -> list[Parameter]:
    made: list[dict[str, Any]] = []
    for name in NAMES[: draw(st.integers(1, 3))]:
        made.append(draw(a_parameter(name, made, stepped)))
    return make_parameters(*draw(st.permutations(made)))


def _is_in(parameter: Parameter, value: Any) -> bool:
    space = distribution(parameter)
    if isinstance(space, CategoricalDistribution):
        return any(same_value(value, option) for option in space.choices)
    return space._contains(space.to_internal_repr(value))


@pytest.mark.filterwarnings("ignore:The distribution is specified by:UserWarning")
@given(spaces(), st.dictionaries(st.sampled_from([*NAMES, "unknown"]), SCALARS))
def test_clip_lands_in_the_space_and_a_second_clip_changes_nothing(
    parameters: list[Parameter], point: dict[str, Any]
) -> None:
    clipped, _ = clip(parameters, point)
    by_name = {parameter.name: parameter for parameter in parameters}
    for name, value in clipped.items():
        assert applies(by_name[name], clipped)
        assert _is_in(by_name[name], value), (name, value)
    assert clip(parameters, clipped) == (clipped, [])


@pytest.mark.filterwarnings("ignore:The distribution is specified by:UserWarning")
@given(spaces(stepped=True))
def test_grid_points_are_distinct_valid_and_whole(parameters: list[Parameter]) -> None:
    points = list(grid(parameters))
    assert len({json.dumps(point, sort_keys=True) for point in points}) == len(points)
    for point in points:
        assert clip(parameters, point) == (point, []), "a point of the grid is not in the space"
        for parameter in parameters:
            assert (parameter.name in point) is applies(parameter, point)


@given(st.integers(-20, 20), st.integers(0, 40), st.sampled_from([0.1, 0.25, 0.3, 1, 7]))
def test_a_grid_of_one_float_rises_by_its_step_up_to_the_last_that_fits(low: int, span: int, step: float) -> None:
    assume(span == 0 or step <= span / 10)
    values = [point["x"] for point in grid(make_parameters(real("x", low, low + span / 10, step=step)))]
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    assert numbers[0] == low
    assert numbers[-1] <= low + span / 10 < numbers[-1] + step + 1e-9
    assert all(right - left == pytest.approx(step) for left, right in pairwise(numbers[:-1]))
