"""Objectives with a known optimum that samplers are compared on: continuous, mixed, constrained and conditional."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import optuna
from numpy.typing import NDArray


@dataclass(frozen=True)
class Function:
    """To be minimised; `least` is the smallest feasible value."""

    name: str
    kind: str
    objective: Callable[[optuna.Trial], float]
    least: float
    at_once: int = 1  # trials that run side by side
    for_cma_es: bool = False


def branin(trial: optuna.Trial) -> float:
    x, y = trial.suggest_float("x", -5, 10), trial.suggest_float("y", 0, 15)
    a = (y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6) ** 2
    return a + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


_ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann6(trial: optuna.Trial) -> float:
    x = np.array([trial.suggest_float(f"x{i}", 0, 1) for i in range(6)])
    return -float(_ALPHA @ np.exp(-np.sum(_A * (x - _P) ** 2, axis=1)))


def rosenbrock5(trial: optuna.Trial) -> float:
    x = np.array([trial.suggest_float(f"x{i}", -5, 10) for i in range(5)])
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def _ackley(x: NDArray[np.float64]) -> float:
    return float(
        -20 * math.exp(-0.2 * math.sqrt(np.mean(x**2))) - math.exp(np.mean(np.cos(2 * math.pi * x))) + 20 + math.e
    )


def ackley10(trial: optuna.Trial) -> float:
    return _ackley(np.array([trial.suggest_float(f"x{i}", -20, 32) for i in range(10)]))


def ackley_categorical(trial: optuna.Trial) -> float:
    """Five of its eight coordinates are unordered."""
    unordered = [
        {"a": 1.0, "b": 0.0, "c": 2.0, "d": -1.5}[trial.suggest_categorical(f"c{i}", "abcd")] for i in range(5)
    ]
    return _ackley(np.array(unordered + [trial.suggest_float(f"x{i}", -4, 6) for i in range(3)]))


def rastrigin_mixed(trial: optuna.Trial) -> float:
    reals = [trial.suggest_float(f"x{i}", -4.12, 6.12) for i in range(2)]
    whole = [trial.suggest_int(f"n{i}", -4, 6) for i in range(2)]
    return _rastrigin(np.array([*reals, *whole, trial.suggest_float("s", -4, 6, step=0.25)]))


def _rastrigin(x: NDArray[np.float64]) -> float:
    return float(10 * len(x) + np.sum(x**2 - 10 * np.cos(2 * math.pi * x)))


def rastrigin5(trial: optuna.Trial) -> float:
    return _rastrigin(np.array([trial.suggest_float(f"x{i}", -4.12, 6.12) for i in range(5)]))


def schwefel5(trial: optuna.Trial) -> float:
    """The second best optimum is far from the best one."""
    x = np.array([trial.suggest_float(f"x{i}", -500, 500) for i in range(5)])
    return float(418.9828872724339 * len(x) - np.sum(x * np.sin(np.sqrt(np.abs(x)))))


def rastrigin_of_kinds(trial: optuna.Trial) -> float:
    reals = [trial.suggest_float(f"x{i}", -4.12, 6.12) for i in range(3)]
    whole = [trial.suggest_int(f"n{i}", -4, 6) for i in range(2)]
    unordered = [
        {"a": 1.0, "b": 2.0, "c": 0.0, "d": -1.0}[trial.suggest_categorical(f"c{i}", "abcd")] for i in range(2)
    ]
    return _rastrigin(np.array([*reals, *whole, *unordered]))


def rosenbrock_of_kinds(trial: optuna.Trial) -> float:
    """Two of six coordinates are unordered, and the best of the others hangs on them."""
    reals = [trial.suggest_float(f"x{i}", -2, 3) for i in range(4)]
    unordered = [
        {"a": 2.0, "b": 1.0, "c": -1.0, "d": 0.0}[trial.suggest_categorical(f"c{i}", "abcd")] for i in range(2)
    ]
    x = np.array([unordered[0], *reals[:2], unordered[1], *reals[2:]])
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def ellipsoid_of_kinds(trial: optuna.Trial) -> float:
    """Scales that differ a thousandfold; 3 reals, 3 ints, 3 choices, none of which acts on another."""
    reals = [trial.suggest_float(f"x{i}", -4, 6) for i in range(3)]
    whole = [trial.suggest_int(f"n{i}", -8, 12) for i in range(3)]
    unordered = [float(trial.suggest_categorical(f"c{i}", "cabde") != "a") for i in range(3)]
    return float(np.sum(10.0 ** (1.5 * np.arange(3)) * (np.array(reals) ** 2 + np.array(whole) ** 2 + unordered)))


def network(trial: optuna.Trial) -> float:
    """Shaped as a network's loss: scales that are logarithmic, an interaction, unordered choices."""
    rate = math.log10(trial.suggest_float("rate", 1e-6, 1, log=True))
    batch = math.log2(trial.suggest_int("batch", 8, 1024, log=True))
    layers = trial.suggest_int("layers", 1, 12)
    dropout = trial.suggest_float("dropout", 0, 0.9, step=0.05)
    decay = math.log10(trial.suggest_float("decay", 1e-8, 1e-1, log=True))
    activation = {"relu": 0.1, "tanh": 0.3, "gelu": 0.0}[
        trial.suggest_categorical("activation", ["relu", "tanh", "gelu"])
    ]
    optimiser = {"sgd": 1.0, "adam": 0.0}[trial.suggest_categorical("optimiser", ["sgd", "adam"])]
    misfit = (rate + 3 - 0.5 * (batch - 6) - optimiser) ** 2 + 0.05 * (layers - 4) ** 2 + 4 * (dropout - 0.3) ** 2
    return misfit + 0.1 * (decay + 4 - 0.3 * layers + 1.2) ** 2 + 0.2 * (batch - 6) ** 2 + activation + 0.2 * optimiser


def vessel(trial: optuna.Trial) -> float:
    """Pressure vessel design (Kannan and Kramer 1994): two thicknesses in steps, four constraints."""
    shell, head = (trial.suggest_float(name, 0.0625, 6.1875, step=0.0625) for name in ("shell", "head"))
    radius, length = trial.suggest_float("radius", 10, 200), trial.suggest_float("length", 10, 200)
    volume = math.pi * radius**2 * length + 4 / 3 * math.pi * radius**3
    trial.set_constraint("shell", 0.0193 * radius - shell)
    trial.set_constraint("head", 0.00954 * radius - head)
    trial.set_constraint("volume", 1 - volume / 1_296_000)
    return (
        0.6224 * shell * radius * length
        + 1.7781 * head * radius**2
        + 3.1661 * shell**2 * length
        + 19.84 * shell**2 * radius
    )


def tree(trial: optuna.Trial) -> float:
    """Jenatton et al. 2017: a binary tree of choices; each leaf has a coordinate, each half one that is shared."""
    left = trial.suggest_categorical("x1", [0, 1]) == 0
    shared = trial.suggest_float("r8" if left else "r9", 0, 1)
    second = trial.suggest_categorical("x2" if left else "x3", [0, 1])
    leaf = trial.suggest_float(f"x{4 + second + (0 if left else 2)}", -1, 1)
    return leaf**2 + (0.1, 0.2, 0.3, 0.4)[second + (0 if left else 2)] + shared


def families(trial: optuna.Trial) -> float:
    """Three model families, each with parameters of its own; one of them with a condition within."""
    match trial.suggest_categorical("family", ["svm", "neighbours", "forest"]):
        case "svm":
            c, gamma = (math.log10(trial.suggest_float(n, 1e-4, 1e4, log=True)) for n in ("c", "gamma"))
            if trial.suggest_categorical("kernel", ["rbf", "poly"]) == "poly":
                return 0.1 + 0.05 * (trial.suggest_int("degree", 2, 6) - 3) ** 2 + 0.1 * (c - 1) ** 2 + 0.1 * gamma**2
            return 0.1 * (c - 2 + gamma) ** 2 + 0.1 * (gamma + 1.5) ** 2
        case "neighbours":
            return (
                0.2 + 0.01 * abs(trial.suggest_int("n", 1, 64, log=True) - 7) + trial.suggest_float("power", 1, 4) / 20
            )
        case _:
            depth, features = trial.suggest_int("depth", 1, 32), trial.suggest_float("features", 0.05, 1)
            return 0.05 + 0.002 * abs(depth - 20) + 0.5 * (features - 0.4) ** 2


FUNCTIONS = (
    Function("Branin", "2 reals", branin, 0.39788735772973816, for_cma_es=True),
    Function("Hartmann", "6 reals", hartmann6, -3.32236801141551, for_cma_es=True),
    Function("Rosenbrock", "5 reals", rosenbrock5, 0.0, for_cma_es=True),
    Function("Ackley", "10 reals", ackley10, 0.0, for_cma_es=True),
    Function("Rastrigin", "2 reals, 2 ints, 1 step", rastrigin_mixed, 0.0, for_cma_es=True),
    Function("Ackley of choices", "3 reals, 5 choices", ackley_categorical, 0.0),
    Function("Network", "2 logs, int log, int, step, 2 choices", network, 0.0),
    Function("Vessel", "2 steps, 2 reals, 3 constraints", vessel, 6059.714335),
    Function("Tree", "conditional, 9", tree, 0.1),
    Function("Families", "conditional, 8", families, 0.0),
    Function("Hartmann, 8 at once", "6 reals", hartmann6, -3.32236801141551, at_once=8, for_cma_es=True),
    Function("Families, 8 at once", "conditional, 8", families, 0.0, at_once=8),
)
MULTIMODAL = (
    Function("Rastrigin, 5", "5 reals", rastrigin5, 0.0),
    Function("Ackley, 10", "10 reals", ackley10, 0.0),
    Function("Schwefel, 5", "5 reals", schwefel5, 0.0),
)
MIXED = (
    Function("Ackley of choices", "3 reals, 5 choices", ackley_categorical, 0.0),
    Function("Network", "2 logs, int log, int, step, 2 choices", network, 0.0),
    Function("Rastrigin of kinds", "3 reals, 2 ints, 2 choices", rastrigin_of_kinds, 0.0),
    Function("Rosenbrock of kinds", "4 reals, 2 choices", rosenbrock_of_kinds, 0.0),
    Function("Ellipsoid of kinds", "3 reals, 3 ints, 3 choices", ellipsoid_of_kinds, 0.0),
)
