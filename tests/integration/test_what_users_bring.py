"""Texts, names and pods that users bring: nothing of them keeps a study's status from being written, or its end."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kubernetes.aio.config import kube_config
from sqlalchemy.engine import make_url

from builders import NOW, real
from integration.harness import ControlPlane, FakeNode, Kube
from integration.operator_fixtures import Studies
from integration.services import Operator, Postgres
from integration.studies import alert_workers, quick_study, shell
from tuning_kube.client import Cluster
from tuning_operator.conditions import with_condition
from tuning_study.api.status import (
    Best,
    MetricValue,
    ParameterValue,
    RetuneStatus,
    Round,
    TuningStudyStatus,
    read_status,
)
from tuning_study.text import truncate

Object = dict[str, Any]


# --- text


@pytest.fixture
def own_kubeconfig(control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", os.fspath(control_plane.kubeconfig))


ODD = st.sampled_from(
    [
        "💥",
        "\x00",
        "\x7f\x85\x9f",
        "\u2028\u2029",
        "\ufeff\ufffe\uffff",
        "\ud800",
        "a\r\n\tb",
        ": {[&*!|>%@`",
        "\U0010ffff",
    ]
)
TEXT = st.lists(st.text(max_size=40) | ODD, max_size=6).map("".join)


@pytest.mark.usefixtures("crd", "own_kubeconfig")
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXT)
def test_any_text_in_a_status_is_written_and_read_again(
    session_operator: Operator, kube: Kube, namespace: str, text: str
) -> None:
    session_operator.kill()  # or it would write a status of its own
    kube.apply(quick_study("texts"))
    status = _status_full_of(text)

    async def write() -> Object:
        async with Cluster() as cluster:
            body = await cluster.read_study(namespace, "texts")
            version = int(body["metadata"]["resourceVersion"])
            await cluster.write_status(namespace, "texts", status.manifest(), version)
            who = {key: body["metadata"][key] for key in ("namespace", "name", "uid")}
            await cluster.record(who, "Normal", "Told", text, NOW, text)
            version = (await cluster.read_study(namespace, "texts"))["metadata"]["resourceVersion"]
            await cluster.annotate_study(namespace, "texts", "tuning.dev/retune-requested", text, version)
            return dict(await cluster.read_study(namespace, "texts"))

    assert read_status(asyncio.run(write())["status"]) == status


def _status_full_of(text: str) -> TuningStudyStatus:
    best = Best(
        trial=1,
        metrics=[MetricValue(name=text, value=0.5)],
        parameters=[ParameterValue(name=text, value=text)],
    )
    status = TuningStudyStatus(
        best=best,
        rounds=[Round(round=1, start_time=NOW, reason=text, best=best)],
        retune=RetuneStatus(last_handled=truncate(text, 512), reason=truncate(text, 512)),
        phase=text,
    )
    told = with_condition(status, "Running", "True", "RoundStarted", text, NOW)
    return with_condition(told, "Reconciling", "False", "NotReconciling", text, NOW)  # or the CRD's default stays


def test_an_emoji_in_an_exception_is_told_and_the_study_ends(studies: Studies, kube: Kube) -> None:
    code = 'def objective(trial):\n    trial.suggest_float("x", 0, 1)\n    raise ValueError("💥 out of luck")\n'
    _config_map(kube, "code", {"emoji.py": code})
    study = studies(
        quick_study(
            objective={"python": {"function": "emoji:objective", "configMap": "code"}},
            parameters=None,
            budget={"trials": 4, "failedTrials": 3},
        )
    )
    study.wait_until("Failed")
    assert "× ValueError: 💥 out of luck" in study.message("Failed")


def test_any_text_in_the_environment_of_workers_is_taken(studies: Studies) -> None:
    workers = alert_workers(1, ODD="💥 \u2028 $(X) 'quoted' \"twice\"")
    study = studies(quick_study(workers=workers, objective=shell('test "${#ODD}" -gt 20 && echo loss={x}')))
    study.wait_until("Complete")


# --- trials that hold more than a manifest may


def test_parameters_of_any_name_and_number_are_counted_and_told_as_far_as_they_fit(
    studies: Studies, kube: Kube
) -> None:
    code = """
def objective(trial):
    for index in range(100):
        trial.suggest_float(f"learning rate {index} 💥 [bold]", 0, 1)
    trial.set_user_attr("metrics", "mine")
    trial.set_user_attr("failure", {"of": "mine"})
    trial.set_user_attr("tuning:metrics", "not yours")
    return float("inf") if trial.number == 1 else 0.5
"""
    _config_map(kube, "code", {"names.py": code})
    study = studies(
        quick_study(
            metrics=[{"name": "score", "direction": "Maximize"}],
            objective={"python": {"function": "names:objective", "configMap": "code"}},
            parameters=None,
        )
    )
    status = study.wait_until("Complete")
    assert study.trials == {"complete": 6}
    assert status["best"]["metrics"] == [{"name": "score", "value": "Infinity"}]
    assert status["best"]["parameters"][0]["name"] == "learning rate 0 💥 [bold]"
    assert status["best"]["parameters"][-1]["value"].endswith(" more")


def test_a_look_that_fails_is_told_and_forgotten_when_it_works_again(
    studies: Studies, postgres: Postgres, kube: Kube
) -> None:
    study = studies(quick_study(objective=shell("sleep 0.3; echo loss={x}"), budget={"trials": 40}))
    study.wait_for_condition("Running", "True")
    schema = make_url(study.store_url).username
    postgres.sql(f'ALTER TABLE "{schema}".tuning_shares RENAME TO hidden')
    try:
        study.wait_for_condition("Stalled", "True", "LookFailed")
        study.wait_for_event("LookFailed", "tuning_shares")
    finally:
        postgres.sql(f'ALTER TABLE "{schema}".hidden RENAME TO tuning_shares')
    study.wait_for_condition("Stalled", "False", timeout=60)
    study.wait_until("Complete", timeout=90)


# --- pods


def test_a_worker_that_ended_beside_a_living_container_is_replaced(studies: Studies, kube: Kube) -> None:
    """And the pods of the round are removed at its end, though the sidecar would live on."""
    code = """
import os, signal
def objective(trial):
    x = trial.suggest_float("x", 0, 1)
    if trial.number == 1 and not os.path.exists("{seen}"):
        open("{seen}", "w").close()
        os.kill(os.getppid(), signal.SIGKILL)  # the supervisor: as when the container runs out of memory
    return x
"""
    seen = f"/tmp/sidecar-{kube.namespace}"
    _config_map(kube, "code", {"crash.py": code.replace("{seen}", seen)})
    workers = alert_workers(1)
    containers = workers["podTemplate"]["spec"]["containers"]
    containers.append({"name": "proxy", "image": "proxy", "command": ["sleep", "3600"]})
    study = studies(
        quick_study(
            objective={"python": {"function": "crash:objective", "configMap": "code"}}, parameters=None, workers=workers
        )
    )
    try:
        study.wait_until("Complete", timeout=90)
        assert study.trials == {"complete": 6}
        study.wait_for_pods(0, timeout=60)
    finally:
        if os.path.exists(seen):
            os.unlink(seen)


def test_workers_that_do_not_begin_say_why_and_go_on_by_themselves(studies: Studies, node: FakeNode) -> None:
    node.missing_images.add("example.invalid/nope:1")
    workers = alert_workers(2) | {"image": "example.invalid/nope:1"}
    study = studies(quick_study(workers=workers))
    study.wait_for_condition("Running", "False", "WorkersPending", timeout=20)
    assert "ImagePullBackOff" in study.message("Running")
    study.wait_for_event("WorkersPending", "ImagePullBackOff")
    node.missing_images.clear()
    study.wait_until("Complete", timeout=60)


def test_workers_that_do_not_begin_are_made_anew_from_a_corrected_manifest(studies: Studies, node: FakeNode) -> None:
    node.missing_images.add("example.invalid/nope:2")
    study = studies(quick_study(workers=alert_workers(1) | {"image": "example.invalid/nope:2"}))
    study.wait_for_condition("Running", "False", "WorkersPending", timeout=20)
    study.change(workers={"image": "there:1"})
    study.wait_until("Complete", timeout=60)


def test_workers_that_never_begin_fail_the_study_at_its_deadline(studies: Studies, node: FakeNode) -> None:
    node.missing_images.add("example.invalid/nope:3")
    workers = alert_workers(1) | {"image": "example.invalid/nope:3"}
    study = studies(quick_study(workers=workers, budget={"trials": 4, "startDeadline": "12s"}))
    study.wait_until("Failed", timeout=40)
    assert study.condition("Failed") == ("True", "StartDeadlineExceeded")
    assert "ImagePullBackOff" in study.message("Failed")
    study.wait_for_pods(0)


def test_pods_that_are_refused_say_why(studies: Studies, kube: Kube) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {"count/pods": "0"}},
    }
    kube.apply(quota)
    study = studies(quick_study(parameters=[real("x")]))
    study.wait_for_condition("Running", "False", "WorkersPending", timeout=30)
    study.wait(lambda _: "exceeded quota" in study.message("Running"), "words of the quota", timeout=30)
    kube.delete("ResourceQuota", "none")


def _config_map(kube: Kube, name: str, data: dict[str, str]) -> None:
    kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
