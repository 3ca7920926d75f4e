"""Whether settings that did well for classes do well for numbers: each family's portfolio with its regressor.

Of each table the portfolio is made without it. Regret is 0 at the best and 1 at the worst of the portfolio's settings
and random ones of the regressor's own space, by the share of variance that is explained, 0 at least.
"""

import argparse
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from portfolio import MARKS, regrets_of, rounded
from portfolio_data import OF_NUMBERS, DataSet
from portfolio_fitting import TORCH, predictions
from portfolio_matrix import read, settings
from sklearn.metrics import r2_score
from tasks.task import random_point

from tuning_client.starting.families import Family, families
from tuning_study.api.parameters import values_of
from tuning_study.search.greedy import greedy_portfolio, normalised_regret

_RANDOM = 12
_DRAWS = 400


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--matrix", type=Path, default=Path(os.environ.get("PORTFOLIO_RESULTS", "portfolio.jsonl")))
    scores = read(options.parse_args().matrix)
    warnings.simplefilter("ignore")
    print(f"Mean normalised regret of regressors after {MARKS} settings; {len(OF_NUMBERS)} tables")
    for name, family in families().items():
        measured = regrets_of(name, scores)
        tuned = {each.parameter.name for each in family.tuned("regressor")}
        if name == TORCH or not measured.data_sets or not tuned & settings(name)[1].keys():
            continue
        by_table = []
        for number, data_set in enumerate(OF_NUMBERS):
            others = [index for index, other in enumerate(measured.data_sets) if other.name != data_set.name]
            rows = greedy_portfolio(measured.balanced[:, others], max(MARKS))
            chosen = [rounded(settings(name)[1 + row]) for row in rows]
            possible = [{n: v for n, v in setting.items() if n in tuned} for setting in chosen]
            by_table.append(_regrets(family, data_set, possible, number))
        portfolio, random = np.mean(by_table, axis=0)
        cells = (" ".join(f"{mean:.3f}" for mean in means) for means in (portfolio, random))
        print(
            f"{name:24}"
            + "".join(f"{way}  {cell}   " for way, cell in zip(("portfolio", "random"), cells, strict=True)),
            flush=True,
        )


def _regrets(family: Family, data_set: DataSet, portfolio: list[dict[str, Any]], seed: int) -> NDArray[np.float64]:
    """Of the portfolio and of random settings, by mark."""
    parameters = [each.parameter for each in family.tuned("regressor")]
    rng = np.random.default_rng([29, seed])
    drawn = [values_of(parameters, random_point(parameters, rng)) for _ in range(_RANDOM)]
    losses = np.array([[-_explained(family, data_set, setting)] for setting in [*portfolio, *drawn]])
    regrets = normalised_regret(losses)[:, 0]
    ours, theirs = regrets[: len(portfolio)], regrets[len(portfolio) :]
    orders = [rng.permutation(theirs) for _ in range(_DRAWS)]
    return np.array(
        [[ours[:mark].min() for mark in MARKS], [np.mean([order[:mark].min() for order in orders]) for mark in MARKS]]
    )


def _explained(family: Family, data_set: DataSet, setting: Mapping[str, Any]) -> float:
    return float(np.mean([max(0.0, r2_score(*fold)) for fold in predictions(family, data_set, setting)]))


if __name__ == "__main__":
    main()
