"""What an earlier study tuned: a task of the yardstick, changed, or its estimator on other data."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_friedman1
from sklearn.model_selection import cross_val_score

from tasks.references import scale
from tasks.surrogates import PROBLEMS
from tasks.task import Point, Task, at, place
from tuning_study.api.parameters import Parameter

LIKENESSES = ("near", "middling", "misleading")
_SHIFT = {"near": 0.05, "middling": 0.15, "misleading": 0.0}  # standard deviations of the optimum's, in ranges
_NOISE = {"near": 2.0, "middling": 0.5, "misleading": 1.0}  # of the task's own


def related(task: Task, likeness: str, seed: int) -> Task:
    """The task with another optimum, scale of values and noise.

    Near: every number's range is shifted a little. Middling: more, two values of one category change places, and values
    are bent. Misleading: ranges are mirrored, categories reversed, and the values of one that others depend on are made
    better or worse by chance.
    """
    rng = np.random.default_rng([23, sum(map(ord, task.name)), seed, LIKENESSES.index(likeness)])
    shifts = {p.name: _SHIFT[likeness] * rng.standard_normal() for p in task.parameters}
    parents = {p.when.parameter for p in task.parameters if p.when}
    orders = _orders([p for p in task.parameters if p.choices and p.name not in parents], likeness, rng)
    gains = _gains([p for p in task.parameters if p.choices and p.name in parents], likeness, rng)
    reference, by_name = scale(task.name), {p.name: p for p in task.parameters}

    def moved(name: str, value: Any) -> float:
        parameter = by_name[name]
        if parameter.choices:
            index = parameter.choices.index(value)
            return (orders.get(name, range(len(parameter.choices)))[index] + 0.5) / len(parameter.choices)
        if likeness == "misleading":
            return 1 - place(parameter, value)
        there = abs(place(parameter, value) + shifts[name])
        return float(min(there if there <= 1 else 2 - there, 1 - 1e-9))

    def value(point: Point) -> float:
        places = {name: moved(name, given) for name, given in point.items()}
        there = at(task.parameters, {name: places.get(name, 0.5) for name in by_name})
        regret = (task.value(there) - reference.lowest) / (reference.median - reference.lowest)
        if likeness == "near":
            return 3 + 2 * regret
        if likeness == "middling":
            return 0.5 * float(max(regret, 0.0) ** 0.7)
        return float(
            regret
            + sum(gain[by_name[name].choices.index(point[name])] for name, gain in gains.items() if name in point)
        )

    quarter = (reference.quarter - reference.lowest) / (reference.median - reference.lowest)
    return replace(task, value=value, noise=_NOISE[likeness] * task.noise * quarter)


def _orders(categories: Sequence[Parameter], likeness: str, rng: np.random.Generator) -> Mapping[str, list[int]]:
    orders = {p.name: list(range(len(p.choices))) for p in categories}
    if likeness == "misleading":
        return {name: order[::-1] for name, order in orders.items()}
    if likeness == "middling" and orders:
        order = orders[str(rng.choice(sorted(orders)))]
        one, other = rng.choice(len(order), 2, replace=False)
        order[one], order[other] = order[other], order[one]
    return orders


def _gains(parents: Sequence[Parameter], likeness: str, rng: np.random.Generator) -> Mapping[str, Any]:
    """What each value of a category that others depend on adds."""
    if likeness != "misleading":
        return {}
    return {p.name: rng.permutation(np.linspace(0, 1, len(p.choices))) for p in parents}


def _other_digits() -> tuple[Any, Any]:
    data, target = load_digits(return_X_y=True)
    return data[700:1400], target[700:1400]


_wine = cache(lambda: load_wine(return_X_y=True))
_breast_cancer = cache(lambda: load_breast_cancer(return_X_y=True))
OTHER_DATA: Mapping[str, Mapping[str, Callable[[], tuple[Any, Any]]]] = {
    "svm on digits": {"wine": _wine, "breast cancer": _breast_cancer, "other digits": _other_digits},
    "forest on breast cancer": {"wine": _wine, "digits": _other_digits},
    "boosting on diabetes": {"Friedman": lambda: make_friedman1(400, noise=1, random_state=0)},
    "linear on wine": {"breast cancer": _breast_cancer},
    "network on digits": {"wine": _wine, "breast cancer": _breast_cancer, "other digits": _other_digits},
    "pipeline on digits": {"other digits": _other_digits},
}


def on_other_data(task: Task, data: str) -> Task:
    """The task's estimator, cross-validated on other data in every trial."""
    problem = PROBLEMS[task.name]
    rows, target = OTHER_DATA[task.name][data]()

    def value(point: Point) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores = cross_val_score(problem.estimator(point), rows, target, cv=3, scoring=problem.scoring)
        return -float(np.mean(scores))

    return replace(task, value=value, noise=0.0)
