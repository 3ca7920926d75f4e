"""Pods of the integration tests run, wait, fail and end as a kubelet's do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from integration.harness import FakeNode, Kube
from integration.harness.containers import expand
from integration.plain_pods import (
    FOREVER,
    Object,
    condition,
    ended,
    make_job,
    make_pod,
    process_state,
    python,
    wait_for_pod,
)

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


def wait_for_log(kube: Kube, node: FakeNode, pod: str, text: str) -> None:
    kube.wait_for(lambda: node.logs(f"{kube.namespace}/{pod}"), lambda log: text in log, what=f"{text!r} in {pod}")


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


def test_a_paused_pod_stands_still(kube: Kube, node: FakeNode) -> None:
    pod = kube.apply(make_pod("still", FOREVER))
    wait_for_pod(kube, "still", "Running")
    (process,) = node.processes[f"{kube.namespace}/still"]

    node.pause(pod)
    kube.wait_for(lambda: process_state(process), lambda state: state == "T")
    node.resume(pod)
    kube.wait_for(lambda: process_state(process), lambda state: state == "S")


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
