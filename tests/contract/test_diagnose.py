"""`tuning diagnose` with a real store: what is wrong with a study that has run, for people and for scripts."""

import json
import subprocess
import sys
from pathlib import Path

STUDY = """\
apiVersion: tuning.dev/v1alpha1
kind: TuningStudy
metadata: {name: narrow}
spec:
  metrics: [{name: loss, direction: Minimize}]
  parameters: [{name: size, type: Int, min: 1, max: 5}]
  objective: {python: {function: "objective:objective"}}
  budget: {trials: 24}
  strategy: {sampler: {type: TPE}}
  workers: {replicas: 1}
"""
OBJECTIVE = "def objective(trial):\n    return trial.params['size']\n"


def tuning(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "KUBECONFIG": str(folder / "none")}
    command = [sys.executable, "-m", "tuning_cli.app", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=90)


def test_a_study_with_an_illness_is_told_of_it(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "objective.py").write_text(OBJECTIVE)
    run = tuning(tmp_path, "run", "study.yaml")
    assert run.returncode == 0, run.stderr
    assert "diagnosis\n  RepeatedParameters: " in run.stdout

    table = tuning(tmp_path, "diagnose", "narrow").stdout
    assert table.startswith("narrow: 24 complete\n  RepeatedParameters: 19 of 24 trials")
    (only,) = json.loads(tuning(tmp_path, "diagnose", "narrow", "-o", "json").stdout)
    assert only["reason"] == "RepeatedParameters"
    assert "the space has 5 points: write `budget.trials: 5`" in only["message"]
    assert "- reason: RepeatedParameters" in tuning(tmp_path, "diagnose", "narrow", "-o", "yaml").stdout
