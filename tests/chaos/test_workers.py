"""What may happen to a worker: its trial runs again with its parameters, and is charged to nobody."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chaos.load import Load, eventually, until
from chaos.world import Record, World, suffer
from integration.harness import FakeNode
from integration.studies import Object, Study, alert_workers, quick_study

Strike = Callable[[World, Object], None]


def _delete(grace: int) -> Strike:
    def strike(world: World, pod: Object) -> None:
        world.kube.delete("Pod", pod["metadata"]["name"], grace=grace)

    return strike


STRIKES: dict[str, Strike] = {
    "worker killed (SIGKILL)": lambda world, pod: world.node.kill(pod),
    "worker told to stop (SIGTERM), within the grace": _delete(30),
    "worker told to stop (SIGTERM), past the grace": _delete(1),
    "worker deleted by force": _delete(0),
    "pod evicted (Eviction API)": lambda world, pod: world.node.evict(pod),
    "pod evicted by its node": lambda world, pod: world.node.evict(pod, by_kubelet=True),
    "pod preempted": lambda world, pod: world.node.preempt(pod),
}


@pytest.mark.parametrize("strike", STRIKES.values(), ids=STRIKES.keys())
def test_a_disruption_costs_nothing(world: World, load: Load, record: Record, strike: Strike) -> None:
    @contextmanager
    def fault(world: World) -> Iterator[None]:
        pod = eventually(world.victim, 90)  # a Job replaces pods ever more slowly
        strike(world, pod)
        until(lambda: pod["metadata"]["name"] not in _names(load), "end of the pod", 60)
        yield

    suffer(world, fault, record)
    _nothing_waits_for_the_dead(load)


def _names(load: Load) -> set[str]:
    return {pod["metadata"]["name"] for pod in load.study.pods()}


def _nothing_waits_for_the_dead(load: Load) -> None:
    assert load.study.status["trials"]["waiting"] == 0


@pytest.mark.parametrize(
    ("strike", "blame"),
    [(FakeNode.oom, "OOMKilled"), (FakeNode.overflow, "Usage of EmptyDir")],
    ids=["trial out of memory", "trial out of local storage"],
)
def test_a_trial_that_ends_its_pod_has_failed(
    world: World, load: Load, record: Record, strike: Callable[[FakeNode, Object], None], blame: str
) -> None:
    load.blames = (blame,)

    @contextmanager
    def fault(world: World) -> Iterator[None]:
        def struck() -> None:  # a trial may end in the very moment
            pod = world.victim()
            strike(world.node, pod)
            load.study.wait_for_event("TrialEndedPod", pod["metadata"]["name"], 10)

        eventually(struck, 90)
        yield

    suffer(world, fault, record)


def test_a_node_is_lost(world: World, begin: Callable[..., Load], record: Record) -> None:
    """Its workers' silence is noticed by the others; when it is back, its workers are too."""
    world.repetitions = 1
    with FakeNode(world.plane, "node-2", env=world.node.env, takes=_is_first_worker) as second:
        world.node.takes = _is_another_worker
        try:
            load = begin()

            @contextmanager
            def fault(world: World) -> Iterator[None]:
                until(lambda: _pods_on(second) & load.busy(), "trial on the second node", 60)
                second.lose(kill=True)
                open_ones = {trial.number for trial in load.trials() if not trial.state.is_finished()}
                finished = eventually(load.finished, 10)
                until(lambda: load.finished() > finished + len(open_ones), "move without the node", 60)
                until(lambda: open_ones <= _finished(load), "end of the lost trial", 120)
                second.recover()
                yield

            suffer(world, fault, record)
        finally:
            world.node.takes = lambda _: True


def _is_first_worker(pod: Object) -> bool:
    return bool(pod["metadata"].get("annotations", {}).get("batch.kubernetes.io/job-completion-index") == "0")


def _is_another_worker(pod: Object) -> bool:
    return not _is_first_worker(pod)


def _pods_on(node: FakeNode) -> set[str]:
    return {key.partition("/")[2] for key in node.processes}


def _finished(load: Load) -> set[int]:
    return {trial.number for trial in load.trials() if trial.state.is_finished()}


@pytest.mark.parametrize("shift", ["+1h", "-1h"], ids=["clock an hour fast", "clock an hour slow"])
def test_a_worker_whose_clock_is_wrong(world: World, begin: Callable[..., Load], record: Record, shift: str) -> None:
    """One of three, by libfaketime; it dies under load, so that others judge how long it was silent."""
    library = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
    if library is None:
        pytest.skip("needs libfaketime (Debian: apt install libfaketime)")
    wrong = {"LD_PRELOAD": str(library), "FAKETIME": shift, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    name, env = f"node{shift}".replace("+", "-"), world.node.env | wrong
    with FakeNode(world.plane, name, env=env, takes=_is_first_worker) as second:
        world.node.takes = _is_another_worker
        try:
            begin()

            @contextmanager
            def fault(world: World) -> Iterator[None]:
                until(lambda: _pods_on(second) & world.load.busy(), "trial on the second node", 60)
                second.kill(next(iter(second.processes)))
                until(lambda: second.processes, "worker on the second node", 90)
                yield

            suffer(world, fault, record)
        finally:
            world.node.takes = lambda _: True


@pytest.mark.parametrize("worked", [False, True], ids=["pods that never work", "pods that work no more"])
def test_pods_that_fail_endlessly_stop_the_study(world: World, tmp_path: Path, record: Record, worked: bool) -> None:
    licence = tmp_path / "licence"
    code = f"""
import os, signal
if not os.path.exists({str(licence)!r}):
    print("the licence has run out", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)  # whatever kills it, it comes to no trial

def objective(trial):
    return trial.params["x"]
"""
    if worked:
        licence.touch()
    world.kube.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "licence"}, "data": {"licensed.py": code}}
    )
    objective = {"python": {"function": "licensed:objective", "configMap": "licence"}}
    study = Study(
        world.kube, quick_study("barren", objective=objective, budget={"trials": 100_000}, workers=alert_workers(1))
    )
    study.apply()
    if worked:
        until(lambda: study.status["trials"]["complete"] > 3, "trials", 60)
        licence.unlink()
        world.node.kill(study.pods()[0])
    began = time.monotonic()

    study.wait_for_condition("Failed", "True", "WorkersFailed", timeout=180)

    assert "the licence has run out" in study.message("Failed")
    study.wait_for_event("WorkersFailed", "the licence has run out")
    record.took(time.monotonic() - began)
    record.survived = True
    study.delete()
