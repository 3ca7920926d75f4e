"""What random settings of each family of models score on each data set: a table that a later call completes.

Every data set sees the same settings of a family, drawn from the space that `tuning init` writes, and the library's
own. A setting is scored by 3-fold stratified cross-validation, on a table prepared as a worker prepares it. The score
is balanced accuracy: accuracy where classes are even; where they are not, a model that never names the rare class earns
nothing by it. Accuracy is recorded beside it, to see whether what is good by one is good by the other.
"""

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from portfolio_data import DATA_SETS, FIRST, DataSet, table
from portfolio_fitting import TORCH, predictions
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from tasks.task import random_point

from tuning_client.starting.families import Family, families
from tuning_study.api.parameters import values_of

CHEAP = ("logistic", "svm", "knn")
"""Families that see every data set; the others the first ones."""
_TREE_BY_CLASS = ("gradient-boosting", "hist-gradient-boosting", "catboost")
_FEW_CLASSES = 4  # more take these families minutes a data set
_SETTINGS = 60
_FEWER_SETTINGS = {"gradient-boosting": 36, "hist-gradient-boosting": 48, "catboost": 36, TORCH: 24}


class Cell(NamedTuple):
    family: str
    data_set: str
    setting: int
    """0 is the library's own."""


class Scores(NamedTuple):
    balanced: float
    accuracy: float
    seconds: float


@cache
def settings(family: str) -> Sequence[Mapping[str, Any]]:
    """The library's own, which is written as nothing, and random ones."""
    parameters = [tuned.parameter for tuned in families()[family].tuned("classifier")]
    rng = np.random.default_rng([23, *family.encode()])
    points = [random_point(parameters, rng) for _ in range(_FEWER_SETTINGS.get(family, _SETTINGS))]
    return [{}, *(values_of(parameters, point) for point in points)]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--results", type=Path, default=Path(os.environ.get("PORTFOLIO_RESULTS", "portfolio.jsonl")))
    options.add_argument("--families", default=",".join(name for name in families() if name != TORCH))
    options.add_argument("--data-sets", default="")
    options.add_argument("--minutes", type=float, default=600, help="of this call; a later one goes on")
    given = options.parse_args()
    complete(given.results, given.families.split(","), list(filter(None, given.data_sets.split(","))), given.minutes)


def complete(results: Path, names: Sequence[str], data_sets: Sequence[str], minutes: float) -> None:
    """Score what is missing, a data set after another, so that every family has a table early."""
    warnings.simplefilter("ignore")
    known, ends = set(read(results)), time.monotonic() + 60 * minutes
    with results.open("a") as file:
        for data_set, name in product(DATA_SETS, names):
            if (data_sets and data_set.name not in data_sets) or not _is_measured(name, data_set):
                continue
            missing = [
                cell
                for number in range(len(settings(name)))
                if (cell := Cell(name, data_set.name, number)) not in known
            ]
            for cell in missing:
                if time.monotonic() > ends:
                    return
                scores = score(families()[name], data_set, settings(name)[cell.setting])
                file.write(json.dumps(cell._asdict() | scores._asdict()) + "\n")
                file.flush()


def _is_measured(name: str, data_set: DataSet) -> bool:
    if name in _TREE_BY_CLASS and table(data_set)[1].nunique() > _FEW_CLASSES:
        return False
    return data_set in FIRST or name in CHEAP


def read(results: Path) -> dict[Cell, Scores]:
    return dict(_lines(results))


def _lines(results: Path) -> Iterator[tuple[Cell, Scores]]:
    for line in results.read_text().splitlines() if results.exists() else ():
        fields = json.loads(line)
        yield Cell(*(fields[n] for n in Cell._fields)), Scores(*(fields[n] for n in Scores._fields))


def score(family: Family, data_set: DataSet, setting: Mapping[str, Any]) -> Scores:
    began = time.process_time()
    try:
        folds = list(predictions(family, data_set, setting))
    except ValueError as error:  # such as weights of a network that grow beyond all numbers
        print(f"{family.name} on {data_set.name}, {dict(setting)}: {error}", file=sys.stderr)
        return Scores(0.0, 0.0, round(time.process_time() - began, 3))
    balanced = fmean(balanced_accuracy_score(truth, predicted) for truth, predicted in folds)
    accuracy = fmean(accuracy_score(truth, predicted) for truth, predicted in folds)
    return Scores(round(balanced, 5), round(accuracy, 5), round(time.process_time() - began, 3))


if __name__ == "__main__":
    main()
