"""What a portfolio's first settings do for Auto on a data set that the portfolio was made without.

Auto runs with the first 0, 3 and 5 settings tried first, paired by family, data set and seed. The quick families are
fitted for each trial; for the others a forest stands for the data set, fitted to what its settings scored. Regret is 0
at the best that any run or random setting came to, and 100 at the median of random settings.
"""

import argparse
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from auto import interval
from numpy.typing import NDArray
from optimisers import Ours
from portfolio import SIZE, Regrets, regrets_of, rounded
from portfolio_data import DataSet
from portfolio_matrix import Cell, Scores, read, score, settings
from sklearn.ensemble import ExtraTreesRegressor
from tasks.task import Point, place

from tuning_client.starting.families import families
from tuning_study.api.parameters import Parameter
from tuning_study.search.greedy import greedy_portfolio
from tuning_study.search.space import stored_point

MARKS = (10, 25, 50)
TRIED = (0, 3, 5)
FITTED = ("logistic", "svm", "knn", "lightgbm", "xgboost")
"""Families whose trials take a tenth of a second."""

Floats = NDArray[np.float64]


class Run(NamedTuple):
    family: str
    data_set: str
    seed: int
    tried: int


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--matrix", type=Path, default=Path(os.environ.get("PORTFOLIO_RESULTS", "portfolio.jsonl")))
    options.add_argument("--results", type=Path, help="by default beside the matrix")
    options.add_argument("--families", default=",".join(families()))
    options.add_argument("--data-sets", type=int, default=12, help="how many are left out in turn")
    options.add_argument("--seeds", type=int, default=2)
    given = options.parse_args()
    scores = read(given.matrix)
    names = given.families.split(",")
    results = given.results or given.matrix.with_suffix(".auto.jsonl")
    print_table(complete(names, scores, results, given.data_sets, given.seeds), scores)


def complete(
    names: Sequence[str], scores: Mapping[Cell, Scores], results: Path, data_sets: int, seeds: int
) -> dict[Run, list[float]]:
    """The best score after each mark, of the file and of what was missing there."""
    known = dict(_lines(results))
    measured = {name: regrets_of(name, scores) for name in names}
    with results.open("a") as file:
        for seed, index, name in product(range(seeds), range(data_sets), names):
            if index >= len(measured[name].data_sets):
                continue
            data_set = measured[name].data_sets[index]
            for tried in TRIED:
                run = Run(name, data_set.name, seed, tried)
                if run not in known:
                    known[run] = carry_out(run, measured[name], index, scores)
                    file.write(json.dumps([*run, known[run]]) + "\n")
                    file.flush()
    return {run: best for run, best in known.items() if run.family in names and run.seed < seeds}


def _lines(results: Path) -> Iterator[tuple[Run, list[float]]]:
    for line in results.read_text().splitlines() if results.exists() else ():
        *run, best = json.loads(line)
        yield Run(*run), best


def carry_out(run: Run, measured: Regrets, index: int, scores: Mapping[Cell, Scores]) -> list[float]:
    parameters = [tuned.parameter for tuned in families()[run.family].tuned("classifier")]
    others = [other for other in range(len(measured.data_sets)) if other != index]
    first = greedy_portfolio(measured.balanced[:, others], SIZE)[: run.tried]
    value = _value(run.family, measured.data_sets[index], scores)
    auto = Ours("Auto", parameters, run.seed)
    for row in first:
        auto.study.enqueue_trial(stored_point(rounded(settings(run.family)[1 + row])))
    best, found = -np.inf, []
    for number in range(1, max(MARKS) + 1):
        point, asked = auto.ask()
        reached = value(point)
        auto.tell(asked, -reached)
        best = max(best, reached)
        if number in MARKS:
            found.append(round(float(best), 5))
    return found


def _value(name: str, data_set: DataSet, scores: Mapping[Cell, Scores]) -> Callable[[Point], float]:
    if name in FITTED:
        return lambda point: score(families()[name], data_set, point).balanced
    return stand_in(name, data_set, scores)


def stand_in(name: str, data_set: DataSet, scores: Mapping[Cell, Scores]) -> Callable[[Point], float]:
    """A forest's guess of the score, from those of the data set's settings."""
    parameters = [tuned.parameter for tuned in families()[name].tuned("classifier")]
    drawn = settings(name)[1:]
    reached = [scores[Cell(name, data_set.name, 1 + number)].balanced for number in range(len(drawn))]
    forest = ExtraTreesRegressor(100, max_features=0.7, random_state=0, n_jobs=1)
    forest.fit([_row(parameters, point) for point in drawn], reached)
    return lambda point: float(forest.predict([_row(parameters, point)])[0])


def _row(parameters: Sequence[Parameter], point: Mapping[str, Any]) -> list[float]:
    held = stored_point(point)
    return [place(p, held[p.name]) if p.name in held else -0.5 for p in parameters]


def print_table(found: Mapping[Run, list[float]], scores: Mapping[Cell, Scores]) -> None:
    """Of the tasks whose runs are all there."""
    seeds = sorted({run.seed for run in found})
    tasks = sorted({(run.family, run.data_set) for run in found})
    whole = [t for t in tasks if all(Run(*t, seed, tried) in found for seed in seeds for tried in TRIED)]
    regrets = {tried: np.array([_regrets(task, tried, seeds, found, scores) for task in whole]) for tried in TRIED}
    print(f"Regret x 100 after {MARKS} trials; {len(whole)} of a family and a data set, {len(seeds)} seeds")
    for name in [*dict.fromkeys(family for family, _ in whole), "all"]:
        rows = [index for index, task in enumerate(whole) if name in (task[0], "all")]
        cells = (" ".join(f"{mean:5.1f}" for mean in regrets[tried][rows].mean(axis=(0, 1))) for tried in TRIED)
        kind = "fitted" if name in FITTED else "forest" if name != "all" else ""
        print(f"{name:24}{kind:8}" + "".join(f"{tried}: {cell:22}" for tried, cell in zip(TRIED, cells, strict=True)))
    for label, families_of in (("all", set(families())), ("fitted alone", set(FITTED))):
        rows = [index for index, task in enumerate(whole) if task[0] in families_of]
        for tried in TRIED[1:]:
            difference = regrets[tried][rows] - regrets[0][rows]
            low, high = interval(difference)
            cells = "  ".join(
                f"{mean:+.1f} [{least:+.1f}, {most:+.1f}]"
                for mean, least, most in zip(difference.mean(axis=(0, 1)), low, high, strict=True)
            )
            print(f"{label}: {tried} first - none{'':6}{cells}")


def _regrets(
    task: tuple[str, str],
    tried: int,
    seeds: Sequence[int],
    found: Mapping[Run, list[float]],
    scores: Mapping[Cell, Scores],
) -> list[list[float]]:
    """By seed and mark."""
    family, data_set = task
    drawn = [scores[Cell(family, data_set, 1 + n)].balanced for n in range(len(settings(family)) - 1)]
    highest = max(*drawn, *(best[-1] for run, best in found.items() if run[:2] == task))
    median = float(np.median(drawn))
    scale = max(highest - median, 1e-9)
    return [[100 * min((highest - best) / scale, 1.0) for best in found[Run(*task, seed, tried)]] for seed in seeds]


if __name__ == "__main__":
    main()
