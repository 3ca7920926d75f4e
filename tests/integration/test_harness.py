"""The cluster of the integration tests behaves like a cluster: everything else in this folder relies on that."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from kubernetes.dynamic.exceptions import ForbiddenError

from integration.harness import ControlPlane, FakeNode, Kube, Launch
from integration.harness.containers import expand

Object = dict[str, Any]

FOREVER = ["sleep", "300"]
UNTIL_TOLD = """
import signal, sys, time
def bye(*_):
    print("bye", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, bye)
print("listening", flush=True)
time.sleep(300)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("listening", flush=True)
time.sleep(300)
"""


def pod_spec(command: list[str], **more: Any) -> Object:
    container = {"name": "main", "image": "any", "command": command, **more.pop("container", {})}
    return {"restartPolicy": "Never", "containers": [container], "automountServiceAccountToken": False, **more}


def make_pod(name: str, command: list[str], *, finalizers: tuple[str, ...] = (), **more: Any) -> Object:
    metadata = {"name": name, "finalizers": list(finalizers)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec(command, **more)}


def make_job(name: str, command: list[str], workers: int, **more: Any) -> Object:
    template = {"metadata": more.pop("metadata", {}), "spec": pod_spec(command, **more.pop("pod", {}))}
    spec = {"completionMode": "Indexed", "completions": workers, "parallelism": workers, "template": template}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {**spec, **more}}


def python(code: str) -> list[str]:
    return ["python", "-c", textwrap.dedent(code)]


def wait_for_pod(kube: Kube, name: str, phase: str) -> Object:
    pod: Object = kube.wait_for(
        lambda: kube.get("Pod", name), lambda pod: pod["status"]["phase"] == phase, what=f"pod {name} {phase}"
    )
    return pod


def wait_for_log(kube: Kube, node: FakeNode, pod: str, text: str) -> None:
    kube.wait_for(lambda: node.logs(f"{kube.namespace}/{pod}"), lambda log: text in log, what=f"{text!r} in {pod}")


def ended(pod: Object) -> Object:
    state: Object = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return state


def condition(obj: Object, kind: str) -> Object | None:
    return next((c for c in obj["status"].get("conditions", []) if c["type"] == kind), None)


# --- pods run


def test_a_job_of_two_pods_finishes(kube: Kube, node: FakeNode) -> None:
    code = "import os; print('index', os.environ['JOB_COMPLETION_INDEX'])"
    kube.apply(make_job("pair", python(code), workers=2))

    job = kube.wait_for(lambda: kube.get("Job", "pair"), lambda job: condition(job, "Complete"))

    assert job["status"]["succeeded"] == 2
    assert job["status"]["completedIndexes"] == "0,1"
    pods = kube.list("Pod", "job-name=pair")
    assert sorted(node.logs(pod) for pod in pods) == ["index 0\n", "index 1\n"]
    assert [ended(pod)["reason"] for pod in pods] == ["Completed", "Completed"]


def test_a_running_pod_looks_like_one(kube: Kube, node: FakeNode) -> None:
    kube.apply(make_pod("one", FOREVER))
    pod = wait_for_pod(kube, "one", "Running")

    assert pod["spec"]["nodeName"] == node.name
    assert pod["status"]["podIP"] == "127.0.0.1"
    assert pod["status"]["startTime"]
    status = pod["status"]["containerStatuses"][0]
    assert status["ready"] and status["started"] and status["state"]["running"]["startedAt"]
    true = {c["type"] for c in pod["status"]["conditions"] if c["status"] == "True"}
    assert {"PodScheduled", "Initialized", "ContainersReady", "Ready"} <= true


def test_values_and_files_arrive(kube: Kube, node: FakeNode) -> None:
    kube.apply("""
        {apiVersion: v1, kind: Secret, metadata: {name: store}, stringData: {url: "postgresql://u:p@h/d", user: u}}
        ---
        {apiVersion: v1, kind: ConfigMap, metadata: {name: round}, data: {MODE: fast, study.json: '{"n": 1}'}}
    """)
    code = """
        import json, os, pathlib, sys
        files = {name: pathlib.Path(path).read_text() for name, path in zip(sys.argv[1::2], sys.argv[2::2])}
        print(json.dumps({"env": dict(os.environ), "files": files}))
    """

    def field(path: str) -> Object:
        return {"valueFrom": {"fieldRef": {"fieldPath": path}}}

    env: dict[str, Object] = {
        "PLAIN": {"value": "x"},
        "EXPANDED": {"value": "$(PLAIN)-$(UNKNOWN)-$$(PLAIN)"},
        "NAME": field("metadata.name"),
        "SPACE": field("metadata.namespace"),
        "UID": field("metadata.uid"),
        "LABEL": field("metadata.labels['team/name']"),
        "NOTE": field("metadata.annotations['note']"),
        "NODE": field("spec.nodeName"),
        "URL": {"valueFrom": {"secretKeyRef": {"name": "store", "key": "url"}}},
        "ABSENT": {"valueFrom": {"secretKeyRef": {"name": "store", "key": "none", "optional": True}}},
        "PICKED": {"valueFrom": {"configMapKeyRef": {"name": "round", "key": "MODE"}}},
        "CONFIG": {"value": "/etc/round/study.json"},
    }
    container = {
        "args": ["study", "$(CONFIG)", "user", "/etc/secret/name", "label", "/etc/all/labels", "all", "/etc/all/url"],
        "env": [{"name": name, **value} for name, value in env.items()],
        "envFrom": [{"configMapRef": {"name": "round"}, "prefix": "ROUND_"}],
        "volumeMounts": [
            {"name": "round", "mountPath": "/etc/round"},
            {"name": "secret", "mountPath": "/etc/secret/"},
            {"name": "all", "mountPath": "/etc/all"},
            {"name": "scratch", "mountPath": "/tmp"},
        ],
    }
    labels = {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels['team/name']"}}]}
    volumes = [
        {"name": "round", "configMap": {"name": "round"}},
        {"name": "secret", "secret": {"secretName": "store", "items": [{"key": "user", "path": "name"}]}},
        {"name": "all", "projected": {"sources": [{"downwardAPI": labels}, {"secret": {"name": "store"}}]}},
        {"name": "scratch", "emptyDir": {}},
    ]
    pod = make_pod("reader", python(code), container=container, volumes=volumes)
    pod["metadata"] |= {"labels": {"team/name": "blue"}, "annotations": {"note": "a b"}}
    created = kube.apply(pod)
    wait_for_pod(kube, "reader", "Succeeded")

    seen = json.loads(node.logs(created))
    uid = created["metadata"]["uid"]
    assert seen["files"] == {"study": '{"n": 1}', "user": "u", "label": "blue", "all": "postgresql://u:p@h/d"}
    want = {
        "PLAIN": "x",
        "EXPANDED": "x-$(UNKNOWN)-$(PLAIN)",
        "NAME": "reader",
        "SPACE": kube.namespace,
        "UID": uid,
        "LABEL": "blue",
        "NOTE": "a b",
        "NODE": node.name,
        "URL": "postgresql://u:p@h/d",
        "PICKED": "fast",
        "ROUND_MODE": "fast",
        "ROUND_study.json": '{"n": 1}',
        "HOSTNAME": "reader",
    }
    assert {name: seen["env"].get(name) for name in want} == want
    assert seen["env"]["CONFIG"].endswith(f"{uid}/volumes/round/study.json")
    # LC_CTYPE is Python's own doing, FAKE_NODE_CONTAINER how the node knows a container's processes.
    of_the_node = {"PATH", "HOME", "TMPDIR", "LC_CTYPE", "CONFIG", "FAKE_NODE_CONTAINER", *node.env}
    assert seen["env"].keys() - want.keys() <= of_the_node, "this machine's environment leaks into pods"


def test_a_pod_waits_for_its_secret_and_for_ever_for_its_image(kube: Kube, node: FakeNode) -> None:
    node.missing_images.add("no/such:image")
    env = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "late", "key": "key"}}}]
    kube.apply(make_pod("early", python("import os; print(os.environ['KEY'])"), container={"env": env}))
    kube.apply(make_pod("imageless", FOREVER, container={"image": "no/such:image"}))

    def reason(name: str) -> Any:
        return kube.get("Pod", name)["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]

    def state(name: str) -> Any:
        return lambda: kube.get("Pod", name)["status"].get("containerStatuses")

    kube.wait_for(state("early"), lambda s: s[0]["state"]["waiting"]["reason"] == "CreateContainerConfigError")
    kube.wait_for(state("imageless"), lambda s: s[0]["state"]["waiting"]["reason"] == "ImagePullBackOff")
    assert kube.get("Pod", "early")["status"]["phase"] == "Pending"
    kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "late"}, "stringData": {"key": "k"}})
    wait_for_pod(kube, "early", "Succeeded")


def test_a_failing_container_is_restarted_and_says_why(kube: Kube, node: FakeNode) -> None:
    container = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    code = "import sys; print('no such table'); sys.exit(3)"
    kube.apply(make_pod("crash", python(code), restartPolicy="OnFailure", container=container))

    pod = kube.wait_for(
        lambda: kube.get("Pod", "crash"),
        lambda pod: pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff",
    )

    last = pod["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"], last["message"]) == (3, "Error", "no such table\n")
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["containerStatuses"][0]["restartCount"] >= 2


def test_a_command_that_does_not_exist_is_a_start_error(kube: Kube, node: FakeNode) -> None:
    kube.apply(make_pod("typo", ["no-such-program"]))
    pod = wait_for_pod(kube, "typo", "Failed")
    assert (ended(pod)["exitCode"], ended(pod)["reason"]) == (128, "StartError")


# --- pods end


@pytest.mark.parametrize(
    ("code", "want_code", "want_phase"),
    [(UNTIL_TOLD, 0, "Succeeded"), (STUBBORN, 137, "Failed")],
    ids=["ends in its grace", "is killed after it"],
)
def test_deletion_is_asked_for_and_then_enforced(
    kube: Kube, node: FakeNode, code: str, want_code: int, want_phase: str
) -> None:
    # A finalizer keeps the object, so that its last state can be read.
    pod = kube.apply(make_pod("leaving", python(code), finalizers=("tests/keep",), terminationGracePeriodSeconds=1))
    wait_for_log(kube, node, "leaving", "listening")

    kube.delete("Pod", "leaving")
    pod = wait_for_pod(kube, "leaving", want_phase)

    assert ended(pod)["exitCode"] == want_code
    assert ("bye" in node.logs(pod)) == (want_code == 0)
    kube.patch("Pod", "leaving", {"metadata": {"finalizers": None}})
    kube.wait_for(lambda: kube.get("Pod", "leaving"), lambda pod: pod is None)
    assert f"{kube.namespace}/leaving" not in node.processes


def test_children_end_with_their_container(kube: Kube, node: FakeNode) -> None:
    code = "import subprocess; print(subprocess.Popen(['sleep', '300']).pid, flush=True)"
    pod = kube.apply(make_pod("parent", python(code)))
    wait_for_pod(kube, "parent", "Succeeded")
    child = int(node.logs(pod))
    kube.wait_for(lambda: process_state(child), lambda state: state in ("", "Z"))


def test_what_ends_a_pod_shows_and_the_job_controller_acts_on_it(kube: Kube, node: FakeNode) -> None:
    """One Job, five ends; a finalizer on its pods keeps their last states to be read."""
    policy = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]}
    # A limit for each index: with one for all, five pods lost at once would keep the controller waiting for 160 s.
    keep = {"finalizers": ["tests/keep"]}
    job = make_job("ends", FOREVER, 5, metadata=keep, podFailurePolicy=policy, backoffLimitPerIndex=3)
    kube.apply(job)
    pods = kube.wait_for(
        lambda: kube.list("Pod", "job-name=ends"),
        lambda pods: len(pods) == 5 and all(pod["status"]["phase"] == "Running" for pod in pods),
    )
    killed, oomed, evicted, squeezed, preempted = pods

    node.kill(killed)
    node.oom(oomed)
    node.evict(evicted)
    node.evict(squeezed, by_kubelet=True)
    node.preempt(preempted)

    def outcome(pod: Object) -> tuple[int, str, Any]:
        after = wait_for_pod(kube, pod["metadata"]["name"], "Failed")
        disruption = condition(after, "DisruptionTarget")
        return ended(after)["exitCode"], ended(after)["reason"], disruption and disruption["reason"]

    assert outcome(killed) == (137, "Error", None)
    assert outcome(oomed) == (137, "OOMKilled", None)
    assert outcome(evicted) == (143, "Error", "EvictionByEvictionAPI")
    assert outcome(squeezed) == (137, "Error", "TerminationByKubelet")
    assert outcome(preempted) == (143, "Error", "PreemptionByScheduler")
    assert kube.get("Pod", squeezed["metadata"]["name"])["status"]["reason"] == "Evicted"

    before = {pod["metadata"]["uid"] for pod in pods}
    kube.wait_for(
        lambda: kube.list("Pod", "job-name=ends"),
        lambda now: sum(p["status"]["phase"] == "Running" for p in now if p["metadata"]["uid"] not in before) == 5,
        timeout=60,
        what="replacement of all five",
    )
    # Disruptions are charged to nobody.
    kube.wait_for(lambda: kube.get("Job", "ends"), lambda job: job["status"]["failed"] == 2)


def test_deleting_an_owner_deletes_what_it_owns(kube: Kube, node: FakeNode) -> None:
    kube.apply(make_job("owner", FOREVER, workers=1))
    pod = kube.wait_for(lambda: kube.list("Pod", "job-name=owner"), lambda p: p[0]["status"]["phase"] == "Running")
    assert len(node.processes) == 1

    kube.delete("Job", "owner")

    kube.wait_for(lambda: kube.list("Pod", "job-name=owner"), lambda pods: pods == [])
    assert node.processes == {}, node.logs(pod[0])


def test_a_paused_pod_stands_still(kube: Kube, node: FakeNode) -> None:
    pod = kube.apply(make_pod("still", FOREVER))
    wait_for_pod(kube, "still", "Running")
    (process,) = node.processes[f"{kube.namespace}/still"]

    node.pause(pod)
    kube.wait_for(lambda: process_state(process), lambda state: state == "T")
    node.resume(pod)
    kube.wait_for(lambda: process_state(process), lambda state: state == "S")


# --- outages


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


# --- the rest


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


def test_waiting_ends_with_the_last_state(kube: Kube) -> None:
    kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dull"}, "data": {"colour": "grey"}})
    with pytest.raises(TimeoutError, match=r"(?s)no red after 0.1 s.*colour: grey"):
        kube.wait_for(lambda: kube.get("ConfigMap", "dull"), lambda c: c["data"]["colour"] == "red", 0.1, "red")
    with pytest.raises(TimeoutError, match="tripped: KeyError"):
        kube.wait_for(lambda: kube.get("ConfigMap", "dull"), lambda c: c["data"]["size"], 0.1)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("$(A)", "1"),
        ("x$(A)$(B)y", "x1two words" + "y"),
        ("$(C)", "$(C)"),
        ("$$(A)", "$(A)"),
        ("$A and $$", "$A and $"),
        ("$(A", "$(A"),
    ],
)
def test_expansion_follows_kubernetes(text: str, want: str) -> None:
    env: Mapping[str, str] = {"A": "1", "B": "two words"}
    assert expand(text, env) == want


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


def process_state(process: int) -> str:
    """Return ps's letter: S sleeps, T is stopped, Z is dead; nothing if there is no such process."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()[:1]
