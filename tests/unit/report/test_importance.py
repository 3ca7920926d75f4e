import random
from typing import Any

import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, create_trial

from tuning_report.importance import Importance, importances
from tuning_report.round_history import History
from unit.report.histories import history

ACCURACY = [{"name": "accuracy", "direction": "Maximize"}]
UNIT = FloatDistribution(0, 1)


def complete(params: dict[str, Any], value: float) -> FrozenTrial:
    kinds: dict[str, BaseDistribution] = {
        name: CategoricalDistribution((True, False)) if isinstance(v, bool) else UNIT for name, v in params.items()
    }
    return create_trial(values=[value], params=params, distributions=kinds)


def decided_by_x(trials: int) -> History:
    """`x` decides, `y` does nothing."""
    draw = random.Random(1)
    points = [{"x": draw.random(), "y": draw.random()} for _ in range(trials)]
    return history(ACCURACY, [complete(point, point["x"]) for point in points])


def by_name(found: History) -> dict[str, Importance]:
    return {entry["parameter"]: entry for entry in importances(found)[0]["parameters"]}


def test_what_decides_stands_clear_of_chance_and_what_does_nothing_does_not() -> None:
    found = by_name(decided_by_x(200))
    assert list(found) == ["x", "y"]
    assert found["x"]["value"] == 1
    assert found["x"]["low"] > found["x"]["chance"]
    assert found["y"]["low"] < found["y"]["chance"]


def test_few_trials_have_a_wide_spread() -> None:
    few, many = by_name(decided_by_x(12)), by_name(decided_by_x(200))
    assert few["y"]["high"] - few["y"]["low"] > 3 * (many["y"]["high"] - many["y"]["low"])


@pytest.mark.parametrize(
    "found",
    [
        decided_by_x(9),
        history(ACCURACY, [complete({"x": 0.5}, index / 20) for index in range(20)]),
        history(ACCURACY, [complete({}, index / 20) for index in range(20)]),
        history(ACCURACY, [complete({"x": 0.5}, float("inf")) for _ in range(20)]),
        history(ACCURACY, []),
    ],
    ids=["too few", "never varied", "no parameter", "infinite", "no trial"],
)
def test_nothing_is_told_where_nothing_can_be(found: History) -> None:
    assert importances(found)[0]["parameters"] == []


def test_a_conditional_parameter_says_in_how_many_trials_it_was() -> None:
    draw = random.Random(2)
    points: list[dict[str, Any]] = [{"x": draw.random(), "deep": draw.random() < 0.5} for _ in range(100)]
    for point in points:
        if point["deep"]:
            point["layers"] = draw.random()
    found = by_name(history(ACCURACY, [complete(p, p["x"] + p.get("layers", 0)) for p in points]))
    assert found["layers"]["trials"] == sum("layers" in point for point in points) < 100


def test_there_is_one_for_each_objective_and_the_same_history_gives_the_same() -> None:
    two = [{"name": "loss", "direction": "Minimize"}, {"name": "size", "direction": "Minimize"}]
    draw = random.Random(3)
    points = [{"x": draw.random(), "y": draw.random()} for _ in range(60)]
    trials = [create_trial(values=[p["x"], -p["y"]], params=p, distributions={"x": UNIT, "y": UNIT}) for p in points]
    found = importances(history(two, trials))
    assert [(entry["objective"], entry["parameters"][0]["parameter"]) for entry in found] == [
        ("loss", "x"),
        ("size", "y"),
    ]
    assert importances(history(two, trials)) == found
