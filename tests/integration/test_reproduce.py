"""`tuning reproduce` of a study on a cluster: while it is there, and when only its history is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from integration.harness import ControlPlane
from integration.operator_fixtures import Studies
from integration.studies import quick_study


def reproduce(plane: ControlPlane, namespace: str, folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    ended = subprocess.run(
        [sys.executable, "-m", "tuning_cli.app", "reproduce", "quick", "-n", namespace, *arguments, "-o", "json"],
        env=os.environ | {"KUBECONFIG": str(plane.kubeconfig)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.stdout, ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout)
    return ended.returncode, told


def test_each_round_of_a_study_can_be_repeated_and_goes_on_to_be_when_the_study_is_gone(
    studies: Studies, control_plane: ControlPlane, tmp_path: Path
) -> None:
    study = studies(quick_study(deletionPolicy="Retain"))
    study.wait_until("Complete", 1)
    study.ask_for_a_round("again")
    study.wait_until("Complete", 2)
    namespace = study.kube.namespace
    assert namespace is not None

    for number in (1, 2):
        code, told = reproduce(control_plane, namespace, tmp_path, "--round", str(number))
        assert (code, told["equal"], told["round"]) == (0, True, number)

    study.delete()
    study.wait_for_end_of("TuningStudy", study.name)
    study.wait_for_end_of("ConfigMap", "quick-r2")
    code, told = reproduce(control_plane, namespace, tmp_path, "--round", "2")
    assert (code, told["equal"], told["round"]) == (0, True, 2)
    code, told = reproduce(control_plane, namespace, tmp_path, "--round", "1", "--whole")
    assert (code, len(told["trials"])) == (0, 6), "Random draws each trial from its own seed, whoever takes it"
