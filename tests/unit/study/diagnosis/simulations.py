"""Studies that are run in this process, with the samplers that workers use and objectives that take no time."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna

from builders import make_spec
from tuning_study.results.diagnosis import Evidence
from tuning_study.search.phases import phase_at
from tuning_study.search.strategy import Samplers
from tuning_study.seeds import trial_seed

LOSS = {"name": "loss", "direction": "Minimize"}
Objective = Callable[[optuna.Trial], float]


def simulate(objective: Objective, sampler: str, trials: int, seed: int = 0, **fields: Any) -> Evidence:
    """A study of so many trials that is over. `fields` are the manifest's."""
    strategy = {"strategy": {"sampler": {"type": sampler}}}
    spec = make_spec(**({"metrics": [LOSS], "parameters": None, "budget": {"trials": trials}} | strategy | fields))
    study, samplers = optuna.create_study(), Samplers(spec, seed)
    for number in range(trials):
        study.sampler = samplers.for_trial(phase_at(spec.phases, number), number, trial_seed(seed, number, "sampler"))
        trial = study.ask()
        study.tell(trial, objective(trial))
    return Evidence(spec, study.get_trials(deepcopy=False), over=True)


def branin(_: int) -> Objective:
    def objective(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", -5, 10), trial.suggest_float("y", 0, 15)
        a = (y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6) ** 2
        return a + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10

    return objective


def rosenbrock(_: int) -> Objective:
    def objective(trial: optuna.Trial) -> float:
        x = np.array([trial.suggest_float(f"x{i}", -5, 10) for i in range(4)])
        return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))

    return objective


def ackley(_: int) -> Objective:
    def objective(trial: optuna.Trial) -> float:
        x = np.array([trial.suggest_float(f"x{i}", -20, 32) for i in range(6)])
        waves = math.exp(np.mean(np.cos(2 * math.pi * x)))
        return float(-20 * math.exp(-0.2 * math.sqrt(np.mean(x**2))) - waves + 20 + math.e)

    return objective


def rastrigin(_: int) -> Objective:
    """Many local optima, of reals, whole numbers and steps."""

    def objective(trial: optuna.Trial) -> float:
        reals = [trial.suggest_float(f"x{i}", -4.12, 6.12) for i in range(2)]
        whole = [trial.suggest_int("n", -4, 6), trial.suggest_float("s", -4, 6, step=0.25)]
        return sum(10 + x**2 - 10 * math.cos(2 * math.pi * x) for x in [*reals, *whole])

    return objective


def half_irrelevant(_: int) -> Objective:
    """Only two of six parameters matter."""

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_float("u", 1, 10)
        trial.suggest_int("v", 5, 50)
        trial.suggest_float("w", 1e-5, 1e-1, log=True)
        trial.suggest_categorical("c", ["a", "b", "c"])
        return sum(trial.suggest_float(f"x{i}", -3, 4) ** 2 for i in range(2))

    return objective


def noisy_classifier(seed: int) -> Objective:
    """Shaped as a support vector machine's accuracy, with a conditional parameter and noise."""
    noise = np.random.default_rng(seed)

    def objective(trial: optuna.Trial) -> float:
        c, gamma = trial.suggest_float("C", 1e-3, 1e3, log=True), trial.suggest_float("gamma", 1e-5, 10, log=True)
        kernel = trial.suggest_categorical("kernel", ["rbf", "poly"])
        if kernel == "poly":
            trial.suggest_int("degree", 2, 5)
        away = (math.log10(c) - 0.7) ** 2 / 8 + (math.log10(gamma) + 1.7) ** 2 / 6
        return -0.9 * math.exp(-away) - 0.03 * (kernel == "rbf") + noise.normal(0, 0.02)

    return objective


def forest(seed: int) -> Objective:
    """Shaped as a forest's error: more trees are better and hardly matter, the smallest leaves are best."""
    noise = np.random.default_rng(seed)

    def objective(trial: optuna.Trial) -> float:
        trees, depth = trial.suggest_int("n_estimators", 50, 500), trial.suggest_int("max_depth", 2, 20)
        features, leaf = trial.suggest_float("max_features", 0.1, 1), trial.suggest_int("min_samples_leaf", 1, 20)
        shape = 0.0004 * (depth - 11) ** 2 + 0.02 * (features - 0.6) ** 2 + 0.002 * leaf
        return 0.1 * math.exp(-trees / 60) + shape + noise.normal(0, 0.004)

    return objective


HEALTHY: Mapping[str, Callable[[int], Objective]] = {
    each.__name__: each for each in (branin, rosenbrock, ackley, rastrigin, half_irrelevant, noisy_classifier, forest)
}


def noise_alone(seed: int) -> Objective:
    noise = np.random.default_rng(seed)

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_float("a", 0, 1)
        trial.suggest_float("lr", 1e-5, 1, log=True)
        trial.suggest_int("n", 1, 50)
        return float(noise.normal())

    return objective


def best_is_beyond(seed: int) -> Objective:
    """The best `depth` and `lr` lie above their ranges."""
    noise = np.random.default_rng(seed)

    def objective(trial: optuna.Trial) -> float:
        depth, lr = trial.suggest_float("depth", 1, 5), trial.suggest_float("lr", 1e-5, 1e-2, log=True)
        return (
            (depth - 7) ** 2 / 10
            + (math.log10(lr) + 1) ** 2 / 2
            + trial.suggest_float("y", -1, 2) ** 2
            + noise.normal(0, 0.02)
        )

    return objective
