"""A study's spec from the arguments that people give in Python. Pure; used by Study."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from tuning.parameters import Parameters, manifest_of
from tuning.shipping import FUNCTION, MODULE
from tuning_client.exceptions import WrongUse
from tuning_study.api.resource import NAME_LENGTH
from tuning_study.values import plain

Objective = Callable[..., Any] | str | Sequence[str] | Mapping[str, Any]
"""A function of a dict of parameters, or of an optuna.Trial where its argument is called `trial`. `"module:function"`
names one; a list of words is a command; a mapping is the manifest's `objective`."""
Metrics = Mapping[str, str | None] | Sequence[Mapping[str, Any]]
"""Directions by name, None for a metric that is only recorded; a list is the manifest's own form."""
Duration = timedelta | float | str
"""A number is in seconds, a text the manifest's own form."""


def spec_of(
    objective: Objective,
    *,
    parameters: Parameters,
    trials: int | None,
    duration: Duration | None,
    direction: str | None,
    metrics: Metrics | None,
    workers: int | None,
    sampler: str | Mapping[str, Any] | None,
    pruner: str | Mapping[str, Any] | None,
    seed: int | None,
    spec: Mapping[str, Any],
) -> dict[str, Any]:
    """The manifest's spec; what `spec` has of one part joins what the arguments say of it. Raises WrongUse."""
    document = dict(spec)
    if direction or metrics or not document.get("metrics"):
        document["metrics"] = _metrics(direction, metrics)
    document["objective"] = _objective(objective)
    if parameters:
        document["parameters"] = manifest_of(parameters)
    document["budget"] = _budget(trials, duration) | dict(document.get("budget") or {})
    if sampler is not None or pruner is not None:
        document["strategy"] = _strategy(sampler, pruner) | dict(document.get("strategy") or {})
    if workers is not None:
        document["workers"] = {"replicas": workers} | dict(document.get("workers") or {})
    if seed is not None:
        document["seed"] = seed
    return {key: plain(value) for key, value in document.items()}


def name_for(objective: Objective) -> str:
    """`train_model` as `train-model`; `study` for what has no name."""
    named = objective.func if isinstance(objective, partial) else objective
    given = getattr(named, "__name__", "") if callable(objective) else ""
    if isinstance(objective, str):
        given = objective.rpartition(":")[2]
    name = re.sub(r"[^a-z0-9]+", "-", given.lower()).strip("-")[:NAME_LENGTH].strip("-")
    return name if name and name != "lambda" and name[0].isalpha() else "study"


def _metrics(direction: str | None, metrics: Metrics | None) -> list[dict[str, Any]]:
    if metrics is None:
        return [{"name": "value", "direction": _direction(direction or "minimize")}]
    if direction is not None:
        raise WrongUse('direction: metrics have their own: metrics={"accuracy": "maximize"}')
    if isinstance(metrics, Mapping):
        return [
            {"name": name, **({"direction": _direction(wanted)} if wanted is not None else {})}
            for name, wanted in metrics.items()
        ]
    return [dict(metric) for metric in metrics]


def _direction(given: str) -> str:
    found = {"minimize": "Minimize", "min": "Minimize", "maximize": "Maximize", "max": "Maximize"}.get(given.lower())
    if found is None:
        raise WrongUse(f"direction: {given!r} is none: write 'minimize' or 'maximize'")
    return found


def _objective(objective: Objective) -> dict[str, Any]:
    if callable(objective):
        return {"python": {"function": f"{MODULE}:{FUNCTION}"}}
    if isinstance(objective, str):
        return {"python": {"function": objective}}
    if isinstance(objective, Mapping):
        return dict(objective)
    command, *args = objective
    return {"command": {"command": [command], "args": args}}


def _budget(trials: int | None, duration: Duration | None) -> dict[str, Any]:
    budget: dict[str, Any] = {"trials": trials} if trials is not None else {}
    match duration:
        case timedelta():
            budget["duration"] = f"{duration.total_seconds():g}s"
        case int() | float():
            budget["duration"] = f"{duration:g}s"
        case str():
            budget["duration"] = duration
    return budget


def _strategy(sampler: str | Mapping[str, Any] | None, pruner: str | Mapping[str, Any] | None) -> dict[str, Any]:
    given = {"sampler": sampler, "pruner": pruner}
    wanted = {key: value for key, value in given.items() if value is not None}
    return {key: {"type": value} if isinstance(value, str) else dict(value) for key, value in wanted.items()}
