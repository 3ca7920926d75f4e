"""A Deployment whose fields belong to somebody else, on a real API server: what is written to it, and what is not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from kubernetes.aio.config import kube_config

from integration.harness import ControlPlane, Kube
from tuning_kube.client import Cluster
from tuning_kube.errors import Conflict, Invalid, NotFound
from tuning_kube.names import PARAMETERS_ANNOTATION, PROMOTION_MANAGER
from tuning_operator.exceptions import ProductionRefused
from tuning_operator.rollout import argo_rollout, canary, parameters_job
from tuning_operator.rollout.deployment import view
from tuning_operator.rollout.parameters_job import JobView, check_name
from tuning_operator.rollout.target import rolling
from tuning_study.api.promotion import ParametersJob

NAME, FIRST, SECOND = "digits-api", "digits-params-r1-0000aaaa", "digits-params-r2-1111bbbb"


@pytest.fixture
async def cluster(control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(control_plane.kubeconfig))
    async with Cluster() as opened:
        yield opened


class Argo:
    """Who owns the Deployment, as Argo CD does: it applies what its repository has."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self.plane, self.namespace = control_plane, namespace

    def sync(self, annotations: dict[str, str] | None = None) -> None:
        labels = {"app": NAME}
        metadata = {"labels": labels} | ({"annotations": annotations} if annotations is not None else {})
        template = {"metadata": metadata, "spec": {"containers": [{"name": "main", "image": "api:1"}]}}
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": NAME, "labels": {"tuning.dev/promotable": "true"}},
            "spec": {"replicas": 3, "selector": {"matchLabels": labels}, "template": template},
        }
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{NAME}?fieldManager=argocd-controller&force=true"
        self.plane.request("PATCH", path, body, content_type="application/apply-patch+yaml")


@pytest.fixture
def argo(control_plane: ControlPlane, namespace: str) -> Argo:
    return Argo(control_plane, namespace)


async def read(cluster: Cluster, namespace: str) -> Any:
    return await cluster.read_deployment(namespace, NAME)


def owned(deployment: Any, manager: str) -> Any:
    return next(entry["fieldsV1"] for entry in deployment["metadata"]["managedFields"] if entry["manager"] == manager)


async def test_one_annotation_is_written_and_all_else_stays(cluster: Cluster, namespace: str, argo: Argo) -> None:
    argo.sync()
    before = await read(cluster, namespace)
    await cluster.apply_to_target(rolling("Deployment", namespace, NAME, FIRST))
    after = await read(cluster, namespace)
    before["spec"]["template"]["metadata"]["annotations"] = {PARAMETERS_ANNOTATION: FIRST}
    assert after["spec"] == before["spec"]
    assert owned(after, "argocd-controller") == owned(before, "argocd-controller")
    annotation: dict[str, Any] = {"f:annotations": {f"f:{PARAMETERS_ANNOTATION}": {}}}
    assert owned(after, PROMOTION_MANAGER) == {"f:spec": {"f:template": {"f:metadata": annotation}}}
    assert view(after).parameters == FIRST and view(after).problem is None


async def test_ten_times_the_same_is_one_write_whoever_applies_beside_it(
    cluster: Cluster, namespace: str, argo: Argo
) -> None:
    argo.sync()
    await cluster.apply_to_target(rolling("Deployment", namespace, NAME, FIRST))
    generation = (await read(cluster, namespace))["metadata"]["generation"]
    for _ in range(10):
        await cluster.apply_to_target(rolling("Deployment", namespace, NAME, FIRST))
        argo.sync()
    after = await read(cluster, namespace)
    assert after["metadata"]["generation"] == generation
    assert view(after).parameters == FIRST


@pytest.mark.parametrize("annotations", [{PARAMETERS_ANNOTATION: FIRST}, {}], ids=["the annotation", "all, and none"])
async def test_an_annotation_that_somebody_else_owns_is_a_conflict_and_stays(
    cluster: Cluster, namespace: str, argo: Argo, annotations: dict[str, str]
) -> None:
    argo.sync(annotations)
    before = await read(cluster, namespace)
    for try_only in (True, False):
        with pytest.raises(Conflict, match="argocd-controller"):
            await cluster.apply_to_target(rolling("Deployment", namespace, NAME, SECOND), try_only=try_only)
    after = await read(cluster, namespace)
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert view(after).parameters == annotations.get(PARAMETERS_ANNOTATION)


async def test_to_try_changes_nothing(cluster: Cluster, namespace: str, argo: Argo) -> None:
    argo.sync()
    await cluster.apply_to_target(rolling("Deployment", namespace, NAME, FIRST), try_only=True)
    assert view(await read(cluster, namespace)).parameters is None


async def test_a_deployment_that_is_not_there_is_not_made(cluster: Cluster, namespace: str, kube: Kube) -> None:
    with pytest.raises((Invalid, NotFound)):
        await cluster.apply_to_target(rolling("Deployment", namespace, NAME, FIRST))
    assert kube.list("Deployment") == []


async def test_a_check_is_a_job_that_an_api_server_takes(cluster: Cluster, namespace: str, kube: Kube) -> None:
    template = {
        "spec": {"containers": [{"name": "check", "image": "check:1", "envFrom": [{"secretRef": {"name": "s"}}]}]}
    }
    check = ParametersJob.model_validate({"template": template, "deadline": "5m"})
    study = {"namespace": namespace, "name": "d" * 52, "uid": "uid-1"}
    job = parameters_job.parameters_job(study, check_name("d" * 52, "uid-1", FIRST), "staging", FIRST, check)
    del job["metadata"]["ownerReferences"]  # whose study is not there, so that the Job would go at once
    await cluster.create_job(job)
    [made] = kube.list("Job")
    assert made["spec"]["activeDeadlineSeconds"] == 300
    [container] = made["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "s"}}, {"configMapRef": {"name": FIRST}}]
    assert parameters_job.view(made) == JobView() and parameters_job.view(None) is None


@pytest.mark.parametrize("kind", ["Complete", "Failed"])
def test_a_check_that_has_ended(kind: str) -> None:
    ended = {"status": {"conditions": [{"type": kind, "status": "True", "message": "it did"}]}}
    assert parameters_job.view(ended) == JobView(kind, "it did")  # type: ignore[arg-type]


class Serving(Argo):
    """A Deployment whose pods read the parameters in production, in every way that there is."""

    def sync(self, annotations: dict[str, str] | None = None, image: str = "api:1") -> None:
        stable = {"name": "digits-params-stable"}
        main = {
            "name": "main",
            "image": image,
            "envFrom": [{"configMapRef": stable}, {"secretRef": {"name": "key"}}],
            "env": [{"name": "C", "valueFrom": {"configMapKeyRef": {**stable, "key": "TUNING_PARAM_C"}}}],
        }
        volumes = [
            {"name": "parameters", "configMap": stable},
            {"name": "both", "projected": {"sources": [{"configMap": stable}, {"configMap": {"name": "other"}}]}},
        ]
        template = {"metadata": {"labels": {"app": NAME}}, "spec": {"containers": [main], "volumes": volumes}}
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": NAME, "labels": {"tuning.dev/promotable": "true"}},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": NAME}}, "template": template},
        }
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{NAME}?fieldManager=argocd-controller&force=true"
        self.plane.request("PATCH", path, body, content_type="application/apply-patch+yaml")

    def scale(self, replicas: int) -> None:
        """As a HorizontalPodAutoscaler does."""
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{NAME}/scale?fieldManager=autoscaler"
        change = {"spec": {"replicas": replicas}}
        self.plane.request("PATCH", path, change, content_type="application/merge-patch+json")


@pytest.fixture
def serving(control_plane: ControlPlane, namespace: str) -> Serving:
    made = Serving(control_plane, namespace)
    made.sync()
    return made


async def make_canary(cluster: Cluster, namespace: str, *, try_only: bool = False) -> Any:
    source = canary.Source(namespace, "digits", "uid-1", SECOND, 2)
    body = canary.canary_deployment(await read(cluster, namespace), source)
    del body["metadata"]["ownerReferences"]  # whose study is not there, so that the Deployment would go at once
    await cluster.create_deployment(body, try_only=try_only)
    return body


async def test_a_canary_is_the_target_s_pod_with_other_parameters(
    cluster: Cluster, namespace: str, serving: Serving
) -> None:
    target = await read(cluster, namespace)
    await make_canary(cluster, namespace)
    made = await cluster.read_deployment(namespace, f"{NAME}-canary-1111bbbb")
    template, original = made["spec"]["template"], target["spec"]["template"]
    assert template["metadata"]["labels"] == {"app": NAME, "tuning.dev/canary": f"{NAME}-canary-1111bbbb"}
    assert json.loads(json.dumps(template["spec"]).replace(SECOND, "digits-params-stable")) == original["spec"]
    assert "digits-params-stable" not in json.dumps(template["spec"]) and '"other"' in json.dumps(template["spec"])
    assert (made["spec"]["replicas"], made["spec"]["selector"]) == (
        2,
        {"matchLabels": {"tuning.dev/canary": f"{NAME}-canary-1111bbbb"}},
    )
    assert (await read(cluster, namespace))["spec"] == target["spec"]
    seen = canary.view(made)
    assert (seen.complete, seen.made_from, seen.ending) == (False, view(target).template, False)


async def test_parameters_that_are_rolled_leave_the_template_what_it_was_and_another_image_does_not(
    cluster: Cluster, namespace: str, serving: Serving
) -> None:
    before = view(await read(cluster, namespace)).template
    await cluster.apply_to_target(rolling("Deployment", namespace, NAME, FIRST))
    assert view(await read(cluster, namespace)).template == before
    serving.sync(image="api:2")
    assert view(await read(cluster, namespace)).template != before


async def test_an_autoscaler_and_a_canary_leave_each_other_alone(
    cluster: Cluster, namespace: str, serving: Serving
) -> None:
    """flagger#634, argo#1415: a canary began anew, or stable had no pods, when an autoscaler changed replicas."""
    template = view(await read(cluster, namespace)).template
    await make_canary(cluster, namespace)
    for replicas in (*range(4, 24), 7):
        serving.scale(replicas)
        await cluster.apply_to_target(rolling("Deployment", namespace, NAME, FIRST))
    after = await read(cluster, namespace)
    assert (after["spec"]["replicas"], view(after).template) == (7, template)
    assert "f:replicas" not in json.dumps(owned(after, PROMOTION_MANAGER))
    seen = await cluster.read_deployment(namespace, f"{NAME}-canary-1111bbbb")
    assert (seen["spec"]["replicas"], canary.view(seen).made_from) == (2, template)


async def test_a_canary_is_tried_made_once_and_taken_away(cluster: Cluster, namespace: str, serving: Serving) -> None:
    name = f"{NAME}-canary-1111bbbb"
    await make_canary(cluster, namespace, try_only=True)
    with pytest.raises(NotFound):
        await cluster.read_deployment(namespace, name)
    await make_canary(cluster, namespace)
    uid = (await cluster.read_deployment(namespace, name))["metadata"]["uid"]
    await make_canary(cluster, namespace)
    assert (await cluster.read_deployment(namespace, name))["metadata"]["uid"] == uid
    for _ in range(2):
        await cluster.delete_deployment(namespace, name)


async def test_a_target_that_reads_no_parameters_has_no_canary(cluster: Cluster, namespace: str, argo: Argo) -> None:
    argo.sync()
    with pytest.raises(ProductionRefused, match=r"envFrom: \[\{configMapRef: \{name: digits-params-stable\}\}\]"):
        await make_canary(cluster, namespace)


ROLLOUTS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "rollouts.argoproj.io"},
    "spec": {
        "group": "argoproj.io",
        "scope": "Namespaced",
        "names": {"kind": "Rollout", "plural": "rollouts", "singular": "rollout"},
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                },
                "subresources": {"status": {}},
            }
        ],
    },
}


async def test_of_a_rollout_one_annotation_is_written_too(
    cluster: Cluster, namespace: str, control_plane: ControlPlane, kube: Kube
) -> None:
    """Its controller is not there: what it would write is written by hand in the next test."""
    kube.apply(ROLLOUTS)
    template = {"metadata": {"labels": {"app": NAME}}, "spec": {"containers": [{"name": "main", "image": "api:1"}]}}
    labels = {"tuning.dev/promotable": "true"}
    rollout = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": NAME, "labels": labels},
        "spec": {"replicas": 3, "template": template, "strategy": {"canary": {"steps": [{"setWeight": 20}]}}},
    }
    path = f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/rollouts/{NAME}?fieldManager=argo&force=true"
    apply = partial(control_plane.request, "PATCH", path, rollout, content_type="application/apply-patch+yaml")
    kube.wait_for(apply, lambda _: True)  # a kind takes a moment to be served
    await cluster.apply_to_target(rolling("Rollout", namespace, NAME, FIRST))
    after = await cluster.read_rollout(namespace, NAME)
    assert after["spec"]["template"]["metadata"] == {
        "labels": {"app": NAME},
        "annotations": {PARAMETERS_ANNOTATION: FIRST},
    }
    assert {**after["spec"], "template": template} == rollout["spec"]
    assert argo_rollout.view(after).parameters == FIRST and not argo_rollout.view(after).rolled_out


def rollout(status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """Of generation 3, with three steps."""
    steps = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}]
    return {
        "kind": "Rollout",
        "metadata": {"name": NAME, "generation": 3, "labels": {"tuning.dev/promotable": "true"}},
        "spec": {"template": {}, "strategy": {"canary": {"steps": steps}}} | spec,
        "status": {"observedGeneration": "3"} | status,
    }


@pytest.mark.parametrize(
    ("status", "rolled_out"),
    [
        ({"phase": "Healthy"}, True),
        ({"phase": "Healthy", "observedGeneration": "2"}, False),
        ({"phase": "Progressing", "message": "more replicas need to be updated"}, False),
        ({"phase": "Paused", "message": "CanaryPauseStep"}, False),
        ({"phase": "Degraded", "message": "RolloutAborted: Rollout aborted update to revision 2"}, False),
        ({}, False),
    ],
)
def test_a_rollout_is_rolled_out_when_its_controller_says_so_of_this_generation(
    status: dict[str, str], rolled_out: bool
) -> None:
    """As `kubectl argo rollouts status` has it."""
    assert argo_rollout.view(rollout(status)).rolled_out == rolled_out
    assert argo_rollout.view(rollout(status)).problem is None


ABORTED = "RolloutAborted: Rollout aborted update to revision 2"
LATE = 'ProgressDeadlineExceeded: ReplicaSet "digits-api-65b8f" has timed out progressing.'


@pytest.mark.parametrize(
    ("status", "failed"),
    [
        ({"message": ABORTED, "abort": True}, ABORTED),
        ({"message": ABORTED, "abort": True, "observedGeneration": "2"}, ""),
        ({"message": ABORTED}, ""),
        ({"message": LATE, "currentPodHash": "65b8f"}, LATE),
        ({"message": LATE, "currentPodHash": "65b8f", "observedGeneration": "2"}, ""),
        ({"message": LATE, "currentPodHash": "7c9d4"}, ""),
    ],
)
def test_a_rollout_fails_by_its_own_pods_and_not_by_those_of_before(status: dict[str, Any], failed: str) -> None:
    """A new pod template keeps the word `Degraded` of the one before until its own pods come."""
    assert argo_rollout.view(rollout({"phase": "Degraded"} | status)).failed == failed


@pytest.mark.parametrize(
    ("status", "waiting"),
    [
        (
            {"phase": "Paused", "message": "CanaryPauseStep", "currentStepIndex": 1},
            "it is paused (CanaryPauseStep, step 2 of 3): `kubectl argo rollouts promote digits-api` lets it go on",
        ),
        (
            {"phase": "Paused", "message": "manually paused", "currentStepIndex": 3},
            "it is paused (manually paused): `kubectl argo rollouts promote digits-api` lets it go on",
        ),
        (
            {"phase": "Degraded", "message": LATE, "currentPodHash": "7c9d4"},
            f"its controller tells of its pods of before still: {LATE}",
        ),
        ({"phase": "Degraded", "message": LATE, "currentPodHash": "65b8f"}, ""),
        ({"phase": "Paused", "message": "CanaryPauseStep", "observedGeneration": "2"}, ""),
        ({"phase": "Progressing", "message": "more replicas need to be updated"}, ""),
        ({"phase": "Healthy"}, ""),
    ],
)
def test_what_a_rollout_waits_for_is_told_where_it_is_not_its_pods(status: dict[str, Any], waiting: str) -> None:
    assert argo_rollout.view(rollout(status)).waiting == waiting


@pytest.mark.parametrize(
    ("strategy", "status", "stale_pods"),
    [
        ({"canary": {}}, {"abort": True}, True),
        ({"canary": {}}, {"abort": True, "observedGeneration": "2"}, False),
        ({"canary": {}}, {"message": LATE, "currentPodHash": "65b8f"}, False),
        ({"canary": {"trafficRouting": {"nginx": {}}}}, {"abort": True}, False),
        ({"canary": {"trafficRouting": {"nginx": {}}, "dynamicStableScale": True}}, {"abort": True}, True),
        ({"blueGreen": {}}, {"abort": True}, False),
    ],
)
def test_an_aborted_canary_has_started_pods_of_before_again(
    strategy: dict[str, Any], status: dict[str, Any], stale_pods: bool
) -> None:
    seen = argo_rollout.view(rollout({"phase": "Degraded"} | status, strategy=strategy))
    assert seen.stale_pods == stale_pods


async def test_pods_are_started_anew_where_the_template_had_these_parameters_already(
    cluster: Cluster, namespace: str, argo: Argo
) -> None:
    argo.sync()
    await cluster.apply_to_target(rolling("Deployment", namespace, NAME, FIRST))
    before = await read(cluster, namespace)
    since = datetime(2026, 12, 1, 8, 30, tzinfo=UTC)
    for _ in range(2):
        await cluster.apply_to_target(rolling("Deployment", namespace, NAME, FIRST, anew=since))
    after = await read(cluster, namespace)
    annotations = after["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {PARAMETERS_ANNOTATION: f"{FIRST}@2026-12-01T08:30:00Z"}
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert (view(after).parameters, view(after).template) == (FIRST, view(before).template)


def test_a_rollout_without_a_pod_template_of_its_own_is_no_target() -> None:
    referring = rollout({"phase": "Healthy"}, workloadRef={"kind": "Deployment", "name": "digits"})
    del referring["spec"]["template"]
    seen = argo_rollout.view(referring)
    assert seen.parameters is None
    assert seen.problem == (
        "TargetNotPromotable",
        "the Rollout digits-api takes its pods from another object (spec.workloadRef), so that there is no pod template"
        " to write to: write spec.template instead",
    )


def test_a_rollout_that_its_controller_refuses_is_no_target_until_it_is_mended() -> None:
    message = 'The Rollout "digits-api" is invalid: spec.strategy: Required value'
    status = {"phase": "Degraded", "conditions": [{"type": "InvalidSpec", "status": "True", "message": message}]}
    assert argo_rollout.view(rollout(status)).problem == ("TargetInvalid", f"{message}: mend it")
    assert argo_rollout.view(rollout(status | {"observedGeneration": "2"})).problem is None


@pytest.mark.parametrize(("seen", "failed"), [(3, "ReplicaSet has timed out"), (2, "")])
def test_a_deployment_fails_by_its_own_pods_and_not_by_those_of_before(seen: int, failed: str) -> None:
    late = {"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "ReplicaSet has timed out"}
    status = {"observedGeneration": seen, "conditions": [late]}
    body = {"metadata": {"name": NAME, "generation": 3}, "kind": "Deployment", "spec": {"template": {}}}
    assert view({**body, "status": status}).failed == failed


async def test_one_without_ready_pods_is_not_rolled_out(cluster: Cluster, namespace: str, argo: Argo) -> None:
    argo.sync()
    assert not view(await read(cluster, namespace)).rolled_out
