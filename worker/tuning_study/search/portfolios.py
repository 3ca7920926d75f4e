"""Settings that did well on many data sets, for the estimators that have such a portfolio.

Called for a round's first trials. benchmarks/portfolio.py measures the settings and writes portfolios.json.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from tuning_study.api.parameters import Parameter
from tuning_study.search.space import Point, clip
from tuning_study.values import Value, same_value

TRIED_FIRST = 5
"""How many of them a round begins with: as many as make Auto better after 10 trials and no worse after 25 and 50."""


class _Portfolio(NamedTuple):
    defaults: Mapping[str, Value]
    """What the library takes for choices that a study does not tune."""
    settings: Sequence[Mapping[str, Value]]
    """The best first."""


def built_in(
    model: str, parameters: Sequence[Parameter], *, last_step: str = "", fixed: Mapping[str, Value] | None = None
) -> list[Point]:
    """Points to try first with this class as the last step, the best first; none for a class without a portfolio.

    A setting is restricted to the study's own parameters, written `C` or, after the name of the step, `svc__C`; its
    other numbers stay what the manifest (`fixed`, the step's arguments) or the library makes of them. A number outside
    the study's range is moved to its nearest end. A setting is left out if the study cannot have one of its choices,
    such as a kernel, as numbers that were found for one say nothing of another.
    """
    portfolio = _portfolios().get(_known_as(model))
    if portfolio is None:
        return []
    by_argument = {parameter.name.removeprefix(f"{last_step}__"): parameter for parameter in parameters}
    decided = {**portfolio.defaults, **(fixed or {})}
    points: list[Point] = []
    for setting in portfolio.settings:
        if all(_possible(name, value, by_argument.get(name), decided) for name, value in setting.items()):
            wanted = {by_argument[name].name: value for name, value in setting.items() if name in by_argument}
            point, _ = clip(parameters, wanted)
            if point and point not in points:
                points.append(point)
    return points[:TRIED_FIRST]


def _possible(name: str, value: Value, parameter: Parameter | None, decided: Mapping[str, Value]) -> bool:
    """Whether a trial can have the choice; of numbers any will do."""
    if parameter is None:
        return name not in decided or same_value(value, decided[name]) or not _is_choice(value)
    return parameter.type != "Categorical" or any(same_value(value, choice) for choice in parameter.values or [])


def _is_choice(value: Value) -> bool:
    return isinstance(value, bool) or not isinstance(value, int | float)


@cache
def _portfolios() -> Mapping[tuple[str, str], _Portfolio]:
    text = files("tuning_study.search").joinpath("portfolios.json").read_text("utf-8")
    return {_known_as(name): _Portfolio(**entry) for name, entry in json.loads(text).items()}


def _known_as(class_: str) -> tuple[str, str]:
    """The library and the class: xgboost.sklearn.XGBClassifier is xgboost.XGBClassifier."""
    return class_.partition(".")[0], class_.rpartition(".")[2]
