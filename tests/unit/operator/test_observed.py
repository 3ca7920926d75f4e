"""Jobs and pods as a decision sees them."""

from typing import Any

import pytest

from tuning_operator.observed import JobView, PodView, job_view, pod_view

Object = dict[str, Any]


def condition(kind: str, status: str = "True", **more: Any) -> Object:
    return {"type": kind, "status": status, **more}


def job(metadata: Object | None = None, spec: Object | None = None, **status: Any) -> JobView:
    return job_view({"metadata": metadata or {}, "spec": {"parallelism": 3, **(spec or {})}, "status": status})


def pod(*containers: Object, **status: Any) -> PodView:
    body = {"metadata": {"name": "digits-r1-0-abc"}, "status": {"containerStatuses": list(containers), **status}}
    return pod_view(body)


def worker(**terminated: Any) -> Object:
    return {"name": "worker", "state": {"terminated": terminated}}


def test_a_job_that_was_just_made_has_no_status_yet() -> None:
    assert job_view({"metadata": {}}) == JobView(parallelism=0, suspended=False)


def test_a_jobs_counts_are_taken_over() -> None:
    view = job(active=2, ready=1, failed=4, succeeded=1)
    assert view == JobView(3, False, active=2, ready=1, failed=4, succeeded=1)


@pytest.mark.parametrize(
    ("conditions", "finished", "message"),
    [
        ([], None, ""),
        ([condition("Complete")], "Complete", ""),
        ([condition("Failed", message="BackoffLimitExceeded")], "Failed", "BackoffLimitExceeded"),
        ([condition("Failed", "False")], None, ""),
        ([condition("FailureTarget"), condition("SuccessCriteriaMet")], None, ""),
    ],
)
def test_a_job_is_finished_when_its_condition_says_so(conditions: list[Object], finished: Any, message: str) -> None:
    view = job(conditions=conditions)
    assert (view.finished, view.message) == (finished, message)


def test_a_job_may_be_suspended_or_on_its_way_out() -> None:
    assert job(spec={"suspend": True}).suspended
    assert job({"deletionTimestamp": "2026-03-08T12:00:00Z"}).deleting


@pytest.mark.parametrize(
    ("phase", "ended"),
    [("Pending", False), ("Running", False), ("Unknown", False), ("Succeeded", True), ("Failed", True)],
)
def test_a_pod_has_ended_in_two_phases(phase: str, ended: bool) -> None:
    assert pod(phase=phase).ended is ended


def test_how_the_worker_ended_is_read_from_its_own_container() -> None:
    sidecar = {"name": "sidecar", "state": {"terminated": {"exitCode": 0}}}
    view = pod(sidecar, worker(exitCode=137, reason="OOMKilled", message="last lines"), phase="Failed")
    assert (view.exit_code, view.reason, view.message) == (137, "OOMKilled", "last lines")


def test_a_pod_whose_container_never_ran_tells_the_pods_own_reason() -> None:
    view = pod(phase="Failed", reason="Evicted", message="the node was low on memory")
    assert (view.exit_code, view.reason, view.message) == (None, "Evicted", "the node was low on memory")


def test_a_container_that_runs_has_no_exit_code() -> None:
    assert pod({"name": "worker", "state": {"running": {}}}, phase="Running").exit_code is None


@pytest.mark.parametrize(("status", "disrupted"), [("True", True), ("False", False)])
def test_a_disruption_is_told_by_its_condition(status: str, disrupted: bool) -> None:
    assert pod(conditions=[condition("Ready"), condition("DisruptionTarget", status)]).disrupted is disrupted
