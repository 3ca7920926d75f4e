"""A worker Job and its pods as the plan sees them."""

from typing import Any

import pytest

from tuning_operator.executors.view import WorkersView, WorkerView
from tuning_operator.executors.worker_job.view import worker_view, workers_view

Object = dict[str, Any]


def condition(kind: str, status: str = "True", **more: Any) -> Object:
    return {"type": kind, "status": status, **more}


def job(metadata: Object | None = None, spec: Object | None = None, **status: Any) -> WorkersView:
    return workers_view({"metadata": metadata or {}, "spec": {"parallelism": 3, **(spec or {})}, "status": status})


def pod(*containers: Object, **status: Any) -> WorkerView:
    body = {
        "metadata": {"name": "digits-r1-0-abc", "uid": "pod-1"},
        "status": {"containerStatuses": list(containers), **status},
    }
    return worker_view(body)


def worker(**terminated: Any) -> Object:
    return {"name": "worker", "state": {"terminated": terminated}}


def test_a_job_that_was_just_made_has_no_status_yet() -> None:
    assert workers_view({"metadata": {}}) == WorkersView(replicas=0, suspended=False)


def test_a_jobs_counts_are_taken_over() -> None:
    view = job(active=2, ready=1, failed=4)
    assert view == WorkersView(3, False, active=2, ready=1, failed=4)


@pytest.mark.parametrize(
    ("view", "lacks"),
    [
        (WorkersView(3, False, ready=2), True),
        (WorkersView(3, False, ready=3), False),
        (WorkersView(3, True, ready=0), False),
        (WorkersView(3, False, deleting=True), False),
        (WorkersView(3, False, finished="Complete"), False),
    ],
)
def test_a_job_lacks_workers_while_it_should_run_more(view: WorkersView, lacks: bool) -> None:
    assert view.lacks_workers is lacks


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
    assert (view.story, view.message, view.killed) == ("ended (OOMKilled)", "last lines", False)
    assert view.fault is not None
    assert "OOMKilled" in view.fault


def test_a_pod_whose_container_never_ran_tells_the_pods_own_reason() -> None:
    view = pod(phase="Failed", reason="Evicted", message="the node was low on memory")
    assert (view.fault, view.story) == (None, "was evicted (the node was low on memory)")
    assert view.message == "the node was low on memory"


def test_a_container_that_runs_has_no_fault() -> None:
    view = pod({"name": "worker", "state": {"running": {}}}, phase="Running")
    assert (view.ended, view.fault, view.killed) == (False, None, False)


@pytest.mark.parametrize(("status", "disrupted"), [("True", True), ("False", False)])
def test_a_disruption_is_told_by_its_condition(status: str, disrupted: bool) -> None:
    view = pod(worker(exitCode=1), conditions=[condition("Ready"), condition("DisruptionTarget", status)])
    assert (view.fault is None) is disrupted


def waiting(reason: str, message: str = "") -> Object:
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


class TestAPodWithOtherContainers:
    PROXY: Object = {"name": "proxy", "state": {"running": {}}}

    def test_the_worker_has_ended_though_the_pod_lives(self) -> None:
        view = pod(worker(exitCode=1), self.PROXY, phase="Running")
        assert (view.ended, view.lives, view.story) == (True, True, "ended (exit code 1)")

    def test_the_worker_runs_though_a_sidecar_has_ended(self) -> None:
        ended = {"name": "proxy", "state": {"terminated": {"exitCode": 1}}}
        view = pod({"name": "worker", "state": {"running": {}}}, ended, phase="Running")
        assert (view.ended, view.began) == (False, True)

    def test_a_failed_init_container_says_why(self) -> None:
        fetch = {"name": "fetch", "state": {"terminated": {"exitCode": 4, "message": "no such bucket"}}}
        view = pod(initContainerStatuses=[fetch], phase="Failed")
        assert (view.ended, view.began) == (True, False)
        assert view.message == "init container fetch ended with exit code 4: no such bucket"


NODE = condition("PodScheduled", "False", reason="Unschedulable", message="0/1 nodes: Insufficient nvidia.com/gpu.")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"conditions": [NODE]}, "Unschedulable: 0/1 nodes: Insufficient nvidia.com/gpu."),
        ({"conditions": [condition("PodScheduled")]}, ""),
        (
            {"containerStatuses": [{"name": "worker", "state": waiting("ImagePullBackOff", "Back-off pulling image")}]},
            "ImagePullBackOff: Back-off pulling image",
        ),
        (
            {"containerStatuses": [{"name": "worker", "state": waiting("CreateContainerConfigError", "no secret")}]},
            "CreateContainerConfigError: no secret",
        ),
        ({"containerStatuses": [{"name": "worker", "state": waiting("ContainerCreating")}]}, ""),
        (
            {"initContainerStatuses": [{"name": "fetch", "state": waiting("ErrImagePull", "not found")}]},
            "init container fetch: ErrImagePull: not found",
        ),
        ({"initContainerStatuses": [{"name": "fetch", "state": {"running": {}}}]}, "init container fetch runs"),
        ({"initContainerStatuses": [{"name": "proxy", "state": {"running": {}}, "started": True}]}, ""),
    ],
)
def test_a_pod_says_in_its_own_words_what_it_waits_for(status: Object, words: str) -> None:
    view = worker_view({"metadata": {"name": "w-0", "uid": "pod-1"}, "status": {"phase": "Pending", **status}})
    assert (view.began, view.waits_for) == (False, words)


@pytest.mark.parametrize(
    ("containers", "want"),
    [
        ([{"name": "worker", "imageID": "r.example/worker@sha256:12"}, {"name": "mesh", "imageID": "mesh@sha256:3"}],
         "r.example/worker@sha256:12"),
        ([{"name": "worker", "imageID": ""}], ""),
        ([{"name": "worker"}], ""),
        ([], ""),
    ],
)  # fmt: skip
def test_a_worker_names_the_image_that_its_node_runs(containers: list[Object], want: str) -> None:
    assert pod(*containers).image == want
