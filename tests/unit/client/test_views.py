from datetime import UTC, datetime
from typing import Any

import pytest

from tuning_client.cluster import views
from tuning_client.exceptions import ClusterError
from tuning_client.snapshot import RateEstimator
from tuning_kube.names import RETUNE_ANNOTATION
from tuning_study.requests import RetuneRequest

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def study(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "digits",
            "namespace": "team",
            "uid": "uid-1",
            "creationTimestamp": "2026-01-01T10:00:00Z",
        },
        "spec": {"metrics": [{"name": "accuracy", "direction": "Maximize"}, {"name": "seconds"}]},
        "status": status,
    }


RUNNING = study(
    state="Running",
    round=1,
    phase="explore",
    trials={"target": 60, "complete": 20, "pruned": 5, "running": 3, "summary": "25/60"},
    workers={"desired": 3, "ready": 2},
    best={
        "trial": 7,
        "metrics": [{"name": "accuracy", "value": 0.99}],
        "parameters": [{"name": "C", "value": "10.2"}],
        "feasible": True,
    },
    conditions=[
        {
            "type": "StoreReady",
            "status": "False",
            "reason": "Unreachable",
            "message": "no answer",
            "lastTransitionTime": "2026-01-01T11:59:00Z",
        }
    ],
    storage={"study": "team/digits/uid/r1"},
    startTime="2026-01-01T11:50:00Z",
)


def test_row_and_a_study_that_nobody_has_seen_yet() -> None:
    assert views.row(RUNNING, NOW) == {
        "name": "digits",
        "state": "Running",
        "trials": "25/60",
        "failed": 0,
        "best": 0.99,
        "workers": "2/3",
        "round": 1,
        "age": "2h00m",
    }
    fresh = {"metadata": {"name": "new"}, "spec": {}}
    assert views.row(fresh, NOW)["state"] == "Pending"


def test_fields_of_a_newer_operator_are_no_error() -> None:
    assert views.status_of(study(state="Running", hypervolume={"of": "tomorrow"})).state == "Running"
    levitating = study(state="Levitating")
    assert views.row(levitating, NOW)["state"] == views.snapshot(levitating, RateEstimator(), NOW).state == "Levitating"


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ({"type": "Running", "status": "False", "reason": "WorkersPending"}, True),
        ({"type": "Running", "status": "False", "reason": "RoundEnded"}, False),
        ({"type": "Running", "status": "True", "reason": "RoundStarted"}, False),
        ({"type": "Stalled", "status": "True", "reason": "LookFailed"}, True),
        ({"type": "Stalled", "status": "False", "reason": "NotStalled"}, False),
        ({"type": "StoreReady", "status": "False", "reason": "Unreachable"}, True),
    ],
)
def test_what_keeps_a_study_from_going_on_is_told_to_who_watches(condition: dict[str, str], told: bool) -> None:
    given = {**condition, "message": "the words", "lastTransitionTime": NOW.isoformat()}
    notes = views.notes(views.status_of(study(state="Running", conditions=[given])))
    assert (f"{condition['reason']}: the words" in notes) is told


def test_details_show_conditions_and_events() -> None:
    events = [{"time": NOW, "reason": "RoundStarted", "message": "with 3 workers"}]
    shown = views.details(RUNNING, events, NOW)
    for want in ("best: trial 7", "StoreReady", "Unreachable", "1m00s", "RoundStarted", "with 3 workers", "explore"):
        assert want in shown, want


def test_details_tell_of_production_and_of_what_began_each_round() -> None:
    metric = {
        "name": "accuracy",
        "verdict": "Degraded",
        "value": 0.84,
        "baseline": 0.9,
        "level": 0.855,
        "evidence": 1.0,
    }
    seen = {"time": "2026-01-01T11:59:00Z", "degradedSince": "2026-01-01T11:00:00Z"}
    degradation = {"round": 2, "trigger": "Degradation", "reason": "accuracy 0.84", "outcome": "NoBetter"}
    episode = {"trigger": "Degradation", "since": seen["time"], "lastSeen": seen["time"], "waitsFor": "Cooldown"}
    shown = views.details(
        study(
            production=[metric | seen],
            rounds=[{"round": 1, "trigger": "Created"}, degradation],
            retune={"episode": episode},
        ),
        [],
        NOW,
    )
    for want in ("0.855", "100%", "1m00s ago", "Degradation", "NoBetter", "WAITS"):
        assert want in shown, want


def test_details_say_what_auto_is_and_why() -> None:
    running = study(state="Running", sampler={"type": "GP", "reason": "Auto: a model finds the most"})
    shown = views.details(running, [], NOW)
    assert "GP (Auto: a model finds the most)" in shown


def test_snapshot() -> None:
    shown = views.snapshot(RUNNING, RateEstimator(), NOW)
    assert (shown.state, shown.counts.used, shown.target, shown.elapsed) == ("Running", 25, 60, 600.0)
    assert shown.best is not None
    assert shown.best.parameters == {"C": "10.2"}
    assert shown.notes == ("2/3 workers", "phase explore", "Unreachable: no answer")


@pytest.mark.parametrize(
    ("retune", "want"),
    [
        ({}, None),
        ({"lastHandled": "other", "lastOutcome": "Started"}, None),
        ({"lastHandled": "mine", "lastTaken": "mine", "lastOutcome": "Started"}, (True, "taken: round 2 starts")),
        # Another request, refused meanwhile, makes ours no less taken.
        ({"lastHandled": "x", "lastTaken": "mine", "lastOutcome": "RoundRunning"}, (True, "taken: round 2 starts")),
        ({"lastHandled": "mine", "lastTaken": "old", "lastOutcome": "Cooldown"}, (False, "not taken: Cooldown")),
    ],
)
def test_what_became_of_a_request(retune: dict[str, Any], want: tuple[bool, str] | None) -> None:
    assert views.decision(views.status_of(study(round=2, retune=retune)), "mine") == want


@pytest.mark.parametrize(
    ("annotations", "stands"),
    [
        (None, False),
        ({RETUNE_ANNOTATION: RetuneRequest("mine").to_annotation("12:00")}, True),
        ({RETUNE_ANNOTATION: RetuneRequest("other").to_annotation("12:00")}, False),
    ],
)
def test_a_request_stands_until_another_takes_its_place(annotations: dict[str, str] | None, stands: bool) -> None:
    found = study()
    found["metadata"]["annotations"] = annotations
    assert views.awaits_answer(found, "mine") is stands


def test_where_the_trials_are() -> None:
    assert views.storage_secret(RUNNING) == ("tuning-store", "url")
    own = {**RUNNING, "spec": {"storage": {"secretName": "mine", "key": "dsn"}}}
    assert views.storage_secret(own) == ("mine", "dsn")
    assert views.store_study(RUNNING) == "team/digits/uid/r1"
    with pytest.raises(ClusterError, match="no trials yet"):
        views.store_study(study(state="Pending"))
