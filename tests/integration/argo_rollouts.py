"""The real controller of Argo Rollouts as a process beside the control plane, and what is seen of its Rollouts."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import yaml

from integration.harness import ControlPlane, Kube
from integration.harness.control_plane import _free_ports
from integration.services import Program
from integration.serving import deployment

Object = dict[str, Any]


class ArgoRollouts(Program):
    """A context manager: Rollouts are rolled while it is entered.

    Args:
        folder: holds the program `rollouts-controller`, and its CRDs in files `*-crd.yaml`.
    """

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        super().__init__(plane, "rollouts-controller")
        self._folder = folder
        self._admin = Kube(plane.kubeconfig)
        self._kubeconfig = plane.kubeconfig

    def __enter__(self) -> Self:
        for file in sorted(self._folder.glob("*-crd.yaml")):
            crd: Object = yaml.safe_load(file.read_text())
            name = self._admin.apply(crd)["metadata"]["name"]
            self._admin.wait_for(partial(self._admin.get, "CustomResourceDefinition", name), _is_established)
        metrics, health = _free_ports(2)
        flags = [f"--kubeconfig={self._kubeconfig}", f"--metricsPort={metrics}", f"--healthzPort={health}"]
        command = [str(self._folder / "rollouts-controller"), *flags, "--leader-elect=false"]
        self._launch(command, env={"HOME": str(self._plane.folder), "PATH": os.environ["PATH"]})
        self._wait_until(lambda: "Started rollout workers" in self.log, "the controller of Argo Rollouts")
        return self

    def __exit__(self, *_: object) -> None:
        self._end(signal.SIGTERM)
        self._admin.close()


class Watched(Program):
    """Keeps every state of a Rollout, as a watch shows them. A context manager."""

    def __init__(self, plane: ControlPlane, kube: Kube, name: str) -> None:
        super().__init__(plane, f"watched-{kube.namespace}-{name}")
        kubectl = [str(plane.binaries.kubectl), f"--kubeconfig={plane.kubeconfig}", f"--namespace={kube.namespace}"]
        self._command = [*kubectl, "get", "rollout", name, "--watch", "--output=json", "--show-managed-fields"]

    def __enter__(self) -> Self:
        self._launch(self._command)
        self._wait_until(lambda: bool(self.states), "the watch")
        return self

    def __exit__(self, *_: object) -> None:
        self._end(signal.SIGTERM)

    @property
    def states(self) -> list[Object]:
        found, text = [], self.log.lstrip()
        while text:
            try:
                state, end = json.JSONDecoder().raw_decode(text)
            except json.JSONDecodeError:  # half written
                break
            found.append(state)
            text = text[end:].lstrip()
        return found


def rollout(name: str, study: str, found: Path, **spec: Any) -> Object:
    """Two pods that answer with their parameter x; of those that serve none is taken away before its successor is
    there."""
    body = deployment(name, study, found, bad="none")
    strategy = {"canary": {"maxSurge": 1, "maxUnavailable": 0}}
    fields = {**body["spec"], "strategy": strategy, **spec}
    return {**body, "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "spec": fields}


def steps(*steps: Object) -> Object:
    """What makes these the steps of a Rollout."""
    return {"spec": {"strategy": {"canary": {"steps": list(steps)}}}}


def owned(body: Object, manager: str) -> list[Object]:
    """What a manager owns of an object, with the time of its last change."""
    entries: Sequence[Object] = body["metadata"]["managedFields"]
    return [entry for entry in entries if entry["manager"] == manager]


def _is_established(crd: Object) -> bool:
    return any(c["type"] == "Established" and c["status"] == "True" for c in crd["status"]["conditions"])
