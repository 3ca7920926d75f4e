"""Makes numbers of a table's text, dates and gaps, where the manifest does not say how.

`sklearn` calls it once for a study. What becomes of a column follows from the whole table's types, and is told;
what is computed (medians, categories, means of the target) is fitted in each fold on the fold's own rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy
import pandas
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder
from sklearn.utils import get_tags

from tuning_worker.objectives.boosters import Booster, booster_of
from tuning_worker.objectives.dates import Order, date_parts, how_read, order_of

PREPARATION = "preparation"
"""The step before all others, where there is one."""

_FEW_CATEGORIES = 20  # as many are a column each; of more, each would have few rows and the table many columns
_OWN_VALUE = 0.9  # a column with so many different values for its rows names them, and tells nothing of others
_ENOUGH_ROWS = 20  # from here on that is no chance
_DATE_PARTS = 4
_DATES = "dates: days since 1970, month, weekday and hour"
_NAMED = 20  # columns that a line names
_OWN_PREPARATION = ("sklearn.impute", "sklearn.compose", "sklearn.feature_extraction", "sklearn.pipeline")
_CATEGORIES = ("categorical_features", "cat_features", "categorical_feature", "feature_types")


@dataclass(frozen=True)
class Preparation:
    transformer: ColumnTransformer
    told: list[str]
    """What becomes of which columns, a line each."""
    booster: Booster | None = None
    """Whose models take the categories as such."""
    categories: int = 0
    """How many of its first columns are some, for the booster."""
    columns: int = 0
    """How many it has, for a booster."""


@dataclass
class _Kinds:
    """Names of columns by what they hold."""

    numbers: list[str] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    orders: dict[str, tuple[Order, bool]] = field(default_factory=dict)
    """How each column of dates is written, and whether it may be meant otherwise."""
    categories: list[str] = field(default_factory=list)
    own_values: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    gaps: bool = False


def prepare(table: pandas.DataFrame, steps: Sequence[Sequence[Any]]) -> Preparation | None:
    """None where the table needs nothing, or where a step of the manifest sees to it.

    `steps` are the pipeline's, each as all the estimators that may be there: those of a parameter too.
    """
    models, alone = steps[-1], len(steps) == 1
    if any(_prepares(transformer) for choices in steps[:-1] for transformer in choices) or any(map(_declares, models)):
        return None
    kinds = _kinds_of(table)
    if kinds is None:
        return None
    booster = _common_booster(models) if alone else None
    fills_gaps = not all(_takes_gaps(estimator) for choices in steps for estimator in choices)
    renames = booster is not None and any(booster.refuses_name(str(name)) for name in table.columns)
    converts = any(table[name].dtype == object for name in kinds.numbers)
    if not (kinds.dates or kinds.categories or kinds.own_values or (kinds.gaps and fills_gaps) or converts or renames):
        return None
    return _preparation(table, kinds, booster, fills_gaps)


def _prepares(transformer: Any) -> bool:
    """Whether the author has seen to text or gaps: with an imputer, an encoder, or what we do not know."""
    if isinstance(transformer, str):  # passthrough
        return False
    module = type(transformer).__module__
    return (
        not module.startswith("sklearn.")
        or module.startswith(_OWN_PREPARATION)
        or isinstance(transformer, OneHotEncoder | OrdinalEncoder | TargetEncoder | FunctionTransformer)
    )


def _declares(model: Any) -> bool:
    """Whether the author has told the model which columns are categories."""
    given = model.get_params(deep=False) if hasattr(model, "get_params") else {}
    return any(given.get(name, "from_dtype") not in (None, "from_dtype") for name in _CATEGORIES)


def _common_booster(models: Sequence[Any]) -> Booster | None:
    found = {id(booster): booster for booster in map(booster_of, models)}
    return next(iter(found.values())) if len(found) == 1 else None


def _takes_gaps(estimator: Any) -> bool:
    if isinstance(estimator, str):
        return True
    try:
        return bool(get_tags(estimator).input_tags.allow_nan)
    except AttributeError:  # no estimator of scikit-learn's kind
        return False


def _kinds_of(table: pandas.DataFrame) -> _Kinds | None:
    """None for a table with a column that is nothing of this, such as one of lists."""
    kinds = _Kinds()
    for name, column in table.items():
        values = column.dropna()
        kinds.gaps |= len(values) < len(column)
        try:
            _group_of(values, kinds).append(str(name))
        except TypeError:  # values that cannot be compared
            return None
    return kinds


def _group_of(values: pandas.Series, kinds: _Kinds) -> list[str]:
    if values.empty:
        return kinds.empty
    if _are_numbers(values):
        return kinds.numbers
    if (order := _order_of_dates(values)) is not None:
        kinds.orders[str(values.name)] = order
        return kinds.dates
    different = values.nunique()
    if len(values) >= _ENOUGH_ROWS and different > _OWN_VALUE * len(values):
        return kinds.own_values
    return kinds.categories


def _are_numbers(values: pandas.Series) -> bool:
    """Truth values too, which pandas has as objects where some are missing, and the decimals of a database."""
    if values.dtype == object:
        return bool(values.map(type).isin([bool, numpy.bool_, int, float, Decimal]).all())
    return pandas.api.types.is_numeric_dtype(values)


def _order_of_dates(values: pandas.Series) -> tuple[Order, bool] | None:
    """How its dates are written; None for a column of something else."""
    if pandas.api.types.is_datetime64_any_dtype(values):
        return Order.ISO, False
    if pandas.api.types.is_numeric_dtype(values) or isinstance(values.dtype, pandas.PeriodDtype):
        return None
    found = order_of(values)
    if found is None:
        return None
    parts = date_parts(values.to_frame("date"), {"date": found[0]})
    return found if bool(parts.notna().all(axis=None)) else None


def _preparation(table: pandas.DataFrame, kinds: _Kinds, booster: Booster | None, fills_gaps: bool) -> Preparation:
    groups: list[tuple[str, Any, list[str], str]] = []  # a step's name, its transformer, its columns, what it does
    if booster is not None:
        groups.append(("categories", booster.category_encoder(), kinds.categories, "categories of the model's own"))
    else:
        groups += _encoded(table, kinds.categories)
    filled = ", the median where missing, and a column that says where" if fills_gaps else ", with their gaps"
    groups.append(("numbers", _numbers(fills_gaps), kinds.numbers, f"numbers{filled if kinds.gaps else ''}"))
    written = {name: order.value for name, (order, _) in kinds.orders.items() if order is not Order.ISO}
    parts = FunctionTransformer(date_parts, kw_args={"orders": written} if written else None)
    days = Pipeline([("parts", parts), ("fill", _numbers(fills_gaps))])
    groups.append(("dates", days, kinds.dates, _DATES))
    used = [group for group in groups if group[2]]
    transformer = ColumnTransformer([(name, steps, columns) for name, steps, columns, _ in used], remainder="drop")
    if booster is not None and booster.wants_frame:
        transformer.set_output(transform="pandas")
    left_out = [
        (kinds.own_values, "left out: nearly every row has a value of its own"),
        (kinds.empty, "left out: no row has a value"),
    ]
    by_order = [
        ([name for name in kinds.dates if kinds.orders[name] == order], f"{_DATES}{how_read(*order)}")
        for order in dict.fromkeys(kinds.orders.values())
    ]
    told = (
        [(columns, what) for name, _, columns, what in used if name != "dates"]
        + by_order
        + [entry for entry in left_out if entry[0]]
    )
    categories = len(kinds.categories) if booster is not None else 0
    return Preparation(
        transformer,
        [f"{_listed(columns)}: {what}" for columns, what in told],
        booster,
        categories,
        categories + len(kinds.numbers) + _DATE_PARTS * len(kinds.dates),
    )


def _numbers(fills_gaps: bool) -> Any:
    as_floats = StandardScaler(with_mean=False, with_std=False)  # it changes no number; it checks and converts them
    if not fills_gaps:
        return as_floats
    median = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return Pipeline([("floats", as_floats), ("median", median)])


def _encoded(table: pandas.DataFrame, names: Sequence[str]) -> list[tuple[str, Any, list[str], str]]:
    few = [name for name in names if table[name].nunique() <= _FEW_CATEGORIES]
    many = [name for name in names if name not in few]
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)  # many models take no sparse table
    return [
        ("categories", one_hot, few, "categories, a column each"),
        ("manycategories", TargetEncoder(), many, f"more than {_FEW_CATEGORIES} categories: the target's mean of each"),
    ]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
