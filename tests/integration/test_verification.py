"""A round whose best trials are measured again by its own workers, through whatever happens to them meanwhile."""

from __future__ import annotations

import json
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import pytest
from optuna.trial import FrozenTrial

from builders import real
from integration.harness import FakeNode
from integration.operator_fixtures import Studies
from integration.services import Operator
from integration.studies import Gate, Study, quick_study, read_history, shell, states

Object = dict[str, Any]


def verified_study(gate: Gate, **spec: Any) -> Object:
    """The search passes at once; each run of the verification waits before the gate. What is measured is noisy by its
    seed, so that the best of the search has been lucky."""
    passage = f"case $TUNING_STUDY in *verification*) {gate.passage};; esac"
    noisy = "echo loss=$(awk -v x={x} -v s=$TUNING_SEED 'BEGIN {srand(s); print x + rand()}')"
    fields = {
        "parameters": [real("x", 0, 0.1)],
        "objective": shell(f"{passage}; {noisy}"),
        "budget": {"trials": 8},
        "verification": {"top": 3, "repeats": 4},
    }
    return quick_study(**(fields | spec))


def runs_of(study: Study) -> Sequence[FrozenTrial]:
    return read_history(study.store_url, study.status["verification"]["study"])


def test_the_best_is_chosen_by_its_runs_and_what_happened_is_told(studies: Studies, gate: Gate) -> None:
    study = studies(verified_study(gate))
    study.wait_until("Verifying")
    study.wait_for_starts(gate, 2)
    status = study.wait(lambda status: "verification" in status, "told of its verification")
    assert study.condition("Running") == ("True", "Verifying")
    assert (status["trials"]["summary"], status["best"]["verified"]) == ("8/8", False)

    gate.open()
    status = study.wait_until("Complete")

    told = status["verification"]["runs"]
    assert told["complete"] + told["pruned"] == 12
    assert states(runs_of(study)).keys() <= {"COMPLETE", "PRUNED"}
    assert len(runs_of(study)) == 12
    assert status["best"]["verified"] is True
    (mean,) = (metric["value"] for metric in status["best"]["metrics"])
    point = study.history()[status["best"]["trial"]].params
    measured = [trial.values[0] for trial in runs_of(study) if trial.values and trial.params == point]
    assert mean == pytest.approx(fmean(measured))
    study.wait_for_event("Verifying", "the best 3 trials are measured again, 4 times each")
    assert f"trial {status['best']['trial']} has loss " in study.message("Complete")
    assert len(json.dumps(status)) < 16 * 1024


def test_a_run_whose_worker_is_killed_is_done_again(studies: Studies, gate: Gate, node: FakeNode) -> None:
    study = studies(verified_study(gate))
    study.wait_until("Verifying")
    study.wait_for_starts(gate, 2)
    victim = study.pods()[0]
    node.kill(victim)
    study.wait_for_event("TrialsPutBack", victim["metadata"]["name"])
    gate.open()

    status = study.wait_until("Complete")

    told = status["verification"]["runs"]
    assert (told["complete"] + told["pruned"], told["failed"]) == (12, 0)
    assert len(runs_of(study)) == 12
    assert study.trials == {"complete": 8}


def test_it_is_suspended_and_goes_on_and_outlives_the_operator(
    studies: Studies, gate: Gate, operator: Operator
) -> None:
    study = studies(verified_study(gate))
    study.wait_until("Verifying")
    study.wait_for_starts(gate, 2)
    study.change(suspend=True)
    study.wait_until("Suspended")
    study.wait_for_pods(0)
    operator.stop()
    gate.open()
    operator.start()

    study.change(suspend=False)
    status = study.wait_until("Complete")

    told = status["verification"]["runs"]
    assert told["complete"] + told["pruned"] == 12
    assert status["best"]["verified"] is True
    assert study.trials == {"complete": 8}
