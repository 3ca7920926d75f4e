"""Our samplers beside Optuna's, and CmaEs beside what it was: what one suggestion costs, and how close to the optimum
as many trials come.

Pairs share function and seed. Regret is the best feasible value's distance to the optimum, as a share of what random
search is left with after as many trials; its logarithm is compared after the last trial and on average over all (the
area under its curve). Runs are kept in `--results`: a second call goes on where the first was stopped.
"""

import argparse
import json
import math
import statistics
import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import optuna
from functions import FUNCTIONS, MIXED, MULTIMODAL, Function, network
from machine import describe
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial
from scipy.stats import wilcoxon

from tuning_study.search.samplers.cma_es import CovarianceMatrixSampler
from tuning_study.search.samplers.gaussian.sampler import GaussianProcessSampler
from tuning_study.search.samplers.tpe import TreeParzenSampler


class ChoicesAtRandom(CovarianceMatrixSampler):
    """What CmaEs was before it learned categories."""

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        space = super().infer_relative_search_space(study, trial)
        return {name: each for name, each in space.items() if not isinstance(each, CategoricalDistribution)}


SAMPLERS: Mapping[str, Callable[[int], BaseSampler]] = {
    "Random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "TPE": lambda seed: TreeParzenSampler(seed=seed),
    "Optuna's TPE": lambda seed: optuna.samplers.TPESampler(
        multivariate=True, group=True, constant_liar=True, seed=seed
    ),
    "CmaEs": lambda seed: CovarianceMatrixSampler(seed=seed),
    "Optuna's CmaEs": lambda seed: optuna.samplers.CmaEsSampler(warn_independent_sampling=False, seed=seed),
    "GP": lambda seed: GaussianProcessSampler(seed=seed),
    "IPOP": lambda seed: CovarianceMatrixSampler(restarts="IPOP", seed=seed),
    "BIPOP": lambda seed: CovarianceMatrixSampler(restarts="BIPOP", seed=seed),
    "choices at random": lambda seed: ChoicesAtRandom(seed=seed),
}
COSTS = ("Random", "TPE", "Optuna's TPE", "CmaEs", "Optuna's CmaEs", "GP")


class Comparison(NamedTuple):
    ours: str
    other: str
    functions: Sequence[Function]
    trials: int | None = None
    """If it is not `--trials`."""


COMPARISONS = {
    "optuna": (
        Comparison("TPE", "Optuna's TPE", FUNCTIONS),
        Comparison("CmaEs", "Optuna's CmaEs", [function for function in FUNCTIONS if function.for_cma_es]),
    ),
    "restarts": (Comparison("IPOP", "CmaEs", MULTIMODAL, 2000), Comparison("BIPOP", "CmaEs", MULTIMODAL, 2000)),
    "choices": (Comparison("CmaEs", "choices at random", MIXED, 300), Comparison("CmaEs", "TPE", MIXED, 300)),
}
HISTORIES = (100, 1_000, 10_000)
LEAST, MOST = 1e-4, 10.0  # normalised regret is clipped: what is closer, or not even feasible, counts as this


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--results", type=Path, default=Path("samplers.jsonl"))
    options.add_argument("--seeds", type=int, default=10)
    options.add_argument("--trials", type=int, default=1000)
    options.add_argument("--costs", action=argparse.BooleanOptionalAction, default=True)
    options.add_argument("--only", choices=COMPARISONS, help="one comparison instead of all")
    given = options.parse_args()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(describe())
    if given.costs:
        print_costs()
    for comparison in COMPARISONS[given.only] if given.only else chain(*COMPARISONS.values()):
        trials = comparison.trials or given.trials
        runs = complete(given.results, comparison, given.seeds, trials)
        print_comparison(comparison, runs, given.seeds, trials)


def print_costs() -> None:
    print(
        f"\nCPU milliseconds of one suggestion of 7 mixed parameters ({network.__name__}), median, by finished trials"
    )
    print(f"{'':16}" + "".join(f"{count:>10,}" for count in HISTORIES) + f"{'ratio':>10}{'first':>10}")
    for name in COSTS:
        measured = [suggestion_cost(name, count) for count in HISTORIES]
        ratio = measured[-1][0] / measured[-2][0]
        medians = "".join(f"{median:10.1f}" for median, _ in measured)
        print(f"{name:16}{medians}{ratio:10.2f}{measured[-1][1]:10.0f}", flush=True)
    print("ratio: 10,000 to 1,000 trials; first: of a new process at 10,000, which reads them all")


def suggestion_cost(name: str, finished: int) -> tuple[float, float]:
    """Milliseconds of a suggestion by a sampler that has gone on for a while, and of its first one."""
    study = optuna.create_study(sampler=SAMPLERS["Random"](0))
    study.optimize(network, n_trials=finished)
    study.sampler = SAMPLERS[name](0)
    costs = []
    for _ in range(40):
        began = time.process_time()
        trial = study.ask()
        value = network(trial)
        costs.append((time.process_time() - began) * 1000)
        study.tell(trial, value)
    return statistics.median(costs[len(costs) // 2 :]), costs[0]


Runs = dict[tuple[str, str, int], NDArray[np.float64]]  # regret after each trial, by function, sampler and seed


def complete(results: Path, comparison: Comparison, seeds: int, trials: int) -> Runs:
    """All runs that a comparison needs: those of the file, and what was missing."""
    runs: Runs = {}
    for line in results.read_text().splitlines() if results.exists() else ():
        run = json.loads(line)
        if len(run["curve"]) >= trials:
            runs[run["function"], run["sampler"], run["seed"]] = np.array(run["curve"][:trials])
    with results.open("a") as file:
        for seed, function, sampler in product(
            range(seeds), comparison.functions, ("Random", comparison.ours, comparison.other)
        ):
            if (function.name, sampler, seed) in runs:
                continue
            curve = best_so_far(function, SAMPLERS[sampler](seed), trials)
            runs[function.name, sampler, seed] = np.array(curve)
            run = {"function": function.name, "sampler": sampler, "seed": seed}
            file.write(json.dumps(run | {"curve": [float(f"{regret:.6g}") for regret in curve]}) + "\n")
            file.flush()
    return runs


def best_so_far(function: Function, sampler: BaseSampler, trials: int) -> list[float]:
    """The regret of the best feasible trial after each trial. Of those at once the first to start ends first."""
    study = optuna.create_study(sampler=sampler)
    running: deque[tuple[optuna.Trial, float]] = deque()
    best, curve = math.inf, []
    for _ in range(trials):
        trial = study.ask()
        running.append((trial, function.objective(trial)))
        if len(running) == function.at_once:
            ended, value = running.popleft()
            feasible = all(violation <= 0 for violation in study.tell(ended, value).constraints.values())
            best = min(best, value) if feasible else best
        curve.append(best - function.least)
    return curve


def print_comparison(comparison: Comparison, runs: Runs, seeds: int, trials: int) -> None:
    ours, other = comparison.ours, comparison.other
    print(f"\n{ours} − {other}: decades of normalised regret, below 0 {ours} is closer; {trials} trials, {seeds} seeds")
    print(f"{'':22}{ours:>10}{other:>20}  {'final, 95 % interval':26}area, 95 % interval")
    finals, areas = [], []
    for function in comparison.functions:
        unit = statistics.median(runs[function.name, "Random", seed][-1] for seed in range(seeds))
        curves = {name: np.array([runs[function.name, name, seed] for seed in range(seeds)]) for name in (ours, other)}
        logs = {name: np.log10(np.clip(curve / unit, LEAST, MOST)) for name, curve in curves.items()}
        final = logs[ours][:, -1] - logs[other][:, -1]
        area = (logs[ours] - logs[other]).mean(axis=1)
        finals += list(final)
        areas += list(area)
        medians = [f"{float(np.median(curves[name][:, -1])):.2g}" for name in (ours, other)]
        print(f"{function.name:22}{medians[0]:>10}{medians[1]:>20}  {shift(final):26}{shift(area)}")
    for what, differences in (("final", finals), ("area", areas)):
        p = wilcoxon(differences).pvalue
        print(f"all {len(differences)} pairs, {what}: {shift(differences)}, Wilcoxon signed-rank p = {p:.2f}")


def shift(differences: Sequence[float]) -> str:
    """The Hodges-Lehmann estimate with the interval that belongs to the signed-rank test (Hollander and Wolfe)."""
    values, n = np.asarray(differences), len(differences)
    averages = np.sort(((values[:, None] + values) / 2)[np.triu_indices(n)])
    cut = max(int(n * (n + 1) / 4 - 1.96 * math.sqrt(n * (n + 1) * (2 * n + 1) / 24)), 0)
    return f"{np.median(averages):+.2f} [{averages[cut]:+.2f}, {averages[-1 - cut]:+.2f}]"


if __name__ == "__main__":
    main()
