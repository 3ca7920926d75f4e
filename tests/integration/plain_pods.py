"""Pods and Jobs of a shell command or a few lines of Python, for tests of the cluster itself."""

from __future__ import annotations

import subprocess
import textwrap
from typing import Any

from integration.harness import Kube

Object = dict[str, Any]

FOREVER = ["sleep", "300"]


def pod_spec(command: list[str], **more: Any) -> Object:
    container = {"name": "main", "image": "any", "command": command, **more.pop("container", {})}
    return {"restartPolicy": "Never", "containers": [container], "automountServiceAccountToken": False, **more}


def make_pod(name: str, command: list[str], *, finalizers: tuple[str, ...] = (), **more: Any) -> Object:
    metadata = {"name": name, "finalizers": list(finalizers)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec(command, **more)}


def make_job(name: str, command: list[str], workers: int, **more: Any) -> Object:
    template = {"metadata": more.pop("metadata", {}), "spec": pod_spec(command, **more.pop("pod", {}))}
    spec = {"completionMode": "Indexed", "completions": workers, "parallelism": workers, "template": template}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {**spec, **more}}


def python(code: str) -> list[str]:
    return ["python", "-c", textwrap.dedent(code)]


def wait_for_pod(kube: Kube, name: str, phase: str) -> Object:
    pod: Object = kube.wait_for(
        lambda: kube.get("Pod", name), lambda pod: pod["status"]["phase"] == phase, what=f"pod {name} {phase}"
    )
    return pod


def ended(pod: Object) -> Object:
    state: Object = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return state


def condition(obj: Object, kind: str) -> Object | None:
    return next((c for c in obj["status"].get("conditions", []) if c["type"] == kind), None)


def process_state(process: int) -> str:
    """Return ps's letter: S sleeps, T is stopped, Z is dead; nothing if there is no such process."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()[:1]
