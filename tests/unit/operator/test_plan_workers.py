"""Workers that fail, do not start, outlive their round, or end no trial."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import NOW, choice, make_progress, make_spec, make_status, make_worker, real
from tuning_operator.executors.view import MissingWorkers, WorkersView, WorkerView
from tuning_operator.plan.actions import (
    RemoveWorker,
    RemoveWorkers,
    ScaleWorkers,
    StartRound,
)
from tuning_operator.plan.decide import plan, refused
from tuning_operator.plan.draft import Plan
from tuning_operator.reasons import WORKERS_REFUSED
from tuning_study.api.spec import TuningStudySpec
from tuning_study.budget import Counts
from tuning_study.round import workers_digest
from unit.operator.plans import RUNNING, SPEC, ended, kinds, message, only, reasons, seen, value


class TestWorkersThatFail:
    CRASHED = WorkersView(3, False, failed=9)
    PODS = [make_worker(exit_code=1, message="Traceback\nImportError: no module named psycopg2")]

    def give_up(self, **more: Any) -> Plan:
        given: dict[str, Any] = {"progress": make_progress(SPEC), "workers": self.CRASHED, "each": self.PODS} | more
        return plan(seen(**given))

    def test_three_times_each_without_ending_a_trial_fail_the_study_with_their_last_words(self) -> None:
        decided = self.give_up()
        assert decided.status.state == "Failed"
        assert value(decided, "Failed") == ("True", "WorkersFailed")
        assert "no module named psycopg2" in decided.events[-1].message
        assert kinds(decided) == ["Record", "RemoveWorkers"]

    def test_less_often_or_after_a_trial_has_ended_are_forgiven(self) -> None:
        assert self.give_up(workers=WorkersView(3, False, failed=8)).status.state == "Running"
        assert self.give_up(progress=make_progress(SPEC, failed=1)).status.state == "Running"

    OLD = make_worker("old", exit_code=1)
    NEW = [make_worker(f"new-{n}", exit_code=1) for n in range(9)]
    STOPPED = [make_worker(f"new-{n}", exit_code=143) for n in range(9)]

    @pytest.mark.parametrize(
        ("each", "state"),
        [
            ([OLD, *NEW], "Failed"),
            ([OLD, *NEW[:8]], "Running"),
            ([*NEW, OLD], "Running"),
            ([make_worker("old", ended=False), *NEW], "Running"),
            ([OLD, *STOPPED], "Running"),
        ],
        ids=["nine since", "eight since", "nine before", "another works on", "stopped, not failed"],
    )
    def test_since_a_trial_ended_fail_the_study_too(self, each: list[WorkerView], state: str) -> None:
        progress = make_progress(SPEC, complete=2, counts_by_worker={"old": Counts(complete=2)})
        assert self.give_up(progress=progress, each=each).status.state == state

    def test_as_a_job_fail_the_study_however_far_it_came(self) -> None:
        job = WorkersView(3, False, failed=40, finished="Failed", message="backoff limit")
        decided = self.give_up(workers=job, progress=make_progress(SPEC, complete=3))
        assert decided.status.state == "Failed"
        assert "backoff limit" in decided.events[-1].message

    @pytest.mark.parametrize("job", [None, WorkersView(3, False, failed=9, deleting=True)])
    def test_stay_away_when_the_job_has_been_removed(self, job: WorkersView | None) -> None:
        status = self.give_up().status
        decided = self.give_up(workers=job, status=status)
        assert (decided.actions, decided.events, decided.status.state) == ((), (), "Failed")

    def test_are_tried_again_when_the_manifest_changes(self) -> None:
        status = self.give_up().status
        decided = self.give_up(workers=None, status=status, generation=2)
        assert kinds(decided) == ["StartWorkers"]
        assert decided.status.state == "Running"

    def test_leave_room_for_a_new_round(self) -> None:
        status = self.give_up().status
        changed = make_spec(parameters=[choice()])
        by_spec = self.give_up(workers=None, status=status, spec=changed, generation=2)
        by_hand = self.give_up(workers=None, status=status, request="please")
        for decided in (by_spec, by_hand):
            assert only(decided.actions, StartRound).resolved.number == 2


def test_workers_that_the_api_server_refuses_are_told_once() -> None:
    observed = seen()
    decided = refused(observed, plan(observed), "quantities must match the regular expression")
    assert value(decided, "Running") == ("False", WORKERS_REFUSED)
    assert [note.reason for note in decided.events] == [WORKERS_REFUSED]

    again = refused(seen(status=decided.status), plan(observed), "quantities must match the regular expression")
    assert again.events == ()


class TestWorkersThatDoNotRun:
    """The Job is there, and its pods are not, or do not begin."""

    NONE = WorkersView(3, False, started_at=NOW, workers_digest=workers_digest(SPEC.workers))
    WORDS = "ImagePullBackOff: Back-off pulling image"

    def missing(self, **fields: Any) -> MissingWorkers:
        given: dict[str, Any] = {"seconds": 12.0, "running": 0, "message": self.WORDS} | fields
        return MissingWorkers(**given)

    def look(self, spec: TuningStudySpec = SPEC, **more: Any) -> Plan:
        given = {"workers": self.NONE, "progress": make_progress(spec), "missing": self.missing()} | more
        return plan(seen(spec, **given))

    def test_are_told_in_their_own_words_and_once_as_an_event(self) -> None:
        decided = self.look()
        assert value(decided, "Running") == ("False", "WorkersPending")
        assert message(decided, "Running") == f"no worker runs: {self.WORDS}"
        assert reasons(decided) == ["WorkersPending"]
        again = self.look(status=decided.status, missing=self.missing(message="another image"))
        assert reasons(again) == []
        assert "another image" in message(again, "Running")

    def test_are_not_told_in_the_seconds_that_a_start_takes(self) -> None:
        assert value(self.look(missing=self.missing(seconds=6.0)), "Running") == ("True", "RoundStarted")

    def test_are_forgotten_when_they_run(self) -> None:
        pending = self.look().status
        decided = self.look(status=pending, missing=None, workers=RUNNING)
        assert value(decided, "Running") == ("True", "RoundStarted")

    def test_some_that_run_are_a_running_round_with_a_remark(self) -> None:
        decided = self.look(missing=self.missing(running=2))
        assert value(decided, "Running") == ("True", "RoundStarted")
        assert message(decided, "Running") == f"round 1 runs; 2 of 3 workers run; the others wait: {self.WORDS}"

    def test_that_all_run_are_no_remark_though_a_sidecar_is_not_ready(self) -> None:
        assert message(self.look(missing=self.missing(running=3)), "Running") == "round 1 runs"

    @pytest.mark.parametrize(
        ("minutes", "counts", "fields", "state"),
        [
            (9, {}, {}, "Pending"),
            (10, {}, {}, "Failed"),
            (10, {"running": 1}, {}, "Pending"),
            (10, {"failed": 1}, {}, "Pending"),
            (10, {}, {"budget": {"trials": 10, "startDeadline": "1h"}}, "Pending"),
        ],
    )
    def test_that_never_come_to_a_trial_fail_the_round_at_the_deadline(
        self, minutes: int, counts: dict[str, Any], fields: dict[str, Any], state: str
    ) -> None:
        spec = make_spec(workers={"replicas": 3}, **fields)
        now = NOW + timedelta(minutes=minutes)
        decided = self.look(spec, now=now, progress=make_progress(spec, **counts))
        assert decided.status.state == state
        if state == "Failed":
            assert value(decided, "Failed") == ("True", "StartDeadlineExceeded")
            assert self.WORDS in message(decided, "Failed")
            assert RemoveWorkers(1) in decided.actions

    def test_have_no_deadline_under_a_queue(self) -> None:
        observed = seen(
            workers=self.NONE, progress=make_progress(SPEC), missing=self.missing(), now=NOW + timedelta(days=1)
        )
        queued = replace(observed, workers=replace(self.NONE, queue="team"))
        assert plan(queued).status.state == "Pending"

    def test_are_made_anew_from_a_changed_manifest(self) -> None:
        corrected = make_spec(workers={"replicas": 3, "image": "right:1"})
        assert self.look(corrected).actions == (RemoveWorkers(1),)
        assert self.look(corrected, missing=self.missing(running=1)).actions == ()
        assert self.look(corrected, missing=None, workers=replace(self.NONE, suspended=True)).actions == (
            RemoveWorkers(1),
        )

    def test_are_no_reason_to_keep_what_a_round_is_made_of(self) -> None:
        pending = self.look().status
        wider = make_spec(workers={"replicas": 3}, parameters=[real(high=2.0)])
        decided = self.look(wider, status=pending, progress=make_progress(SPEC))
        assert (decided.status.round, decided.status.state) == (2, "Running")

    def test_pods_that_outlive_their_worker_are_removed(self) -> None:
        decided = self.look(missing=self.missing(running=2, outlived=["w-1"]))
        assert decided.actions == (RemoveWorker("w-1"),)


class TestPodsThatOutliveTheirRound:
    def test_are_removed_by_suspending_the_job_a_moment_after_its_end(self) -> None:
        done = plan(ended(status=make_status(), workers=RUNNING))
        soon = plan(ended(status=done.status, workers=RUNNING, now=NOW + timedelta(seconds=5)))
        assert (soon.actions, soon.poll) == ((), True)
        late = plan(ended(status=done.status, workers=RUNNING, now=NOW + timedelta(seconds=15)))
        assert late.actions == (ScaleWorkers(1, 3, suspended=True),)
        rest = plan(
            ended(status=done.status, workers=replace(RUNNING, suspended=True), now=NOW + timedelta(seconds=16))
        )
        assert (rest.actions, rest.poll) == ((), False)


class TestAStandstill:
    """Trials run, or none does, and none ends."""

    def told(self, spec: TuningStudySpec = SPEC, seconds: float = 0, **counts: Any) -> str:
        now = NOW + timedelta(seconds=seconds)
        return message(plan(seen(spec, progress=make_progress(spec, **counts), now=now)), "Running")

    @pytest.mark.parametrize(
        ("seconds", "counts", "told"),
        [
            (59, {"running": 2}, "round 1 runs"),
            (
                60,
                {"running": 2},
                "round 1 runs; 2 running, and no trial has ended for 1m; budget.trialDuration would bound a trial",
            ),
            (
                299,
                {"running": 2, "complete": 4},
                "round 1 runs; 2 running, and no trial has ended for 2m; budget.trialDuration would bound a trial",
            ),
            (60, {}, "round 1 runs; no trial has run for 1m: workers load the objective, or wait for a trial"),
        ],
    )
    def test_is_told_in_steps_that_grow(self, seconds: float, counts: dict[str, Any], told: str) -> None:
        assert self.told(seconds=seconds, **counts) == told

    def test_of_bounded_trials_needs_no_advice(self) -> None:
        spec = make_spec(workers={"replicas": 3}, budget={"trials": 10, "trialDuration": "1h"})
        assert self.told(spec, 600, running=1) == "round 1 runs; 1 running, and no trial has ended for 10m"
