"""What a new round may learn from studies of its namespace that are in the store already. Called by the operator and
by `tuning run` for the studies that a manifest names, by workers for those with data like theirs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuning_store.exceptions import UnknownEarlierStudy, translated
from tuning_store.store import Store
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.warm_start import EarlierTrials
from tuning_study.attributes import ROUND_ATTRIBUTE
from tuning_study.results.best import best_parameters, ranked
from tuning_study.results.candidates import candidates, costs
from tuning_study.round import ResolvedRound, is_search, read_round
from tuning_study.search.history import EarlierStudy
from tuning_study.search.likeness import Profile, distance
from tuning_study.search.space import Point
from tuning_study.search.warm_start import starting_points

_MOST = 50  # studies that are read whole: those whose data are most alike
_MOST_TOLD = 10


def begin_with(store: Store, resolved: ResolvedRound) -> tuple[list[Point], list[str]]:
    """The points that the manifest gives, then the best trials of the studies that it names, moved into the space; and
    a sentence for each change of a given point.

    Raises UnknownEarlierStudy.
    """
    spec = resolved.spec
    points, changes = starting_points(spec.parameters, spec.warm_start.points)
    found, _ = starting_points(spec.parameters, _best_points(store, resolved, spec.warm_start.studies or ()))
    return [*points, *filter(None, found)], changes


def _best_points(store: Store, resolved: ResolvedRound, wanted: Sequence[EarlierTrials]) -> list[Point]:
    """The best trials of the studies that a manifest names, in its order, each study's best first.

    Raises UnknownEarlierStudy for one that is not in the namespace, or goes on and has not so many trials yet.
    """
    if not wanted:
        return []
    rounds = _last_rounds(store, resolved)
    found: list[Point] = []
    with translated():
        for entry in wanted:
            if entry.name not in rounds:
                raise UnknownEarlierStudy(_unknown(entry.name, rounds))
            if rounds[entry.name].goes_on and rounds[entry.name].complete < entry.top:
                raise UnknownEarlierStudy(_unfinished(entry))
            study = store.load_study(rounds[entry.name].name)
            found += best_parameters(read_round(study.user_attrs).spec, study.get_trials(deepcopy=False), entry.top)
    return found


def of_same_model(store: Store, resolved: ResolvedRound, profile: Profile) -> list[EarlierStudy]:
    """The last round of each other study in the namespace that tuned the same model for one of the same objectives.
    Of very many, those whose data are most alike."""
    alike = [
        found
        for found in _last_rounds(store, resolved).values()
        if found.profile is not None and found.profile.model == profile.model
    ]
    alike.sort(key=lambda found: distance(profile.features, found.profile.features if found.profile else {}))
    with translated():
        read = (_read(store, found) for found in alike[:_MOST] if _shares_objective(found, resolved.spec))
        return [study for study in read if study.points]


@dataclass(frozen=True)
class _LastRound:
    name: str
    attributes: Mapping[str, Any]
    complete: int
    goes_on: bool

    @property
    def profile(self) -> Profile | None:
        return Profile.of_study(self.attributes)


def _last_rounds(store: Store, resolved: ResolvedRound) -> dict[str, _LastRound]:
    """Of each study of the namespace by its name, the one that began last; but `resolved`."""
    with translated():
        progress = store.readings.progress()
        studies = {entry.study_name: entry.user_attrs for entry in store.storage.get_all_studies()}
    others = [
        (progress[study].started_at, study, name)
        for study, name in _of_namespace(resolved.namespace, studies)
        if study in progress and study != resolved.study
    ]
    return {
        name: _LastRound(study, studies[study], progress[study].counts.complete, progress[study].stop_reason is None)
        for _, study, name in sorted(others)
    }


def _of_namespace(namespace: str, studies: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Rounds of the namespace, with what their author calls the study."""
    for study, attributes in studies.items():
        if study.startswith(f"{namespace}/") and is_search(study) and ROUND_ATTRIBUTE in attributes:
            yield study, study.split("/")[1]


def _shares_objective(found: _LastRound, spec: TuningStudySpec) -> bool:
    mine = {(metric.name, metric.direction) for metric in spec.objectives}
    return any((metric.name, metric.direction) in mine for metric in read_round(found.attributes).spec.objectives)


def _read(store: Store, found: _LastRound) -> EarlierStudy:
    """With several objectives a trial's place in their order is its loss."""
    study, spec = store.load_study(found.name), read_round(found.attributes).spec
    trials = study.get_trials(deepcopy=False)
    order = ranked(spec.objectives, candidates(trials), spec.selection)
    feasible = [entry for entry in order if entry.feasible]
    one = len(spec.objectives) == 1
    losses = [costs(spec.objectives, entry)[0] if one else float(place) for place, entry in enumerate(feasible)]
    points = [dict(trials[entry.number].params) for entry in feasible]
    assert found.profile is not None  # callers look for it
    return EarlierStudy(found.name.split("/")[1], found.profile.features, points, losses)


def _unknown(name: str, rounds: Mapping[str, object]) -> str:
    known = sorted(rounds)
    others = f"; it has {', '.join(known[:_MOST_TOLD])}" if known else ", nor any other"
    return f"warmStart.studies: no study {name} in this namespace's store{others}"


def _unfinished(entry: EarlierTrials) -> str:
    # Without the number that it has, which would be news, and an Event, with every trial.
    return (
        f"warmStart.studies: the study {entry.name} goes on, and has fewer complete trials than the {entry.top} that"
        " are asked for: let it end, or lower `top`"
    )
