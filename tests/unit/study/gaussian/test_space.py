"""Points of any search space as rows of numbers, and back."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, create_trial

from builders import Object, choice, make_parameters, real, when, whole
from tuning_study.search.samplers.gaussian.dimensions import of_manifest, of_trials
from tuning_study.search.samplers.gaussian.space import Condition, Space
from tuning_study.search.space import applies, in_order
from tuning_study.values import stored

MIXED = (
    choice("kernel", ["rbf", "poly", None]),
    real("C", 1e-3, 1e3, scale="Log"),
    whole("degree", 2, 5, **when("kernel", "poly")),
    real("coef", 0.0, 1.0, step=0.1, **when("degree", 3, 4)),
    whole("leaf", 1, 512, scale="Log"),
    choice("layers", [[10], [20, 10], True, 3]),
)


def space_of(*parameters: Object) -> Space:
    return Space(of_manifest(make_parameters(*parameters)))


@given(st.integers(0, 2**32 - 1))
def test_a_row_is_its_point_and_a_point_its_row(seed: int) -> None:
    space = space_of(*MIXED)
    rows, active = space.settled(space.random(8, np.random.default_rng(seed)))
    for row, have in zip(rows, active, strict=True):
        point = space.point(row, have)
        again, same = space.settled(space.row(point)[None])
        np.testing.assert_allclose(again[0], row, atol=1e-9)
        assert (same[0] == have).all()


@given(st.integers(0, 2**32 - 1))
def test_a_point_has_what_the_manifest_gives_it(seed: int) -> None:
    space, parameters = space_of(*MIXED), make_parameters(*MIXED)
    rows, active = space.settled(space.random(8, np.random.default_rng(seed)))
    for row, have in zip(rows, active, strict=True):
        point = space.point(row, have)
        assert set(point) == {p.name for p in in_order(parameters) if applies(p, point)}
        for dimension in space.dimensions:
            if dimension.name in point:
                value = point[dimension.name]
                assert dimension.distribution._contains(dimension.distribution.to_internal_repr(value))


@given(st.integers(0, 2**32 - 1))
def test_a_changed_row_is_another_point_of_the_space(seed: int) -> None:
    rng = np.random.default_rng(seed)
    space = space_of(*MIXED)
    rows, _ = space.settled(space.random(8, rng))
    changed = space.changed(rows, rng, np.full(8, 0.1))
    assert ((changed >= 0) | ~space.active(changed)).all()
    settled, _ = space.settled(changed)
    assert np.isfinite(settled).all()
    assert (settled != rows).any()


@pytest.mark.parametrize(
    ("parameter", "row", "value"),
    [
        (real("x", 0.0, 10.0), 0.25, 2.5),
        (real("x", 1e-2, 1e2, scale="Log"), 0.75, 10.0),
        (whole("x", 1, 4), 0.3, 2),
        (whole("x", 1, 4), 1.0, 4),
        (real("x", 0.0, 1.0, step=0.25), 0.5, 0.5),
        (choice("x", ["a", "b", None]), 2, None),
        (choice("x", [[1], [2, 3]]), 1, stored([2, 3])),
    ],
)
def test_values(parameter: Object, row: float, value: Any) -> None:
    space = space_of(parameter)
    settled, active = space.settled(np.array([[row]]))
    found = space.point(settled[0], active[0])["x"]
    assert found == pytest.approx(value) if isinstance(value, float) else found == value


def test_different_categories_are_at_a_distance_of_one_and_absent_ones_at_none() -> None:
    space = space_of(choice("kernel", ["rbf", "poly"]), choice("inner", ["a", "b"], **when("kernel", "poly")))
    rows, _ = space.settled(np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float))
    columns = space.embedded(rows)
    squares = ((columns[:, None] - columns) ** 2).sum(axis=2)
    assert squares[0, 1] == 0, "without poly there is no inner"
    assert squares[2, 3] == pytest.approx(1)


def trial(**params: Any) -> FrozenTrial:
    kinds = {
        "kernel": CategoricalDistribution(["rbf", "poly"]),
        "degree": IntDistribution(2, 5),
        "C": FloatDistribution(0, 1),
        "fixed": IntDistribution(1, 1),
    }
    return create_trial(params=params, distributions={name: kinds[name] for name in params}, value=0.0)


def test_the_space_of_an_objective_that_suggests_its_own_is_what_its_trials_show() -> None:
    trials = [trial(kernel="rbf", C=0.1, fixed=1), trial(kernel="poly", degree=3, C=0.2, fixed=1)]
    found = {dimension.name: dimension.condition for dimension in of_trials(trials)}
    assert found == {"kernel": None, "C": None, "degree": Condition("kernel", ("poly",))}


def test_a_parameter_that_comes_and_goes_without_a_category_to_explain_it_has_no_condition() -> None:
    trials = [trial(kernel="rbf", degree=2), trial(kernel="rbf"), trial(kernel="poly", degree=3)]
    assert [dimension.condition for dimension in of_trials(trials)] == [None, None]


@pytest.mark.parametrize(
    ("point", "whole"),
    [
        ({"kernel": "rbf", "C": 1.0}, True),
        ({"kernel": "poly", "C": 1.0, "degree": 2}, True),
        ({"kernel": "poly", "C": 1.0}, False),
        ({"kernel": "rbf"}, False),
    ],
)
def test_a_trial_that_failed_too_early_lacks_something(point: dict[str, Any], whole: bool) -> None:
    space = space_of(
        choice("kernel"), real("C"), {"name": "degree", "type": "Int", "min": 2, "max": 5} | when("kernel", "poly")
    )
    assert space.is_whole(point) is whole
