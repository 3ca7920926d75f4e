"""A promotion whose pods never become ready is taken back, while a pod of before has started in between: on a real API
server, with a real Deployment that is asked all the time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from integration.harness import FakeNode, Kube
from integration.operator_fixtures import Studies
from integration.serving import Load, deployment, in_production, parameter, promoting_study, serves


def serves_now(pod: dict[str, Any]) -> bool:
    return bool(pod["status"].get("phase") == "Running")


@pytest.mark.usefixtures("promotion_rights")
def test_a_pod_that_read_the_candidates_parameters_does_not_stay(
    studies: Studies, kube: Kube, node: FakeNode, tmp_path: Path
) -> None:
    found, optimum = tmp_path / "found", tmp_path / "optimum"
    found.mkdir()
    optimum.write_text("0.2")
    kube.apply(deployment("api", "model", found, bad="none"))
    kube.patch("Deployment", "api", {"spec": {"progressDeadlineSeconds": 15}})
    manifest = promoting_study("model", optimum, [0.2, 0.5], promotion={"target": {"deployment": {"name": "api"}}})
    with Load(found) as load:
        study = studies(manifest)
        in_production(study, "0.2", load)
        room, node.takes = node.takes, lambda pod: "-r2-" not in str(pod["metadata"].get("annotations"))
        try:
            optimum.write_text("0.5")
            study.ask_for_a_round("better data")
            kube.wait_for(lambda: parameter(study), lambda x: x == "0.5", 60, "0.5 in the ConfigMap")
            kube.delete("Pod", next(pod["metadata"]["name"] for pod in kube.list("Pod", "app=api") if serves_now(pod)))
            kube.wait_for(lambda: load.answers, lambda answers: "0.5" in answers, 60, "a pod that read 0.5")
            study.wait(lambda status: status["promotion"]["state"] == "RolledBack", "rolled back", 60)
        finally:
            node.takes = room
        serves(study, "0.2", load)
