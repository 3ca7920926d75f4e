from datetime import UTC, datetime
from typing import Any

import pytest

from tuning_cli import remote
from tuning_cli.exceptions import ClusterError
from tuning_cli.snapshot import Pace

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def study(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "digits", "namespace": "team", "creationTimestamp": "2026-01-01T10:00:00Z"},
        "spec": {},
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
    assert remote.row(RUNNING, NOW) == {
        "name": "digits",
        "state": "Running",
        "trials": "25/60",
        "best": 0.99,
        "workers": "2/3",
        "round": 1,
        "age": "2h00m",
    }
    fresh = {"metadata": {"name": "new"}, "spec": {}}
    assert remote.row(fresh, NOW)["state"] == "Pending"


def test_fields_of_a_newer_operator_are_no_error() -> None:
    assert remote.status_of(study(state="Running", hypervolume={"of": "tomorrow"})).state == "Running"
    levitating = study(state="Levitating")
    assert remote.row(levitating, NOW)["state"] == remote.snapshot(levitating, Pace(), NOW).state == "Levitating"


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
    notes = remote.notes(remote.status_of(study(state="Running", conditions=[given])))
    assert (f"{condition['reason']}: the words" in notes) is told


def test_details_show_conditions_and_events() -> None:
    events = [{"time": NOW, "reason": "RoundStarted", "message": "with 3 workers"}]
    shown = remote.details(RUNNING, events, NOW)
    for want in ("best: trial 7", "StoreReady", "Unreachable", "1m00s", "RoundStarted", "with 3 workers", "explore"):
        assert want in shown, want


def test_snapshot() -> None:
    shown = remote.snapshot(RUNNING, Pace(), NOW)
    assert (shown.state, shown.counts.used, shown.target, shown.elapsed) == ("Running", 25, 60, 600.0)
    assert shown.best is not None
    assert shown.best.parameters == {"C": "10.2"}
    assert shown.notes == ("2/3 workers", "phase explore", "Unreachable: no answer")


@pytest.mark.parametrize(
    ("before", "after", "want"),
    [
        (
            {"round": 1},
            {"round": 1, "retune": {"suppressed": 1, "reason": "Cooldown: x"}},
            (False, "not taken: Cooldown: x"),
        ),
        ({"round": 1}, {"round": 1, "retune": {"today": 1}}, (True, "taken: round 2 starts")),
        ({"round": 1}, {"round": 2, "retune": {"today": 1}}, (True, "taken: round 2 starts")),
    ],
)
def test_decision(before: dict[str, Any], after: dict[str, Any], want: tuple[bool, str]) -> None:
    assert remote.decision(remote.status_of(study(**before)), remote.status_of(study(**after))) == want


def test_where_the_trials_are() -> None:
    assert remote.storage_secret(RUNNING) == ("tuning-store", "url")
    own = {**RUNNING, "spec": {"storage": {"secretName": "mine", "key": "dsn"}}}
    assert remote.storage_secret(own) == ("mine", "dsn")
    assert remote.store_study(RUNNING) == "team/digits/uid/r1"
    with pytest.raises(ClusterError, match="no trials yet"):
        remote.store_study(study(state="Pending"))
