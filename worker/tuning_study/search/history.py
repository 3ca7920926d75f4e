"""What a namespace's earlier studies suggest to try first on new data, and how well such suggestions would have done.

warm_start asks it, for workers before their first trial and for `tuning recommend`. What a point would have come to in
a study that did not try it is taken from the points nearest to it that the study did try.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from statistics import fmean
from typing import Any

import numpy as np

from tuning_study.api.parameters import Parameter
from tuning_study.api.warm_start import History
from tuning_study.search.greedy import greedy_portfolio, normalised_regret
from tuning_study.search.likeness import distance
from tuning_study.search.samplers._types import Array
from tuning_study.search.samplers.gaussian.dimensions import of_manifest
from tuning_study.search.samplers.gaussian.space import Space
from tuning_study.search.space import Point, clip, stored_point

_OFFERED = 3  # of each study's best points are considered for the portfolio
_NEAREST = 3  # tried points that tell what another would have come to
_ENOUGH = 3  # studies, from which on they say which points do well on all
_LARGEST = 1e150  # of a loss: infinite ones are as bad as this, and differences stay finite
_ALIKE = 1e-6  # squared distance at which a tried point is the point itself


@dataclass(frozen=True)
class EarlierStudy:
    """Of complete trials; `points` and `losses` begin with the best, and the smaller a loss, the better."""

    name: str
    data: Mapping[str, float]
    """What its data are like: likeness.SCALES."""
    points: Sequence[Point]
    losses: Sequence[float]


@dataclass(frozen=True)
class Suggestion:
    point: Point
    reason: str
    """For people: whose point it is, and why it is tried."""


@dataclass(frozen=True)
class Control:
    """Mean normalised regret of a first suggestion, each earlier study in turn taken as the new one: 0 is the best that
    the study found, 1 its worst. If the nearest is no better than a random one, likeness tells nothing here."""

    studies: int
    nearest: float
    random: float
    portfolio: float


@dataclass(frozen=True)
class Recommendation:
    suggestions: Sequence[Suggestion] = ()
    control: Control | None = None
    """None for fewer than three earlier studies."""

    def besides(self, tried: Sequence[Point], budget: int | None) -> "Recommendation":
        """Without points that are tried anyway, and so that half of the budget's trials are left to the sampler."""
        held = [stored_point(point) for point in tried]
        others = [each for each in self.suggestions if stored_point(each.point) not in held]
        most = len(others) if budget is None else max(0, budget // 2 - len(tried))
        return replace(self, suggestions=others[:most])

    def attribute(self) -> dict[str, Any]:
        """As a study keeps it: KNOWN_ATTRIBUTE."""
        return asdict(self)


def recommend(
    asked: History | None,
    parameters: Sequence[Parameter],
    data: Mapping[str, float],
    earlier: Sequence[EarlierStudy],
    built_in: Sequence[Point] = (),
) -> Recommendation:
    """A portfolio and the best of the most similar data sets in turn, each point once and inside the space.

    The portfolio is chosen among the earlier studies' best and the `built_in` points; while there are fewer than three
    studies to judge them by, it is the built-in one. If earlier studies are not `asked` for, it is that as a whole.
    """
    if asked is None:
        known = _Known(parameters, (), built_in)
        return Recommendation(_in_turn(known.portfolio(len(built_in)), ()))
    told = [study for study in earlier if study.points]
    known = _Known(parameters, told, built_in)
    nearest = sorted(range(len(told)), key=lambda index: distance(data, told[index].data))
    neighbours = [known.best_of(index, distance(data, told[index].data)) for index in nearest[: asked.neighbours]]
    return Recommendation(_in_turn(known.portfolio(asked.portfolio), neighbours), known.control())


@dataclass(frozen=True)
class _Offer:
    """A point of the new space, and the study it comes from; None for a built-in one."""

    point: Point
    study: int | None
    trial_rank: int


class _Known:
    """The earlier studies and the built-in points, in the new study's space."""

    def __init__(
        self, parameters: Sequence[Parameter], studies: Sequence[EarlierStudy], built_in: Sequence[Point]
    ) -> None:
        self._studies = studies
        self._space = Space(of_manifest(parameters))
        clipped = [[clip(parameters, point)[0] for point in study.points] for study in studies]
        self._offers = [  # of equal ones the first is chosen: rather a study's own than a built-in one
            _Offer(point, index, rank)
            for index, points in enumerate(clipped)
            for rank, point in enumerate(points[:_OFFERED])
        ]
        self._offers += [_Offer(clip(parameters, point)[0], None, rank) for rank, point in enumerate(built_in)]
        self._offers = [offer for offer in self._offers if offer.point]
        self._best = [points[0] for points in clipped]
        rows = self._rows([offer.point for offer in self._offers])
        self._regrets = np.array(
            [
                _regrets_at(rows, self._rows(points), _normalised(study.losses))
                for points, study in zip(clipped, studies, strict=True)
            ]
        ).reshape(len(studies), len(self._offers))
        """studies × offers."""

    def _rows(self, points: Sequence[Point]) -> Array:
        if not points:
            return np.empty((0, len(self._space.owner)))
        rows, _ = self._space.settled(np.array([self._space.row(stored_point(point)) for point in points]))
        return self._space.embedded(rows)

    def best_of(self, index: int, apart: float) -> Suggestion:
        return Suggestion(self._best[index], f"best of {self._studies[index].name}, whose data are {apart:.2g} apart")

    def portfolio(self, size: int) -> list[Suggestion]:
        if len(self._studies) < _ENOUGH:
            return [self._told(offer) for offer in self._offers if offer.study is None][:size]
        return [self._told(self._offers[index]) for index in greedy_portfolio(self._regrets.T, size)]

    def _told(self, offer: _Offer) -> Suggestion:
        if offer.study is None:
            return Suggestion(offer.point, f"number {offer.trial_rank + 1} of the built-in portfolio")
        name = self._studies[offer.study].name
        which = "best" if offer.trial_rank == 0 else f"number {offer.trial_rank + 1}"
        return Suggestion(offer.point, f"{which} of {name}, and good on the data of the {len(self._studies)} studies")

    def control(self) -> Control | None:
        count = len(self._studies)
        if count < _ENOUGH:
            return None
        best = {offer.study: index for index, offer in enumerate(self._offers) if offer.trial_rank == 0}
        nearest, random, portfolio = [], [], []
        for index, study in enumerate(self._studies):
            others = [other for other in range(count) if other != index and other in best]
            if not others:
                continue
            mine = self._regrets[index]
            chosen = min(others, key=lambda other: distance(study.data, self._studies[other].data))
            nearest.append(mine[best[chosen]])
            random.append(fmean(mine[best[other]] for other in others))
            offered = [number for number, offer in enumerate(self._offers) if offer.study != index]
            [first] = greedy_portfolio(self._regrets[np.ix_(others, offered)].T, 1)
            portfolio.append(mine[offered[first]])
        return Control(count, fmean(nearest), fmean(random), fmean(portfolio)) if nearest else None


def _normalised(losses: Sequence[float]) -> Array:
    """0 for the best, 1 for the worst."""
    values = np.clip(np.asarray(losses, dtype=float), -_LARGEST, _LARGEST)
    return normalised_regret(values[:, None])[:, 0]


def _regrets_at(rows: Array, tried: Array, regrets: Array) -> Array:
    """Of each row: the mean of the nearest tried points, weighted by nearness; its own where it was tried itself."""
    if not len(rows):
        return np.empty(0)
    apart = ((rows[:, None, :] - tried[None, :, :]) ** 2).sum(axis=2)
    near = np.argsort(apart, axis=1, kind="stable")[:, :_NEAREST]
    weights = 1 / (np.take_along_axis(apart, near, axis=1) + _ALIKE)
    found: Array = (weights * regrets[near]).sum(axis=1) / weights.sum(axis=1)
    return found


def _in_turn(portfolio: Sequence[Suggestion], neighbours: Sequence[Suggestion]) -> list[Suggestion]:
    chosen: list[Suggestion] = []
    for pair in zip_longest(portfolio, neighbours):
        for suggestion in pair:
            known = suggestion is None or not suggestion.point
            if not known and all(stored_point(suggestion.point) != stored_point(c.point) for c in chosen):
                chosen.append(suggestion)
    return chosen
