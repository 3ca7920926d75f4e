"""Does Auto gain if its model learns from an earlier study's trials, beside trying the best of them first?

The earlier study is one of 50 trials by Auto, on a task that is near, middling or misleading (tasks/related.py), or of
the same estimator on other data. Regret is read as in auto.py; runs are paired by task, likeness and seed, and kept in
`--results`: a second call goes on where the first was stopped.
"""

import argparse
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from auto import TASKS, interval
from machine import describe
from optimisers import Ours
from tasks.references import scale
from tasks.related import LIKENESSES, OTHER_DATA, on_other_data, related
from tasks.task import Point, Task
from transfer_models import PriorMean, TaskKernel

from tuning_study.search.samplers.gaussian.sampler import GaussianProcessSampler
from tuning_study.search.space import stored_point

MARKS = (5, 10, 25, 50)
EARLIER_TRIALS = 50
TRIED = 3  # of the earlier study's best points
ALONE, FIRST = "alone", "best first"
MODELS = {"+ prior mean": PriorMean, "+ task kernel": TaskKernel}
WAYS = (ALONE, FIRST, *MODELS)


class Run(NamedTuple):
    task: str
    earlier: str
    """A likeness, or the other data; empty for a study alone, which is the same beside each."""
    seed: int
    way: str


class Earlier(NamedTuple):
    points: Sequence[Point]
    costs: Sequence[float]


class Learning(Ours):
    """Auto whose model learns from an earlier study."""

    def __init__(self, way: str, task: Task, seed: int, earlier: Earlier) -> None:
        super().__init__("Auto", task.parameters, seed)
        self._way, self._earlier = way, earlier
        if way != ALONE:
            for number in np.argsort(earlier.costs, kind="stable")[:TRIED]:
                self.study.enqueue_trial(stored_point(earlier.points[number]))

    def next_sampler(self) -> None:
        super().next_sampler()
        sampler = self.study.sampler
        if self._way not in MODELS or not isinstance(sampler, GaussianProcessSampler):
            return
        past = sampler._read(self.study)
        if past._proposer is None and past.space is not None:
            past._proposer = MODELS[self._way](past.space, *self._earlier)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--results", type=Path, default=Path(os.environ.get("TRANSFER_RESULTS", "transfer.jsonl")))
    options.add_argument("--tasks", default=",".join(TASKS))
    options.add_argument("--seeds", type=int, default=2)
    options.add_argument("--ways", default=",".join(WAYS))
    options.add_argument("--other-data", action="store_true", help="the same estimator on other data, not likenesses")
    given = options.parse_args()
    cases = [
        (task, earlier)
        for task in given.tasks.split(",")
        for earlier in (OTHER_DATA.get(task, {}) if given.other_data else LIKENESSES)
    ]
    print(describe())
    ways = given.ways.split(",")
    known = complete(cases, given.seeds, ways, given.results)
    if given.other_data:
        print_table("other data", [[case] for case in cases], given.seeds, ways, known)
        return
    for title in (*LIKENESSES, "near and middling"):
        groups = [[(task, name) for name in LIKENESSES if name in title] for task in given.tasks.split(",")]
        print_table(title, groups, given.seeds, ways, known)


def complete(
    cases: Sequence[tuple[str, str]], seeds: int, ways: Sequence[str], results: Path
) -> Mapping[Run, list[float]]:
    """Regret at the marks, of the file and of what was missing there."""
    known = dict(_recorded(results))
    with results.open("a") as file:
        for seed, case, way in product(range(seeds), cases, ways):
            run = _run(case, seed, way)
            if run not in known:
                known[run] = carry_out(run)
                file.write(json.dumps([*run, known[run]]) + "\n")
                file.flush()
    return known


def _run(case: tuple[str, str], seed: int, way: str) -> Run:
    return Run(case[0], "" if way == ALONE else case[1], seed, way)


def _recorded(results: Path) -> Iterator[tuple[Run, list[float]]]:
    for line in results.read_text().splitlines() if results.exists() else ():
        *run, regret = json.loads(line)
        yield Run(*run), regret


def carry_out(run: Run) -> list[float]:
    task, reference = TASKS[run.task], scale(run.task)
    deviation = task.noise * (reference.quarter - reference.lowest)
    rng = np.random.default_rng([7919, run.seed])
    earlier = earlier_study(run.task, run.earlier, run.seed) if run.earlier else Earlier((), ())
    auto = Learning(run.way, task, run.seed, earlier)
    seen, incumbent, regret = np.inf, np.inf, []
    for number in range(1, max(MARKS) + 1):
        point, asked = auto.ask()
        value = task.value(point)
        noisy = value + deviation * float(rng.standard_normal())
        if noisy < seen:
            seen, incumbent = noisy, value
        auto.tell(asked, noisy)
        if number in MARKS:
            regret.append(round(100 * reference.regret(incumbent), 4))
    return regret


@cache
def earlier_study(name: str, earlier: str, seed: int) -> Earlier:
    task = related(TASKS[name], earlier, seed) if earlier in LIKENESSES else on_other_data(TASKS[name], earlier)
    rng = np.random.default_rng([31, seed])
    auto = Ours("Auto", task.parameters, 1000 + seed)
    points: list[Point] = []
    costs: list[float] = []
    for _ in range(EARLIER_TRIALS):
        point, asked = auto.ask()
        points.append(point)
        costs.append(task.value(point) + task.noise * float(rng.standard_normal()))
        auto.tell(asked, costs[-1])
    return Earlier(points, costs)


def print_table(
    title: str,
    groups: Sequence[Sequence[tuple[str, str]]],
    seeds: int,
    ways: Sequence[str],
    known: Mapping[Run, list[float]],
) -> None:
    """Of the means of each group of cases, which are of one task."""
    regrets = {
        way: np.array(
            [
                np.mean([[known[_run(case, seed, way)] for seed in range(seeds)] for case in group], axis=0)
                for group in groups
            ]
        )
        for way in ways
    }
    print(f"\n{title}: regret x 100 after {MARKS} trials; {len(groups)} tasks, {seeds} seeds")
    for way, values in regrets.items():
        print(f"{way:16}" + "".join(f"{mean:8.1f}" for mean in values.mean(axis=(0, 1))))
    for way in ways:
        if way != FIRST and FIRST in ways:
            difference = regrets[way] - regrets[FIRST]
            low, high = interval(difference)
            means = difference.mean(axis=(0, 1))
            cells = (
                f"{mean:+.1f} [{least:+.1f}, {most:+.1f}]" for mean, least, most in zip(means, low, high, strict=True)
            )
            print(f"{f'{way} - {FIRST}':28}" + "  ".join(cells))


if __name__ == "__main__":
    main()
