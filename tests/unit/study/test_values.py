"""Categories that are lists and objects: what a store holds of them, and what comes back."""

import warnings
from typing import Any

import optuna
import pytest

from builders import choice, make_parameters, make_spec, real, when
from tuning_study.api.parameters import values_of
from tuning_study.results.candidates import Candidate
from tuning_study.results.describe import describe_best, parameter_value
from tuning_study.search.samplers.grid import SharedGridSampler
from tuning_study.search.space import clip, distribution, stored_point, suggest
from tuning_study.values import stored

VALUES = [[10], [20, 10], {"class": "a.B", "args": {"x": 1}}, None, "text"]
LAYERS = make_parameters(choice("layers", VALUES))


@pytest.mark.parametrize(
    ("value", "held"),
    [
        ([20, 10], "[20, 10]"),
        ({"b": 1, "a": [None, True]}, '{"a": [null, true], "b": 1}'),
        ("[20]", "[20]"),
        (None, None),
        (True, True),
        (0.5, 0.5),
    ],
)
def test_a_store_holds_scalars_only(value: Any, held: Any) -> None:
    assert stored(value) == held


def test_the_distribution_is_one_that_optuna_takes_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        distribution(LAYERS[0])


def test_tuples_are_lists() -> None:
    assert make_parameters(choice("layers", [(10,), (20, 10)]))[0].values == [[10], [20, 10]]


@pytest.mark.parametrize("value", VALUES)
def test_a_trial_is_asked_for_the_value_itself(value: Any) -> None:
    study = optuna.create_study()
    study.enqueue_trial(stored_point({"layers": value}))
    trial = study.ask()
    assert suggest(trial, LAYERS) == {"layers": value}
    assert values_of(LAYERS, trial.params) == {"layers": value}


def test_what_an_objective_changes_is_its_own() -> None:
    study = optuna.create_study()
    study.enqueue_trial({"layers": "[10]"})
    suggest(study.ask(), LAYERS)["layers"].append(99)
    assert LAYERS[0].values == VALUES


@pytest.mark.parametrize("given", [[20, 10], "[20, 10]"])
def test_a_point_may_have_the_value_or_what_a_store_held(given: Any) -> None:
    assert clip(LAYERS, {"layers": given}) == ({"layers": [20, 10]}, [])


def test_a_point_with_another_list_is_left_to_the_sampler() -> None:
    assert clip(LAYERS, {"layers": [30]}) == ({}, ["layers: [30] is not in the space and is left to the sampler"])


@pytest.mark.parametrize(("layers", "has"), [([20, 10], True), ([10], False)])
def test_a_condition_may_name_a_list(layers: Any, has: bool) -> None:
    parameters = [*LAYERS, *make_parameters(real("x", **when("layers", [20, 10])))]
    study = optuna.create_study()
    study.enqueue_trial(stored_point({"layers": layers}))
    assert ("x" in suggest(study.ask(), parameters)) is has


def test_a_grid_walks_them() -> None:
    study = optuna.create_study(sampler=SharedGridSampler(LAYERS))
    found = [suggest(study.ask(), LAYERS)["layers"] for _ in VALUES]
    assert all(value in found for value in VALUES)


@pytest.mark.parametrize("value", VALUES)
def test_a_status_has_them_as_json(value: Any) -> None:
    spec = make_spec(parameters=[choice("layers", VALUES)])
    best = describe_best(Candidate(0, (1.0,)), spec, {"layers": stored(value)}, {})
    assert parameter_value(best.parameters[0].value) == value
