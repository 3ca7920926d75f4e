"""Samplers for few trials beside each other: how far from the best known value each is after 10 to 200 trials.

Regret is 0 at the lowest value known and 100 at the median of random points; it is that of the trial which looks best,
noise and all. Runs are paired by task and seed; intervals are 95 %, bootstrap over tasks and seeds. Runs are kept in
`--results`: a second call goes on where the first was stopped, and peers that need an environment of their own add
theirs from there.
"""

import argparse
import heapq
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from machine import describe
from numpy.typing import NDArray
from optimisers import OPTIMISERS
from tasks.analytic import ANALYTIC
from tasks.references import scale
from tasks.surrogates import SURROGATES
from tasks.task import Point, Task, at, place

from tuning_study.api.parameters import Parameter

MARKS = (10, 25, 50, 100, 200)
TASKS = {task.name: task for task in [*ANALYTIC, *SURROGATES]}
_RESAMPLES = 4000


class Run(NamedTuple):
    task: str
    optimiser: str
    seed: int
    workers: int
    distorted: bool


class Outcome(NamedTuple):
    regret: list[float]
    """At each mark, in hundredths."""
    milliseconds: list[float]
    """CPU time of each suggestion, what is told of it included."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--results", type=Path, default=Path(os.environ.get("AUTO_RESULTS", "auto.jsonl")))
    options.add_argument("--optimisers", default="Auto,TPE,Optuna's TPE,Random")
    options.add_argument("--against", default="Optuna's TPE")
    options.add_argument("--tasks", default=",".join(TASKS))
    options.add_argument("--seeds", type=int, default=10)
    options.add_argument("--first-seed", type=int, default=0)
    options.add_argument("--trials", type=int, default=200)
    options.add_argument("--workers", type=int, default=1)
    options.add_argument("--distorted", action="store_true", help="categories in random order, scales bent")
    options.add_argument("--processes", type=int, default=1)
    given = options.parse_args()
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    wanted = [
        Run(task, optimiser, seed, given.workers, given.distorted)
        for seed, task, optimiser in product(seeds, given.tasks.split(","), given.optimisers.split(","))
    ]
    print(describe())
    print_table(complete(wanted, given.trials, given.results, given.processes), given.against)


def complete(wanted: Sequence[Run], trials: int, results: Path, processes: int) -> Mapping[Run, Outcome]:
    """The outcomes of the file, and of what was missing there."""
    known = {run: outcome for run, outcome in recorded(results) if len(outcome.milliseconds) >= trials}
    missing = [(run, trials) for run in wanted if run not in known]
    with results.open("a") as file, get_context("spawn").Pool(processes) as pool:
        for run, outcome in pool.imap_unordered(_carried_out, missing):
            known[run] = outcome
            file.write(json.dumps(run._asdict() | outcome._asdict()) + "\n")
            file.flush()
    marks = sum(mark <= trials for mark in MARKS)
    return {run: Outcome(known[run].regret[:marks], known[run].milliseconds[:trials]) for run in wanted}


def recorded(results: Path) -> Iterator[tuple[Run, Outcome]]:
    for line in results.read_text().splitlines() if results.exists() else ():
        fields = json.loads(line)
        yield (
            Run(*(fields[name] for name in Run._fields)),
            Outcome(fields["regret"], fields["milliseconds"]),
        )


def _carried_out(asked: tuple[Run, int]) -> tuple[Run, Outcome]:
    run, trials = asked
    return run, carry_out(run, trials)


def carry_out(run: Run, trials: int) -> Outcome:
    """Workers ask one after another and tell when their trials end, which take random times; marks count ended ones."""
    task = _distorted(TASKS[run.task]) if run.distorted else TASKS[run.task]
    reference = scale(run.task)
    deviation = task.noise * (reference.quarter - reference.lowest)
    rng = np.random.default_rng([7919, run.seed])
    optimiser = OPTIMISERS[run.optimiser](task.parameters, run.seed, trials)
    running: list[tuple[float, int, Any, float]] = []
    seen, incumbent, regret, spent = np.inf, np.inf, [], []
    clock = 0.0
    for number in range(trials + run.workers - 1):
        began = time.process_time()
        point, asked = optimiser.ask()
        spent.append(time.process_time() - began)
        heapq.heappush(running, (clock + rng.lognormal(0, 0.5), number, asked, task.value(point)))
        if len(running) < run.workers:
            continue
        clock, ended, asked, value = heapq.heappop(running)
        noisy = value + deviation * float(rng.standard_normal())
        if noisy < seen:
            seen, incumbent = noisy, value
        began = time.process_time()
        optimiser.tell(asked, noisy)
        spent[ended] += time.process_time() - began
        if number + 2 - run.workers in MARKS:
            regret.append(round(100 * reference.regret(incumbent), 4))
    return Outcome(regret, [round(1000 * seconds, 2) for seconds in spent[:trials]])


def _distorted(task: Task) -> Task:
    """The same task in a space that nobody would write: categories in random order, every real's scale bent."""
    rng = np.random.default_rng([17, len(task.name), len(task.parameters)])
    bends: dict[str, float] = {}
    parameters: list[Parameter] = []
    for parameter in task.parameters:
        if parameter.type == "Float":
            bends[parameter.name] = float(rng.choice([0.5, 2.0]))
            unit = {"name": parameter.name, "type": "Float", "min": 0, "max": 1, "when": parameter.when}
            parameters.append(Parameter.model_validate(unit))
        elif parameter.type == "Categorical":
            values = [parameter.choices[index] for index in rng.permutation(len(parameter.choices))]
            parameters.append(parameter.model_copy(update={"values": values}))
        else:
            parameters.append(parameter)
    originals = {parameter.name: parameter for parameter in task.parameters}

    def straight(point: Point) -> dict[str, Any]:
        places = {
            name: value ** bends[name] if name in bends else place(originals[name], value)
            for name, value in point.items()
        }
        return at(task.parameters, {parameter.name: places.get(parameter.name, 0.5) for parameter in task.parameters})

    return replace(task, parameters=parameters, value=lambda point: task.value(straight(point)))


def print_table(outcomes: Mapping[Run, Outcome], against: str) -> None:
    marks = MARKS[: len(next(iter(outcomes.values())).regret)]
    optimisers = list(dict.fromkeys(run.optimiser for run in outcomes))
    seeds, tasks = {run.seed for run in outcomes}, {run.task for run in outcomes}
    first = next(iter(outcomes))
    print(
        f"\nMean normalised regret x 100; {len(tasks)} tasks, {len(seeds)} seeds, {first.workers} workers"
        + (", distorted" if first.distorted else "")
    )
    print(f"{'':14}" + "".join(f"{f'@{mark}':>8}" for mark in marks) + f"{'CPU ms: mean':>15}{'largest':>9}")
    for optimiser in optimisers:
        means = _by_task(outcomes, optimiser).mean(axis=(0, 1))
        costs = np.array([o.milliseconds for run, o in outcomes.items() if run.optimiser == optimiser])
        cells = "".join(f"{mean:8.1f}" for mean in means)
        print(f"{optimiser:14}{cells}{costs.mean():15.1f}{np.quantile(costs, 0.999):9.0f}")
    if against in optimisers:
        for optimiser in optimisers:
            if optimiser != against:
                _print_pairs(_by_task(outcomes, optimiser), _by_task(outcomes, against), f"{optimiser} - {against}")
    print()
    print(f"{'by task':26}" + "".join(f"{optimiser:>20}" for optimiser in optimisers))
    for index, task in enumerate(sorted(tasks)):
        cells = (_by_task(outcomes, optimiser)[index].mean(axis=0) for optimiser in optimisers)
        print(f"{task:26}" + "".join(f"{' '.join(f'{v:.1f}' for v in cell[1:]):>20}" for cell in cells))


def _by_task(outcomes: Mapping[Run, Outcome], optimiser: str) -> NDArray[np.float64]:
    """Regret by task, seed and mark."""
    mine = {(run.task, run.seed): outcome.regret for run, outcome in outcomes.items() if run.optimiser == optimiser}
    tasks, seeds = (sorted(set(values)) for values in zip(*mine, strict=True))
    return np.array([[mine[task, seed] for seed in seeds] for task in tasks])


def _print_pairs(ours: NDArray[np.float64], theirs: NDArray[np.float64], title: str) -> None:
    difference = ours - theirs
    low, high = interval(difference)
    ratios = ours.mean(axis=(0, 1)) / theirs.mean(axis=(0, 1))
    cells = "  ".join(
        f"{mean:+.1f} [{least:+.1f}, {most:+.1f}] ({ratio:.2f}x)"
        for mean, least, most, ratio in zip(difference.mean(axis=(0, 1)), low, high, ratios, strict=True)
    )
    print(f"{title:26}{cells}")


def interval(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of the means of values by task, seed and mark: 95 %, bootstrap over tasks and over seeds, which are the same
    seeds for all tasks."""
    rng = np.random.default_rng(0)
    tasks, seeds = values.shape[:2]
    drawn = []
    for _ in range(_RESAMPLES):
        some = values[rng.integers(tasks, size=tasks)][:, rng.integers(seeds, size=seeds)]
        drawn.append(some.mean((0, 1)))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return low, high


if __name__ == "__main__":
    main()
