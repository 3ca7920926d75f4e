"""Objectives that die, hang, leak, print and write oddly, trial after trial: no study stands still without a word.

CHAOS_ZOO_TRIALS says how many trials each study has; 1,000 take about a quarter of an hour.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest
import yaml

from builders import make_study, real
from chaos.load import eventually
from integration.harness import FakeNode, Kube
from integration.studies import LOSS, Object, Study, alert_workers, quick_study, states
from tuning_study.attributes import FAILURE_ATTRIBUTE

ZOO = Path(__file__).parents[1] / "zoo"
TRIALS = int(os.environ.get("CHAOS_ZOO_TRIALS", "60"))
STILL = 60.0
"""Seconds in which a trial ends, or somebody says why none does."""
_AT_MOST = 120 + 6 * TRIALS  # seconds for a whole study
_MARK = "ZOO"  # in the environment of every process of a study


@dataclass
class Watch:
    """Holds a study to moving, or saying why it does not."""

    seen: object = None
    since: float = field(default_factory=time.monotonic)
    longest: float = 0.0

    def look(self, state: object, words: str) -> None:
        now = time.monotonic()
        self.longest = max(self.longest, now - self.since)
        if state != self.seen:
            self.seen, self.since = state, now
        assert now - self.since <= STILL or words, f"still for {now - self.since:.0f} s without a word at {state}"


@dataclass(frozen=True)
class Outcome:
    """What became of one trial."""

    number: int
    state: str
    failure: str | None
    loss: float | None


def check(habits: ModuleType, outcomes: Sequence[Outcome]) -> None:
    """The budget was used exactly, and each trial came to what its habit deserves, or its process's earlier ones.

    No trial is left open but for want of budget: a trial that an objective makes and tells by itself may use the last
    of it, and then the claimed one waits.
    """
    counts = Counter(outcome.state for outcome in outcomes)
    print(dict(counts))
    assert counts["COMPLETE"] + counts["PRUNED"] == TRIALS
    assert counts.keys() <= {"COMPLETE", "PRUNED", "FAIL", "WAITING"}
    unclaimed = {getattr(habits, name, None) for name in ("TOLD", "INSIDE")} - {None}
    assert counts["WAITING"] <= sum(outcome.loss in unclaimed for outcome in outcomes), "no trial is left open"
    unfair = [line for outcome in outcomes if (line := _unfair(habits, outcome))]
    assert not unfair, "\n".join(unfair)


def _unfair(habits: ModuleType, outcome: Outcome) -> str:
    name = habits.habit_of(outcome.number)
    due = habits.HABITS[name].fails
    told = f"trial {outcome.number} ({name}) {outcome.state}: {outcome.failure}"
    if outcome.state == "FAIL":
        assert outcome.failure, told
        leaked = getattr(habits, "LEAKED", None)
        fair = (due and re.search(due, outcome.failure)) or (leaked and re.search(leaked, outcome.failure))
        return "" if fair else told
    return told if outcome.state != "WAITING" and due and outcome.loss != getattr(habits, "TOLD", None) else ""


def left_behind(mark: str) -> list[str]:
    return [
        " ".join(process.info["cmdline"] or [])
        for process in psutil.process_iter(["environ", "cmdline", "status"])
        if (process.info["environ"] or {}).get(_MARK) == mark and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


def stays(folder: Path) -> list[str]:
    """Folders of trials, and checkpoints."""
    return [str(path) for pattern in ("**/trial-*", "**/tuning-checkpoints/**/*") for path in folder.glob(pattern)]


def _files(objective: str) -> dict[str, str]:
    """What a worker needs of the zoo, by the file's name."""
    return {file: (ZOO / file).read_text() for file in (f"{objective}.py", "mishaps.py")}


def manifest(name: str, objective: Object, **fields: Any) -> Object:
    return make_study(
        name,
        metrics=[LOSS],
        parameters=[real("x")],
        objective=objective,
        strategy={"sampler": {"type": "Random"}},
        budget={"trials": TRIALS, "failFast": 0, "failedTrials": 1_000_000, "trialDuration": "6s"},
        **fields,
    )


@pytest.fixture(params=["habits", "program"])
def habits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The objective as a module of this process, so that tests know what each trial is to come to."""
    monkeypatch.setenv("ZOO_SEED", os.environ["CHAOS_SEED"])
    if "machine" in request.node.name:
        monkeypatch.setenv("ZOO_LOCAL", "1")
    monkeypatch.syspath_prepend(str(ZOO))
    return importlib.reload(importlib.import_module(request.param))


# --- on a cluster


@pytest.mark.timeout(_AT_MOST + 120)
@pytest.mark.usefixtures("operator")
def test_zoo_on_a_cluster(kube: Kube, node: FakeNode, habits: ModuleType, tmp_path: Path) -> None:
    name = habits.__name__
    code = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "zoo"}}
    kube.apply(code | {"data": _files(name)})
    mark = f"{kube.namespace}/{name}"
    workers = alert_workers(4, ZOO_SEED=os.environ["CHAOS_SEED"], **{_MARK: mark})
    if name == "habits":
        objective: Object = {"python": {"function": "habits:objective", "configMap": "zoo"}}
    else:
        objective = {"command": {"command": ["sh", "-c"], "args": ["exec python3 $ZOO_CODE/program.py"]}}
        workers |= {
            "env": [{"name": "ZOO_CODE", "value": "/zoo"}],
            "volumes": [{"name": "zoo", "configMap": {"name": "zoo"}}],
            "volumeMounts": [{"name": "zoo", "mountPath": "/zoo"}],
        }
    study = Study(kube, manifest("zoo", objective, workers=workers))
    study.apply()
    watch, until = Watch(), time.monotonic() + _AT_MOST
    try:
        while (status := study.status).get("state") not in ("Complete", "Failed"):
            watch.look(_standing(study), words(status))
            assert time.monotonic() < until, f"not over after {_AT_MOST} s: {status}"
            time.sleep(0.5)
        print(f"longest standstill {watch.longest:.0f} s")
        assert status["state"] == "Complete", status["conditions"]
        outcomes = [
            Outcome(trial.number, trial.state.name, trial.user_attrs.get(FAILURE_ATTRIBUTE), trial.value)
            for trial in study.history(1)
        ]
        check(habits, outcomes)
        study.wait_for_pods(0, timeout=60)
        eventually(lambda: _none(left_behind(mark)), 20)
    finally:
        study.delete()


@pytest.mark.usefixtures("operator", "node")
def test_a_round_does_not_wait_for_a_worker_that_hangs_in_native_code(kube: Kube) -> None:
    """Which hears neither that the goal is reached, nor that it must stop."""
    code = """
import ctypes
def objective(trial):
    if trial.number == 0:
        ctypes.PyDLL(None).sleep(3600)  # with the interpreter's lock held
    return 0.0 if trial.number > 5 else 1.0
"""
    kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hang"}, "data": {"hang.py": code}})
    objective = {"python": {"function": "hang:objective", "configMap": "hang"}}
    study = Study(
        kube,
        quick_study("hang", objective=objective, metrics=[LOSS | {"goal": 0.0}], budget={"trials": 100}),
    )
    study.apply()
    try:
        study.wait_for_condition("Running", "True", timeout=30)
        study.wait(lambda _: "takes no more trials (GoalReached)" in study.message("Running"), "word of its end")
        study.wait_until("Complete", timeout=STILL + 90)
        study.wait_for_pods(0, timeout=60)
        assert states(study.history(1))["WAITING"] == 1
    finally:
        study.delete()


def _standing(study: Study) -> object:
    """The trials that ended, as the store has them: a status may be a minute old."""
    try:
        return Counter(trial.state.name for trial in study.history(1) if trial.state.is_finished())
    except Exception:  # there is no store, or no round yet
        return None


def words(status: Mapping[str, Any]) -> str:
    """What a study's conditions say of why it stands still."""
    said = {condition["type"]: condition for condition in status.get("conditions", ())}
    running = said.get("Running", {})
    if running.get("status") == "False":
        return str(running["message"])
    if said.get("StoreReady", {}).get("status") == "False" or said.get("Stalled", {}).get("status") == "True":
        return "the store, or the look, has failed"
    return str(running.get("message", "")).partition("; ")[2]


def _none(found: Sequence[str]) -> None:
    assert not found


# --- on this machine


@pytest.mark.timeout(_AT_MOST + 120)
def test_zoo_on_this_machine(habits: ModuleType, tmp_path: Path) -> None:
    name = habits.__name__
    for file, text in _files(name).items():
        (tmp_path / file).write_text(text)
    objective: Object = {"python": {"function": "habits:objective"}}
    if name == "program":
        objective = {"command": {"command": [sys.executable, "program.py"]}}
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump(manifest("zoo", objective, workers={"replicas": 4})))
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    env = os.environ | {_MARK: str(tmp_path), "TMPDIR": str(temporary)}

    watch, said = _follow(tmp_path, env)

    assert "zoo: complete" in said, said
    print(f"longest standstill {watch.longest:.0f} s")
    listed = _tuning(tmp_path, "trials", "--local", "-o", "json")
    outcomes = [
        Outcome(trial["trial"], _STATES[trial["state"]], trial["reason"], trial["metrics"].get("loss"))
        for trial in json.loads(listed)
    ]
    check(habits, outcomes)
    eventually(lambda: _none(left_behind(str(tmp_path))), 20)
    eventually(lambda: _none(stays(tmp_path)), 5)


_STATES = {"Complete": "COMPLETE", "Pruned": "PRUNED", "Failed": "FAIL", "Running": "RUNNING", "Waiting": "WAITING"}


def _follow(folder: Path, env: Mapping[str, str]) -> tuple[Watch, str]:
    """Run the study and read what it prints: a line says that trials have ended, or why none does."""
    watch, until = Watch(), time.monotonic() + _AT_MOST
    with (folder / "output").open("wb+") as output:
        run = subprocess.Popen(
            [sys.executable, "-m", "tuning_cli.app", "run", "zoo.yaml"],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while run.poll() is None:
                last = (folder / "output").read_text(errors="replace").splitlines()[-1:]
                watch.look(last, " ".join(re.findall("no trial has .*|the store is away.*", "".join(last))))
                assert time.monotonic() < until, f"not over after {_AT_MOST} s"
                time.sleep(0.2)
        finally:
            run.terminate()  # it ends its workers and its database itself
            run.wait(90)
            print((folder / "output").read_text(errors="replace"))
    said = (folder / "output").read_text(errors="replace")
    assert run.returncode == 0, said
    return watch, said


def _tuning(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "tuning_cli.app", *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout
