"""Tasks in closed form: continuous, mixed and conditional. Optima are off the middle, off the first category."""

import math
from typing import Any

import numpy as np
from functions import branin, families, hartmann6, network, tree
from optuna.trial import FixedTrial

from tasks.task import Point, Task, choice, on, real, whole


def _of(objective: Any) -> Any:
    return lambda point: objective(FixedTrial(dict(point)))


def _ellipsoid() -> Task:
    """A rotated quadratic of condition 300 under a square root; the optimum is near one face."""
    rng = np.random.default_rng(31)
    turn, _ = np.linalg.qr(rng.standard_normal((7, 7)))
    optimum = rng.uniform(0.15, 0.85, 7)
    optimum[2] = 0.02
    weights = np.logspace(0, 2.5, 7) / 15

    def value(point: Point) -> float:
        away = turn @ (np.array([point[f"x{i}"] for i in range(7)]) - optimum)
        return float(np.sqrt(1 + weights @ away**2) - 1)

    return Task("ellipsoid", "continuous", [real(f"x{i}", 0, 1) for i in range(7)], value, lowest=0.0)


def _styblinski() -> Task:
    """Sixteen local optima, shifted (Styblinski and Tang 1990)."""
    shift = np.random.default_rng(32).uniform(-1, 1, 4)

    def value(point: Point) -> float:
        x = np.array([point[f"x{i}"] for i in range(4)]) - shift
        return float(np.sum(x**4 - 16 * x**2 + 5 * x) / 2)

    return Task(
        "styblinski", "continuous", [real(f"x{i}", -5, 5) for i in range(4)], value, lowest=-39.16616570377142 * 4
    )


def _ripples() -> Task:
    """Twelve dimensions, of which five matter, with ripples."""
    rng = np.random.default_rng(33)
    optimum = rng.uniform(0.1, 0.9, 12)
    weights = rng.permutation([*[3.0] * 5, *[0.15] * 7])

    def value(point: Point) -> float:
        x = np.array([point[f"x{i}"] for i in range(12)]) - optimum
        return float(weights @ np.abs(x) ** 1.7 + 0.04 * np.sum(1 - np.cos(9 * x)) + 0.8 * max(x[0] * x[3], 0) * 2)

    return Task("ripples", "continuous", [real(f"x{i}", 0, 1) for i in range(12)], value, lowest=0.0)


def _training() -> Task:
    """A training run: the rate has a cliff that moves with the batch, two others matter, the rest hardly."""
    parameters = [
        real("rate", 1e-6, 1, log=True),
        real("decay", 1e-8, 0.1, log=True),
        real("dropout", 0, 0.8),
        real("momentum", 0.5, 0.999),
        whole("batch", 8, 1024, log=True),
        whole("width", 16, 2048, log=True),
        real("warmUp", 0, 0.5),
        real("smoothing", 0, 0.4),
    ]

    def value(point: Point) -> float:
        rate = math.log10(point["rate"]) - 0.5 * (math.log10(point["batch"]) - 2)
        cliff = -2.1 + 0.3 * (point["warmUp"] > 0.05)
        slow = (rate + 2.9) ** 2
        total = 0.04 * slow / (1 + 0.12 * slow) + 0.9 / (1 + math.exp(-8 * (rate - cliff)))
        total += 0.06 / (1 + point["width"] / 200)
        total += 0.1 * (point["dropout"] - 0.35) ** 2 * (1 + math.log10(point["width"] / 16))
        total += 0.006 * (math.log10(point["decay"]) + 4.5) ** 2
        return total + 0.01 * (point["momentum"] - 0.9) ** 2 + 0.02 * (point["smoothing"] - 0.1) ** 2

    return Task("training", "mixed", parameters, value, noise=0.05)


def _recipe() -> Task:
    """Two categories that interact, whole numbers on both scales; where x is best depends on the category."""
    parameters = [
        choice("base", "s", "q", "r", "p"),
        choice("finish", "u", "v", "w"),
        whole("k", 1, 12),
        whole("m", 2, 500, log=True),
        real("x", 0, 1),
        real("y", 1e-3, 1e2, log=True),
        choice("glaze", False, True),
    ]
    bases = {"p": (0.0, 0.3), "q": (0.25, 0.6), "r": (0.08, 0.8), "s": (0.6, 0.1)}

    def value(point: Point) -> float:
        offset, best = bases[point["base"]]
        m, y = math.log10(point["m"]), math.log10(point["y"])
        total = offset + {"u": 0.2, "v": 0.0, "w": 0.05}[point["finish"]]
        total -= 0.05 * (point["base"] == "p" and point["finish"] == "w")
        total += 2 * (point["x"] - best) ** 2 + 0.005 * (point["k"] - 8) ** 2
        total += 0.15 * (y + 0.4 - 0.8 * (m - 1.5)) ** 2 + 0.1 * (m - 1.9) ** 2
        return total + (0.1 * (point["k"] < 6) if point["glaze"] else 0.04)

    return Task("recipe", "mixed", parameters, value)


def _stairs() -> Task:
    """Small whole numbers and steps with an optimum at two edges, as forests have."""
    parameters = [
        whole("depth", 1, 20),
        whole("leaf", 1, 40, log=True),
        whole("trees", 5, 200, log=True),
        real("columns", 0.05, 1),
        real("pruning", 1e-7, 0.1, log=True),
        choice("criterion", "a", "b", "c"),
    ]

    def value(point: Point) -> float:
        total = 0.6 * math.exp(-0.45 * min(point["depth"], 11)) + 0.05 * math.log(point["leaf"]) ** 1.3
        total += 0.25 / math.sqrt(point["trees"]) + 0.12 * (round(point["columns"] * 12) / 12 - 0.5) ** 2
        total += 0.18 / (1 + math.exp(-3 * (math.log10(point["pruning"]) + 2.2)))
        total += {"a": 0.01, "b": 0.0, "c": 0.03}[point["criterion"]]
        return total + 0.02 * (point["leaf"] < 3) * (point["columns"] > 0.7)

    return Task("stairs", "mixed", parameters, value, noise=0.05)


def _learners() -> Task:
    """Five learners with parameters of their own; the best is good only in a part of its space."""
    parameters = [
        choice("learner", "neighbours", "linear", "forest", "boosting", "svm"),
        choice("preparation", "raw", "standard", "pca"),
        real("kept", 0.1, 1, when=on("preparation", "pca")),
        whole("k", 1, 50, log=True, when=on("learner", "neighbours")),
        choice("distance", "l1", "l2", when=on("learner", "neighbours")),
        real("penalty", 1e-6, 1e3, log=True, when=on("learner", "linear")),
        whole("trees", 10, 500, log=True, when=on("learner", "forest")),
        whole("leaf", 1, 50, log=True, when=on("learner", "forest")),
        real("columns", 0.1, 1, when=on("learner", "forest")),
        real("rate", 1e-3, 1, log=True, when=on("learner", "boosting")),
        whole("rounds", 10, 1000, log=True, when=on("learner", "boosting")),
        whole("depth", 1, 10, when=on("learner", "boosting")),
        real("C", 1e-4, 1e4, log=True, when=on("learner", "svm")),
        real("gamma", 1e-6, 10, log=True, when=on("learner", "svm")),
    ]

    def value(point: Point) -> float:
        preparation = point["preparation"]
        return _learner_loss(point) + 0.03 * (preparation == "pca") * (1 + 4 * (point.get("kept", 1) - 0.7) ** 2)

    return Task("learners", "conditional", parameters, value, noise=0.05)


def _learner_loss(point: Point) -> float:
    raw = point["preparation"] == "raw"
    match point["learner"]:
        case "neighbours":
            away = math.log10(point["k"]) - 0.8
            return 0.19 + 0.05 * away**2 + 0.01 * (point["distance"] == "l2") + 0.15 * raw
        case "linear":
            return 0.22 + 0.01 * (math.log10(point["penalty"]) - 0.5) ** 2 + 0.05 * raw
        case "forest":
            size = 0.03 / (point["trees"] / 30) ** 0.5 + 0.06 * math.log10(point["leaf"]) ** 2
            return 0.13 + size + 0.1 * (point["columns"] - 0.35) ** 2
        case "boosting":
            away = (math.log10(point["rate"]) + 0.9 * (math.log10(point["rounds"]) - 2.2) + 1.1) ** 2
            return 0.075 + 0.09 * away / (1 + 0.1 * away) + 0.004 * (point["depth"] - 4) ** 2
        case _:
            gamma, c = math.log10(point["gamma"]) + 2.2, math.log10(point["C"]) - 1.2
            valley = 1 - math.exp(-0.35 * gamma**2 - 0.1 * (c + 0.3 * gamma) ** 2)
            return (0.085 if point["preparation"] == "standard" else 0.17) + 0.35 * valley


def _switches() -> Task:
    """Four parts, each on or off with two parameters of its own, and a rate that all share."""
    parts = {"a": (0.35, 0.7, 0.3), "b": (0.8, 0.2, -0.05), "c": (0.5, 0.9, 0.18), "d": (0.15, 0.35, 0.1)}
    parameters = [real("rate", 1e-5, 1, log=True)]
    for part in parts:
        when = on(part, True)
        parameters += [choice(part, False, True), real(f"{part}S", 0, 1, when=when)]
        parameters += [real(f"{part}T", 1e-3, 1, log=True, when=when)]

    def value(point: Point) -> float:
        total = 0.08 * (math.log10(point["rate"]) + 2.6) ** 2
        for part, (s, t, gain) in parts.items():
            if point[part]:
                at_t = (math.log10(point[f"{part}T"]) + 3) / 3
                total -= gain - 0.9 * (point[f"{part}S"] - s) ** 2 - 0.4 * (at_t - t) ** 2
        return total + 0.08 * (point["a"] and point["c"])

    return Task("switches", "conditional", parameters, value)


_BRANIN = [real("x", -5, 10), real("y", 0, 15)]
_HARTMANN = [real(f"x{i}", 0, 1) for i in range(6)]
_NETWORK = [
    real("rate", 1e-6, 1, log=True),
    whole("batch", 8, 1024, log=True),
    whole("layers", 1, 12),
    real("dropout", 0, 0.9, step=0.05),
    real("decay", 1e-8, 1e-1, log=True),
    choice("activation", "relu", "tanh", "gelu"),
    choice("optimiser", "sgd", "adam"),
]
_TREE = [
    choice("x1", 0, 1),
    real("r8", 0, 1, when=on("x1", 0)),
    real("r9", 0, 1, when=on("x1", 1)),
    choice("x2", 0, 1, when=on("x1", 0)),
    choice("x3", 0, 1, when=on("x1", 1)),
    real("x4", -1, 1, when=on("x2", 0)),
    real("x5", -1, 1, when=on("x2", 1)),
    real("x6", -1, 1, when=on("x3", 0)),
    real("x7", -1, 1, when=on("x3", 1)),
]
_FAMILIES = [
    choice("family", "forest", "neighbours", "svm"),
    real("c", 1e-4, 1e4, log=True, when=on("family", "svm")),
    real("gamma", 1e-4, 1e4, log=True, when=on("family", "svm")),
    choice("kernel", "poly", "rbf", when=on("family", "svm")),
    whole("degree", 2, 6, when=on("kernel", "poly")),
    whole("n", 1, 64, log=True, when=on("family", "neighbours")),
    real("power", 1, 4, when=on("family", "neighbours")),
    whole("depth", 1, 32, when=on("family", "forest")),
    real("features", 0.05, 1, when=on("family", "forest")),
]

ANALYTIC = [
    Task("branin", "continuous", _BRANIN, _of(branin), lowest=0.39788735772973816),
    Task("hartmann", "continuous", _HARTMANN, _of(hartmann6), lowest=-3.32236801141551),
    _styblinski(),
    _ellipsoid(),
    _ripples(),
    Task("network", "mixed", _NETWORK, _of(network), noise=0.02, lowest=0.0),
    _recipe(),
    _stairs(),
    _training(),
    Task("tree", "conditional", _TREE, _of(tree), lowest=0.1),
    Task("families", "conditional", _FAMILIES, _of(families), lowest=0.0),
    _learners(),
    _switches(),
]
