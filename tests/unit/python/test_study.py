"""A study that is defined in Python is the manifest that its author would have written."""

import functools
import json
import traceback
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

import tuning

SPACE = {"x": (0.0, 1.0)}


def objective(params: dict[str, Any]) -> float:
    return float(params["x"])


def spec(*args: Any, **kwargs: Any) -> dict[str, Any]:
    return tuning.Study(*args, **kwargs)._definition()


def test_a_function_and_a_space_are_enough() -> None:
    assert spec(objective, parameters=SPACE, trials=10) == {
        "metrics": [{"name": "value", "direction": "Minimize"}],
        "objective": {"python": {"function": "tuning_function:objective"}},
        "parameters": [{"name": "x", "type": "Float", "min": 0.0, "max": 1.0}],
        "budget": {"trials": 10},
    }


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ({"direction": "maximize"}, {"metrics": [{"name": "value", "direction": "Maximize"}]}),
        (
            {"metrics": {"loss": "minimize", "seconds": None}},
            {"metrics": [{"name": "loss", "direction": "Minimize"}, {"name": "seconds"}]},
        ),
        ({"duration": 90}, {"budget": {"trials": 5, "duration": "90s"}}),
        ({"duration": timedelta(minutes=2)}, {"budget": {"trials": 5, "duration": "120s"}}),
        ({"duration": "2h"}, {"budget": {"trials": 5, "duration": "2h"}}),
        (
            {"sampler": "TPE", "pruner": "Median"},
            {"strategy": {"sampler": {"type": "TPE"}, "pruner": {"type": "Median"}}},
        ),
        ({"workers": 3, "seed": 7}, {"workers": {"replicas": 3}, "seed": 7}),
        ({"spec": {"budget": {"failedTrials": 3}}}, {"budget": {"trials": 5, "failedTrials": 3}}),
    ],
)
def test_arguments(given: dict[str, Any], want: dict[str, Any]) -> None:
    assert spec(objective, parameters=SPACE, trials=5, **given).items() >= want.items()


def test_numbers_of_numpy_are_numbers() -> None:
    numbers: Any = np.array([1, 3])
    given = spec(
        objective,
        parameters={"x": tuning.Int(*numbers), "kind": tuning.Choice(numbers)},
        trials=np.int64(5),
        seed=np.int32(7),
        spec={"warmStart": {"points": [{"x": np.int64(2)}]}},
    )
    assert json.loads(json.dumps(given)) == given
    assert given["parameters"][0] | given["budget"] == {"name": "x", "type": "Int", "min": 1, "max": 3, "trials": 5}


@pytest.mark.parametrize(
    ("given", "want", "name"),
    [
        ("package.module:train_it", {"python": {"function": "package.module:train_it"}}, "train-it"),
        (
            ["python", "train.py", "--x={x}"],
            {"command": {"command": ["python"], "args": ["train.py", "--x={x}"]}},
            "study",
        ),
        ({"command": {"command": ["true"]}}, {"command": {"command": ["true"]}}, "study"),
        (lambda params: 1.0, {"python": {"function": "tuning_function:objective"}}, "study"),
        (functools.partial(objective), {"python": {"function": "tuning_function:objective"}}, "objective"),
    ],
)
def test_objectives(given: Any, want: dict[str, Any], name: str) -> None:
    study = tuning.Study(given, parameters=SPACE, trials=1)
    assert (study._definition()["objective"], study.name) == (want, name)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"direction": "up"}, "direction: 'up' is none: write 'minimize' or 'maximize'"),
        ({"direction": "maximize", "metrics": {"a": "minimize"}}, "metrics have their own"),
        ({"trials": None}, "budget"),
        ({"trials": 0}, "budget.trials"),
        ({"parameters": {"x": (1.0, 0.0)}}, r"parameters\[0\]: min must not be larger than max"),
        ({"name": "Not a name"}, "metadata.name"),
        ({"sampler": "Tpe"}, "strategy.sampler.type"),
    ],
)
def test_wrong_arguments_are_told_at_once(given: dict[str, Any], said: str) -> None:
    with pytest.raises(tuning.WrongUse, match=said):
        tuning.Study(objective, **{"parameters": SPACE, "trials": 1, **given})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sampler": "tpe"}, "strategy.sampler.type: .*; did you mean TPE?"),
        ({"pruner": "hyperbant"}, "strategy.pruner.type: .*; did you mean Hyperband?"),
        ({"sampler": {"type": "TPE", "options": {"startupTrial": 3}}}, "no option 'startupTrial'; did you mean"),
        ({"smapler": "TPE"}, "smapler: no such argument; did you mean sampler?"),
        ({"gpu": True}, "gpu: no such argument; there are direction, "),
    ],
)
def test_a_wrong_argument_is_one_error_with_the_nearest_right_name(given: dict[str, Any], said: str) -> None:
    with pytest.raises(tuning.WrongUse, match=said) as raised:
        tuning.tune(objective, **{"parameters": SPACE, "trials": 1, **given})
    told = "".join(traceback.format_exception(raised.value))
    assert told.count("Traceback") == 1, told


def test_an_unknown_name_of_the_package_lists_those_there_are() -> None:
    with pytest.raises(AttributeError, match="no attribute 'fmin'; it has Choice, Float"):
        tuning.fmin  # noqa: B018
