"""Whether the search space fits: where its best trials lie, and whether it is used up."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial

from tuning_study.results.diagnosis.evidence import Evidence, Floats, coordinates, number, percent, ranks, unit

_LEAST_FOR_EDGE = 30
_BEST_SHARE, _FEWEST_BEST, _MOST_BEST = 0.1, 5, 20
_AT_EDGE = 0.02  # of the range, within which half of the best trials lie
_NEAR_EDGE = 0.1  # of the range, within which nearly all of them lie
_MOSTLY = 0.8
_NEARLY_AT_EDGE = 0.06  # instead, where values leave no doubt
_SURE, _VERY_SURE = 2.0, 8.0  # standard errors, by which values are better at the end of the range than in its middle
_SPARE = 20  # trials beyond what the fit of that needs
_RIDGE = 1e-6  # for parameters that go together
_MIDDLE_TO_LOW = np.array([-0.5, -0.25])  # in a number and its square
_MIDDLE_TO_HIGH = np.array([0.5, 0.75])
_FEWEST_VALUES = 6  # of a range with steps: in a shorter one an end is often the best
_MOST_NAMED = 3  # parameters

_LEAST_TO_REPEAT = 20
_REPEATED = 0.3  # of all trials

Numeric = FloatDistribution | IntDistribution


def best_at_boundary(evidence: Evidence) -> Iterator[str]:
    """Most of the best trials lie at one end of a range, where a wider one might have better."""
    count = len(evidence.ranked)
    if not evidence.single or count < _LEAST_FOR_EDGE:
        return
    wanted = min(max(round(_BEST_SHARE * count), _FEWEST_BEST), _MOST_BEST)
    leaders = [evidence.ranked[index] for index in evidence.costs.argsort(kind="stable")[:wanted]]
    rises = _rises(evidence.ranked, evidence.costs)
    found = [sentence for name in leaders[0].params for sentence in _at_an_end(name, leaders, rises.get(name))]
    if found:
        yield "; ".join(found[:_MOST_NAMED])


def _at_an_end(name: str, leaders: Sequence[FrozenTrial], rises: tuple[float, float] | None) -> Iterator[str]:
    mine = [trial for trial in leaders if name in trial.params]
    space = mine[0].distributions[name]
    if rises is None or not isinstance(space, Numeric) or len(mine) < _FEWEST_BEST or _values(space) < _FEWEST_VALUES:
        return
    places = np.array([unit(trial.distributions[name], trial.params[name]) for trial in mine], dtype=np.float64)
    for end, rise, is_natural, field, wider in (
        (0.0, rises[0], _natural_low(space), "min", _lower(space)),
        (1.0, rises[1], _natural_high(space), "max", _higher(space)),
    ):
        away = np.abs(places - end)
        near = int((away <= _NEAR_EDGE).sum())
        within = _AT_EDGE if rise > -_VERY_SURE else _NEARLY_AT_EDGE
        if is_natural or rise > -_SURE or near < _MOSTLY * len(mine) or np.median(away) > within:
            continue
        yield (
            f"{near} of the {len(mine)} best trials have {name} within {percent(_NEAR_EDGE)} of its {field} "
            f"({number(space.low if field == 'min' else space.high)}), half of them within {percent(within)}, and "
            f"nobody has looked beyond: write `{field}: {number(wider)}`"
        )


def _rises(trials: Sequence[FrozenTrial], costs: Floats) -> dict[str, tuple[float, float]]:
    """By how many standard errors costs are higher at the low and at the high end of each number's range than in its
    middle: of a parabola in each number that is fitted to the ranks of all, so that no parameter is credited with what
    others did. Empty where there are too few trials to fit it."""
    columns, places = [np.ones(len(trials))], dict[str, int]()
    for name, at in coordinates(trials).items():
        absent, held = np.isnan(at), np.nan_to_num(at)
        if all(_is_number(trial.distributions[name]) for trial in trials if name in trial.distributions):
            places[name] = len(columns)
            columns += [held, held**2]
        else:
            columns += [((held == value) & ~absent).astype(np.float64) for value in np.unique(held)[1:]]
        if absent.any():
            columns.append(absent.astype(np.float64))
    spare = len(trials) - len(columns)
    if spare < _SPARE:
        return {}
    matrix, placed = np.column_stack(columns), ranks(costs)
    inverse = np.linalg.inv(matrix.T @ matrix + _RIDGE * np.eye(len(columns)))
    fitted = inverse @ matrix.T @ placed
    variance = float(((placed - matrix @ fitted) ** 2).sum()) / spare + _RIDGE

    def rise(place: int, way: Floats) -> float:
        here = slice(place, place + 2)
        return float(way @ fitted[here]) / math.sqrt(variance * float(way @ inverse[here, here] @ way))

    return {name: (rise(place, _MIDDLE_TO_LOW), rise(place, _MIDDLE_TO_HIGH)) for name, place in places.items()}


def _is_number(space: BaseDistribution) -> bool:
    return isinstance(space, Numeric)


def _natural_low(space: Numeric) -> bool:
    """0 and, of whole numbers, 1 and 2: less is seldom allowed."""
    return 0 <= space.low <= (2 if isinstance(space, IntDistribution) else 0)


def _natural_high(space: Numeric) -> bool:
    """1 of shares and probabilities."""
    return isinstance(space, FloatDistribution) and space.low >= 0 and space.high == 1


def _lower(space: Numeric) -> float:
    if space.log:
        return max(_rounded(space.low / _factor(space)), 1.0 if isinstance(space, IntDistribution) else 0.0)
    wider = _rounded(space.low - (space.high - space.low) / 2)
    return max(wider, 0.0) if space.low > 0 else wider


def _higher(space: Numeric) -> float:
    return _rounded(space.high * _factor(space) if space.log else space.high + (space.high - space.low) / 2)


def _factor(space: Numeric) -> float:
    """Half the range once more, ten times at most."""
    return min(10.0, max(2.0, math.sqrt(space.high / space.low)))


def _rounded(value: float) -> float:
    """As a person would write it: two digits."""
    return float(f"{value:.1e}")


def _values(space: BaseDistribution) -> float:
    """How many values it has."""
    if isinstance(space, CategoricalDistribution):
        return len(space.choices)
    if isinstance(space, Numeric) and space.step:
        return (space.high - space.low) // space.step + 1
    return math.inf


def repeated_parameters(evidence: Evidence) -> Iterator[str]:
    """Many trials were given what an earlier one had."""
    count = len(evidence.used)
    if count < _LEAST_TO_REPEAT:
        return
    settings = Counter(repr(sorted(trial.params.items())) for trial in evidence.used if trial.params)
    repeated = sum(settings.values()) - len(settings)
    if repeated < _REPEATED * count:
        return
    points = math.prod(_values(space) for space in _spaces(evidence.used).values())
    what = (
        f"the space has {points:.0f} points: write `budget.trials: {len(settings)}`, or take a Grid"
        if points <= count
        else f"write `budget.trials: {max(len(settings), 10)}`, finer steps or wider ranges"
    )
    yield (
        f"{repeated} of {count} trials had the parameters of an earlier one, the most frequent "
        f"{settings.most_common(1)[0][1]} times: unless the objective is random they tell nothing new; {what}"
    )


def _spaces(trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
    return {name: space for trial in trials for name, space in trial.distributions.items()}
