"""The API server takes the generated CRD as it is, and kubectl explains it as `tuning explain` does."""

import json
import ssl
import subprocess
import urllib.error
import urllib.request
from contextlib import closing

import pytest

from integration.harness import ControlPlane, Kube
from tuning_cli import explanation
from tuning_study.api.crd import build_crd, study_schema

from .manifests import Object
from .server import condition


def test_the_generated_crd_is_established_and_structural(established: Object) -> None:
    assert condition(established, "NamesAccepted")
    assert not condition(established, "NonStructuralSchema")


def test_the_server_keeps_every_field_of_the_generated_crd(control_plane: ControlPlane, established: Object) -> None:
    """A keyword that Kubernetes does not know is refused by kubectl and dropped by others."""
    request = urllib.request.Request(
        f"{control_plane.url}/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{established['metadata']['name']}"
        "?fieldManager=strict&fieldValidation=Strict&force=true&dryRun=All",
        method="PATCH",
        data=json.dumps(build_crd()).encode(),
        headers={
            "Authorization": f"Bearer {control_plane.token}",
            "Content-Type": "application/apply-patch+yaml",
        },
    )
    context = ssl.create_default_context(cafile=str(control_plane.ca))
    with urllib.request.urlopen(request, timeout=30, context=context) as answer:
        assert json.load(answer)["kind"] == "CustomResourceDefinition"


@pytest.mark.parametrize(
    "path", ["spec.parameters", "spec.objective.command", "spec.budget.duration", "status.conditions"]
)
def test_kubectl_explains_a_field_as_tuning_does(control_plane: ControlPlane, established: Object, path: str) -> None:
    command = [
        str(control_plane.binaries.kubectl),
        f"--kubeconfig={control_plane.kubeconfig}",
        "explain",
        f"tstudy.{path}",
    ]
    # A server publishes the schema a moment after it serves the resource.
    with closing(Kube(control_plane.kubeconfig)) as admin:
        told = admin.wait_for(
            lambda: subprocess.run(command, capture_output=True, text=True, check=False).stdout,
            lambda output: "DESCRIPTION" in output,
            what="published schema",
        )
    field = explanation.find(study_schema(), path)
    text = " ".join(told.split())  # it wraps lines
    assert [part.path for part in (field, *field.fields) if part.schema["description"] not in text] == []
