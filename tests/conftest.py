"""A cluster for tests: one for a session, one namespace for a test. Imported when asked for: most tests need none."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from integration.harness import ControlPlane, Kube

# On a busy machine time says nothing of the code. What decides on a landing tries the same inputs each time; a person's
# runs try new ones.
settings.register_profile("shared", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("shared")


def pytest_configure() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup the zoo's objectives would inherit that it is ignored


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the cluster's programs, where they are missing, before any test's time-out runs."""
    capture = session.config.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{line}", flush=True)

    needed = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if "control_plane" in needed and not session.config.option.collectonly:
        from integration.harness.binaries import kueue, locate, prometheus_operator

        with contextlib.suppress(RuntimeError):  # the fixture meets it again, and reports it
            locate(say)
            if "kueue" in needed:
                kueue(say)
            if "prometheus_operator" in needed:
                prometheus_operator(say)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real etcd, API server and controller manager. Their logs stay with pytest's other temporary files."""
    from integration.harness import BinariesUnavailable, ControlPlane, locate

    try:
        binaries = locate()
    except BinariesUnavailable as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))
    with ControlPlane(tmp_path_factory.mktemp("control-plane"), binaries=binaries) as plane:
        yield plane


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace of one's own. Its pods are gone when the next test starts; the rest follows."""
    from kubernetes.dynamic.exceptions import NotFoundError

    from integration.harness import Kube

    admin = Kube(control_plane.kubeconfig)
    name = f"test-{secrets.token_hex(4)}"
    admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    # Pods are refused until the controller manager has made it.
    admin.wait_for(lambda: admin.get("ServiceAccount", "default", namespace=name), bool)
    yield name
    admin.delete("Namespace", name)
    # The namespace controller does it too, but only after 5 seconds.
    control_plane.request("DELETE", f"/api/v1/namespaces/{name}/pods")
    for pod in admin.list("Pod", namespace=name):  # a test that failed may have left them its finalizers
        with contextlib.suppress(NotFoundError):
            admin.patch("Pod", pod["metadata"]["name"], {"metadata": {"finalizers": None}}, namespace=name)
    admin.wait_for(lambda: admin.list("Pod", namespace=name), lambda pods: pods == [], 60, "end of its pods")
    admin.close()


@pytest.fixture
def kube(control_plane: ControlPlane, namespace: str) -> Iterator[Kube]:
    """Cluster admin, at home in the test's namespace."""
    from integration.harness import Kube

    client = Kube(control_plane.kubeconfig, namespace)
    yield client
    client.close()
