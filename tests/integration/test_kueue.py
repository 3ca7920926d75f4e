"""Studies in queues of the real Kueue: it decides when a Job runs, and nobody argues."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from integration.harness import ControlPlane, Kube
from integration.kueue import METRICS_CERTIFICATES, Kueue, Queue
from integration.operator_fixtures import Studies
from integration.studies import Gate, Study, alert_workers, quick_study, states

Object = dict[str, Any]


@pytest.fixture(scope="module")
def kueue(control_plane: ControlPlane) -> Iterator[Kueue]:
    try:
        METRICS_CERTIFICATES.mkdir(parents=True, exist_ok=True)
    except PermissionError:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"Kueue wants its certificates in {METRICS_CERTIFICATES}: make the folder, and let this user write")
    with Kueue(control_plane) as running:
        yield running


@pytest.fixture
def queue(kueue: Kueue, namespace: str) -> Queue:
    """A queue with room for three workers of one CPU."""
    return kueue.queue(namespace, "gpus", cpus=3)


def queued_study(
    name: str = "quick", workers: int = 3, queue: str = "gpus", *, more: Object | None = None, **spec: Any
) -> Object:
    """Each of its workers asks for one CPU."""
    fields = {**alert_workers(workers), "resources": {"requests": {"cpu": "1"}}, **(more or {})}
    study = quick_study(name, workers=fields, **spec)
    study["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": queue}
    return study


class Writes:
    """Counts the changes of a Job's spec, of whoever makes them."""

    def __init__(self, study: Study) -> None:
        self._study = study

    @property
    def job(self) -> Object:
        return self._study.kube.get("Job", f"{self._study.name}-r1")

    @property
    def count(self) -> int:
        return int(self.job["metadata"]["generation"])


def test_a_study_waits_in_its_queue_and_runs_when_there_is_room(studies: Studies, queue: Queue) -> None:
    queue.set_quota(0)
    study = studies(queued_study())
    study.wait_until("Pending")
    study.wait(lambda _: "insufficient quota for cpu" in study.message("Running"), "with Kueue's words")
    assert study.condition("Running") == ("False", "Queued")
    assert study.pods() == []

    queue.set_quota(3)
    assert study.wait_until("Complete")["trials"]["summary"] == "6/6"
    study.wait_for_event("Admitted", "queue gpus admits 3 workers")


def test_nobody_writes_to_a_job_that_waits(studies: Studies, queue: Queue) -> None:
    queue.set_quota(0)
    study = studies(queued_study())
    study.wait_for_condition("Running", "False", "Queued")
    writes = Writes(study)
    time.sleep(30)  # what did not happen in this time cannot be waited for
    assert writes.count <= 3
    assert study.pods() == []


def test_what_kueue_takes_back_is_charged_to_nobody(studies: Studies, queue: Queue, gate: Gate) -> None:
    study = studies(queued_study(objective=gate.objective, budget={"trials": 6, "duration": "1h"}))
    study.wait_for_starts(gate, 3)

    queue.evict()
    status = study.wait_until("Pending")
    study.wait(lambda status: status["trials"]["waiting"] == 3, "with three trials that wait again")
    assert status["trials"]["failed"] == 0

    queue.admit()
    gate.open()
    study.wait_until("Complete")
    assert states(study.history()) == {"COMPLETE": 6}
    assert len(gate.starts) == 6 + 3


def test_a_suspended_study_makes_room_at_once_and_comes_back(
    studies: Studies, queue: Queue, gate: Gate, kube: Kube
) -> None:
    first = studies(queued_study("first", objective=gate.objective))
    first.wait_for_starts(gate, 3)
    second = studies(queued_study("second"))
    second.wait_for_condition("Running", "False", "Queued")

    first.change(suspend=True)
    assert second.wait_until("Complete")["trials"]["summary"] == "6/6"
    assert not first.exists("Job", "first-r1")

    gate.open()
    first.change(suspend=False)
    assert first.wait_until("Complete")["trials"]["summary"] == "6/6"


def test_another_number_of_workers_is_queued_for_once(studies: Studies, queue: Queue, gate: Gate) -> None:
    study = studies(queued_study(workers=2, objective=gate.objective))
    study.wait_for_starts(gate, 2)
    before = Writes(study).job["metadata"]["uid"]

    study.scale(3)
    study.wait_for_event("Requeued", "spec.workers.replicas was 2 and is 3")
    study.wait(lambda _: len(gate.starts) == 2 + 3, "with three workers at work")
    after = Writes(study).job
    assert after["metadata"]["uid"] != before
    assert after["spec"]["parallelism"] == 3

    gate.open()
    study.wait_until("Complete")
    assert [reason for reason, _ in study.events].count("Requeued") == 1
    assert states(study.history()) == {"COMPLETE": 6}


def test_a_study_runs_with_fewer_workers_where_it_says_so(studies: Studies, queue: Queue) -> None:
    queue.set_quota(2)
    study = studies(queued_study(workers=4, more={"minReplicas": 1}))
    status = study.wait_until("Complete")
    assert status["workers"]["desired"] == 0  # it is over
    job = Writes(study).job
    assert (job["spec"]["parallelism"], job["spec"]["completions"]) == (2, 2)
    assert not [reason for reason, _ in study.events if reason in ("Scaled", "Requeued")]


def test_a_queue_that_is_not_there_is_told(studies: Studies, queue: Queue) -> None:
    study = studies(queued_study(queue="gpu"))
    study.wait_for_condition("Running", "False", "Queued")
    study.wait(lambda _: "is there a LocalQueue gpu in this namespace?" in study.message("Running"), "hint", 60)


def test_a_job_that_kueue_gave_a_queue_is_in_that_queue(studies: Studies, queue: Queue, kube: Kube, gate: Gate) -> None:
    """As the queue `default` does for studies without a label; here the label comes from the test."""
    manifest = queued_study(objective=gate.objective)
    del manifest["metadata"]["labels"]
    study = studies(manifest)
    study.wait_for_starts(gate, 3)
    kube.patch("Job", "quick-r1", {"metadata": {"labels": {"kueue.x-k8s.io/queue-name": "gpus"}}})
    study.wait_for_event("Admitted", "queue gpus admits 3 workers")

    gate.open()
    assert study.wait_until("Complete")["trials"]["summary"] == "6/6"
    assert Writes(study).count <= 4
