"""The metrics of studies, by the names that dashboards and rules use."""

from dataclasses import replace
from typing import Any, get_args

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from builders import make_progress, make_spec
from tuning_exporter.families.study import MAX_SERIES, Snapshot, tell
from tuning_exporter.text import text_of
from tuning_store.tenants import tenant_of
from tuning_store.values import DURATION_BOUNDS, Durations
from tuning_study.api.status import ConditionType
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
        "pareto": {"size": 4, "feasible": 4, "hypervolume": 0.71},
        "workers": {"desired": 3, "ready": 1},
        "conditions": [{"type": "Running", "status": "False", "reason": "WorkersPending"}],
        "production": [
            {
                "name": "accuracy",
                "value": 0.84,
                "time": "2026-03-08T12:00:00Z",
                "baseline": 0.9,
                "level": 0.855,
                "evidence": 1.0,
                "degradedSince": "2026-03-08T11:00:00Z",
            },
            {"name": "latency", "stale": True},
        ],
        "drift": {"verdict": "Drifted", "features": [{"name": "age", "psi": 0.4, "threshold": 0.2}]},
        "retune": {"episode": {"rounds": 1, "waitsFor": "Cooldown"}},
    },
}
PROGRESS = make_progress(make_spec(), complete=4, running=1, counts_by_worker={"w-0": Counts(complete=4, running=1)})
DURATIONS = Durations([1] + [3] * len(DURATION_BOUNDS), 4.5)
PLACE = tenant_of("team", "cluster").schema, STUDY
SNAPSHOT = Snapshot([BODY], "cluster", {PLACE: PROGRESS}, {PLACE: DURATIONS})


class Told(Collector):
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Any:
        return tell(self._snapshot).families


def registry(snapshot: Snapshot) -> CollectorRegistry:
    made = CollectorRegistry()
    made.register(Told(snapshot))
    return made


def value(name: str, snapshot: Snapshot = SNAPSHOT, **labels: str) -> float | None:
    return registry(snapshot).get_sample_value(name, {"namespace": "team", "study": "digits", **labels})


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
        ("tuning_study_hypervolume", {}, 0.71),
        ("tuning_production_value", {"metric": "accuracy"}, 0.84),
        ("tuning_production_baseline", {"metric": "accuracy"}, 0.9),
        ("tuning_production_degraded_level", {"metric": "accuracy"}, 0.855),
        ("tuning_production_evidence", {"metric": "accuracy"}, 1),
        ("tuning_production_degraded", {"metric": "accuracy"}, 1),
        ("tuning_production_degraded", {"metric": "latency"}, 0),
        ("tuning_production_stale", {"metric": "latency"}, 1),
        ("tuning_production_observation_timestamp_seconds", {"metric": "accuracy"}, 1772971200),
        ("tuning_production_gap", {"metric": "accuracy"}, pytest.approx(-0.06)),
        ("tuning_production_value", {"metric": "latency"}, None),
        ("tuning_drift_score", {"feature": "age", "method": "psi"}, 0.4),
        ("tuning_drift_threshold", {"feature": "age", "method": "psi"}, 0.2),
        ("tuning_retune_episode_rounds", {}, 1),
        ("tuning_retune_waiting", {"reason": "Cooldown"}, 1),
        ("tuning_worker_trials", {"worker": "w-0", "state": "running"}, 1),
        ("tuning_trial_duration_seconds_count", {}, 3),
        ("tuning_trial_duration_seconds_sum", {}, 4.5),
        ("tuning_trial_duration_seconds_bucket", {"le": "0.1"}, 1),
        ("tuning_trial_duration_seconds_bucket", {"le": "+Inf"}, 3),
    ],
)
def test_a_study_is_told_under_the_contracts_names(name: str, labels: dict[str, Any], expected: float) -> None:
    assert value(name, **labels) == expected


# --- How many series


def workers(number: int, **failed: int) -> dict[str, Counts]:
    """Each with two complete trials and one that runs; `failed` names those that have failed ones."""
    names = [f"w{each:03}" for each in range(number)]
    return {name: Counts(complete=2, running=1, failed=failed.get(name, 0)) for name in names}


def of_workers(shares: dict[str, Counts]) -> Snapshot:
    """A study whose model nobody watches, so that there is room for workers."""
    status = {name: BODY["status"][name] for name in ("state", "round", "storage", "best", "workers", "conditions")}
    progress = make_progress(make_spec(), counts_by_worker=shares)
    return replace(SNAPSHOT, studies=[{**BODY, "status": status}], progress={PLACE: progress})


def told_workers(snapshot: Snapshot) -> set[str]:
    [family] = [family for family in tell(snapshot).families if family.name == "tuning_worker_trials"]
    return {sample.labels["worker"] for sample in family.samples}


@pytest.mark.parametrize(
    ("shares", "told", "dropped"),
    [
        (workers(1), {"w000"}, 0),
        (workers(5), {"w000", "w001", "w002", "w003", "w004"}, 0),
        (workers(6), {"w000", "w001", "w002", "w003", "others"}, 4),
        (workers(1000, w500=1, w700=9), {"w700", "w500", "w000", "w001", "others"}, 3980),
    ],
)
def test_few_workers_are_told_by_name_most_of_all_those_that_fail(
    shares: dict[str, Counts], told: set[str], dropped: int
) -> None:
    snapshot = of_workers(shares)
    assert told_workers(snapshot) == told
    assert tell(snapshot).dropped == dropped


def test_all_trials_are_in_the_sum_of_workers_and_others() -> None:
    snapshot = of_workers(workers(1000, w700=9))
    [family] = [family for family in tell(snapshot).families if family.name == "tuning_worker_trials"]
    complete = [sample.value for sample in family.samples if sample.labels["state"] == "complete"]
    assert sum(complete) == 2000
    assert value("tuning_worker_trials", snapshot, worker="others", state="failed") == 0
    assert value("tuning_worker_trials", snapshot, worker="w700", state="failed") == 9


FEATURES = [{"name": f"f{number}", "psi": 9 - number, "threshold": 0.2} for number in range(10)]
CONDITIONS = [{"type": kind, "status": "True", "reason": "Why"} for kind in get_args(ConditionType)]
CANARY = {"deployment": "model", "evidence": [{"metric": "errors", "e": 3.0, "threshold": 20.0}]}


def of_metrics(number: int, **status: Any) -> Snapshot:
    """A study with everything that can be told at once, and as many metrics in production; `status` replaces some."""
    [accuracy, _] = BODY["status"]["production"]
    everything = {
        "conditions": CONDITIONS,
        "production": [{**accuracy, "name": f"metric{each}"} for each in range(number)],
        "drift": {"features": FEATURES},
        "promotion": {"state": "Canary", "since": "2026-03-08T12:00:00Z", "canary": CANARY},
    }
    body = {**BODY, "status": {**BODY["status"], **everything, **status}}
    return replace(of_workers(workers(1000)), studies=[body])


def series(snapshot: Snapshot, prefix: str = "") -> int:
    samples = [sample for family in tell(snapshot).families for sample in family.samples]
    return sum(sample.labels.get("study") == "digits" and sample.name.startswith(prefix) for sample in samples)


@pytest.mark.parametrize("metrics", [0, 1, 2])
def test_a_study_with_everything_at_once_is_sixty_series_at_most(metrics: int) -> None:
    snapshot = of_metrics(metrics)
    assert series(snapshot) <= MAX_SERIES
    assert tell(snapshot).dropped > 0


def test_each_further_metric_in_production_is_told_whole_as_alerts_rest_on_it() -> None:
    assert series(of_metrics(9), "tuning_production_") == 9 * 8
    assert series(of_metrics(9), "tuning_worker_trials") == 0


def test_drift_has_room_before_durations_and_these_before_workers() -> None:
    drifted, quiet = of_metrics(1), of_metrics(1, drift=None, promotion=None, retune=None)
    names = ("tuning_drift_", "tuning_trial_duration_", "tuning_worker_")
    assert [series(drifted, name) for name in names] == [10, 0, 4]
    assert [series(quiet, name) for name in names] == [0, 14, 8]


def test_of_a_study_that_is_gone_nothing_is_left_out() -> None:
    assert tell(replace(of_workers(workers(1000)), studies=[])).dropped == 0


# --- The text


@pytest.mark.parametrize("name", ["accuracy", 'say "it"', "back\\slash", "two\nlines", 'all \\"of\n it', "naïve ✓", ""])
def test_the_text_is_what_the_library_writes(name: str) -> None:
    best = {"metrics": [{"name": name, "value": "-Infinity"}, {"name": f"{name} again", "value": 1e300}]}
    body = {**BODY, "status": {**BODY["status"], "best": best}}
    for snapshot in (Snapshot(), replace(SNAPSHOT, studies=[body])):
        assert text_of(tell(snapshot).families) == generate_latest(registry(snapshot))


def test_a_study_is_in_exactly_one_state() -> None:
    states = next(family for family in tell(SNAPSHOT).families if family.name == "tuning_study_state").samples
    assert sum(sample.value for sample in states) == 1
    assert len(states) == 6


def test_a_study_that_nobody_has_looked_at_yet_is_pending() -> None:
    snapshot = Snapshot([{"metadata": BODY["metadata"]}])
    assert value("tuning_study_state", snapshot, state="Pending") == 1
    assert value("tuning_study_round", snapshot) == 0
    assert value("tuning_study_trials", snapshot, state="complete") is None


def test_a_study_without_a_trial_budget_has_no_target() -> None:
    progress = make_progress(make_spec(budget={"duration": "1h"}))
    snapshot = replace(SNAPSHOT, progress={PLACE: progress})
    assert value("tuning_study_trials", snapshot, state="complete") == 0
    assert value("tuning_study_trials_target", snapshot) is None


@pytest.mark.parametrize("up", [True, False])
def test_whether_the_store_answers_is_told_without_any_study(up: bool) -> None:
    assert registry(Snapshot(store_up=up)).get_sample_value("tuning_store_up") == float(up)


def test_rounds_of_studies_that_are_gone_are_not_told() -> None:
    assert b'study="digits"' in generate_latest(registry(SNAPSHOT))
    assert b'study="digits"' not in generate_latest(registry(replace(SNAPSHOT, studies=[])))


def test_the_whole_is_text_that_prometheus_reads() -> None:
    from prometheus_client.parser import text_string_to_metric_families

    text = generate_latest(registry(SNAPSHOT)).decode()
    assert len(list(text_string_to_metric_families(text))) == 28


@pytest.mark.parametrize(
    ("told", "value_of_it"), [(0.5, 0.5), ("Infinity", float("inf")), ("-Infinity", float("-inf")), ("nonsense", None)]
)
def test_a_value_that_is_no_number_is_left_out(told: Any, value_of_it: float | None) -> None:
    body = {**BODY, "status": {**BODY["status"], "best": {"metrics": [{"name": "accuracy", "value": told}]}}}
    assert value("tuning_study_best_value", Snapshot([body], "cluster"), metric="accuracy") == value_of_it
