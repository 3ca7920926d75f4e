"""The metrics of studies, by the names that dashboards and rules use."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from builders import make_progress, make_spec
from tuning_exporter.families import Scene, families
from tuning_store.durations import BOUNDS, Durations
from tuning_store.tenants import tenant_of
from tuning_study.budget import Counts

STUDY = "team/digits/uid-1/r1"
BODY: dict[str, Any] = {
    "metadata": {"namespace": "team", "name": "digits", "uid": "uid-1"},
    "status": {
        "state": "Running",
        "round": 2,
        "phase": "explore",
        "storage": {"study": STUDY},
        "best": {"metrics": [{"name": "accuracy", "value": 0.97}]},
        "pareto": {"size": 4, "feasible": 4},
        "workers": {"desired": 3, "ready": 1},
        "conditions": [{"type": "Running", "status": "False", "reason": "WorkersPending"}],
    },
}
PROGRESS = make_progress(make_spec(), complete=4, running=1, shares={"w-0": Counts(complete=4, running=1)})
DURATIONS = Durations([1] + [3] * len(BOUNDS), 4.5)
PLACE = tenant_of("team", "cluster").schema, STUDY
SCENE = Scene([BODY], "cluster", {PLACE: PROGRESS}, {PLACE: DURATIONS})


class Told(Collector):
    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def collect(self) -> Any:
        return families(self._scene)


def registry(scene: Scene) -> CollectorRegistry:
    made = CollectorRegistry()
    made.register(Told(scene))
    return made


def value(name: str, scene: Scene = SCENE, **labels: str) -> float | None:
    return registry(scene).get_sample_value(name, {"namespace": "team", "study": "digits", **labels})


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("tuning_study_info", {"uid": "uid-1", "phase": "explore"}, 1),
        ("tuning_study_state", {"state": "Running"}, 1),
        ("tuning_study_state", {"state": "Complete"}, 0),
        ("tuning_study_round", {}, 2),
        ("tuning_study_trials_target", {}, 10),
        ("tuning_study_workers", {"state": "desired"}, 3),
        ("tuning_study_workers", {"state": "ready"}, 1),
        ("tuning_study_condition", {"condition": "Running", "status": "False", "reason": "WorkersPending"}, 1),
        ("tuning_study_trials", {"state": "complete"}, 4),
        ("tuning_study_trials", {"state": "waiting"}, 0),
        ("tuning_study_best_value", {"metric": "accuracy"}, 0.97),
        ("tuning_study_pareto_trials", {"feasible": "true"}, 4),
        ("tuning_worker_trials", {"worker": "w-0", "state": "running"}, 1),
        ("tuning_trial_duration_seconds_count", {}, 3),
        ("tuning_trial_duration_seconds_sum", {}, 4.5),
        ("tuning_trial_duration_seconds_bucket", {"le": "0.1"}, 1),
        ("tuning_trial_duration_seconds_bucket", {"le": "+Inf"}, 3),
    ],
)
def test_a_study_is_told_under_the_contracts_names(name: str, labels: dict[str, str], expected: float) -> None:
    assert value(name, **labels) == expected


def test_a_study_is_in_exactly_one_state() -> None:
    states = next(family for family in families(SCENE) if family.name == "tuning_study_state").samples
    assert sum(sample.value for sample in states) == 1
    assert len(states) == 5


def test_a_study_that_nobody_has_looked_at_yet_is_pending() -> None:
    scene = Scene([{"metadata": BODY["metadata"]}])
    assert value("tuning_study_state", scene, state="Pending") == 1
    assert value("tuning_study_round", scene) == 0
    assert value("tuning_study_trials", scene, state="complete") is None


def test_a_study_without_a_trial_budget_has_no_target() -> None:
    progress = make_progress(make_spec(budget={"duration": "1h"}))
    assert value("tuning_study_trials_target", Scene([BODY], {STUDY: progress})) is None


@pytest.mark.parametrize("up", [True, False])
def test_whether_the_store_answers_is_told_without_any_study(up: bool) -> None:
    assert registry(Scene(store_up=up)).get_sample_value("tuning_store_up") == float(up)


def test_rounds_of_studies_that_are_gone_are_not_told() -> None:
    assert b"digits" not in generate_latest(registry(Scene([], {STUDY: PROGRESS}, {STUDY: DURATIONS})))


def test_the_whole_is_text_that_prometheus_reads() -> None:
    from prometheus_client.parser import text_string_to_metric_families

    text = generate_latest(registry(SCENE)).decode()
    assert len(list(text_string_to_metric_families(text))) == 12


@pytest.mark.parametrize(
    ("told", "value_of_it"), [(0.5, 0.5), ("Infinity", float("inf")), ("-Infinity", float("-inf")), ("nonsense", None)]
)
def test_a_value_that_is_no_number_is_left_out(told: Any, value_of_it: float | None) -> None:
    body = {**BODY, "status": {**BODY["status"], "best": {"metrics": [{"name": "accuracy", "value": told}]}}}
    assert value("tuning_study_best_value", Scene([body], "cluster"), metric="accuracy") == value_of_it
