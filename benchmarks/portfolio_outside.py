"""What to do with a portfolio's number that lies outside a study's range: three ways beside each other.

For each family and data set left out, spaces are drawn in which every second range is half as long as the family's.
Regret, between the best and the worst of the data set's settings, is that of the best of the first three points, judged
by a forest fitted to what the data set's settings scored.
"""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from portfolio import SIZE, regrets_of, rounded
from portfolio_auto import stand_in
from portfolio_matrix import read, settings
from tasks.task import random_point

from tuning_client.starting.families import families
from tuning_study.api.parameters import Parameter
from tuning_study.search.greedy import greedy_portfolio
from tuning_study.search.space import clip

_SPACES = 10  # of each family and data set
_POINTS = 3

Point = Mapping[str, Any]
Way = Callable[[Sequence[Point], Sequence[Parameter], np.random.Generator], list[Point]]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--matrix", type=Path, default=Path(os.environ.get("PORTFOLIO_RESULTS", "portfolio.jsonl")))
    scores = read(options.parse_args().matrix)
    print(f"Mean normalised regret of the best of {_POINTS}, in spaces with narrower ranges")
    print(f"{'':24}" + "".join(f"{way:>20}" for way in WAYS))
    totals: dict[str, list[float]] = {way: [] for way in WAYS}
    for name, family in families().items():
        measured = regrets_of(name, scores)
        parameters = [tuned.parameter for tuned in family.tuned("classifier")]
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        for index, data_set in enumerate(measured.data_sets):
            value = stand_in(name, data_set, scores)
            others = [other for other in range(len(measured.data_sets)) if other != index]
            rows = greedy_portfolio(measured.balanced[:, others], SIZE)
            portfolio = [rounded(settings(name)[1 + row]) for row in rows]
            guesses = [value(setting) for setting in settings(name)[1:]]
            best, worst = max(guesses), min(guesses)
            for space in range(_SPACES):
                rng = np.random.default_rng([index, space])
                narrow = [_narrowed(parameter, rng) for parameter in parameters]
                for way, points in WAYS.items():
                    tried = points(portfolio, narrow, np.random.default_rng([index, space, 1]))[:_POINTS]
                    reached = max(value(point) for point in tried)
                    found[way].append(min(max((best - reached) / (best - worst), 0.0), 1.0))
        if measured.data_sets:
            print(f"{name:24}" + "".join(f"{np.mean(regrets):20.3f}" for regrets in found.values()), flush=True)
            for way, regrets in found.items():
                totals[way].append(float(np.mean(regrets)))
    print(f"{'mean':24}" + "".join(f"{np.mean(means):20.3f}" for means in totals.values()))


def _narrowed(parameter: Parameter, rng: np.random.Generator) -> Parameter:
    if parameter.type == "Categorical" or rng.random() < 0.5:
        return parameter
    assert parameter.min is not None and parameter.max is not None
    log = parameter.scale == "Log"
    low, high = np.log([parameter.min, parameter.max]) if log else (parameter.min, parameter.max)
    start = low + rng.random() * (high - low) / 2
    ends = np.array([start, start + (high - low) / 2])
    ends = np.exp(ends) if log else ends
    if parameter.type == "Int":
        ends = np.array([np.floor(ends[0]), np.ceil(ends[1])])
    return parameter.model_copy(update={"min": float(ends[0]), "max": float(ends[1])})


def _moved(portfolio: Sequence[Point], space: Sequence[Parameter], rng: np.random.Generator) -> list[Point]:
    return [clip(space, point)[0] for point in portfolio] + _random(portfolio, space, rng)


def _drawn(portfolio: Sequence[Point], space: Sequence[Parameter], rng: np.random.Generator) -> list[Point]:
    """As a sampler fills in what a point leaves out."""
    points = []
    for point in portfolio:
        inside = clip(space, point)[0]
        chance = random_point(space, rng)
        points.append({n: v if v == point[n] else chance.get(n, v) for n, v in inside.items()})
    return points + _random(portfolio, space, rng)


def _left_out(portfolio: Sequence[Point], space: Sequence[Parameter], rng: np.random.Generator) -> list[Point]:
    return [point for point in portfolio if clip(space, point)[0] == point] + _random(portfolio, space, rng)


def _random(portfolio: Sequence[Point], space: Sequence[Parameter], rng: np.random.Generator) -> list[Point]:
    return [random_point(space, rng) for _ in range(_POINTS)]


WAYS: Mapping[str, Way] = {
    "moved to the end": _moved,
    "number drawn": _drawn,
    "setting left out": _left_out,
    "random": _random,
}


if __name__ == "__main__":
    main()
