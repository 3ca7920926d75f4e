"""What scripts read of a study is the same, wherever it ran."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from optuna.trial import TrialState

from tuning_client import overview
from tuning_report.round_history import History
from tuning_study.api.status import TuningStudyStatus
from tuning_study.attributes import METRICS_ATTRIBUTE
from tuning_study.budget import RoundLimits, StopReason
from unit.report.histories import history, trial

NOW = datetime(2026, 1, 1, 2, tzinfo=UTC)
LOSS = [{"name": "loss", "direction": "Minimize"}]
LOCAL = history(LOSS, [trial(0, [0.5]), trial(1, [0.25]), trial(2, None, TrialState.FAIL)])


def on_a_cluster(local: History) -> TuningStudyStatus:
    """The same study as the operator tells it, through the API server and back."""
    return TuningStudyStatus.model_validate(overview.status_of_history(local).manifest())


def test_the_best_trial() -> None:
    best = on_a_cluster(LOCAL).best
    assert best is not None
    told = overview.best_of_history(LOCAL)
    assert told == overview.best_of_status(best)
    assert told == {
        "trial": 1,
        "metrics": {"loss": 0.25},
        "feasible": True,
        "verified": False,
        "parameters": {"x": 0.002, "n": 2, "kind": None},
    }


def test_a_row_among_others() -> None:
    status = overview.status_of_history(LOCAL)
    row = overview.row("digits", status, ["loss"], status.start_time, NOW)
    assert row == overview.row("digits", on_a_cluster(LOCAL), ["loss"], status.start_time, NOW)
    assert row == {
        "name": "digits",
        "state": "Complete",
        "trials": "2/30",
        "failed": 1,
        "best": 0.25,
        "workers": "0/0",
        "round": 1,
        "age": "2h00m",
    }


def test_a_row_has_the_objective_and_no_metric_that_is_only_recorded() -> None:
    recorded = trial(0, [1 / 3], user_attrs={METRICS_ATTRIBUTE: {"size": 7.0, "loss": 1 / 3}})
    status = on_a_cluster(history([{"name": "size"}, *LOSS], [recorded]))
    assert overview.row("digits", status, ["loss"], None, NOW)["best"] == 1 / 3


def test_a_row_has_every_objective_where_there_are_several() -> None:
    metrics = [*LOSS, {"name": "seconds", "direction": "Minimize"}]
    several = history(metrics, [trial(0, [1 / 3, 20.0])])
    assert overview.row("digits", on_a_cluster(several), ["loss", "seconds"], None, NOW)["best"] == "0.333333, 20"
    told = overview.round_row(several.resolved, several.progress, [1 / 3, 20.0])
    assert told["best"] == "0.333333, 20"


@pytest.mark.parametrize(
    ("stop", "complete", "failed", "reason"),
    [
        (StopReason.GOAL_REACHED, "True", "False", "GoalReached"),
        (StopReason.REJECTED, "False", "True", "Rejected"),
        (None, None, None, None),
    ],
)
def test_how_it_ended(stop: StopReason | None, complete: Any, failed: Any, reason: Any) -> None:
    found = replace(LOCAL, progress=replace(LOCAL.progress, limits=RoundLimits(30, 20, stop=stop)))
    status = overview.status_of_history(found)
    ends = {entry.type: (entry.status, entry.reason) for entry in status.conditions}
    assert ends == ({} if stop is None else {"Complete": (complete, reason), "Failed": (failed, reason)})
    assert status.state == {"True": "Complete", "False": "Failed", None: "Running"}[complete]


def test_infinity_is_told_as_text_which_json_has() -> None:
    told = overview.best_of_history(history(LOSS, [trial(0, [float("-inf")])]))
    assert told is not None
    assert told["metrics"] == {"loss": "-Infinity"}


def test_nothing_is_best_while_no_trial_is_complete() -> None:
    assert overview.best_of_history(history(LOSS, [])) is None
    assert overview.status_of_history(history(LOSS, [])).best is None
