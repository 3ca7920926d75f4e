"""A worker Job in a queue of Kueue: when it runs, and with how many workers, is not the operator's to say."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from builders import make_progress, make_spec, make_status
from tuning_kube.names import QUEUE_LABEL
from tuning_operator.executors.view import QueueWait, WorkersView
from tuning_operator.observe.observation import Observation
from tuning_operator.plan.actions import RemoveWorkers, ScaleWorkers, SetPaused, StartWorkers
from tuning_operator.plan.decide import plan
from tuning_operator.plan.draft import Plan
from tuning_study.budget import RoundLimits
from unit.operator.plans import RUNNING, SPEC, SUSPENDED, ended, kinds, message, reasons, seen, value

ADMITTED = replace(RUNNING, queue="gpus", requested=3)
WAITING = replace(ADMITTED, suspended=True, active=0, ready=0)
PAUSED = RoundLimits(10, SPEC.budget.failed_trials, paused=True)


def queued(job: WorkersView | None = WAITING, *, labels: Mapping[str, str] | None = None, **more: Any) -> Observation:
    found = seen(**({"workers": job, "progress": make_progress(SPEC, limits=PAUSED)} | more))
    return replace(found, study=replace(found.study, queue_labels=labels or {}))


def writes_to_the_job(decided: Plan) -> list[object]:
    return [action for action in decided.actions if isinstance(action, ScaleWorkers | StartWorkers | RemoveWorkers)]


def test_a_job_that_waits_is_left_alone_and_the_study_says_so() -> None:
    words = "Pending: insufficient quota for cpu"
    decided = plan(queued(queued=QueueWait(60, seen=True, message=words)))
    assert decided.actions == ()
    assert (decided.status.state, value(decided, "Running")) == ("Pending", ("False", "Queued"))
    assert message(decided, "Running") == f"waits in queue gpus: {words}"


def test_the_wait_and_its_end_are_told_once() -> None:
    waits = plan(queued())
    assert reasons(waits) == ["Queued"]
    assert plan(queued(status=waits.status)).events == ()
    admitted = plan(queued(ADMITTED, status=waits.status))
    assert reasons(admitted) == ["Admitted"]
    assert admitted.events[0].message == "queue gpus admits 3 workers"
    assert plan(queued(ADMITTED, status=admitted.status)).events == ()


@pytest.mark.parametrize(
    ("wait", "hint"),
    [
        (QueueWait(29), "waits in queue gpus"),
        (QueueWait(30), "waits in queue gpus: no Kueue has seen this Job; is it installed, and does it manage"),
        (QueueWait(30, seen=True), "waits in queue gpus: Kueue says nothing of it; is there a LocalQueue gpus"),
    ],
)
def test_a_queue_that_says_nothing_gets_a_hint(wait: QueueWait, hint: str) -> None:
    assert message(plan(queued(queued=wait)), "Running").startswith(hint)


def test_the_budgets_clock_stands_still_while_it_waits() -> None:
    preempted = plan(queued(progress=make_progress(SPEC, complete=4, waiting=2)))
    assert preempted.actions == (SetPaused(True),)
    assert plan(queued(ADMITTED)).actions == (SetPaused(False),)


def test_fewer_workers_than_asked_for_may_be_admitted() -> None:
    partial = replace(ADMITTED, replicas=1, ready=1, active=1)
    decided = plan(queued(partial, progress=make_progress(SPEC)))
    assert decided.actions == ()
    assert (decided.status.workers.desired, decided.status.workers.active) == (3, 1)


@pytest.mark.parametrize("job", [ADMITTED, WAITING], ids=["admitted", "waiting"])
def test_another_number_of_workers_is_queued_again(job: WorkersView) -> None:
    decided = plan(queued(job, spec=make_spec(workers={"replicas": 5}), status=make_status()))
    assert writes_to_the_job(decided) == [RemoveWorkers(1)]
    assert "spec.workers.replicas was 3 and is 5" in next(n.message for n in decided.events if n.reason == "Requeued")


def test_another_queue_is_queued_for_again_but_one_that_kueue_gave_is_kept() -> None:
    assert writes_to_the_job(plan(queued(labels={QUEUE_LABEL: "cpus"}))) == [RemoveWorkers(1)]
    assert writes_to_the_job(plan(queued(labels={QUEUE_LABEL: "gpus"}))) == []
    assert writes_to_the_job(plan(queued(labels={}))) == []


@pytest.mark.parametrize("job", [ADMITTED, WAITING], ids=["admitted", "waiting"])
def test_a_suspended_study_gives_its_quota_back(job: WorkersView) -> None:
    decided = plan(queued(job, spec=SUSPENDED))
    assert writes_to_the_job(decided) == [RemoveWorkers(1)]
    gone = plan(queued(None, spec=SUSPENDED, status=decided.status))
    assert gone.actions == ()
    asks = {QUEUE_LABEL: "gpus"}
    assert kinds(plan(queued(None, status=gone.status, labels=asks))) == ["StartWorkers"], "the clock waits on"


def test_a_round_that_ended_leaves_no_job_in_the_queue() -> None:
    status = ended().study.status
    long_ago = status.model_copy(update={"completion_time": ended().now.replace(year=2025)})
    assert writes_to_the_job(plan(ended(workers=WAITING, status=long_ago))) == [RemoveWorkers(1)]
    assert writes_to_the_job(plan(ended(workers=ADMITTED, status=long_ago))) == [RemoveWorkers(1)]


HELD = replace(RUNNING, suspended=True)


def test_a_job_that_somebody_else_suspended_is_not_fought_over() -> None:
    decided = plan(seen(workers=HELD))
    assert decided.actions == ()
    assert value(decided, "Running") == ("False", "Held")
    assert QUEUE_LABEL in message(decided, "Running")


@pytest.mark.parametrize(
    "observed",
    [
        seen(workers=replace(HELD, suspended_by_operator=True)),
        seen(workers=HELD, status=make_status(state="Suspended")),  # by an operator that left no mark
    ],
)
def test_a_job_that_the_operator_suspended_goes_on(observed: Observation) -> None:
    assert writes_to_the_job(plan(observed)) == [ScaleWorkers(1, 3, suspended=False)]
