"""What those who apply manifests for others make of a study: kstatus (Flux, `helm --wait`), and Argo CD by its Lua."""

from pathlib import Path
from typing import Any

import lupa
import pytest

from builders import make_observation, make_progress, make_status
from tuning_operator.executors.view import WorkersView
from tuning_operator.observe.observation import Observation, StoreProblem
from tuning_operator.plan.decide import plan
from tuning_study.api.crd import build_crd
from tuning_study.budget import StopReason
from unit.operator.plans import RUNNING, SPEC, SUSPENDED, ended, seen

HEALTH = Path(__file__).parents[3] / "docs" / "health.lua"
QUEUED = WorkersView(3, suspended=True, queue="gpus")
FAILED = ended(over=StopReason.TOO_MANY_FAILURES, status=make_status())

CASES: dict[str, tuple[Observation, str, str]] = {
    # what happens: (what the operator saw, kstatus, Argo CD)
    "the manifest cannot run": (make_observation(problems=["spec.x: no such field"]), "Failed", "Degraded"),
    "the store is away": (make_observation(SPEC, store=StoreProblem("Unreachable", "x")), "InProgress", "Progressing"),
    "it waits in a queue": (seen(workers=QUEUED, progress=make_progress(SPEC)), "InProgress", "Progressing"),
    "it runs": (seen(workers=RUNNING), "Current", "Healthy"),
    "it lost its place in a queue": (seen(workers=QUEUED), "Current", "Healthy"),
    "it is suspended": (seen(SUSPENDED), "Current", "Suspended"),
    "it is complete": (ended(status=make_status()), "Current", "Healthy"),
    "it has failed": (FAILED, "Failed", "Degraded"),
    "it failed, and runs again": (ended(status=plan(FAILED).status, request="please"), "Current", "Healthy"),
}


def kstatus(study: dict[str, Any]) -> str:
    """`checkGenericProperties` of kstatus, for what a TuningStudy has."""
    status = study["status"]
    if status.get("observedGeneration", study["metadata"]["generation"]) != study["metadata"]["generation"]:
        return "InProgress"
    holds = {entry["type"] for entry in status["conditions"] if entry["status"] == "True"}
    return "Failed" if "Stalled" in holds else "InProgress" if "Reconciling" in holds else "Current"


def argo_cd(study: dict[str, Any]) -> str:
    lua = lupa.LuaRuntime()
    lua.globals().obj = lua.table_from(study, recursive=True)
    health = lua.execute(HEALTH.read_text())
    assert health.message
    return str(health.status)


def resource(observed: Observation) -> dict[str, Any]:
    return {"metadata": {"generation": observed.study.generation}, "status": plan(observed).status.manifest()}


@pytest.mark.parametrize(("observed", "want", "_"), CASES.values(), ids=CASES)
def test_kstatus(observed: Observation, want: str, _: str) -> None:
    assert kstatus(resource(observed)) == want


@pytest.mark.parametrize(("observed", "_", "want"), CASES.values(), ids=CASES)
def test_argo_cd(observed: Observation, _: str, want: str) -> None:
    assert argo_cd(resource(observed)) == want


def test_a_study_that_no_operator_has_seen_is_in_progress() -> None:
    (version,) = build_crd()["spec"]["versions"]
    fresh = {
        "metadata": {"generation": 1},
        "status": version["schema"]["openAPIV3Schema"]["properties"]["status"]["default"],
    }
    assert kstatus(fresh) == "InProgress"
    assert argo_cd(fresh) == "Progressing"


def test_argo_cd_waits_until_a_change_was_seen() -> None:
    study = resource(seen())
    study["metadata"]["generation"] += 1
    assert argo_cd(study) == "Progressing"
