"""The generated CRD on a real API server."""

from collections.abc import Iterator

import pytest

from integration.harness import ControlPlane, Kube
from tuning_study.api.crd import build_crd

from .manifests import Object
from .server import Server, condition


@pytest.fixture(scope="module")
def established(control_plane: ControlPlane) -> Iterator[Object]:
    """The generated CRD, as the API server shows it once it serves the resource."""
    admin = Kube(control_plane.kubeconfig)
    name = admin.apply(build_crd())["metadata"]["name"]
    yield admin.wait_for(
        lambda: admin.get("CustomResourceDefinition", name),
        lambda crd: condition(crd, "Established") and admin.list("TuningStudy") is not None,
        what="established CRD",
    )
    admin.close()


@pytest.fixture(scope="module")
def server(control_plane: ControlPlane, established: Object) -> Server:
    return Server(control_plane, "default")
