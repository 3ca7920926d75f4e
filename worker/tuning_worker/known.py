"""What the first trials of a round try because it is known to be good: built-in settings, and earlier studies' best.

A worker decides it once it has read its data; the study keeps the decision for all workers, and for the report.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import optuna
import structlog

from tuning_store import earlier_studies
from tuning_store.store import Store
from tuning_store.values import ClaimedTrial
from tuning_study.attributes import DATA_ATTRIBUTE, KNOWN_ATTRIBUTE, POINT_ATTRIBUTE, START_ATTRIBUTE
from tuning_study.round import ResolvedRound
from tuning_study.search.history import Recommendation
from tuning_study.search.likeness import Profile
from tuning_study.search.space import Point, stored_point
from tuning_study.search.warm_start import known_points
from tuning_worker.run import Objective

log = structlog.get_logger()


@dataclass(frozen=True)
class Known:
    """Trial number `first` tries the first point, the next one the second: no two try the same, whoever runs them."""

    first: int = 0
    points: Sequence[Point] = ()

    def give(self, store: Store, claimed: ClaimedTrial) -> None:
        """Fix the parameters of a claimed trial, before Optuna reads it, if a point is meant for it."""
        index = claimed.number - self.first
        if not 0 <= index < len(self.points):
            return
        if POINT_ATTRIBUTE not in store.storage.get_trial(claimed.trial_id).system_attrs:  # somebody may have given one
            point = stored_point(self.points[index])
            store.storage.set_trial_system_attr(claimed.trial_id, POINT_ATTRIBUTE, point)


def known(store: Store, study: optuna.Study, resolved: ResolvedRound, objective: Objective) -> Known:
    """As the study has it, or decided now. Two workers that decide at one moment decide the same."""
    attributes, profile = study.user_attrs, objective.profile
    start = attributes.get(START_ATTRIBUTE)
    if profile is None or start is None or resolved.verifies:
        return Known()
    if attributes.get(DATA_ATTRIBUTE) != profile.attribute():
        study.set_user_attr(DATA_ATTRIBUTE, profile.attribute())
    if start["from"] is not None:
        return Known()  # the round goes on from the one before
    held = attributes.get(KNOWN_ATTRIBUTE)
    if held is None:
        found = _decide(store, resolved, profile, given=_waiting(study, start["points"]))
        held = found.attribute()
        if found.suggestions:
            log.info("the first trials try what is known", points=len(found.suggestions))
            study.set_user_attr(KNOWN_ATTRIBUTE, held)
    return Known(start["points"], [entry["point"] for entry in held["suggestions"]])


def _decide(store: Store, resolved: ResolvedRound, profile: Profile, given: Sequence[Point]) -> Recommendation:
    history = resolved.spec.warm_start.history
    earlier = earlier_studies.of_same_model(store, resolved, profile) if history is not None else []
    return known_points(resolved.spec, history, profile, earlier, given)


def _waiting(study: optuna.Study, count: int) -> list[Point]:
    """The points with which the round began, as the store holds them."""
    trials = study.get_trials(deepcopy=False)[:count] if count else []
    return [trial.system_attrs.get(POINT_ATTRIBUTE, {}) for trial in trials]
