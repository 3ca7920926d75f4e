"""What a study measures and how, chosen from what is known of the data, with the reasons. Pure; called by manifest."""

from dataclasses import dataclass
from math import ceil
from typing import Any

from tuning_client.starting.families import Family, Kind
from tuning_client.starting.sizes import Size
from tuning_client.starting.table import Table

_EVEN = 0.6  # of an even share of the rows: with less, a class is rare
_HEAVY = 30  # times the median: a target with values so large has errors that squares would make all of it
_FEW_ROWS, _MANY_ROWS, _HUGE = 500, 20_000, 200_000
_FOLDS = 5


@dataclass(frozen=True)
class Chosen:
    """A part of the manifest, and why."""

    value: Any
    why: str


def trials(size: Size, parameters: int) -> int:
    """About ten for each parameter are usual: quick has half of that, thorough four times as many."""
    match size:
        case Size.QUICK:
            return min(50, max(20, _tens(7 * parameters)))
        case Size.NORMAL:
            return min(200, max(100, _tens(20 * parameters)))
        case Size.THOROUGH:
            return max(300, _tens(40 * parameters))


def workers(size: Size) -> int:
    return {Size.QUICK: 2, Size.NORMAL: 4, Size.THOROUGH: 8}[size]


def metric(kind: Kind, table: Table | None) -> Chosen:
    """The objective, a scorer of scikit-learn's; all are greater-is-better."""
    if kind == "regressor":
        if table is not None and table.spread >= _HEAVY:
            return Chosen(
                "neg_mean_absolute_error",
                f"the largest {table.target} is {table.spread:.0f} times the median, and squares of errors would be "
                "about few rows alone",
            )
        return Chosen("r2", "the share of the target's variance that the model tells: 1 is perfect, 0 is its mean")
    if table is None:
        return Chosen("accuracy", "its classes are about even; with a rare one use balanced_accuracy or roc_auc")
    if not is_uneven(table):
        return Chosen("accuracy", f"the {len(table.classes)} classes of {table.target} are about even")
    rare, rows = table.classes[-1]
    told = f"{rare!r} has {rows} of {table.rows} rows, and accuracy would be high for a model that never names it"
    if len(table.classes) == 2 and table.time is None:
        return Chosen("roc_auc", f"{told}; roc_auc judges the order, whatever the threshold")
    return Chosen("balanced_accuracy", f"{told}; balanced_accuracy counts each class alike")


def recorded(objective: str) -> list[str]:
    """Metrics to see beside the objective."""
    others = {
        "accuracy": "balanced_accuracy",
        "balanced_accuracy": "accuracy",
        "roc_auc": "balanced_accuracy",
        "r2": "neg_mean_absolute_error",
        "neg_mean_absolute_error": "r2",
    }
    return [others[objective], "fitSeconds"]


def is_uneven(table: Table) -> bool:
    return table.smallest < _EVEN * table.rows / len(table.classes)


def cross_validation(kind: Kind, table: Table | None) -> Chosen:
    if table is None:
        return Chosen({"folds": _FOLDS}, "every trial fits so many models, and its metrics are their means")
    if table.time is not None:
        return Chosen({"folds": _FOLDS}, "in time: each fold is later than the rows that its model is fitted on")
    if table.rows > _HUGE:
        return Chosen(
            {"splitter": "Holdout", "folds": _FOLDS}, f"{table.rows} rows: one part of five is enough to score"
        )
    if kind == "classifier" and table.smallest < _FOLDS:
        return Chosen(
            {"folds": max(2, table.smallest)},
            f"{table.classes[-1][0]!r} has {table.smallest} rows: more folds would be without it",
        )
    mixed = ", each with the same mix of classes" if kind == "classifier" else ""
    if table.rows > _MANY_ROWS:
        return Chosen({"folds": 3}, f"{table.rows} rows: three folds are enough{mixed}")
    if table.rows < _FEW_ROWS:
        return Chosen({"folds": _FOLDS, "repeats": 2}, f"{table.rows} rows: repeated, as scores of so few vary{mixed}")
    return Chosen({"folds": _FOLDS}, f"{table.rows} rows{mixed}")


def preparation(family: Family, table: Table) -> list[str]:
    """What becomes of the table's columns, a sentence each."""
    told = [f"{table.rows} rows, {table.columns} columns besides the target."]
    if table.texts:
        how = (
            "categories as the model takes them"
            if "categories" in family.native
            else "a column for each of up to 20 categories, of more the target's mean of each"
        )
        told.append(f"Text ({_some(table.texts)}): {how}.")
    if table.gaps:
        worst = max(table.gaps, key=lambda name: table.gaps[name])
        how = (
            "the model takes them as they are"
            if "gaps" in family.native
            else "the median, and a column that says where"
        )
        told.append(f"Gaps ({_some([*table.gaps])}; in {worst} {table.gaps[worst]:.0%} of the rows): {how}.")
    features = [name for name in table.dates if name != table.time]
    if features:
        told.append(f"Dates ({_some(features)}): days since 1970, month, weekday and hour.")
    if table.texts or table.gaps or features:
        told.append("All of it is fitted in each fold on the fold's own rows; write `columns` for another way.")
    if table.time is not None:
        told.append(f"The rows are in the order of {table.time}; if that says nothing, leave out `time`.")
    elif features:
        told.append(f"If later rows are to be predicted from earlier ones, add `time: {features[0]}`.")
    return told


def _some(names: list[str] | Any) -> str:
    most = 6
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _tens(number: float) -> int:
    return 10 * ceil(number / 10)
