"""Portfolios of settings that did well on many data sets: made, measured on data sets left out, and written.

`portfolio_matrix.py` scores the settings; this reads its table. Regret is 0 at a data set's best setting and 1 at its
worst. Each data set in turn is left out: what is suggested for it comes from the others alone. `--write` makes the
portfolios that are shipped, from all data sets.
"""

import argparse
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from portfolio_data import DATA_SETS, DataSet, table
from portfolio_matrix import Cell, Scores, read, settings

from tuning_client.starting.families import families
from tuning_study.search.greedy import greedy_portfolio, normalised_regret
from tuning_study.search.likeness import distance
from tuning_worker.objectives.data_features import describe

MARKS = (1, 3, 5)
OWN = "library's own"
SIZE = 8
"""Settings in a portfolio that is shipped."""
NEIGHBOURS = 3
_CARRY_OVER = ("svm", "knn", "extra-trees", "gradient-boosting")
"""Families whose settings for classes suit numbers, by portfolio_numbers.py: no worse than random after 1, 3 and 5."""
_DRAWS = 400  # of random orders
_RESAMPLES = 4000
SHIPPED = Path(__file__).parents[1] / "worker/tuning_study/search/portfolios.json"

Floats = NDArray[np.float64]
Order = Sequence[int]


class Regrets(NamedTuple):
    """Of one family: settings × data sets, normalised; the library's own setting apart, as no portfolio can have it."""

    data_sets: Sequence[DataSet]
    balanced: Floats
    accuracy: Floats
    own_balanced: Floats
    own_accuracy: Floats


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--results", type=Path, default=Path(os.environ.get("PORTFOLIO_RESULTS", "portfolio.jsonl")))
    options.add_argument("--write", action="store_true", help="the portfolios that are shipped")
    given = options.parse_args()
    scores = read(given.results)
    tables = {name: regrets_of(name, scores) for name in families()}
    tables = {name: measured for name, measured in tables.items() if len(measured.data_sets) > NEIGHBOURS}
    _print_table(tables)
    _print_accuracy(tables)
    if given.write:
        SHIPPED.write_text(_as_json(tables))


def regrets_of(name: str, scores: Mapping[Cell, Scores]) -> Regrets:
    """Of the data sets on which every setting was scored, and on which they differ."""
    numbers = range(len(settings(name)))
    found = {
        data_set: [scores[cell] for number in numbers if (cell := Cell(name, data_set.name, number)) in scores]
        for data_set in DATA_SETS
    }
    whole = {d: s for d, s in found.items() if len(s) == len(numbers) and len({each.balanced for each in s}) > 1}
    shape = (len(whole), len(numbers))
    balanced = normalised_regret(-np.array([[e.balanced for e in s] for s in whole.values()]).reshape(shape).T)
    accuracy = normalised_regret(-np.array([[e.accuracy for e in s] for s in whole.values()]).reshape(shape).T)
    return Regrets(list(whole), balanced[1:], accuracy[1:], balanced[0], accuracy[0])


@cache
def _likeness(data_set: DataSet) -> Mapping[str, float]:
    features, target = table(data_set)
    return describe(features, target, classes=True)


Suggest = Callable[[Floats, Sequence[DataSet], DataSet], Iterator[Order]]
"""Given regrets and data sets to learn from, and one that is new: orders of settings to try, of which one is drawn."""


def _random(regrets: Floats, known: Sequence[DataSet], new: DataSet) -> Iterator[Order]:
    rng = np.random.default_rng(0)
    for _ in range(_DRAWS):
        yield list(rng.permutation(len(regrets))[: max(MARKS)])


def _random_neighbour(regrets: Floats, known: Sequence[DataSet], new: DataSet) -> Iterator[Order]:
    for index in range(len(known)):
        yield list(regrets[:, index].argsort(kind="stable"))


def _nearest(regrets: Floats, known: Sequence[DataSet], new: DataSet) -> Iterator[Order]:
    apart = [distance(_likeness(new), _likeness(other)) for other in known]
    orders = [regrets[:, index].argsort(kind="stable") for index in np.argsort(apart, kind="stable")[:NEIGHBOURS]]
    yield list(dict.fromkeys(int(row) for rows in zip(*orders, strict=True) for row in rows))


def _portfolio(regrets: Floats, known: Sequence[DataSet], new: DataSet) -> Iterator[Order]:
    yield greedy_portfolio(regrets, SIZE)


def _in_turn(regrets: Floats, known: Sequence[DataSet], new: DataSet) -> Iterator[Order]:
    pairs = zip_longest(greedy_portfolio(regrets, SIZE), next(_nearest(regrets, known, new)))
    yield list(dict.fromkeys(row for pair in pairs for row in pair if row is not None))


WAYS: Mapping[str, Suggest] = {
    "random": _random,
    "random neighbour": _random_neighbour,
    "3 neighbours": _nearest,
    "portfolio": _portfolio,
    "both in turn": _in_turn,
}


def left_out(measured: Regrets, way: Suggest, judged: Floats) -> Floats:
    """Regret of the best of the first suggestions, by data set and mark."""
    rows = []
    for index, new in enumerate(measured.data_sets):
        others = [other for other in range(len(measured.data_sets)) if other != index]
        orders = list(way(measured.balanced[:, others], [measured.data_sets[other] for other in others], new))
        rows.append([np.mean([judged[list(order[:mark]), index].min() for order in orders]) for mark in MARKS])
    return np.array(rows)


def _print_table(tables: Mapping[str, Regrets]) -> None:
    print(f"Mean normalised regret after {', '.join(map(str, MARKS))} suggestions, each data set left out in turn")
    print(f"{'':24}{'data sets':>10}{OWN:>15}" + "".join(f"{way:>18}" for way in WAYS))
    by_way: dict[str, list[Floats]] = {way: [] for way in WAYS}
    for name, measured in tables.items():
        cells = []
        for way, suggest in WAYS.items():
            regrets = left_out(measured, suggest, measured.balanced)
            by_way[way].append(regrets.mean(axis=0))
            cells.append(" ".join(_short(mean) for mean in regrets.mean(axis=0)))
        own = _short(measured.own_balanced.mean())
        print(f"{name:24}{len(measured.data_sets):10}{own:>15}" + "".join(f"{cell:>18}" for cell in cells))
    means = (" ".join(_short(mean) for mean in np.mean(rows, axis=0)) for rows in by_way.values())
    own = _short(float(np.mean([measured.own_balanced.mean() for measured in tables.values()])))
    print(f"{'mean':34}{own:>15}" + "".join(f"{cell:>18}" for cell in means))
    for way in ("random neighbour", "3 neighbours", "both in turn"):
        _print_pairs("portfolio", way, tables)
    _print_pairs("both in turn", "random neighbour", tables)


def _print_pairs(one: str, other: str, tables: Mapping[str, Regrets]) -> None:
    """Over all families and data sets; 95 %, bootstrap over the data sets, as those of one data set go together."""
    by_data_set: dict[DataSet, list[Floats]] = {}
    for measured in tables.values():
        ours, theirs = (left_out(measured, WAYS[way], measured.balanced) for way in (one, other))
        for data_set, row in zip(measured.data_sets, ours - theirs, strict=True):
            by_data_set.setdefault(data_set, []).append(row)
    groups = [np.array(rows) for rows in by_data_set.values()]
    sums, counts = np.array([rows.sum(axis=0) for rows in groups]), np.array([len(rows) for rows in groups])
    drawn = np.random.default_rng(0).integers(len(groups), size=(_RESAMPLES, len(groups)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)[:, None]
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    middle = sums.sum(axis=0) / counts.sum()
    cells = "  ".join(f"{m:+.3f} [{a:+.3f}, {b:+.3f}]" for m, a, b in zip(middle, low, high, strict=True))
    print(f"{one + ' - ' + other:36}{cells}")


def _print_accuracy(tables: Mapping[str, Regrets]) -> None:
    print("\nThe same portfolios, made by balanced accuracy, judged by accuracy")
    for name, measured in tables.items():
        cells = (
            f"{way} {' '.join(map(_short, left_out(measured, WAYS[way], measured.accuracy).mean(axis=0)))}"
            for way in ("random", "portfolio")
        )
        print(f"{name:24}{OWN} {_short(measured.own_accuracy.mean())}   " + "   ".join(cells))


def _short(share: float) -> str:
    return f"{share:.3f}".removeprefix("0")


def _as_json(tables: Mapping[str, Regrets]) -> str:
    shipped: dict[str, Any] = {}
    for name, measured in tables.items():
        family = families()[name]
        chosen = [settings(name)[1 + row] for row in greedy_portfolio(measured.balanced, SIZE)]
        for kind, class_ in family.classes.items():
            if kind == "regressor" and name not in _CARRY_OVER:
                continue
            tuned = {each.parameter.name: each.default for each in family.tuned(kind)}
            possible = [{n: v for n, v in rounded(setting).items() if n in tuned} for setting in chosen]
            distinct = [setting for number, setting in enumerate(possible) if setting not in possible[:number]]
            shipped[class_] = {
                "defaults": {n: default for n, default in tuned.items() if default is not None},
                "settings": distinct,
            }
    return "{\n" + ",\n".join(_entry(class_, portfolio) for class_, portfolio in shipped.items()) + "\n}\n"


def _entry(class_: str, portfolio: Mapping[str, Any]) -> str:
    """A line for each setting, so that a difference can be read."""
    defaults = json.dumps(portfolio["defaults"])
    lines = ",\n".join(f"   {json.dumps(setting)}" for setting in portfolio["settings"])
    return f' {json.dumps(class_)}: {{\n  "defaults": {defaults},\n  "settings": [\n{lines}\n  ]\n }}'


def rounded(setting: Mapping[str, Any]) -> dict[str, Any]:
    """To three significant digits: more would claim what was not measured."""
    return {name: float(f"{v:.3g}") if isinstance(v, float) else v for name, v in setting.items()}


if __name__ == "__main__":
    main()
