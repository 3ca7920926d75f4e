"""What may change while a study runs, does so at once and loses nothing; what may not is refused."""

from __future__ import annotations

import pytest
from kubernetes.dynamic.exceptions import UnprocessibleEntityError

from builders import real
from integration.operator_fixtures import Studies
from integration.studies import Gate, alert_workers, quick_study, states

# --- workers


def test_workers_come_and_go(studies: Studies, gate: Gate) -> None:
    study = studies(quick_study(objective=gate.objective, workers=alert_workers(1), budget={"trials": 8}))
    study.wait_for_starts(gate, 1)

    study.scale(3)
    study.wait_for_starts(gate, 3)
    study.wait(lambda status: (status["workers"]["desired"], status["workers"]["active"]) == (3, 3), "with 3 workers")

    study.scale(1)
    study.wait_for_pods(1)
    assert states(study.history()) == {"RUNNING": 1, "WAITING": 2}  # what the others ran is not lost

    gate.open()
    study.wait_until("Complete")
    assert study.trials == {"complete": 8}


def test_scaling_to_nothing_is_refused(studies: Studies, gate: Gate) -> None:
    study = studies(quick_study(objective=gate.objective))
    study.wait_for_starts(gate, 2)

    with pytest.raises(UnprocessibleEntityError, match="to stop its workers set `suspend: true`"):
        study.scale(0)

    gate.open()
    study.wait_until("Complete")


# --- suspend


@pytest.mark.parametrize(
    ("grace", "left"),
    [("1", {"WAITING": 2}), ("20", {"COMPLETE": 2})],
    ids=["trials that take long wait again", "trials that end soon are finished"],
)
def test_suspend_and_resume(studies: Studies, gate: Gate, grace: str, left: dict[str, int]) -> None:
    workers = alert_workers(2, TUNING_GRACE_SECONDS=grace)
    study = studies(quick_study(objective=gate.objective, workers=workers))
    study.wait_for_starts(gate, 2)

    study.change(suspend=True)
    study.wait_until("Suspended")
    if "COMPLETE" in left:
        gate.open()
    study.wait_for_pods(0)
    assert states(study.history()) == left  # and no worker took another trial
    assert study.condition("Suspended") == ("True", "Suspended")
    assert study.condition("Running")[0] == "False"
    study.wait(lambda status: status["trials"]["running"] == 0, "without a running trial")

    gate.open()
    study.change(suspend=False)
    study.wait_until("Complete")
    assert study.trials == {"complete": 6}
    study.wait_for_event("BudgetUsed")  # Events follow the status
    assert [reason for reason, _ in study.events] == ["RoundStarted", "Suspended", "Resumed", "BudgetUsed"]


# --- budget


def test_a_budget_raised_in_flight_is_used_exactly(studies: Studies, gate: Gate) -> None:
    study = studies(quick_study(objective=gate.objective, budget={"trials": 3}))
    study.wait_for_starts(gate, 2)

    study.change(budget={"trials": 9})
    study.wait_for_event("BudgetChanged", "3 → 9")
    gate.open()

    assert study.wait_until("Complete")["trials"]["summary"] == "9/9"
    assert states(study.history()) == {"COMPLETE": 9}


def test_a_budget_lowered_in_flight_is_not_overshot(studies: Studies, gate: Gate) -> None:
    study = studies(quick_study(objective=gate.objective, budget={"trials": 20}))
    study.wait_for_starts(gate, 2)

    study.change(budget={"trials": 1})  # fewer than are running
    study.wait_for_event("BudgetChanged", "20 → 1")
    gate.open()

    assert study.wait_until("Complete")["trials"]["summary"] == "1/1"
    assert states(study.history())["COMPLETE"] == 1


def test_a_budget_raised_after_the_end_continues_the_same_round(studies: Studies) -> None:
    study = studies(quick_study(budget={"trials": 4}))
    study.wait_until("Complete")
    before = [trial.params for trial in study.history()]

    study.change(budget={"trials": 7})
    study.wait_for_condition("Complete", "False")
    status = study.wait_until("Complete")

    assert (status["round"], status["trials"]["summary"]) == (1, "7/7")
    assert [trial.params for trial in study.history()][:4] == before
    assert states(study.history()) == {"COMPLETE": 7}


# --- the rest of the spec is fixed for a round


def test_the_search_space_of_a_running_round_is_fixed(studies: Studies, gate: Gate) -> None:
    study = studies(quick_study(objective=gate.objective))
    study.wait_for_starts(gate, 1)
    study.wait_until("Running")

    with pytest.raises(UnprocessibleEntityError, match="parameters is fixed while a round runs: set `suspend: true`"):
        study.change(parameters=[real("x", 2, 3)])

    gate.open()
    study.wait_until("Complete")


def test_another_space_after_the_end_starts_round_2(studies: Studies) -> None:
    study = studies(quick_study())
    study.wait_until("Complete")

    study.change(parameters=[real("x", 2, 3)])
    status = study.wait_until("Complete", round=2)

    assert [entry["trigger"] for entry in status["rounds"]] == ["Created", "SpecChanged"]
    assert study.trials == {"complete": 6}
    assert all(trial.params["x"] <= 1 for trial in study.history(1))
    assert all(trial.params["x"] >= 2 for trial in study.history(2))


def test_another_space_while_suspended_starts_round_2_when_resumed(studies: Studies, gate: Gate) -> None:
    study = studies(quick_study("later", objective=gate.objective))
    study.wait_for_starts(gate, 2)
    study.change(suspend=True)
    study.wait_until("Suspended")
    study.wait_for_pods(0)

    study.change(parameters=[real("x", 2, 3)])
    status = study.wait_until("Suspended", round=2)
    assert status["rounds"][-1]["trigger"] == "SpecChanged"
    assert not study.exists("Job", "later-r2")
    study.wait_for_end_of("Job", "later-r1")

    gate.open()
    study.change(suspend=False)
    study.wait_until("Complete", round=2)
    assert states(study.history(2)) == {"COMPLETE": 6}
    assert states(study.history(1)) == {"WAITING": 2}
