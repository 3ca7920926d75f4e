"""Points that a round begins with, made to fit its search space.

The operator and `tuning run` ask for those that are given, workers and `tuning recommend` for those that are known.
"""

from collections.abc import Iterable, Sequence

from tuning_study.api.parameters import Parameter
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.warm_start import History
from tuning_study.search.history import EarlierStudy, Recommendation, recommend
from tuning_study.search.likeness import Profile
from tuning_study.search.portfolios import built_in
from tuning_study.search.space import Point, clip

_LEARN = {"Auto", "TPE", "GP", "CmaEs"}
"""Samplers that make something of a good start; the others are asked for as they are."""


def starting_points(parameters: Sequence[Parameter], wanted: Iterable[Point]) -> tuple[list[Point], list[str]]:
    """The points, moved into the space, and a sentence for each thing that had to be changed.

    Without parameters the objective suggests its own, and nobody knows what would not fit.
    """
    if not parameters:
        return [dict(point) for point in wanted], []
    clipped = [clip(parameters, point) for point in wanted]
    return [point for point, _ in clipped], [change for _, changes in clipped for change in changes]


def known_points(
    spec: TuningStudySpec,
    history: History | None,
    profile: Profile,
    earlier: Sequence[EarlierStudy],
    given: Sequence[Point],
) -> Recommendation:
    """What a study tries first besides the points that it is `given`: by earlier studies, where `history` is asked for,
    and by the built-in portfolio."""
    found = recommend(history, spec.parameters, profile.features, earlier, built_in_points(spec))
    return found.besides(given, spec.budget.trials)


def built_in_points(spec: TuningStudySpec) -> list[Point]:
    """Settings of the built-in portfolio for the study's model, inside its space; none where it asks for none."""
    wanted, model = spec.warm_start.portfolio, spec.objective.sklearn
    if model is None or wanted == "None":
        return []
    if wanted is None and spec.phases[0].sampler.type not in _LEARN:
        return []
    last = model.steps[-1]
    return built_in(last.class_, spec.parameters, last_step=last.address, fixed=last.args)
