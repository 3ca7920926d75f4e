"""What becomes of a trial whose worker is gone."""

from datetime import timedelta
from typing import Any

import pytest

from builders import NOW, make_progress, make_worker
from tuning_operator.executors.view import WorkerView
from tuning_operator.plan.actions import (
    FailTrials,
    ReleaseTrials,
)
from tuning_operator.plan.decide import plan
from tuning_operator.plan.draft import Plan
from tuning_study.budget import Counts
from unit.operator.plans import SPEC, only, reasons, seen


class TestALostTrial:
    SHARES = {"w-0": Counts(running=1), "w-1": Counts(complete=4, running=1)}
    LIVING = make_worker("w-1", ended=False)

    def settle(self, *each: WorkerView, **more: Any) -> Plan:
        progress = make_progress(SPEC, counts_by_worker=self.SHARES, complete=4, running=2)
        return plan(seen(progress=progress, each=[*each, self.LIVING], **more))

    @pytest.mark.parametrize(
        "each",
        [
            [],
            [make_worker(disrupted=True, exit_code=137)],
            [make_worker(exit_code=143)],
            [make_worker(exit_code=0)],
            [make_worker(exit_code=None, reason="Evicted")],
            [make_worker(disrupted=True, exit_code=137, reason="OOMKilled")],
        ],
        ids=["gone", "disrupted", "SIGTERM", "exit-0", "never-ran", "disrupted-while-killed"],
    )
    def test_waits_again_when_it_is_not_to_blame(self, each: list[WorkerView]) -> None:
        decided = self.settle(*each)
        assert decided.actions == (ReleaseTrials("w-0"),)
        assert "TrialsPutBack" in reasons(decided)

    @pytest.mark.parametrize(
        ("fields", "told"),
        [
            ({"exit_code": 137, "reason": "Error"}, "was killed (SIGKILL)"),
            ({"exit_code": 137, "reason": "Error", "disrupted": True}, "was disrupted (exit code 137)"),
            ({"exit_code": 137, "reason": "OOMKilled", "disrupted": True}, "was disrupted (OOMKilled)"),
            ({"exit_code": None, "evicted": "low on memory", "disrupted": True}, "was evicted (low on memory)"),
            ({"exit_code": 143, "reason": "Error"}, "ended (exit code 143)"),
        ],
    )
    def test_that_waits_again_says_what_became_of_its_worker(self, fields: dict[str, Any], told: str) -> None:
        (note,) = [note for note in self.settle(make_worker(**fields)).events if note.reason == "TrialsPutBack"]
        assert note.message == f"pod w-0 {told}: its trial waits again, charged to nobody"

    def test_of_a_worker_that_was_killed_waits_again_but_is_counted(self) -> None:
        assert self.settle(make_worker(exit_code=137)).actions == (ReleaseTrials("w-0", killed=True),)

    def test_of_a_pod_that_was_deleted_is_nobodys_fault_though_its_grace_was_too_short(self) -> None:
        assert self.settle(make_worker(exit_code=137, end_by=NOW)).actions == (ReleaseTrials("w-0", killed=False),)

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({"exit_code": 137, "reason": "OOMKilled"}, "raise workers.resources.limits.memory"),
            ({"exit_code": 137, "reason": "Error", "evicted": "Usage of EmptyDir exceeds 1Gi"}, "EmptyDir exceeds 1Gi"),
            ({"exit_code": 139}, "by SIGSEGV"),
            ({"exit_code": 255}, "by signal 127"),
            ({"exit_code": 1}, "with exit code 1"),
        ],
    )
    def test_fails_when_it_brought_its_worker_down(self, fields: dict[str, Any], reason: str) -> None:
        decided = self.settle(make_worker(**fields))
        failed = only(decided.actions, FailTrials)
        assert failed.worker == "w-0"
        assert reason in failed.reason
        assert "TrialEndedPod" in reasons(decided)

    @pytest.mark.parametrize(("late", "put_back"), [(-30, False), (5, False), (15, True)])
    def test_of_a_pod_on_a_lost_node_waits_again_when_its_grace_is_over(self, late: int, put_back: bool) -> None:
        decided = self.settle(make_worker(ended=False, end_by=NOW - timedelta(seconds=late)))
        assert decided.actions == ((ReleaseTrials("w-0"),) if put_back else ())
        assert any("does not answer" in note.message for note in decided.events) is put_back

    def test_is_not_looked_for_in_a_pod_that_lives(self) -> None:
        assert self.settle(make_worker(ended=False)).actions == ()

    def test_is_not_missed_while_nobody_has_looked_at_the_pods(self) -> None:
        progress = make_progress(SPEC, counts_by_worker=self.SHARES, running=2)
        assert plan(seen(progress=progress, each=None)).actions == ()

    def test_is_settled_when_the_round_is_over_too(self) -> None:
        progress = make_progress(SPEC, counts_by_worker=self.SHARES, complete=10, running=2)
        assert plan(seen(progress=progress, each=[self.LIVING])).actions == (ReleaseTrials("w-0"),)
