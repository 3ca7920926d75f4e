"""A study from its manifest to its end: what runs, what is counted, what is told, and what is left when it is gone."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from kubernetes.dynamic.exceptions import UnprocessibleEntityError

from builders import choice, real, whole
from integration.harness import Kube
from integration.operator_fixtures import Studies
from integration.services import Operator
from integration.studies import LOSS, Gate, alert_workers, quick_study, shell, states
from tuning_study.attributes import FAILURE_ATTRIBUTE

Object = dict[str, Any]

STATUS_LIMIT = 16 * 1024
START_LIMIT = 5.0  # seconds from the manifest to the first trial
WRITES_LIMIT = 60  # of the operator, for one study with all its objects


# --- the main road


def test_a_study_runs_from_manifest_to_complete(studies: Studies, operator: Operator) -> None:
    writes = _writes(operator)
    study = studies(quick_study(budget={"trials": 12}))

    study.wait_for_condition("Running", "True", "RoundStarted")
    status = study.wait_until("Complete")

    # The counts are exact, in the status and in the store.
    assert study.trials == {"complete": 12}
    assert status["trials"]["summary"] == "12/12"
    assert states(study.history()) == {"COMPLETE": 12}

    # The best is the best there is.
    losses = {trial.number: trial.values[0] for trial in study.history()}
    assert status["best"]["metrics"] == [{"name": "loss", "value": min(losses.values())}]
    assert losses[status["best"]["trial"]] == min(losses.values())
    assert [entry["name"] for entry in status["best"]["parameters"]] == ["x"]

    # Conditions and Events say how it went.
    assert study.condition("Accepted") == ("True", "Valid")
    assert study.condition("StoreReady") == ("True", "Connected")
    assert study.condition("Running") == ("False", "RoundEnded")
    assert study.condition("Complete") == ("True", "BudgetUsed")
    assert study.condition("Failed")[0] == "False"
    study.wait_for_event("BudgetUsed", "12 complete, 0 pruned, 0 failed")
    study.wait_for_event("BudgetUsed")  # Events follow the status
    assert [reason for reason, _ in study.events] == ["RoundStarted", "BudgetUsed"]

    assert [entry["round"] for entry in status["rounds"]] == [1]
    assert status["storage"]["study"] == status["rounds"][0]["study"] == study.optuna_name(1)
    assert status["startTime"] <= status["completionTime"]
    assert status["observedGeneration"] == study.resource["metadata"]["generation"]

    # It cost little, and left nothing on the resource.
    assert len(json.dumps(status)) < STATUS_LIMIT
    assert "finalizers" not in study.resource["metadata"]
    assert "annotations" not in study.resource["metadata"]
    assert _writes(operator) - writes < WRITES_LIMIT


def test_a_restart_writes_nothing_about_a_study_that_stands_still(studies: Studies, operator: Operator) -> None:
    study = studies(quick_study())
    study.wait_until("Complete")
    study.wait(lambda status: status["workers"]["active"] == status["workers"]["ready"] == 0, "without a worker")
    before = study.resource["metadata"]["resourceVersion"]
    operator.stop()
    operator.start()

    study.kube.wait_for(lambda: operator.metrics().get(("tuning_operator_studies", ""), 0), bool, what="a look")

    assert operator.metrics()["tuning_api_writes_total", ""] == 0
    assert study.resource["metadata"]["resourceVersion"] == before


def test_the_first_trial_starts_within_seconds(studies: Studies, gate: Gate) -> None:
    """The quickest of three: other tests have the machine, too."""
    took = []
    for number in (1, 2, 3):
        began = time.monotonic()
        study = studies(quick_study(f"quick-{number}", objective=gate.objective, workers=alert_workers(1)))
        study.wait_for_starts(gate, number)
        took.append(time.monotonic() - began)
        if took[-1] < START_LIMIT:
            return
    pytest.fail(f"first trials started after {took} s")


def test_the_objects_of_a_round(studies: Studies, gate: Gate, kube: Kube, namespace: str) -> None:
    level = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    kube.patch("Namespace", namespace, level)

    manifest = quick_study("shaped", objective=gate.objective, workers={"replicas": 3})
    study = studies(manifest)
    pods = study.wait_for_pods(3)  # admitted, so the level holds
    uid = study.resource["metadata"]["uid"]

    job, config = kube.get("Job", "shaped-r1"), kube.get("ConfigMap", "shaped-r1")
    for body in (job, config):
        (owner,) = body["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("TuningStudy", "shaped", uid)
        assert owner["controller"] and not owner["blockOwnerDeletion"]
    for body in (job, config, *pods):
        labels = body["metadata"]["labels"]
        assert labels["tuning.dev/study"] == "shaped"
        assert labels["tuning.dev/round"] == "1"
        assert labels["tuning.dev/role"] == "worker"
        assert labels["app.kubernetes.io/part-of"] == "tuning-operator"

    # The round as it was resolved, for good.
    document = json.loads(config["data"]["round.json"])
    assert document["spec"]["parameters"][0]["name"] == "x"
    assert {"seed", "versions"} <= document.keys()
    with pytest.raises(UnprocessibleEntityError, match="immutable"):
        kube.patch("ConfigMap", "shaped-r1", {"data": {"round.json": "{}"}})

    # What decides how trials come out, in the workers' image.
    study.wait_for_starts(gate, 1)
    assert study.workers_versions.keys() >= {"python", "optuna", "scikit-learn", "tuning-operator"}

    # Long-lived workers, whose disruption is not their failure.
    spec = job["spec"]
    assert (spec["completionMode"], spec["parallelism"], spec["completions"]) == ("Indexed", 3, 3)
    assert [rule["action"] for rule in spec["podFailurePolicy"]["rules"]] == ["FailJob", "Ignore", "Ignore"]

    # Nothing to break out with.
    pod = pods[0]["spec"]
    assert pod["automountServiceAccountToken"] is False
    projected = [source for volume in pod["volumes"] for source in volume.get("projected", {}).get("sources", [])]
    assert not [source for source in projected if "serviceAccountToken" in source]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert kube.get("Secret", "tuning-store")["data"].keys() == {"url"}

    gate.open()
    study.wait_until("Complete")


@pytest.mark.parametrize("operator_runs", [True, False], ids=["operator runs", "operator is away"])
def test_a_deletion_takes_everything_at_once(
    studies: Studies, gate: Gate, operator: Operator, operator_runs: bool
) -> None:
    study = studies(quick_study("gone", objective=gate.objective))
    study.wait_for_starts(gate, 2)
    if not operator_runs:
        operator.kill()

    study.delete()
    study.wait_for_end_of("TuningStudy", "gone", timeout=2)
    study.wait_for_end_of("Job", "gone-r1", timeout=5)
    study.wait_for_end_of("ConfigMap", "gone-r1", timeout=5)
    study.wait_for_pods(0, timeout=15)


# --- kinds of objectives


def test_a_python_objective_comes_from_a_config_map(studies: Studies, kube: Kube) -> None:
    code = "def objective(trial):\n    return trial.suggest_float('y', 1, 2) + trial.params['x']\n"
    kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "my-code"}, "data": {"mine.py": code}})
    python = {"python": {"function": "mine:objective", "configMap": "my-code"}}
    study = studies(quick_study(objective=python, budget={"trials": 4}))

    status = study.wait_until("Complete")

    assert study.trials == {"complete": 4}
    parameters = {entry["name"]: float(entry["value"]) for entry in status["best"]["parameters"]}
    assert status["best"]["metrics"][0]["value"] == pytest.approx(parameters["x"] + parameters["y"])


def test_several_objectives_and_a_constraint(studies: Studies) -> None:
    study = studies(
        quick_study(
            metrics=[{"name": "cost", "direction": "Minimize"}, {"name": "gain", "direction": "Maximize"}],
            constraints=[{"metric": "gain", "min": 3}],
            parameters=[whole("n", 1, 6)],
            objective=shell("echo cost={n}; echo gain={n}"),
            strategy={"sampler": {"type": "Grid"}},
            budget={"trials": 6},
        )
    )

    status = study.wait_until("Complete")

    # Cost and gain are at odds, so every feasible trial is on the front; the cheapest of them is named.
    assert status["pareto"]["size"] == status["pareto"]["feasible"] == 4
    assert status["best"]["feasible"] is True
    assert status["best"]["metrics"] == [{"name": "cost", "value": 3}, {"name": "gain", "value": 3}]


# --- how a round ends


def test_a_goal_ends_the_study_and_stops_what_runs(studies: Studies, gate: Gate) -> None:
    hangs = f"trap 'exit 1' TERM; {gate.passage}"
    study = studies(
        quick_study(
            metrics=[{**LOSS, "goal": 0.5}],
            objective=shell(f"if [ $TUNING_TRIAL = 0 ]; then {hangs}; else echo loss=0.4; fi"),
            budget={"trials": 100},
        )
    )

    study.wait_for_condition("Complete", "True", "GoalReached")

    assert "loss 0.4" in study.message("Complete")
    assert study.trials == {"complete": 1, "waiting": 1}
    study.wait_for_pods(0)
    assert states(study.history()) == {"COMPLETE": 1, "WAITING": 1}


def test_a_duration_ends_the_study(studies: Studies) -> None:
    study = studies(quick_study(budget={"duration": "5s"}))

    status = study.wait_for_condition("Complete", "True", "DurationUsed")

    assert status["trials"]["complete"] > 0  # claimed within the 5 s: they count from the round's start
    assert "target" not in status["trials"]
    assert states(study.history()).keys() <= {"COMPLETE", "WAITING"}


def test_a_trial_that_takes_too_long_fails(studies: Studies) -> None:
    study = studies(
        quick_study(
            objective=shell("if [ $TUNING_TRIAL = 1 ]; then sleep 300; fi; echo loss={x}"),
            budget={"trials": 3, "trialDuration": "1s"},
        )
    )

    study.wait_until("Complete")

    assert study.trials == {"complete": 3, "failed": 1}
    assert "longer than budget.trialDuration" in study.history()[1].user_attrs[FAILURE_ATTRIBUTE]


def test_a_metric_that_never_comes_fails_the_study(studies: Studies) -> None:
    study = studies(quick_study(objective=shell("echo accuracy={x}"), budget={"trials": 10, "failedTrials": 3}))

    study.wait_for_condition("Failed", "True", "TooManyFailures")

    assert study.condition("Complete")[0] == "False"
    assert "did not report loss" in study.message("Failed")
    study.wait_for_event("TooManyFailures", "did not report loss")


# --- the search


def test_phases_follow_each_other(studies: Studies, gate: Gate) -> None:
    study = studies(
        quick_study(
            workers=alert_workers(1),
            parameters=[choice("c", ["a", "b", "d"])],
            objective=shell(f"if [ $TUNING_TRIAL = 3 ]; then {gate.passage}; fi; echo loss=1"),
            strategy={
                "phases": [
                    {"name": "explore", "trials": 3, "sampler": {"type": "Grid"}},
                    {"name": "exploit", "trials": 3, "sampler": {"type": "Random"}},
                ]
            },
        )
    )
    study.wait_for_condition("Running", "True")
    assert study.status["phase"] == "explore"

    study.wait_for_starts(gate, 1)
    study.wait(lambda status: status["phase"] == "exploit", "in its second phase")

    gate.open()
    study.wait_until("Complete")
    # A grid's trials cover the space, in whatever order.
    assert {trial.params["c"] for trial in study.history()[:3]} == {"a", "b", "d"}


def test_known_good_points_are_tried_first(studies: Studies) -> None:
    study = studies(quick_study(warmStart={"points": [{"x": 0.25}, {"x": 7}]}))

    study.wait_until("Complete")

    assert [trial.params["x"] for trial in study.history()[:2]] == [0.25, 1.0]
    study.wait_for_event("WarmStartClipped", "x: 7 is outside the space; 1.0 is tried instead")


def test_what_looks_wrong_with_a_search_is_told_when_it_ends(studies: Studies) -> None:
    tpe = {"sampler": {"type": "TPE"}}
    study = studies(quick_study(parameters=[real("x", 1, 2)], strategy=tpe, budget={"trials": 50}))

    study.wait_until("Complete")

    [found] = [each for each in study.status["diagnosis"] if each["reason"] == "BestAtBoundary"]
    assert "best trials have x within 10 % of its min (1)" in found["message"]
    study.wait_for_event("BestAtBoundary", "nobody has looked beyond: write `min:")


# --- manifests that cannot run


def test_what_only_code_can_check_is_told_and_starts_nothing(studies: Studies) -> None:
    wrong = {"sampler": {"type": "TPE", "options": {"nStartup": 3}}}
    study = studies(quick_study("wrong", strategy=wrong))

    study.wait_for_condition("Accepted", "False", "InvalidSpec")
    assert "TPE has no option 'nStartup'; did you mean nStartupTrials?" in study.message("Accepted")
    study.wait_for_event("InvalidSpec", "nStartup")
    assert not study.exists("Job", "wrong-r1")
    assert not study.exists("ConfigMap", "wrong-r1")

    study.change(strategy={"sampler": {"options": {"nStartup": None, "nStartupTrials": 3}}})
    study.wait_until("Complete")
    assert study.condition("Accepted") == ("True", "Valid")


@pytest.mark.parametrize(
    ("workers", "words"),
    [
        ({"resources": {"limits": {"cpu": "a lot"}}}, "quantities must match"),
        ({"podTemplate": {"spec": {"restartPolicy": "Always"}}}, "restartPolicy"),
    ],
    ids=["resources", "pod template"],
)
def test_workers_that_the_api_server_refuses_are_told(studies: Studies, workers: Object, words: str) -> None:
    study = studies(quick_study("refused", workers={"replicas": 1, **workers}))

    study.wait_for_condition("Running", "False", "WorkersRefused")
    assert words in study.message("Running")
    study.wait_for_event("WorkersRefused", words)
    assert not study.exists("Job", "refused-r1")

    study.change(workers=dict.fromkeys(workers))
    study.wait_until("Complete")
    assert study.trials == {"complete": 6}
    assert [reason for reason, _ in study.events].count("WorkersRefused") == 1


def test_variables_of_ones_own_win(studies: Studies) -> None:
    mine = {"replicas": 1, "env": [{"name": "OMP_NUM_THREADS", "value": "7"}, {"name": "MINE", "value": "8"}]}
    study = studies(quick_study(workers=mine, objective=shell("echo loss=$OMP_NUM_THREADS$MINE")))

    assert study.wait_until("Complete")["best"]["metrics"] == [{"name": "loss", "value": 78}]


def test_a_parameter_that_is_left_out_reaches_no_trial(studies: Studies) -> None:
    study = studies(
        quick_study(
            parameters=[choice("kind", ["a", "b"]), real("y", when={"parameter": "kind", "values": ["b"]})],
            objective=shell("echo loss=${TUNING_PARAM_Y-2}"),
            strategy={"sampler": {"type": "Random"}},
            budget={"trials": 8},
        )
    )

    study.wait_until("Complete")

    for trial in study.history():
        assert ("y" in trial.params) == (trial.params["kind"] == "b")
        assert trial.values[0] == trial.params.get("y", 2)


def _writes(operator: Operator) -> float:
    return operator.metrics()["tuning_api_writes_total", ""]
