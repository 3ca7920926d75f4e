"""What a task is: a space as a manifest has it, a value to be minimised, and the scale on which regret is read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuning_study.api.parameters import Parameter
from tuning_study.search.space import applies, distribution, in_order

Point = Mapping[str, Any]


@dataclass(frozen=True)
class Task:
    name: str
    kind: str  # continuous, mixed, conditional or surrogate
    parameters: Sequence[Parameter]
    value: Callable[[Point], float]  # of the parameters that apply, without noise
    noise: float = 0.0
    """Standard deviation of what a trial sees, as a share of the distance between the lowest value and the quarter of
    random points that is best."""
    lowest: float | None = None
    """If it is known."""


@dataclass(frozen=True)
class Scale:
    """Of random points' values, and the lowest value known. Regret is 0 there, and 1 at the median of random points."""

    lowest: float
    quarter: float
    median: float

    def regret(self, value: float) -> float:
        return min(max((value - self.lowest) / (self.median - self.lowest), 0.0), 1.0)


def real(
    name: str,
    low: float,
    high: float,
    log: bool = False,
    step: float | None = None,
    when: dict[str, Any] | None = None,
) -> Parameter:
    return _number("Float", name, low, high, log, when, step)


def whole(name: str, low: int, high: int, log: bool = False, when: dict[str, Any] | None = None) -> Parameter:
    return _number("Int", name, low, high, log, when)


def choice(name: str, *values: Any, when: dict[str, Any] | None = None) -> Parameter:
    return Parameter.model_validate({"name": name, "type": "Categorical", "values": list(values), "when": when})


def on(parameter: str, *values: Any) -> dict[str, Any]:
    """The condition under which a parameter applies."""
    return {"parameter": parameter, "values": list(values)}


def _number(
    kind: str,
    name: str,
    low: float,
    high: float,
    log: bool,
    when: dict[str, Any] | None,
    step: float | None = None,
) -> Parameter:
    fields = {"name": name, "type": kind, "min": low, "max": high, "scale": "Log" if log else "Linear"}
    return Parameter.model_validate(fields | {"step": step, "when": when})


def at(parameters: Sequence[Parameter], places: Mapping[str, float]) -> dict[str, Any]:
    """The point at these places of the ranges, from 0 to 1, on each parameter's own scale."""
    point: dict[str, Any] = {}
    for parameter in in_order(parameters):
        if applies(parameter, point):
            point[parameter.name] = _at(parameter, places[parameter.name])
    return point


def place(parameter: Parameter, value: Any) -> float:
    """Where a value stands in its range, from 0 to 1; of a choice, the middle of its share."""
    if parameter.type == "Categorical":
        return (parameter.choices.index(value) + 0.5) / len(parameter.choices)
    low, high = _bounds(parameter)
    x = np.log(value) if parameter.scale == "Log" else value
    return float((x - low) / (high - low))


def random_point(parameters: Sequence[Parameter], rng: np.random.Generator) -> dict[str, Any]:
    return at(parameters, {parameter.name: rng.random() for parameter in parameters})


def _at(parameter: Parameter, share: float) -> Any:
    if parameter.type == "Categorical":
        return parameter.choices[min(int(share * len(parameter.choices)), len(parameter.choices) - 1)]
    low, high = _bounds(parameter)
    x = low + share * (high - low)
    x = float(np.exp(x)) if parameter.scale == "Log" else x
    kind = distribution(parameter)
    if parameter.step:
        x = low + round((x - low) / parameter.step) * parameter.step
    if parameter.type == "Int":
        return int(min(max(round(x), kind.low), kind.high))  # type: ignore[attr-defined]
    return float(min(max(x, kind.low), kind.high))  # type: ignore[attr-defined]


def _bounds(parameter: Parameter) -> tuple[float, float]:
    assert parameter.min is not None and parameter.max is not None
    low, high = float(parameter.min), float(parameter.max)
    if parameter.type == "Int":  # each number has the same share of the range
        low, high = low - 0.5, high + 0.5
    return (float(np.log(low)), float(np.log(high))) if parameter.scale == "Log" else (low, high)
