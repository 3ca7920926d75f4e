"""The cluster of the integration tests behaves like a cluster: everything else in this folder relies on that."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from kubernetes.dynamic.exceptions import ForbiddenError

from integration.harness import ControlPlane, FakeNode, Kube, Launch
from integration.plain_pods import FOREVER, Object, condition, make_job, make_pod, process_state, python, wait_for_pod


def test_the_api_server_comes_back_with_its_data(
    kube: Kube, node: FakeNode, control_plane: ControlPlane, tmp_path: Path
) -> None:
    kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"a": "1"}})
    go = tmp_path / "go"
    code = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.05)"
    kube.apply(make_pod("through", python(code)))
    wait_for_pod(kube, "through", "Running")

    for end in (control_plane.apiserver.stop, control_plane.apiserver.kill):
        end()
        with pytest.raises(TimeoutError, match="unreachable"):
            kube.wait_for(lambda: kube.get("ConfigMap", "kept"), bool, timeout=0.2)
        go.touch()  # the pod ends while nobody can be told
        kube.wait_for(lambda: node.processes, lambda processes: not processes)
        control_plane.apiserver.start()

        assert kube.get("ConfigMap", "kept")["data"] == {"a": "1"}
        wait_for_pod(kube, "through", "Succeeded")


def test_pods_of_a_lost_node_are_replaced_elsewhere(tmp_path: Path, control_plane: ControlPlane) -> None:
    """A second control plane, so that its short times harm no other test."""
    plane = ControlPlane(tmp_path / "plane", binaries=control_plane.binaries, node_lost_after=3, evict_after=1)
    healthy = True
    with plane, FakeNode(plane, "a") as a, FakeNode(plane, "b", takes=lambda _: not healthy, heartbeat=0.5) as b:
        kube = Kube(plane.kubeconfig)
        kube.wait_for(lambda: kube.get("ServiceAccount", "default"), bool)
        kube.apply(make_job("moving", FOREVER, 1, pod={"terminationGracePeriodSeconds": 1}))
        wait_for_running = lambda pods: [p for p in pods if p["status"]["phase"] == "Running"]  # noqa: E731
        pod = kube.wait_for(lambda: kube.list("Pod"), wait_for_running)[0]

        healthy = False
        a.lose()
        pod = kube.wait_for(
            lambda: kube.get("Pod", pod["metadata"]["name"]), lambda pod: "deletionTimestamp" in pod["metadata"]
        )
        assert (condition(pod, "DisruptionTarget") or {})["reason"] == "DeletionByTaintManager"
        kube.wait_for(lambda: b.processes, bool, what="replacement on b")
        assert a.processes, "a node that is cut off ends nothing"

        a.recover()
        kube.wait_for(lambda: kube.get("Pod", pod["metadata"]["name"]), lambda pod: pod is None)
        assert a.processes == {}
        kube.wait_for(lambda: kube.get("Node", "a"), lambda node: (condition(node, "Ready") or {})["status"] == "True")
        kube.close()


def test_a_dead_node_restarts_its_containers_when_it_is_back(
    kube: Kube, node: FakeNode, control_plane: ControlPlane
) -> None:
    with FakeNode(control_plane, "brittle") as brittle:
        here: Object = {"nodeSelector": {"kubernetes.io/hostname": "brittle"}, "restartPolicy": "OnFailure"}
        kube.apply(make_pod("back", FOREVER, **here))
        wait_for_pod(kube, "back", "Running")

        brittle.lose(kill=True)
        kube.wait_for(lambda: brittle.processes, lambda processes: not processes)
        assert kube.get("Pod", "back")["status"]["phase"] == "Running", "nobody was told"
        brittle.recover()

        kube.wait_for(
            lambda: kube.get("Pod", "back")["status"]["containerStatuses"][0],
            lambda status: status["ready"] and status["restartCount"] == 1,
        )


def test_a_service_account_may_do_what_its_role_says(kube: Kube, control_plane: ControlPlane) -> None:
    kube.apply("""
        {apiVersion: v1, kind: ServiceAccount, metadata: {name: narrow}}
        ---
        {apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: narrow},
         rules: [{apiGroups: [""], resources: [configmaps], verbs: [list]}]}
        ---
        {apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: narrow},
         roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: narrow},
         subjects: [{kind: ServiceAccount, name: narrow}]}
    """)
    narrow = Kube(control_plane.service_account_kubeconfig(kube.namespace, "narrow"), kube.namespace)
    kube.wait_for(lambda: _allowed(narrow), bool, what="effect of the role")  # RBAC is cached for a moment
    with pytest.raises(ForbiddenError):
        narrow.list("Secret")
    narrow.close()


def _allowed(kube: Kube) -> bool:
    try:
        kube.list("ConfigMap")
    except ForbiddenError:
        return False
    return True


def test_deleting_an_owner_deletes_what_it_owns(kube: Kube, node: FakeNode) -> None:
    kube.apply(make_job("owner", FOREVER, workers=1))
    pod = kube.wait_for(lambda: kube.list("Pod", "job-name=owner"), lambda p: p[0]["status"]["phase"] == "Running")
    assert len(node.processes) == 1

    kube.delete("Job", "owner")

    kube.wait_for(lambda: kube.list("Pod", "job-name=owner"), lambda pods: pods == [])
    assert node.processes == {}, node.logs(pod[0])


def test_pretended_pods_need_no_processes(kube: Kube, node: FakeNode, control_plane: ControlPlane) -> None:
    async def run(launch: Launch) -> int:
        await asyncio.sleep(0.1)
        return 0 if launch.env["JOB_COMPLETION_INDEX"] != "7" else 9

    with FakeNode(control_plane, "pretender", runner=run):
        here = {"nodeSelector": {"kubernetes.io/hostname": "pretender"}}
        kube.apply(make_job("crowd", FOREVER, 50, pod=here, backoffLimitPerIndex=0))
        job = kube.wait_for(lambda: kube.get("Job", "crowd"), lambda job: condition(job, "Failed"))
    assert (job["status"]["succeeded"], job["status"]["failedIndexes"]) == (49, "7")


def test_a_status_is_patched_by_itself(kube: Kube) -> None:
    pod = make_pod("spoken-for", FOREVER, nodeSelector={"kubernetes.io/hostname": "none"})
    kube.apply(pod)
    kube.patch("Pod", "spoken-for", {"status": {"message": "patched"}}, subresource="status")
    assert kube.get("Pod", "spoken-for")["status"]["message"] == "patched"


def test_waiting_ends_with_the_last_state(kube: Kube) -> None:
    kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dull"}, "data": {"colour": "grey"}})
    with pytest.raises(TimeoutError, match=r"(?s)no red after 0.1 s.*colour: grey"):
        kube.wait_for(lambda: kube.get("ConfigMap", "dull"), lambda c: c["data"]["colour"] == "red", 0.1, "red")
    with pytest.raises(TimeoutError, match="tripped: KeyError"):
        kube.wait_for(lambda: kube.get("ConfigMap", "dull"), lambda c: c["data"]["size"], 0.1)


def test_nothing_survives_a_killed_pytest(control_plane: ControlPlane, tmp_path: Path) -> None:
    code = """
        import subprocess, sys, time
        from integration.harness.guard import Guard
        guard = Guard()
        sleeper = subprocess.Popen(["sleep", "300"], start_new_session=True)
        guard.add(sleeper.pid)
        print(sleeper.pid, flush=True)
        time.sleep(300)
    """
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as victim:
        assert victim.stdout
        sleeper = int(victim.stdout.readline())
        assert process_state(sleeper) == "S"
        victim.send_signal(signal.SIGKILL)
    kube = Kube(control_plane.kubeconfig)
    kube.wait_for(lambda: process_state(sleeper), lambda state: state in ("", "Z"), what="end of the orphan")
    kube.close()
