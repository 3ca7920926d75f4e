"""The search space: parameters to Optuna distributions, conditions resolved, points clipped into range."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from graphlib import CycleError, TopologicalSorter
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tuning_study.api.parameters import Parameter
from tuning_study.values import Scalar, Value, same_value, stored

Point = dict[str, Value]
"""A setting of parameters, with values as the manifest has them."""


def distribution(parameter: Parameter) -> BaseDistribution:
    if parameter.type == "Categorical":
        return CategoricalDistribution(parameter.choices)
    assert parameter.min is not None and parameter.max is not None  # a rule of Parameter
    log = parameter.scale == "Log"
    if parameter.type == "Int":
        return IntDistribution(int(parameter.min), int(parameter.max), log=log, step=int(parameter.step or 1))
    made = FloatDistribution(parameter.min, parameter.max, log=log, step=parameter.step)
    if made.high <= parameter.max:
        return made
    # Optuna counts steps with 28 digits; beside a huge step that may be one too many.
    return FloatDistribution(parameter.min, _at(parameter, _steps(parameter)), step=parameter.step)


def in_order(parameters: Sequence[Parameter]) -> list[Parameter]:
    """Every parameter after the one that its `when` names, if it is there; otherwise as written. Raises CycleError."""
    by_name = {parameter.name: parameter for parameter in parameters}
    graph = {p.name: [p.when.parameter] if p.when else [] for p in parameters}
    return [by_name[name] for name in TopologicalSorter(graph).static_order() if name in by_name]


def applies(parameter: Parameter, point: Mapping[str, Any]) -> bool:
    """Whether `parameter` exists in a trial that has `point` so far."""
    when = parameter.when
    return when is None or any(
        when.parameter in point and same_value(point[when.parameter], value) for value in when.values
    )


def suggest(trial: optuna.Trial, parameters: Sequence[Parameter]) -> Point:
    """Ask the trial for every parameter that exists in it."""
    point: Point = {}
    for parameter in in_order(parameters):
        if applies(parameter, point):
            point[parameter.name] = _suggest_one(trial, parameter)
    return point


def clip(parameters: Sequence[Parameter], point: Mapping[str, Value]) -> tuple[Point, list[str]]:
    """`point` moved into the space, and a sentence for each thing that had to be changed."""
    clipped: Point = {}
    changes: list[str] = []
    for parameter in in_order(parameters):
        if parameter.name not in point or not applies(parameter, clipped):
            continue
        given = parameter.value_of(point[parameter.name])
        try:
            value = _nearest(parameter, given)
        except ValueError:
            changes.append(f"{parameter.name}: {given!r} is not in the space and is left to the sampler")
            continue
        if not same_value(value, given):
            changes.append(f"{parameter.name}: {given!r} is outside the space; {value!r} is tried instead")
        clipped[parameter.name] = value
    unknown = sorted(set(point) - {parameter.name for parameter in parameters})
    changes += [f"{name}: no such parameter; it is left out" for name in unknown]
    return clipped, changes


def grid(parameters: Sequence[Parameter]) -> Iterator[Point]:
    """Every point of a space that has only steps and values, conditions respected."""

    def extend(point: Point, rest: Sequence[Parameter]) -> Iterator[Point]:
        if not rest:
            yield point
            return
        head, *tail = rest
        if not applies(head, point):
            yield from extend(point, tail)
            return
        for value in _every_value(head):
            yield from extend({**point, head.name: value}, tail)

    yield from extend({}, in_order(parameters))


def check_space(parameters: Sequence[Parameter]) -> list[str]:
    """What is wrong with the space beyond what the schema refuses; one sentence each."""
    try:
        in_order(parameters)
    except CycleError as cycle:
        names = " → ".join(cycle.args[1])
        return [f"parameters: `when` goes in a circle ({names}): remove one of these conditions"]
    by_name = {parameter.name: parameter for parameter in parameters}
    return [problem for parameter in parameters for problem in _check_one(parameter, by_name)]


def stored_point(point: Mapping[str, Value]) -> dict[str, Scalar]:
    """The point as a store holds it."""
    return {name: stored(value) for name, value in point.items()}


def _suggest_one(trial: optuna.Trial, parameter: Parameter) -> Value:
    log = parameter.scale == "Log"
    match distribution(parameter):
        case CategoricalDistribution() as categories:
            return parameter.value_of(trial.suggest_categorical(parameter.name, list(categories.choices)))
        case IntDistribution() as whole:
            return trial.suggest_int(parameter.name, whole.low, whole.high, step=whole.step, log=log)
        case FloatDistribution() as real:
            drawn = trial.suggest_float(parameter.name, real.low, real.high, step=real.step, log=log)
            return drawn if real.step is None else _nearest(parameter, drawn)  # 0.3, which a `when` may name
        case unknown:
            raise TypeError(f"{parameter.name}: {unknown!r}")


def _nearest(parameter: Parameter, given: Value) -> Value:
    """The value of the parameter that is nearest to `given`. Raises ValueError where none is near."""
    if parameter.type == "Categorical":
        for value in parameter.values or []:
            if same_value(value, given):
                return value
        raise ValueError(given)
    if isinstance(given, bool) or not isinstance(given, int | float) or math.isnan(given):
        raise ValueError(given)
    assert parameter.min is not None and parameter.max is not None  # a rule of Parameter
    bounded = min(max(float(given), parameter.min), parameter.max)
    if parameter.step is not None:
        steps = min(round((bounded - parameter.min) / parameter.step), _steps(parameter))
        bounded = _at(parameter, steps)
    return round(bounded) if parameter.type == "Int" else bounded


def _every_value(parameter: Parameter) -> Iterable[Value]:
    if parameter.type == "Categorical":
        return parameter.values or []
    low, step = _exactly(parameter.min), _exactly(parameter.step or 1)
    values = (float(low + index * step) for index in range(_steps(parameter) + 1))
    return (int(value) for value in values) if parameter.type == "Int" else values


def _at(parameter: Parameter, index: int) -> float:
    """The value `index` steps above min, as a person would write it: 0.3, not 0.1 + 0.2."""
    return float(_exactly(parameter.min) + index * _exactly(parameter.step or 1))


def _steps(parameter: Parameter) -> int:
    """How many steps fit between min and max, counted as they are written."""
    return int((_exactly(parameter.max) - _exactly(parameter.min)) / _exactly(parameter.step or 1))


def _exactly(number: float | None) -> Fraction:
    """What is written: 1/10 for 0.1."""
    assert number is not None  # a rule of Parameter
    return Fraction(str(number))


def _check_one(parameter: Parameter, by_name: Mapping[str, Parameter]) -> Iterator[str]:
    values = parameter.values or []
    equal = next(
        ((a, b) for index, b in enumerate(values) for a in values[:index] if a == b or stored(a) == stored(b)), None
    )
    if equal is not None:
        yield f"parameters.{parameter.name}.values: {equal[0]!r} and {equal[1]!r} are equal: remove one"
    if parameter.when is None or parameter.when.parameter not in by_name:
        return
    other = by_name[parameter.when.parameter]
    for value in parameter.when.values:
        if not _can_be(other, value):
            yield f"parameters.{parameter.name}.when: {other.name} is never {value!r}; {_extent(other)}"


def _can_be(parameter: Parameter, value: Value) -> bool:
    """Whether a trial may have `value`, its own condition aside."""
    if parameter.type == "Categorical":
        return any(same_value(value, choice) for choice in parameter.values or [])
    assert parameter.min is not None and parameter.max is not None  # a rule of Parameter
    if isinstance(value, bool) or not isinstance(value, int | float) or not parameter.min <= value <= parameter.max:
        return False
    return (parameter.type == "Float" and parameter.step is None) or _nearest(parameter, value) == value


def _extent(parameter: Parameter) -> str:
    if parameter.type == "Categorical":
        return f"its values are {', '.join(map(repr, parameter.values or []))}"
    step = parameter.step or (1 if parameter.type == "Int" else None)
    by = f" by {step:.15g}" if step else ""
    return f"it goes from {parameter.min:.15g} to {parameter.max:.15g}{by}"
