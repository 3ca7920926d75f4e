"""What a round learns from studies that are in its store already, in every kind of store."""

from collections.abc import Sequence
from typing import Any

import pytest
from optuna.trial import create_trial

from builders import MAXIMIZE, MINIMIZE, choice, make_round, real
from tuning_store.earlier_studies import begin_with, of_same_model
from tuning_store.exceptions import UnknownEarlierStudy
from tuning_store.rounds import start
from tuning_store.store import Store
from tuning_store.values import ClaimedTrial, Owner
from tuning_study.attributes import DATA_ATTRIBUTE, KNOWN_ATTRIBUTE, POINT_ATTRIBUTE
from tuning_study.budget import StopReason
from tuning_study.search.likeness import Profile
from tuning_study.search.space import distribution
from tuning_worker.known import Known, known

from .conftest import start_round

PROFILE = Profile("sklearn.svm.SVC", {"logRows": 2.0, "skew": 0.0})
SKLEARN = {
    "sklearn": {
        "steps": [{"class": "sklearn.svm.SVC"}],
        "dataset": {"load": "wine"},
    }
}


def begun(
    store: Store, name: str, *points: tuple[float, dict[str, Any]], profile: Profile | None = PROFILE, **fields: Any
) -> str:
    """A study that goes on, and whose trials tried these points, each with what came of it; its name in Optuna."""
    resolved = make_round(name, **fields)
    start_round(store, resolved)
    study = store.load_study(resolved.study)
    if profile is not None:
        study.set_user_attr(DATA_ATTRIBUTE, profile.attribute())
    kinds = {parameter.name: distribution(parameter) for parameter in resolved.spec.parameters}
    for value, point in points:
        study.add_trial(create_trial(params=point, distributions={k: kinds[k] for k in point}, value=value))
    return resolved.study


def finished(store: Store, name: str, *points: tuple[float, dict[str, Any]], **more: Any) -> str:
    study = begun(store, name, *points, **more)
    store.claims.stop(store.rounds.find(study), StopReason.BUDGET_USED, "")
    return study


def test_the_manifests_points_come_first_then_the_best_of_the_studies_that_it_names(store: Store) -> None:
    finished(store, "old", (0.1, {"x": 0.1}), (0.9, {"x": 0.9}), (0.5, {"x": 0.5}))
    finished(store, "older", (0.3, {"x": 0.3}))
    warm = {"points": [{"x": 0.0}], "studies": [{"name": "old", "top": 2}, {"name": "older"}]}
    points, changes = begin_with(store, make_round("new", warmStart=warm))
    assert points == [{"x": 0.0}, {"x": 0.9}, {"x": 0.5}, {"x": 0.3}]
    assert changes == []


def test_of_a_space_that_differs_in_part_the_common_parameters_are_kept(store: Store) -> None:
    space = [real(), choice("kernel", ["rbf", "poly", None])]
    finished(store, "old", (0.9, {"x": 0.9, "kernel": None}), (0.8, {"x": 0.2, "kernel": "poly"}), parameters=space)
    narrower = [real("x", 0.0, 0.5), choice("kernel", ["rbf", None]), real("gamma")]
    points, changes = begin_with(
        store, make_round("new", parameters=narrower, warmStart={"studies": [{"name": "old"}]})
    )
    assert points == [{"x": 0.5, "kernel": None}, {"x": 0.2}]
    assert changes == []  # which a manifest's author could do nothing about


def test_a_study_that_is_not_there_is_told_with_those_that_are(store: Store) -> None:
    finished(store, "digits")
    finished(store, "wine")
    wanted = make_round("new", warmStart={"studies": [{"name": "digts"}]})
    with pytest.raises(UnknownEarlierStudy, match=r"no study digts in this namespace's store; it has digits, wine$"):
        begin_with(store, wanted)


def test_a_study_that_goes_on_is_waited_for_until_it_has_as_many_trials_as_are_asked_for(store: Store) -> None:
    begun(store, "old", (0.9, {"x": 0.9}))
    message = "old goes on, and has fewer complete trials than the 2 that are asked for: let it end"
    with pytest.raises(UnknownEarlierStudy, match=message):
        begin_with(store, make_round("new", warmStart={"studies": [{"name": "old", "top": 2}]}))
    points, _ = begin_with(store, make_round("new", warmStart={"studies": [{"name": "old", "top": 1}]}))
    assert points == [{"x": 0.9}]


def test_studies_of_other_namespaces_are_not_looked_at(store: Store) -> None:
    finished(store, "old", (0.9, {"x": 0.9}), namespace="others")
    with pytest.raises(UnknownEarlierStudy, match="nor any other"):
        begin_with(store, make_round("new", warmStart={"studies": [{"name": "old"}]}))
    assert of_same_model(store, make_round("new"), PROFILE) == []


def test_of_several_rounds_the_last_one_counts(store: Store) -> None:
    finished(store, "old", (0.9, {"x": 0.9}))
    finished(store, "old", (0.2, {"x": 0.2}), number=2)
    points, _ = begin_with(store, make_round("new", warmStart={"studies": [{"name": "old"}]}))
    assert points == [{"x": 0.2}]


def test_history_is_of_studies_with_the_same_model_and_objective(store: Store) -> None:
    finished(store, "same", (0.1, {"x": 0.1}), (0.9, {"x": 0.9}))
    finished(store, "other-model", (0.9, {"x": 0.9}), profile=Profile("sklearn.svm.NuSVC", PROFILE.features))
    finished(store, "other-objective", (0.9, {"x": 0.9}), metrics=[MINIMIZE])
    finished(store, "unknown-data", (0.9, {"x": 0.9}), profile=None)
    finished(store, "empty")
    [study] = of_same_model(store, make_round("new"), PROFILE)
    assert (study.name, study.data, study.points, study.losses) == (
        "same",
        PROFILE.features,
        [{"x": 0.9}, {"x": 0.1}],
        [-0.9, -0.1],
    )


def test_a_round_does_not_learn_from_itself(store: Store) -> None:
    finished(store, "digits", (0.9, {"x": 0.9}))
    assert of_same_model(store, make_round("digits"), PROFILE) == []
    [before] = of_same_model(store, make_round("digits", number=2), PROFILE)
    assert before.points == [{"x": 0.9}]


def test_what_breaks_a_constraint_is_not_learned_from(store: Store) -> None:
    name = finished(store, "old", (0.5, {"x": 0.5}))
    study = store.load_study(name)
    trial = study.ask({"x": distribution(make_round().spec.parameters[0])})
    trial.set_constraint("size", 1.0)
    study.tell(trial, 0.9)
    [found] = of_same_model(store, make_round("new"), PROFILE)
    assert found.points == [{"x": 0.5}]


class Objective:
    """One whose worker knows the data."""

    preparation: Sequence[str] = ()
    profile = PROFILE

    def references(self, features: Sequence[str]) -> dict[str, Any]:
        return {}

    def __call__(self, run: object) -> dict[str, float]:
        raise NotImplementedError


def test_each_known_point_is_tried_by_one_trial_whoever_runs_it(store: Store) -> None:
    finished(store, "old", (0.9, {"x": 0.9}))
    finished(store, "older", (0.3, {"x": 0.3}), profile=Profile(PROFILE.model, {"logRows": 2.5, "skew": 0.0}))
    resolved = make_round("new", objective=SKLEARN, warmStart={"history": {}, "points": [{"x": 0.1}]})
    study_id = start_round(store, resolved, points=({"x": 0.1},))
    tried = []
    for worker in ("a", "b", "c", "d"):
        own = store.as_worker(worker)
        plan = known(own, own.load_study(resolved.study), resolved, Objective())
        claimed = own.claims.claim(study_id)
        assert isinstance(claimed, ClaimedTrial)
        plan.give(own, claimed)
        trial = own.storage.get_trial(claimed.trial_id)
        tried.append(trial.system_attrs.get(POINT_ATTRIBUTE))
    assert tried == [{"x": 0.1}, {"x": 0.9}, {"x": 0.3}, None]
    held = store.load_study(resolved.study).user_attrs[KNOWN_ATTRIBUTE]
    assert [entry["reason"].split(",")[0] for entry in held["suggestions"]] == ["best of old", "best of older"]


def test_a_point_that_somebody_enqueued_meanwhile_is_not_replaced(store: Store) -> None:
    finished(store, "old", (0.9, {"x": 0.9}))
    resolved = make_round("new", objective=SKLEARN, warmStart={"history": {}})
    study_id = start_round(store, resolved)
    store.load_study(resolved.study).enqueue_trial({"x": 0.5})
    worker = store.as_worker("w-0")
    claimed = worker.claims.claim(study_id)
    assert isinstance(claimed, ClaimedTrial)
    known(worker, worker.load_study(resolved.study), resolved, Objective()).give(worker, claimed)
    assert worker.storage.get_trial(claimed.trial_id).system_attrs[POINT_ATTRIBUTE] == {"x": 0.5}


def test_a_retuning_round_goes_on_from_the_one_before_alone(store: Store) -> None:
    finished(store, "old", (0.9, {"x": 0.9}))
    resolved = make_round("new", number=2, objective=SKLEARN, warmStart={"history": {}})
    spec = resolved.spec
    keeper = Owner("cluster")
    start(store, resolved, digest="d", budget=spec.budget, owner=keeper, points=[], warm_from="team/new/uid-1/r1")
    assert known(store, store.load_study(resolved.study), resolved, Objective()) == Known()


def test_what_was_decided_stays_though_history_goes_on(store: Store) -> None:
    finished(store, "old", (0.9, {"x": 0.9}))
    resolved = make_round("new", objective=SKLEARN, warmStart={"history": {}})
    start_round(store, resolved)
    first = known(store, store.load_study(resolved.study), resolved, Objective())
    finished(store, "newer", (0.3, {"x": 0.3}))
    assert known(store, store.load_study(resolved.study), resolved, Objective()) == first


def test_data_are_recorded_for_later_studies_also_by_a_study_that_asks_for_no_history(store: Store) -> None:
    resolved = make_round("plain", objective=SKLEARN, metrics=[MAXIMIZE])
    start_round(store, resolved)
    known(store, store.load_study(resolved.study), resolved, Objective())
    assert Profile.of_study(store.load_study(resolved.study).user_attrs) == PROFILE
