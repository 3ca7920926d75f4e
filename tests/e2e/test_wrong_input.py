"""What only the worker or the store can find wrong: the condition says what to do, and nothing goes on."""

import json
from typing import Any

import pytest

from e2e.conftest import Kubectl, eventually

pytestmark = pytest.mark.cluster


def manifest(**changes: Any) -> str:
    spec: dict[str, Any] = {
        "metrics": [{"name": "accuracy", "direction": "Maximize"}],
        "parameters": [{"name": "C", "type": "Float", "min": 0.1, "max": 10}],
        "objective": {"sklearn": {"steps": [{"class": "sklearn.svm.SVC"}], "dataset": {"load": "iris"}}},
        "budget": {"trials": 5},
    }
    document = {
        "apiVersion": "tuning.dev/v1alpha1",
        "kind": "TuningStudy",
        "metadata": {"name": "wrong"},
        "spec": spec | changes,
    }
    return json.dumps(document)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (
            {"sklearn": {"steps": [{"class": "sklearn.svm.NoSuch"}], "dataset": {"load": "iris"}}},
            "the module sklearn.svm has no NoSuch",
        ),
        (
            {"sklearn": {"steps": [{"class": "sklearn.svm.SVC"}], "dataset": {"load": "nothing"}}},
            "scikit-learn has no data set 'nothing'",
        ),
        (
            {
                "sklearn": {
                    "steps": [{"class": "sklearn.svm.SVC"}],
                    "dataset": {"csv": {"path": "/data/none.csv", "target": "y"}},
                }
            },
            "/data/none.csv cannot be read in the worker's pod",
        ),
        ({"command": {"command": ["no-such-program"]}}, "'no-such-program' is not an executable"),
        ({"python": {"function": "no_such_module:f"}}, "no_such_module does not import"),
    ],
    ids=["class", "data set", "csv", "program", "module"],
)
def test_an_objective_that_cannot_run_is_not_accepted(kubectl: Kubectl, objective: Any, message: str) -> None:
    kubectl.apply(manifest(objective=objective))

    kubectl.wait("wrong", "Failed")

    accepted = kubectl.condition("wrong", "Accepted")
    assert accepted["status"] == "False"
    assert accepted["reason"] == "ObjectiveRejected"
    assert message in accepted["message"]
    assert kubectl.status("wrong")["trials"]["summary"] == "0/5"


def test_a_metric_that_never_comes_fails_the_study_and_is_named(kubectl: Kubectl) -> None:
    kubectl.apply(
        manifest(
            objective={"command": {"command": ["sh", "-c"], "args": ["echo acuracy=0.9"]}},
            budget={"trials": 5, "failedTrials": 4},
        )
    )

    kubectl.wait("wrong", "Failed")

    failed = kubectl.condition("wrong", "Failed")
    assert failed["reason"] == "FailedFast"
    assert "the first 3 trials failed alike: the objective did not report accuracy" in failed["message"]
    assert kubectl.condition("wrong", "Complete")["status"] == "False"


def test_a_store_that_refuses_the_password_is_told(kubectl: Kubectl, system: Kubectl) -> None:
    kubectl(
        "create secret generic own --from-literal="
        "url=postgresql://postgres:wrong@tuning-postgresql.tuning.svc:5432/postgres"
    )
    kubectl.apply(manifest(storage={"secretName": "own"}))
    eventually(lambda: _store_reason(kubectl, "SecretUnusable"))
    assert "kubectl create role own-reader" in kubectl.condition("wrong", "StoreReady")["message"]

    kubectl("create role own-reader --verb=get --resource=secrets --resource-name=own")
    kubectl(f"create rolebinding own-reader --role=own-reader --serviceaccount={system.namespace}:tuning-operator")

    eventually(lambda: _store_reason(kubectl, "AuthenticationFailed"))
    assert kubectl.get("jobs")["items"] == []


def test_a_cycle_of_conditions_is_not_accepted(kubectl: Kubectl) -> None:
    parameters = [
        {"name": "a", "type": "Int", "min": 1, "max": 2, "when": {"parameter": "b", "values": [1]}},
        {"name": "b", "type": "Int", "min": 1, "max": 2, "when": {"parameter": "a", "values": [1]}},
    ]
    kubectl.apply(manifest(parameters=parameters))

    eventually(lambda: _accepted_is(kubectl, "InvalidSpec"))

    assert "goes in a circle" in kubectl.condition("wrong", "Accepted")["message"]
    assert kubectl.get("jobs")["items"] == []


def _store_reason(kubectl: Kubectl, reason: str) -> None:
    assert kubectl.condition("wrong", "StoreReady")["reason"] == reason


def _accepted_is(kubectl: Kubectl, reason: str) -> None:
    assert kubectl.condition("wrong", "Accepted")["reason"] == reason
