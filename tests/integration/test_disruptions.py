"""Whatever dies or goes away in the middle of a study, its counts are exact at the end, and what happened is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from integration.harness import ControlPlane, FakeNode, Kube
from integration.operator_fixtures import Studies
from integration.services import Operator, Postgres
from integration.studies import Gate, quick_study, read_history, states
from tuning_store import rounds, tenants
from tuning_store.store import open_store
from tuning_store.values import Owner
from tuning_study.attributes import FAILURE_ATTRIBUTE
from tuning_study.manifest import read_spec
from tuning_study.round import resolve, spec_digest

Object = dict[str, Any]


# --- workers


@pytest.mark.parametrize(
    ("disrupt", "is_told"),
    [
        (FakeNode.kill, True),
        (lambda node, pod: node.evict(pod, by_kubelet=True), True),
        (FakeNode.evict, False),  # by SIGTERM: the worker itself puts its trial back
        (FakeNode.preempt, False),
    ],
    ids=["killed", "evicted by its node", "drained", "preempted"],
)
def test_the_trial_of_a_disrupted_worker_runs_again(
    studies: Studies, gate: Gate, node: FakeNode, disrupt: Callable[[FakeNode, Object], None], is_told: bool
) -> None:
    study = studies(quick_study(objective=gate.objective))
    study.wait_for_starts(gate, 2)
    victim = study.pods()[0]

    disrupt(node, victim)
    if is_told:
        study.wait_for_event("TrialsPutBack", victim["metadata"]["name"])
    else:
        study.kube.wait_for(
            lambda: states(study.history()), lambda now: now.get("RUNNING") != 2 or len(gate.starts) > 2
        )
    gate.open()

    study.wait_until("Complete")
    assert study.trials == {"complete": 6}  # charged to nobody
    assert states(study.history()) == {"COMPLETE": 6}
    assert sorted(gate.starts) != sorted(set(gate.starts))  # it ran twice


def test_the_trial_of_a_dead_worker_waits_for_no_job_controller(
    studies: Studies, gate: Gate, node: FakeNode, control_plane: ControlPlane
) -> None:
    """It tells of a failed pod when it starts the next, which after some failures is minutes later."""
    study = studies(quick_study(objective=gate.objective))
    study.wait_for_starts(gate, 2)
    study.kube.wait_for(lambda: study.status["trials"]["running"], lambda told: told == 2)  # by now it knows both pods
    control_plane.controller_manager.stop()
    try:
        victim = study.pods()[0]
        node.kill(victim)
        study.wait_for_event("TrialsPutBack", victim["metadata"]["name"], 30)
    finally:
        control_plane.controller_manager.start()
    gate.open()

    study.wait_until("Complete")
    assert study.trials == {"complete": 6}


def test_a_trial_that_uses_up_the_memory_has_failed(studies: Studies, gate: Gate, node: FakeNode) -> None:
    study = studies(quick_study(objective=gate.objective))
    study.wait_for_starts(gate, 2)

    node.oom(study.pods()[0])
    study.wait_for_event("TrialEndedPod", "OOMKilled")
    gate.open()

    study.wait_until("Complete")
    assert study.trials == {"complete": 6, "failed": 1}
    (failed,) = [trial for trial in study.history() if trial.state.name == "FAIL"]
    assert "OOMKilled" in failed.user_attrs[FAILURE_ATTRIBUTE]


def test_a_trial_that_crashes_its_worker_has_failed(studies: Studies, kube: Kube) -> None:
    code = """
import os, signal
def objective(trial):
    if trial.number == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    return trial.params["x"]
"""
    kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "code"}, "data": {"crashes.py": code}})
    study = studies(quick_study(objective={"python": {"function": "crashes:objective", "configMap": "code"}}))

    study.wait_until("Complete")
    assert study.trials == {"complete": 6, "failed": 1}
    assert "SIGSEGV" in study.history()[1].user_attrs[FAILURE_ATTRIBUTE]


def test_an_objective_that_cannot_run_starts_no_trial(studies: Studies) -> None:
    study = studies(quick_study("hopeless", objective={"command": {"command": ["no-such-program"]}}))

    study.wait_for_condition("Failed", "True", "Rejected")

    assert study.condition("Accepted") == ("False", "ObjectiveRejected")
    assert "'no-such-program' is not an executable" in study.message("Accepted")
    assert "'no-such-program' is not an executable" in study.message("Failed")
    assert study.condition("Complete")[0] == "False"
    assert study.history() == []
    study.wait_for_pods(0)


# --- the operator


def start_round(url: str, tenant: tenants.Tenant, body: Object, owner: str) -> None:
    metadata, spec = body["metadata"], read_spec(body["spec"])
    place = {name: metadata[name] for name in ("namespace", "name", "uid")}
    resolved = resolve(spec, **place, number=1, versions={})
    store = open_store(url, schema=tenant.schema)
    keeper = Owner(owner)
    rounds.start(store, resolved, digest=spec_digest(spec), budget=spec.budget, owner=keeper, points=[])
    store.close()


def test_a_killed_operator_goes_on_where_it_was(
    studies: Studies, gate: Gate, operator: Operator, node: FakeNode
) -> None:
    study = studies(quick_study(objective=gate.objective))
    study.wait_for_starts(gate, 2)
    victim = study.pods()[0]

    operator.kill()
    node.kill(victim)  # nobody sees it
    gate.open()
    study.kube.wait_for(lambda: states(study.history()), lambda now: now.get("COMPLETE") == 5)

    operator.start()
    study.wait_for_event("TrialsPutBack", victim["metadata"]["name"])
    study.wait_until("Complete")
    assert study.trials == {"complete": 6}
    study.wait_for_event("BudgetUsed")  # Events follow the status
    assert [reason for reason, _ in study.events] == ["RoundStarted", "TrialsPutBack", "BudgetUsed"]


def test_a_round_that_was_started_and_never_told_is_told(
    studies: Studies, operator: Operator, postgres: Postgres, kube: Kube
) -> None:
    operator.kill()
    study = studies(quick_study("untold"))
    owner = kube.get("Namespace", "kube-system")["metadata"]["uid"]
    tenant, body = tenants.tenant_of(kube.namespace, owner), study.resource
    tenants.create(postgres.url, tenant)
    start_round(postgres.url, tenant, body, owner)  # what the operator did when it was killed

    operator.start()

    assert study.wait_until("Complete")["round"] == 1
    assert study.trials == {"complete": 6}


def test_of_two_operators_one_acts_and_the_other_takes_over(
    studies: Studies, gate: Gate, operator: Operator, control_plane: ControlPlane, postgres: Postgres, system: Kube
) -> None:
    with Operator(control_plane, postgres.url, "operator-2") as second:
        study = studies(quick_study(objective=gate.objective))
        study.wait_for_starts(gate, 2)
        assert operator.metrics()["tuning_operator_leading", ""] == 1
        assert second.metrics()["tuning_operator_leading", ""] == 0
        assert second.metrics()["tuning_api_writes_total", ""] == 0

        operator.kill()
        gate.open()
        system.wait_for(lambda: second.leads(system), bool, 30, "second operator leading")

        study.wait_until("Complete")
        assert study.trials == {"complete": 6}
        study.wait_for_event("BudgetUsed")  # Events follow the status
        assert [reason for reason, _ in study.events] == ["RoundStarted", "BudgetUsed"]


# --- what all of them need


def test_the_study_waits_for_a_database_that_is_away(studies: Studies, gate: Gate, postgres: Postgres) -> None:
    study = studies(quick_study(objective=gate.objective))
    study.wait_for_starts(gate, 2)
    study.wait_until("Running")

    postgres.stop()
    study.wait_for_condition("StoreReady", "False", "Unreachable")
    gate.open()  # trials end while nobody can take their results
    assert study.status["state"] == "Running"

    postgres.start()
    study.wait_for_condition("StoreReady", "True", "Connected")
    study.wait_until("Complete")
    assert study.trials == {"complete": 6}
    assert states(study.history()) == {"COMPLETE": 6}
    assert len(gate.starts) == 6  # no trial ran twice
    study.wait_for_event("BudgetUsed")  # Events follow the status
    reasons = [reason for reason, _ in study.events]
    assert reasons == ["RoundStarted", "Unreachable", "Connected", "BudgetUsed"]


def test_the_study_goes_on_without_an_api_server(studies: Studies, gate: Gate, control_plane: ControlPlane) -> None:
    study = studies(quick_study(objective=gate.objective))
    study.wait_for_starts(gate, 2)
    study.history()  # where it is, as long as somebody can tell
    url, name = study.store_url, study.optuna_name(1)

    away = time.monotonic()
    control_plane.apiserver.stop()
    gate.open()
    study.kube.wait_for(lambda: states(read_history(url, name)), lambda now: now == {"COMPLETE": 6})
    time.sleep(max(0, away + 10 - time.monotonic()))  # as long as an upgrade takes

    control_plane.apiserver.start()
    # It asks rarely after an outage, and the next test would wait for it.
    control_plane.controller_manager.stop()
    control_plane.controller_manager.start()
    study.wait_until("Complete", timeout=60)
    assert study.trials == {"complete": 6}
    study.wait_for_event("BudgetUsed")  # Events follow the status
    assert [reason for reason, _ in study.events] == ["RoundStarted", "BudgetUsed"]
