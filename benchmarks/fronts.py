"""Auto beside Optuna's TPE where there are several objectives: the hypervolume that is still missing after 25, 50 and
100 trials, as a share of what random search misses after 100. Four problems, one of them with a constraint.
"""

import argparse
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from auto import interval
from machine import describe
from numpy.typing import NDArray
from optimisers import Ours, quiet
from optuna._hypervolume import compute_hypervolume
from optuna.samplers import RandomSampler, TPESampler
from tasks.task import Point, choice, on, real, whole

from tuning_study.api.parameters import Parameter
from tuning_study.search.space import suggest

MARKS = (25, 50, 100)


@dataclass(frozen=True)
class Problem:
    """All objectives are minimised. Up to `worst` of each a point counts; a `violation` above 0 is infeasible."""

    name: str
    parameters: Sequence[Parameter]
    values: Callable[[Point], tuple[float, ...]]
    worst: tuple[float, ...]
    violation: Callable[[Point], float] | None = None


def _zdt1(point: Point) -> tuple[float, float]:
    """Zitzler, Deb and Thiele 2000."""
    x = np.array([point[f"x{i}"] for i in range(6)])
    g = 1 + 9 * x[1:].mean()
    return float(x[0]), float(g * (1 - math.sqrt(x[0] / g)))


def _dtlz2(point: Point) -> tuple[float, float, float]:
    """Deb, Thiele, Laumanns and Zitzler 2002, with three objectives."""
    x = np.array([point[f"x{i}"] for i in range(6)])
    r = 1 + float(((x[2:] - 0.5) ** 2).sum())
    a, b = x[0] * math.pi / 2, x[1] * math.pi / 2
    return r * math.cos(a) * math.cos(b), r * math.cos(a) * math.sin(b), r * math.sin(a)


def _forest(point: Point) -> tuple[float, float, float]:
    """Shaped as a model's error, size and latency: more of it errs less and costs more."""
    if point["family"] == "linear":
        return 0.2 + 0.02 * (math.log10(point["penalty"]) + 2) ** 2, 0.01, 0.02
    size = point["trees"] * 2 ** min(point["depth"], 9) / 50_000
    latency = point["trees"] * point["depth"] / 6_000 * (1.4 if point["family"] == "boosting" else 1)
    power = 0.12 * math.exp(-point["depth"] / (3 if point["family"] == "boosting" else 6)) + 0.15 / math.sqrt(
        point["trees"]
    )
    rate = 0.03 * (math.log10(point["rate"]) + 1) ** 2 if point["family"] == "boosting" else 0.02
    return 0.05 + power + rate, size, latency


def _bnh(point: Point) -> tuple[float, float]:
    """Binh and Korn 1997, with its first constraint."""
    x, y = point["x"], point["y"]
    return 4 * x**2 + 4 * y**2, (x - 5) ** 2 + (y - 5) ** 2


_UNIT = [real(f"x{i}", 0, 1) for i in range(6)]
_TREES = on("family", "forest", "boosting")
PROBLEMS = [
    Problem("ZDT1", _UNIT, _zdt1, (1.1, 6.0)),
    Problem("DTLZ2, 3 objectives", _UNIT, _dtlz2, (1.6, 1.6, 1.6)),
    Problem(
        "error, size, latency",
        [
            choice("family", "linear", "forest", "boosting"),
            real("penalty", 1e-6, 1e2, log=True, when=on("family", "linear")),
            whole("trees", 5, 500, log=True, when=_TREES),
            whole("depth", 1, 20, when=_TREES),
            real("rate", 1e-3, 1, log=True, when=on("family", "boosting")),
        ],
        _forest,
        (0.4, 1.0, 1.0),
    ),
    Problem(
        "Binh and Korn, 1 constraint",
        [real("x", 0, 5), real("y", 0, 3)],
        _bnh,
        (140.0, 50.0),
        lambda point: (point["x"] - 5) ** 2 + point["y"] ** 2 - 25,
    ),
]


def curve(problem: Problem, sampler: str, seed: int, trials: int) -> NDArray[np.float64]:
    """Dominated hypervolume after each mark."""
    directions = ["minimize"] * len(problem.worst)
    ours = Ours("Auto", problem.parameters, seed, objectives=len(problem.worst)) if sampler == "Auto" else None
    chosen = {"Random": RandomSampler, "Optuna's TPE": _tpe}.get(sampler)
    study = ours.study if ours is not None else optuna.create_study(sampler=chosen(seed=seed), directions=directions)  # type: ignore[misc]
    points, found = [], []
    for number in range(1, trials + 1):
        if ours is not None:
            ours.next_sampler()
        trial = study.ask()
        point = suggest(trial, problem.parameters)
        values = problem.values(point)
        if problem.violation is not None:
            trial.set_constraint("violation", problem.violation(point))
        study.tell(trial, values)
        if problem.violation is None or problem.violation(point) <= 0:
            points.append(np.minimum(values, problem.worst))
        if number in MARKS:
            found.append(compute_hypervolume(np.array(points), np.array(problem.worst)) if points else 0.0)
    return np.array(found)


def _tpe(seed: int) -> TPESampler:
    return TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seeds", type=int, default=10)
    given = options.parse_args()
    warnings.simplefilter("ignore")
    quiet()
    print(describe())
    missing: dict[str, list[NDArray[np.float64]]] = {"Auto": [], "Optuna's TPE": [], "Random": []}
    for problem in PROBLEMS:
        grown = {name: [curve(problem, name, seed, MARKS[-1]) for seed in range(given.seeds)] for name in missing}
        best = 1.002 * max(float(np.max(curves)) for curves in grown.values())
        unit = best - float(np.mean([each[-1] for each in grown["Random"]]))
        print(f"\n{problem.name}: hypervolume that is missing, of what random search misses after {MARKS[-1]} trials")
        for name, curves in grown.items():
            missing[name].append((best - np.array(curves)) / unit)
            told = "".join(f"{mean:8.2f}" for mean in missing[name][-1].mean(axis=0))
            print(f"{name:14}{told}", flush=True)
    difference = np.array(missing["Auto"]) - np.array(missing["Optuna's TPE"])
    low, high = interval(difference)
    print("\nAuto - Optuna's TPE, all problems, 95 %")
    for mark, mean, least, most in zip(MARKS, difference.mean(axis=(0, 1)), low, high, strict=True):
        print(f"@{mark}: {mean:+.2f} [{least:+.2f}, {most:+.2f}]")


if __name__ == "__main__":
    main()
