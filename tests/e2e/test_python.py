"""A Python function on a cluster: applied from a program, waited for, and its results at hand."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.conftest import Kubectl

pytestmark = pytest.mark.cluster

PROGRAM = """\
import json
import math

import tuning

SHIFT = 2


def cost(x):
    return math.fabs(x - SHIFT)


def objective(params):
    print("trying", params["x"])
    return cost(params["x"])


study = tuning.Study(objective, parameters={{"x": (-10.0, 10.0)}}, trials=12, name="mine", workers=2,
    spec={{"workers": {{"podTemplate": {{"spec": {{"securityContext": {{"fsGroup": None}}}}}}}}}})
study.apply(namespace={namespace!r}).wait(180, progress=False)
loaded = tuning.load("mine", namespace={namespace!r})
print(json.dumps([study.state, study.best_params["x"], loaded.best_params["x"], len(loaded.trials_frame())]))
"""


def test_a_function_is_applied_waited_for_and_read(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM.format(namespace=kubectl.namespace))
    ran = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, ran.stderr
    state, best, loaded, trials = json.loads(ran.stdout.splitlines()[-1])
    assert (state, trials) == ("Complete", 12)
    assert best == loaded

    command = [sys.executable, "-m", "tuning_cli.app"]
    where = ["-n", kubectl.namespace]
    logs = subprocess.run([*command, "logs", "mine", *where], capture_output=True, text=True, check=True).stdout
    assert logs.count("trying ") == 12
    listed = subprocess.run([*command, "list", *where, "-o", "json"], capture_output=True, text=True, check=True).stdout
    assert [(row["name"], row["round"], row["trials"]) for row in json.loads(listed)] == [("mine", 1, "12/12")]
    subprocess.run([*command, "delete", "mine", "--yes", *where], check=True, capture_output=True)
    assert not kubectl.get("tstudy")["items"]
