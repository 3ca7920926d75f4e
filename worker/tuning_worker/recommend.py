"""Says what history and the built-in portfolio would have a study try first, without running it. A program of its own:
`tuning recommend` starts it where the study's data are. It reads a Request as JSON from standard input, and prints an
Answer as JSON."""

import sys
from contextlib import closing
from typing import Any

from pydantic import BaseModel

from tuning_store.earlier_studies import begin_with, of_same_model
from tuning_store.exceptions import UnknownEarlierStudy
from tuning_store.store import open_store
from tuning_study.api.warm_start import History
from tuning_study.round import ResolvedRound
from tuning_study.search.history import EarlierStudy
from tuning_study.search.likeness import Profile, differences, distance
from tuning_study.search.space import Point
from tuning_study.search.warm_start import known_points, starting_points
from tuning_worker.exceptions import ObjectiveRejected
from tuning_worker.objectives.sklearn import SklearnModel


class Request(BaseModel):
    round: ResolvedRound
    store: str | None
    """URL of the store that has the history; None where there is none yet."""


class Neighbour(BaseModel):
    name: str
    distance: float
    differences: list[str]
    """Features in which the data differ by one or more on their scale, the largest difference first."""


class Answer(BaseModel):
    model: str
    features: dict[str, float]
    neighbours: list[Neighbour]
    """All earlier studies of the model, the most similar first."""
    suggestions: list[dict[str, Any]]
    """`point` and `reason` of each that a run would try, in the order of the trials."""
    with_history: list[dict[str, Any]]
    """The same, if the manifest does not ask for history and would; else empty."""
    control: dict[str, float] | None


def answer(request: Request) -> Answer:
    """Raises ObjectiveRejected for a pipeline or data that cannot run, and StoreError."""
    spec, seed = request.round.spec, request.round.seed
    objective, wanted = spec.objective.sklearn, spec.warm_start
    assert objective is not None  # tuning recommend asks for no other
    profile = SklearnModel.load(objective, spec, seed).profile
    given, earlier = _known_in_store(request, profile)

    def tried(history: History | None) -> tuple[list[dict[str, Any]], dict[str, float] | None]:
        told = known_points(spec, history, profile, earlier, given).attribute()
        first = [{"point": point, "reason": "given in warmStart"} for point in given]
        return [*first, *told["suggestions"]], told["control"]

    suggestions, control = tried(wanted.history)
    with_history: list[dict[str, Any]] = []
    if wanted.history is None and earlier:
        with_history, control = tried(History())
    return Answer(
        model=profile.model,
        features=dict(profile.features),
        neighbours=sorted((_neighbour(profile, study) for study in earlier), key=lambda each: each.distance),
        suggestions=suggestions,
        with_history=with_history,
        control=control,
    )


def _known_in_store(request: Request, profile: Profile) -> tuple[list[Point], list[EarlierStudy]]:
    """The points that the manifest gives, itself or by the studies that it names, and the model's earlier studies."""
    wanted = request.round.spec.warm_start
    if request.store is not None:
        with closing(open_store(request.store, read_only=True)) as store:
            return begin_with(store, request.round)[0], of_same_model(store, request.round, profile)
    if wanted.studies:
        raise UnknownEarlierStudy(f"warmStart.studies: no study {wanted.studies[0].name}: none has run here yet")
    return starting_points(request.round.spec.parameters, wanted.points)[0], []


def _neighbour(profile: Profile, study: EarlierStudy) -> Neighbour:
    return Neighbour(
        name=study.name,
        distance=distance(profile.features, study.data),
        differences=differences(profile.features, study.data),
    )


def main() -> int:
    try:
        print(answer(Request.model_validate_json(sys.stdin.read())).model_dump_json())
    except (ObjectiveRejected, UnknownEarlierStudy) as rejected:
        print(rejected, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
