"""End-to-end tests: the chart on the cluster that KUBECONFIG names, used as a person would, with kubectl.

The images tuning-operator, tuning-worker and tuning-postgresql of the chart's version must be on its nodes;
`make images` builds them. Nodes that can pull nothing need a postgres:17 and a prom/prometheus:v2.42.0 too, such as
those of postgres/Dockerfile and prometheus/Dockerfile.
Extra arguments of `helm install` come from TUNING_HELM_ARGS.
"""

import json
import os
import secrets
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

ROOT = Path(__file__).parents[2]
SYSTEM = "tuning"


class Kubectl:
    """kubectl in one namespace. Every call returns what it printed, and fails the test with it when it fails."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def __call__(self, command: str, stdin: str | None = None) -> str:
        return run(["kubectl", "-n", self.namespace, *shlex.split(command)], stdin)

    def fails(self, command: str, stdin: str | None = None) -> str:
        """What a command printed that must fail."""
        ended = subprocess.run(
            ["kubectl", "-n", self.namespace, *shlex.split(command)], input=stdin, capture_output=True, text=True
        )
        assert ended.returncode != 0, ended.stdout
        return ended.stderr

    def apply(self, manifest: str | Path) -> None:
        self("apply -f -", manifest.read_text() if isinstance(manifest, Path) else manifest)

    def get(self, what: str) -> Any:
        return json.loads(self(f"get {what} -o json"))

    def status(self, study: str) -> dict[str, Any]:
        status: dict[str, Any] = self.get(f"tstudy {study}").get("status", {})
        return status

    def condition(self, study: str, kind: str) -> dict[str, Any]:
        return next((c for c in self.status(study).get("conditions", ()) if c["type"] == kind), {})

    def wait(self, study: str, condition: str, seconds: int = 120) -> None:
        self(f"wait --for=condition={condition} tstudy/{study} --timeout={seconds}s")

    def refresh(self, pods: str) -> None:
        """Have the kubelet bring the pods' Secrets up to date now: it would by itself, within about 90 seconds."""
        self(f"annotate pods -l {pods} --overwrite refreshed={secrets.token_hex(4)}")

    def events(self, study: str) -> list[tuple[str, str]]:
        found = self.get(f"events --field-selector involvedObject.name={study}")["items"]
        return [(event["reason"], event["message"]) for event in found]


def run(command: list[str], stdin: str | None = None) -> str:
    ended = subprocess.run(command, input=stdin, capture_output=True, text=True, cwd=ROOT)
    assert ended.returncode == 0, f"{shlex.join(command)}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


def eventually(check: Callable[[], Any], seconds: float = 120) -> Any:
    """Repeat a check until it passes; after `seconds` its assertion stands."""
    for attempt in Retrying(
        stop=stop_after_delay(seconds),
        wait=wait_fixed(0.5),
        retry=retry_if_exception_type((AssertionError, KeyError, IndexError)),
        reraise=True,
    ):
        with attempt:
            return check()
    raise AssertionError  # not reached: reraise


@pytest.fixture(scope="session")
def system() -> Kubectl:
    """The chart, installed; kubectl in its namespace."""
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("KUBECONFIG names no cluster")
    install()
    return Kubectl(SYSTEM)


def install(*values: str) -> None:
    """The chart with these values, and none of those that it had before."""
    helm = "helm upgrade --install tuning charts/tuning-operator --create-namespace --reset-values --wait --timeout 3m"
    more = [part for value in values for part in ("--set", value)]
    run([*shlex.split(helm), "-n", SYSTEM, *helm_arguments(), *more])


def helm_arguments() -> list[str]:
    """What every release of the chart on this cluster needs."""
    return shlex.split(os.environ.get("TUNING_HELM_ARGS", ""))


@pytest.fixture
def kubectl(system: Kubectl) -> Iterator[Kubectl]:
    """kubectl in a namespace of the test's own, which admits only pods of the `restricted` level."""
    name = f"e2e-{secrets.token_hex(3)}"
    run(["kubectl", "create", "namespace", name])
    run(["kubectl", "label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted"])
    client = Kubectl(name)
    yield client
    client("delete tstudy --all --timeout=30s")  # a namespace alone takes its Jobs' pods first, and waits for them
    run(["kubectl", "delete", "namespace", name, "--wait=false"])
