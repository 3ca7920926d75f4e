"""Asking a study for a new round, by the one annotation; each request is answered, and none starts two rounds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integration.harness import Kube
from integration.operator_fixtures import Studies
from integration.studies import Gate, Study, quick_study, states


def request(token: str, **more: str) -> str:
    return json.dumps({"token": token, **more})


def finished_study(studies: Studies, **retune: Any) -> Study:
    study = studies(quick_study(budget={"trials": 4}, retune={"budget": {"trials": 3}, **retune}))
    study.wait_until("Complete")
    return study


def wait_for_refusal(study: Study, token: str, reason: str, suppressed: int = 1) -> None:
    study.wait(lambda status: status["retune"]["suppressed"] == suppressed, f"with {suppressed} refusals")
    assert study.status["retune"]["lastHandled"] == token
    assert study.status["retune"]["lastOutcome"] == reason
    study.wait_for_event("RetuneSuppressed", f"starts no round: {reason}")


def test_a_request_starts_one_round_from_the_best_of_the_last(studies: Studies, kube: Kube) -> None:
    study = finished_study(studies, warmStart={"best": 2})

    study.ask_for_a_round("2026-01-01T00:00:00Z")
    status = study.wait_until("Complete", round=2)

    # Its own budget, a study of its own in Optuna, and the best of round 1 first.
    assert status["trials"]["summary"] == "3/3"
    assert states(study.history(2)) == {"COMPLETE": 3}
    best = sorted(study.history(1), key=lambda trial: trial.values[0])
    assert [trial.params for trial in study.history(2)[:2]] == [trial.params for trial in best[:2]]

    assert status["retune"]["lastHandled"] == "2026-01-01T00:00:00Z"
    assert len(status["retune"]["recent"]) == 1
    assert [(entry["round"], entry["trigger"], entry["reason"]) for entry in status["rounds"]] == [
        (1, "Created", ""),
        (2, "Manual", "requested by hand"),
    ]
    assert status["rounds"][0]["best"]["trial"] == best[0].number
    assert [entry["study"].rpartition("/")[2] for entry in status["rounds"]] == ["r1", "r2"]

    # Once: one Job, one Event.
    assert [reason for reason, _ in study.events].count("RetuneStarted") == 1
    assert [job["metadata"]["name"] for job in kube.list("Job")] == ["quick-r2"]
    assert study.exists("ConfigMap", "quick-r1")


def test_a_reason_is_kept_and_the_same_token_counts_once(studies: Studies) -> None:
    study = finished_study(studies)

    study.ask_for_a_round(request("t1", reason="the data changed"))
    status = study.wait_until("Complete", round=2)
    assert status["retune"]["reason"] == "the data changed"
    assert status["rounds"][1]["reason"] == "the data changed"
    study.wait_for_event("RetuneStarted", "the data changed")

    study.ask_for_a_round(request("t1", reason="told again"))
    wait_for_refusal(study, "t1", "Duplicate")
    assert study.status["round"] == 2


def test_the_cooldown_holds(studies: Studies) -> None:
    study = finished_study(studies, cooldown="1h")
    study.ask_for_a_round("first")
    study.wait_until("Complete", round=2)

    study.ask_for_a_round("second")

    wait_for_refusal(study, "second", "Cooldown")
    assert study.status["round"] == 2


def test_the_daily_limit_holds(studies: Studies) -> None:
    study = finished_study(studies, maxPerDay=1)
    study.ask_for_a_round("first")
    study.wait_until("Complete", round=2)

    study.ask_for_a_round("second")

    wait_for_refusal(study, "second", "DailyLimit")


def test_only_listed_triggers_may_ask(studies: Studies) -> None:
    study = finished_study(studies)

    study.ask_for_a_round(request("from-alert", trigger="Alert"))

    wait_for_refusal(study, "from-alert", "NotATrigger")
    assert (study.status["round"], study.status["state"]) == (1, "Complete")


def test_a_request_while_a_round_runs_is_told_and_dropped(studies: Studies, gate: Gate) -> None:
    study = studies(quick_study(objective=gate.objective))
    study.wait_for_starts(gate, 2)

    study.ask_for_a_round("early")
    wait_for_refusal(study, "early", "RoundRunning")

    gate.open()
    status = study.wait_until("Complete")
    assert status["round"] == 1
    assert study.trials == {"complete": 6}


def test_a_request_while_suspended_is_told_and_dropped(studies: Studies, gate: Gate) -> None:
    study = studies(quick_study(objective=gate.objective))
    study.wait_for_starts(gate, 1)
    study.change(suspend=True)
    study.wait_until("Suspended")

    study.ask_for_a_round("asleep")

    wait_for_refusal(study, "asleep", "Suspended")
    assert study.status["round"] == 1


def test_a_retuning_says_whether_it_has_found_anything_better(studies: Studies) -> None:
    """The loss is x itself, so that the better one is better in every run."""
    study = finished_study(studies, warmStart={"best": 1})
    study.change(suspend=False, verification={"top": 1, "repeats": 2})  # a round of its own
    first = study.wait_until("Complete", round=2)["best"]["metrics"][0]["value"]
    study.ask_for_a_round("again")
    status = study.wait_until("Complete", round=3)
    told, found = status["rounds"][2], status["best"]["metrics"][0]["value"]
    assert study.history(3)[0].params["x"] == pytest.approx(first)
    assert told["outcome"] == ("Improved" if found < first else "NoBetter")
    assert ("over 2 runs of both" if found < first else "are the best still") in told["comparison"]
