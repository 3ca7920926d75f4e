"""A Kubernetes API server in memory, for tests of what stands between the operator's decisions and the cluster.

The real one decides whether an object is valid; this one only keeps objects, their versions and who wrote what.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tuning_kube import names
from tuning_kube.client import Cluster
from tuning_kube.errors import Conflict, NotFound

Object = dict[str, Any]


class FakeCluster(Cluster):
    """Stands in for `tuning_kube.client.Cluster`. What is in `fails` raises instead, by the method's name, once each.

    Attributes:
        calls: how often each method was called.
        wrote: the methods that changed something, in their order.
    """

    def __init__(self, study: Object) -> None:
        super().__init__()
        self.study = study
        self.objects: dict[tuple[str, str], Object] = {}  # by kind and name
        self.pods: list[Object] = []
        self.about: list[Object] = []  # Events of others
        self.events: dict[str, tuple[str, str]] = {}  # reason and message of ours, by what makes them one
        self.fails: dict[str, list[Exception]] = {}
        self.calls: Counter[str] = Counter()
        self.wrote: list[str] = []
        self._version = 100

    # --- what tests see and change

    def change_spec(self, **fields: Any) -> None:
        self.study = copy.deepcopy(self.study)
        self.study["spec"] |= fields
        self.study["metadata"]["generation"] += 1
        self._touch(self.study)

    def annotate(self, key: str, value: str) -> None:
        self.study = copy.deepcopy(self.study)
        self.study["metadata"].setdefault("annotations", {})[key] = value
        self._touch(self.study)

    def set_job_status(self, name: str, **status: Any) -> None:
        job = copy.deepcopy(self.objects["Job", name])
        job.setdefault("status", {}).update(status)
        self.objects["Job", name] = self._touch(job)

    def add_deployment(self, name: str, *, replicas: int = 2, promotable: str | None = "true") -> None:
        labels = {names.PROMOTABLE_LABEL: promotable} if promotable is not None else {}
        metadata = {"name": name, "namespace": "team", "generation": 1, "labels": labels}
        self.objects["Deployment", name] = {
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {"replicas": replicas, "template": {"metadata": {}}},
        }
        self.set_rollout(name)

    def set_rollout(self, name: str, *, stuck: bool = False) -> None:
        """Every pod of the Deployment has its template now, or never will."""
        found = copy.deepcopy(self.objects["Deployment", name])
        replicas, updated = found["spec"]["replicas"], 1 if stuck else found["spec"]["replicas"]
        found["status"] = {
            "observedGeneration": found["metadata"]["generation"],
            "replicas": replicas + stuck,
            "updatedReplicas": updated,
            "availableReplicas": replicas,
            "conditions": [
                {"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "ReplicaSet has timed out"}
            ]
            if stuck
            else [],
        }
        self.objects["Deployment", name] = found

    @property
    def status(self) -> Object:
        status: Object = self.study.get("status") or {}
        return status

    @property
    def jobs(self) -> dict[str, Object]:
        return {name: body for (kind, name), body in self.objects.items() if kind == "Job"}

    @property
    def reasons(self) -> list[str]:
        return [reason for reason, _ in self.events.values()]

    def condition(self, kind: str) -> tuple[str, str]:
        found = next(entry for entry in self.status["conditions"] if entry["type"] == kind)
        return found["status"], found["reason"]

    # --- what the operator calls

    async def identity(self) -> str:
        return "cluster"

    async def apply(self, body: Mapping[str, Any]) -> None:
        self._called("apply", writes=f"apply {body['kind']}")
        self._keep(body)

    async def create_config_map(self, body: Mapping[str, Any]) -> None:
        self._called("create_config_map", writes="create ConfigMap")
        if ("ConfigMap", body["metadata"]["name"]) not in self.objects:
            self._keep(body)

    async def delete_config_map(self, namespace: str, name: str) -> None:
        self._called("delete_config_map", writes="delete ConfigMap")
        self.objects.pop(("ConfigMap", name), None)

    async def read_deployment(self, namespace: str, name: str) -> Mapping[str, Any]:
        self._called("read_deployment")
        if ("Deployment", name) not in self.objects:
            raise NotFound(f"no Deployment {name}", 404)
        return self.objects["Deployment", name]

    async def apply_to_target(self, body: Mapping[str, Any], *, try_only: bool = False) -> None:
        """A change starts a rollout, which comes to its end when a test says so: `set_rollout`."""
        name = body["metadata"]["name"]
        self._called("apply_to_target", writes=None if try_only else "apply to Deployment")
        if not try_only:
            found = copy.deepcopy(self.objects["Deployment", name])
            annotations = found["spec"]["template"]["metadata"].setdefault("annotations", {})
            if annotations | body["spec"]["template"]["metadata"]["annotations"] != annotations:
                annotations |= body["spec"]["template"]["metadata"]["annotations"]
                found["metadata"]["generation"] += 1
            self.objects["Deployment", name] = self._touch(found)

    async def create_deployment(self, body: Mapping[str, Any], *, try_only: bool = False) -> None:
        """Its pods become ready when a test says so: `set_rollout`."""
        self._called("create_deployment", writes=None if try_only else "create Deployment")
        if not try_only and ("Deployment", body["metadata"]["name"]) not in self.objects:
            self._keep({**body, "metadata": {**body["metadata"], "generation": 1, "uid": body["metadata"]["name"]}})

    async def delete_deployment(self, namespace: str, name: str) -> None:
        self._called("delete_deployment", writes="delete Deployment")
        self.objects.pop(("Deployment", name), None)

    async def create_job(self, body: Mapping[str, Any], *, try_only: bool = False) -> None:
        self._called("create_job", writes=None if try_only else "create Job")
        if not try_only and ("Job", body["metadata"]["name"]) not in self.objects:
            self._keep(body)

    async def patch_job(self, namespace: str, name: str, change: Mapping[str, Any]) -> Mapping[str, Any]:
        self._called("patch_job", writes="patch Job")
        job = copy.deepcopy(self.objects["Job", name])
        job["spec"] |= change.get("spec", {})
        job["metadata"].setdefault("annotations", {}).update(change.get("metadata", {}).get("annotations", {}))
        self.objects["Job", name] = self._touch(job)
        return self.objects["Job", name]

    async def delete_job(self, namespace: str, name: str) -> None:
        self._called("delete_job", writes="delete Job")
        self.objects.pop(("Job", name), None)

    async def delete_pod(self, namespace: str, name: str) -> None:
        self._called("delete_pod", writes="delete Pod")
        self.pods = [pod for pod in self.pods if pod["metadata"]["name"] != name]

    async def write_status(self, namespace: str, name: str, status: Mapping[str, Any], version: int) -> int:
        self._called("write_status", writes="write status")
        if version != int(self.study["metadata"]["resourceVersion"]):
            raise Conflict("the study changed", 409)
        self.study = {**self.study, "status": dict(status), "metadata": dict(self.study["metadata"])}
        return int(self._touch(self.study)["metadata"]["resourceVersion"])

    async def read_secret(self, namespace: str, name: str) -> dict[str, str]:
        self._called("read_secret")
        if ("Secret", name) not in self.objects:
            raise NotFound(f"no Secret {name}", 404)
        return dict(self.objects["Secret", name]["stringData"])

    async def list_pods(self, namespace: str, selector: str) -> Sequence[Mapping[str, Any]]:
        self._called("list_pods")
        return self.pods

    async def list_events(self, namespace: str, **about: str) -> Sequence[Mapping[str, Any]]:
        self._called("list_events")
        return [event for event in self.about if about.items() <= event["involvedObject"].items()]

    async def record(
        self, study: Mapping[str, str], kind: str, reason: str, message: str, now: datetime, cause: str
    ) -> None:
        self._called("record")
        self.events.setdefault(f"{reason}/{message}/{cause}", (reason, message))

    def _called(self, method: str, writes: str | None = None) -> None:
        self.calls[method] += 1
        if self.fails.get(method):
            raise self.fails[method].pop(0)
        if writes is not None:
            self.wrote.append(writes)

    def _keep(self, body: Mapping[str, Any]) -> None:
        kept = copy.deepcopy(dict(body))
        kept["metadata"].setdefault("uid", f"uid of {body['kind']} {body['metadata']['name']}")
        self.objects[body["kind"], body["metadata"]["name"]] = self._touch(kept)

    def _touch(self, body: Object) -> Object:
        self._version += 1
        body["metadata"] |= {"resourceVersion": str(self._version)}
        return body
