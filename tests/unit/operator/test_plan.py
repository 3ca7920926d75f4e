"""What the operator does and tells, from what it saw."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from builders import NOW, choice, make_observed, make_progress, make_spec, make_status, real
from tuning_operator.actions import (
    Action,
    FailTrial,
    PutBack,
    RemovePod,
    RemoveWorkers,
    ScaleWorkers,
    SetBudget,
    SetPaused,
    SetRetain,
    StartRound,
    StartWorkers,
)
from tuning_operator.conditions import WORKERS_FAILED, WORKERS_REFUSED, with_condition
from tuning_operator.jobs import workers_digest
from tuning_operator.observed import JobView, MissingWorkers, Observed, PodView, StoreProblem
from tuning_operator.plan import Plan, is_retuned, plan, refused
from tuning_study.budget import Counts, Limits, Over
from tuning_study.digest import spec_digest
from tuning_study.spec import TuningStudySpec
from tuning_study.status import Best, ConditionType, MetricValue, ParameterValue, RetuneStatus, Round, TuningStudyStatus

A = TypeVar("A", bound=Action)
SPEC = make_spec(workers={"replicas": 3})
RUNNING = JobView(parallelism=3, suspended=False, active=3, ready=3)
SUSPENDED = make_spec(workers={"replicas": 3}, suspend=True)


def seen(spec: TuningStudySpec = SPEC, **more: Any) -> Observed:
    """A round that runs: three workers, four trials complete, two at work."""
    given = {
        "status": make_status(),
        "progress": make_progress(spec, complete=4, running=2),
        "job": RUNNING,
    } | more
    return make_observed(spec, **given)


def ended(spec: TuningStudySpec = SPEC, *, over: Over | None = None, **more: Any) -> Observed:
    """A round whose budget is used, or that ended for `over`."""
    limits = Limits(spec.budget.trials, spec.budget.failed_trials, stop=over)
    progress = make_progress(spec, complete=10, limits=limits, detail="trial 3 reached accuracy 0.99")
    return seen(spec, **({"progress": progress, "job": None, "status": make_status(state="Complete")} | more))


def value(decided: Plan | TuningStudyStatus, kind: ConditionType) -> tuple[str, str]:
    status = decided.status if isinstance(decided, Plan) else decided
    condition = status.condition(kind)
    assert condition is not None, f"no condition {kind}"
    return condition.status, condition.reason


def message(decided: Plan, kind: ConditionType) -> str:
    condition = decided.status.condition(kind)
    assert condition is not None, f"no condition {kind}"
    return condition.message


def only(actions: Sequence[Action], kind: type[A]) -> A:
    (found,) = [action for action in actions if isinstance(action, kind)]
    return found


def kinds(decided: Plan) -> list[str]:
    return [type(action).__name__ for action in decided.actions]


def reasons(decided: Plan) -> list[str]:
    return [note.reason for note in decided.notes]


class TestAManifestThatCannotRun:
    REFUSED = make_observed(problems=["spec.budget: needs trials", "spec.x: no such field"])

    def test_starts_nothing_and_tells_every_problem(self) -> None:
        decided = plan(self.REFUSED)
        assert decided.actions == ()
        assert value(decided, "Accepted") == ("False", "InvalidSpec")
        assert decided.notes[0].message == "spec.budget: needs trials; spec.x: no such field"
        assert decided.notes[0].kind == "Warning"

    def test_is_told_once(self) -> None:
        status = plan(self.REFUSED).status
        assert plan(make_observed(problems=["x"], status=status)).notes == ()

    def test_leaves_a_round_that_runs_alone(self) -> None:
        assert plan(seen(problems=["x"])).actions == ()


class TestTheStore:
    AWAY = StoreProblem("Unreachable", "no route to host")

    def test_that_is_away_starts_nothing_and_is_asked_again_soon(self) -> None:
        decided = plan(make_observed(SPEC, store=self.AWAY))
        assert (decided.actions, decided.poll) == ((), True)
        assert value(decided, "StoreReady") == ("False", "Unreachable")
        assert value(decided, "Running") == ("False", "NotStarted")
        assert reasons(decided) == ["Unreachable"]

    def test_that_goes_away_is_told_once_and_so_is_its_return(self) -> None:
        away = plan(seen(store=self.AWAY, progress=None))
        assert plan(seen(store=self.AWAY, progress=None, status=away.status)).notes == ()
        back = plan(seen(status=away.status))
        assert reasons(back) == ["Connected"]
        assert value(back, "StoreReady") == ("True", "Connected")

    def test_that_goes_away_leaves_a_running_study_running(self) -> None:
        decided = plan(seen(store=self.AWAY, progress=None))
        assert decided.status.state == "Running"
        assert decided.status.condition("Running") is None

    def test_that_all_namespaces_share_is_ready_with_a_warning(self) -> None:
        decided = plan(seen(shared_role=True))
        assert value(decided, "StoreReady") == ("True", "SharedRole")


class TestANewStudy:
    def test_starts_its_round_before_its_workers(self) -> None:
        decided = plan(make_observed(SPEC))
        assert kinds(decided) == ["StartRound", "StartWorkers"]
        start = only(decided.actions, StartRound)
        assert (start.resolved.study, start.budget, start.warm_from) == ("team/digits/uid-1/r1", SPEC.budget, None)
        assert only(decided.actions, StartWorkers).replicas == 3

    def test_reads_running_at_once(self) -> None:
        status = plan(make_observed(SPEC)).status
        assert (status.state, status.round, status.trials.summary) == ("Running", 1, "0/10")
        assert (status.start_time, status.completion_time) == (NOW, None)
        assert status.workers.desired == 3
        assert status.workers.selector == "tuning.dev/study=digits,tuning.dev/role=worker"
        assert [(entry.round, entry.reason) for entry in status.rounds] == [(1, "Created")]
        assert value(status, "Running")[0] == "True"
        assert value(status, "Complete")[0] == value(status, "Failed")[0] == "False"

    def test_that_is_suspended_makes_its_round_and_no_workers(self) -> None:
        decided = plan(make_observed(SUSPENDED))
        assert kinds(decided) == ["StartRound"]
        assert decided.status.state == "Suspended"
        assert value(decided, "Suspended")[0] == "True"
        assert decided.status.workers.desired == 0

    def test_whose_round_is_not_in_the_store_yet_starts_the_same_one_again(self) -> None:
        before = plan(make_observed(SPEC))
        again = plan(make_observed(SPEC, status=before.status))
        assert again.actions == before.actions
        assert [entry.round for entry in again.status.rounds] == [1]


class TestARoundThatRuns:
    def test_needs_nothing_done(self) -> None:
        decided = plan(seen())
        assert (decided.actions, decided.notes[1:], decided.poll) == ((), (), True)
        assert decided.status.state == "Running"

    def test_is_counted(self) -> None:
        progress = make_progress(SPEC, complete=4, pruned=2, failed=1, running=2, waiting=1)
        trials = plan(seen(progress=progress)).status.trials
        assert trials.model_dump() == {
            "target": 10,
            "complete": 4,
            "pruned": 2,
            "failed": 1,
            "running": 2,
            "waiting": 1,
            "summary": "6/10",
        }

    def test_without_a_trial_budget_counts_without_a_target(self) -> None:
        spec = make_spec(budget={"duration": "1h"})
        trials = plan(seen(spec, progress=make_progress(spec, complete=4), job=RUNNING)).status.trials
        assert (trials.target, trials.summary) == (None, "4")

    def test_tells_its_phase(self) -> None:
        phases = [{"name": "explore", "trials": 4}, {"name": "exploit", "trials": 9}]
        spec = make_spec(strategy={"phases": phases}, workers={"replicas": 3})
        assert plan(seen(spec)).status.phase == "exploit"

    def test_whose_job_is_gone_gets_it_again(self) -> None:
        assert kinds(plan(seen(job=None))) == ["StartWorkers"]

    def test_whose_job_is_going_waits_for_it(self) -> None:
        assert plan(seen(job=JobView(3, False, deleting=True))).actions == ()

    @pytest.mark.parametrize("replicas", [1, 5])
    def test_follows_the_replicas(self, replicas: int) -> None:
        spec = make_spec(workers={"replicas": replicas})
        assert plan(seen(spec)).actions == (ScaleWorkers(1, replicas, suspended=False),)

    @pytest.mark.parametrize(
        "budget", [{"trials": 20}, {"trials": 5}, {"trials": 10, "failedTrials": 3}, {"trials": 10, "duration": "1h"}]
    )
    def test_follows_the_budget(self, budget: dict[str, Any]) -> None:
        spec = make_spec(budget=budget, workers={"replicas": 3})
        decided = plan(seen(spec, progress=make_progress(SPEC, complete=4)))
        assert only(decided.actions, SetBudget).budget == spec.budget
        assert "BudgetChanged" in reasons(decided)

    def test_keeps_the_budget_it_was_retuned_with(self) -> None:
        spec = make_spec(retune={"budget": {"trials": 50}}, workers={"replicas": 3})
        status = make_status(2, rounds=[Round(round=2, reason="by hand")])
        progress = make_progress(spec, complete=1, limits=Limits(50, 20))
        assert plan(seen(spec, status=status, progress=progress)).actions == ()

    def test_ignores_a_changed_search_space_until_it_is_at_rest(self) -> None:
        changed = make_spec(parameters=[choice()], workers={"replicas": 3})
        assert plan(seen(changed, progress=make_progress(SPEC, running=2))).actions == ()


def pod(**fields: Any) -> PodView:
    return PodView(**({"name": "w-0", "ended": True} | fields))


class TestANamespaceThatEnds:
    def test_is_not_held_up_by_the_workers(self) -> None:
        assert plan(seen(namespace_ends=True)).actions == (RemoveWorkers(1),)

    @pytest.mark.parametrize("job", [None, JobView(3, False, deleting=True)])
    def test_gets_nothing_new(self, job: JobView | None) -> None:
        assert plan(seen(namespace_ends=True, job=job)).actions == ()
        assert plan(make_observed(SPEC, namespace_ends=True)).actions == ()


class TestALostTrial:
    SHARES = {"w-0": Counts(running=1), "w-1": Counts(complete=4, running=1)}
    LIVING = PodView("w-1", ended=False)

    def settle(self, *pods: PodView, **more: Any) -> Plan:
        progress = make_progress(SPEC, shares=self.SHARES, complete=4, running=2)
        return plan(seen(progress=progress, pods=[*pods, self.LIVING], **more))

    @pytest.mark.parametrize(
        "pods",
        [
            [],
            [pod(disrupted=True, exit_code=137)],
            [pod(exit_code=143)],
            [pod(exit_code=0)],
            [pod(exit_code=None, reason="Evicted")],
            [pod(disrupted=True, exit_code=137, reason="OOMKilled")],
        ],
        ids=["gone", "disrupted", "SIGTERM", "exit-0", "never-ran", "disrupted-while-killed"],
    )
    def test_waits_again_when_it_is_not_to_blame(self, pods: list[PodView]) -> None:
        decided = self.settle(*pods)
        assert decided.actions == (PutBack("w-0"),)
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
        (note,) = [note for note in self.settle(pod(**fields)).notes if note.reason == "TrialsPutBack"]
        assert note.message == f"pod w-0 {told}: its trial waits again, charged to nobody"

    def test_of_a_worker_that_was_killed_waits_again_but_is_counted(self) -> None:
        assert self.settle(pod(exit_code=137)).actions == (PutBack("w-0", killed=True),)

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
        decided = self.settle(pod(**fields))
        failed = only(decided.actions, FailTrial)
        assert failed.worker == "w-0"
        assert reason in failed.reason
        assert "TrialEndedPod" in reasons(decided)

    @pytest.mark.parametrize(("late", "put_back"), [(-30, False), (5, False), (15, True)])
    def test_of_a_pod_on_a_lost_node_waits_again_when_its_grace_is_over(self, late: int, put_back: bool) -> None:
        decided = self.settle(pod(ended=False, end_by=NOW - timedelta(seconds=late)))
        assert decided.actions == ((PutBack("w-0"),) if put_back else ())
        assert any("does not answer" in note.message for note in decided.notes) is put_back

    def test_is_not_looked_for_in_a_pod_that_lives(self) -> None:
        assert self.settle(pod(ended=False)).actions == ()

    def test_is_not_missed_while_nobody_has_looked_at_the_pods(self) -> None:
        progress = make_progress(SPEC, shares=self.SHARES, running=2)
        assert plan(seen(progress=progress, pods=None)).actions == ()

    def test_is_settled_when_the_round_is_over_too(self) -> None:
        progress = make_progress(SPEC, shares=self.SHARES, complete=10, running=2)
        assert plan(seen(progress=progress, pods=[self.LIVING])).actions == (PutBack("w-0"),)


class TestAPause:
    def test_stops_claims_and_workers(self) -> None:
        decided = plan(seen(SUSPENDED))
        assert decided.actions == (SetPaused(True), ScaleWorkers(1, 3, suspended=True))
        assert decided.status.state == "Suspended"
        assert value(decided, "Running") == ("False", "Suspended")
        assert decided.poll, "two trials are still at work"

    def test_that_holds_needs_nothing(self) -> None:
        progress = make_progress(SUSPENDED, limits=Limits(10, 20, paused=True), complete=4)
        status = plan(seen(SUSPENDED)).status
        decided = plan(seen(SUSPENDED, progress=progress, status=status, job=JobView(3, suspended=True)))
        assert (decided.actions, decided.notes, decided.poll) == ((), (), False)

    def test_ends_with_the_same_workers(self) -> None:
        progress = make_progress(SPEC, limits=Limits(10, 20, paused=True), complete=4)
        status = plan(seen(SUSPENDED)).status
        decided = plan(seen(progress=progress, status=status, job=JobView(3, suspended=True)))
        assert decided.actions == (SetPaused(False), ScaleWorkers(1, 3, suspended=False))
        assert value(decided, "Suspended") == ("False", "Resumed")
        assert "Resumed" in reasons(decided)

    def test_with_a_changed_search_space_starts_a_new_round(self) -> None:
        changed = make_spec(parameters=[choice()], suspend=True)
        decided = plan(seen(changed, progress=make_progress(SPEC, complete=4)))
        assert kinds(decided) == ["RemoveWorkers", "StartRound"]
        assert decided.status.rounds[-1].reason == "SpecChanged"


class TestARoundThatIsOver:
    def test_is_complete_once_no_trial_runs(self) -> None:
        waiting = plan(ended(status=make_status(), progress=make_progress(SPEC, complete=10, running=1), job=RUNNING))
        assert (waiting.status.state, waiting.poll) == ("Running", True)
        decided = plan(ended(status=make_status(), job=JobView(3, False, finished="Complete")))
        assert decided.status.state == "Complete"
        assert value(decided, "Complete") == ("True", "BudgetUsed")
        assert value(decided, "Running") == ("False", "RoundEnded")
        assert decided.status.completion_time == decided.status.rounds[-1].completion_time == NOW
        assert decided.status.workers.desired == 0
        assert not decided.poll

    def test_is_told_once(self) -> None:
        done = plan(ended(status=make_status()))
        again = plan(ended(status=done.status, now=NOW + timedelta(hours=1)))
        assert again == Plan(done.status)

    def test_says_what_it_waits_for(self) -> None:
        progress = make_progress(SPEC, complete=10, running=1)
        decided = plan(ended(status=make_status(), progress=progress, job=RUNNING))
        told = "round 1 takes no more trials (BudgetUsed), and ends with those that run: 1 running"
        assert message(decided, "Running") == told

    @pytest.mark.parametrize(("silent", "waits"), [(59.0, True), (60.0, False)])
    def test_does_not_wait_for_workers_that_hang(self, silent: float, waits: bool) -> None:
        """In native code that keeps the interpreter's lock they neither hear of the end nor say that they live."""
        progress = replace(make_progress(SPEC, complete=10, running=1), silent={"w-0": silent})
        decided = plan(ended(status=make_status(), progress=progress, job=RUNNING))
        assert decided.actions == (() if waits else (ScaleWorkers(1, 3, suspended=True),))
        assert decided.status.state == "Running"

    def test_does_not_wait_for_trials_of_a_job_that_has_ended(self) -> None:
        progress = make_progress(SPEC, complete=10, running=1)
        job = JobView(3, False, finished="Complete")
        assert plan(ended(status=make_status(), progress=progress, job=job)).status.state == "Complete"

    @pytest.mark.parametrize(
        ("over", "counts", "state", "message"),
        [
            (Over.GOAL_REACHED, {"complete": 4}, "Complete", "trial 3 reached accuracy 0.99; 4 complete"),
            (None, {"complete": 9, "pruned": 1}, "Complete", "9 complete, 1 pruned, 0 failed"),
            (None, {"pruned": 10}, "Failed", "no trial completed: 0 complete, 10 pruned"),
            (None, {"complete": 1, "failed": 20}, "Failed", "as many as budget.failedTrials allows: 20 × no metric"),
            (Over.REJECTED, {}, "Failed", "the objective cannot run: trial 3"),
        ],
    )
    def test_says_how_it_ended(self, over: Over | None, counts: dict[str, int], state: str, message: str) -> None:
        limits = Limits(10, 20, stop=over)
        progress = make_progress(SPEC, limits=limits, detail="trial 3 reached accuracy 0.99", **counts)
        decided = plan(ended(status=make_status(), progress=progress, failures=[("no metric", 20)]))
        assert decided.status.state == state
        condition = decided.status.condition("Complete" if state == "Complete" else "Failed")
        assert condition is not None and condition.status == "True"
        assert message in condition.message

    def test_that_was_rejected_by_its_workers_is_not_accepted(self) -> None:
        decided = plan(ended(over=Over.REJECTED, status=make_status()))
        assert value(decided, "Accepted") == ("False", "ObjectiveRejected")

    def test_goes_on_when_its_budget_is_raised(self) -> None:
        spec = make_spec(budget={"trials": 20}, workers={"replicas": 3})
        raised = plan(ended(spec, progress=make_progress(SPEC, complete=10)))
        assert raised.actions == (SetBudget(spec.budget),)
        job = JobView(3, False, finished="Complete")
        going = plan(ended(spec, progress=make_progress(spec, complete=10), job=job))
        assert going.actions == (RemoveWorkers(1),)
        assert (going.status.state, going.status.completion_time) == ("Running", None)
        assert value(going, "Complete")[0] == "False"

    def test_starts_a_new_one_when_its_spec_was_changed(self) -> None:
        changed = make_spec(parameters=[choice()], workers={"replicas": 3})
        decided = plan(ended(changed, progress=make_progress(SPEC, complete=10)))
        assert kinds(decided) == ["RemoveWorkers", "StartRound", "StartWorkers"]
        start = only(decided.actions, StartRound)
        assert (start.resolved.number, start.warm_from) == (2, None)
        assert decided.status.rounds[-1].reason == "SpecChanged"


class TestARequestForARound:
    def test_starts_one_from_the_best_of_the_last(self) -> None:
        spec = make_spec(retune={"budget": {"trials": 5}, "warmStart": {"best": 3}}, workers={"replicas": 2})
        decided = plan(ended(spec, request="please"))
        start = only(decided.actions, StartRound)
        assert (start.resolved.number, start.budget.trials) == (2, 5)
        assert (start.warm_from, start.warm_best) == ("team/digits/uid-1/r1", 3)
        assert decided.actions[0] == RemoveWorkers(1)
        assert decided.status.retune.last_handled == "please"
        assert "RetuneStarted" in reasons(decided)
        assert (decided.status.best, decided.status.trials.summary) == (None, "0/5")

    def test_that_was_read_already_is_not_read_again(self) -> None:
        first = plan(ended(request="please"))
        progress = make_progress(SPEC, study="team/digits/uid-1/r2")
        again = plan(seen(request="please", status=first.status, progress=progress))
        assert again.actions == ()
        assert again.status.retune == first.status.retune

    def test_while_a_round_runs_starts_nothing_and_is_told(self) -> None:
        decided = plan(seen(request="please"))
        assert decided.actions == ()
        assert decided.status.retune.suppressed == 1
        assert "RetuneSuppressed" in reasons(decided)
        assert "RoundRunning" in decided.notes[-1].message

    def test_to_a_suspended_study_starts_nothing(self) -> None:
        decided = plan(ended(SUSPENDED, request="please", progress=make_progress(SUSPENDED, complete=10)))
        assert decided.status.retune.suppressed == 1
        assert "StartRound" not in kinds(decided)

    def test_of_a_token_that_started_a_round_is_a_duplicate(self) -> None:
        status = make_status(state="Complete", retune=RetuneStatus(last_taken="please"))
        decided = plan(ended(status=status, request="please"))
        assert "Duplicate" in decided.notes[-1].message

    def test_only_the_last_ten_rounds_stay_in_the_status(self) -> None:
        rounds = [
            Round(round=number, reason="by hand", study=f"team/digits/uid-1/r{number}") for number in range(3, 13)
        ]
        decided = plan(ended(status=make_status(12, "Complete", rounds=rounds), request="please"))
        assert [entry.round for entry in decided.status.rounds] == list(range(4, 14))

    @pytest.mark.parametrize(("reason", "asked"), [("Created", False), ("SpecChanged", False), ("drift", True)])
    def test_is_told_from_rounds_that_a_manifest_made(self, reason: str, asked: bool) -> None:
        assert is_retuned(reason) is asked


class TestWorkersThatFail:
    CRASHED = JobView(3, False, failed=9)
    PODS = [pod(exit_code=1, message="Traceback\nImportError: no module named psycopg2")]

    def give_up(self, **more: Any) -> Plan:
        given = {"progress": make_progress(SPEC), "job": self.CRASHED, "pods": self.PODS} | more
        return plan(seen(**given))

    def test_three_times_each_without_ending_a_trial_fail_the_study_with_their_last_words(self) -> None:
        decided = self.give_up()
        assert decided.status.state == "Failed"
        assert value(decided, "Failed") == ("True", "WorkersFailed")
        assert "no module named psycopg2" in decided.notes[-1].message
        assert decided.actions == (RemoveWorkers(1),)

    def test_less_often_or_after_a_trial_has_ended_are_forgiven(self) -> None:
        assert self.give_up(job=JobView(3, False, failed=8)).status.state == "Running"
        assert self.give_up(progress=make_progress(SPEC, failed=1)).status.state == "Running"

    @pytest.mark.parametrize(
        ("pods", "state"),
        [
            ([pod(name="old", exit_code=1), *(pod(name=f"new-{n}", exit_code=1) for n in range(9))], "Failed"),
            ([pod(name="old", exit_code=1), *(pod(name=f"new-{n}", exit_code=1) for n in range(8))], "Running"),
            ([*(pod(name=f"new-{n}", exit_code=1) for n in range(9)), pod(name="old", exit_code=1)], "Running"),
            ([PodView("old", ended=False), *(pod(name=f"new-{n}", exit_code=1) for n in range(9))], "Running"),
            ([pod(name="old", exit_code=1), *(pod(name=f"new-{n}", exit_code=143) for n in range(9))], "Running"),
        ],
        ids=["nine since", "eight since", "nine before", "another works on", "stopped, not failed"],
    )
    def test_since_a_trial_ended_fail_the_study_too(self, pods: list[PodView], state: str) -> None:
        progress = make_progress(SPEC, complete=2, shares={"old": Counts(complete=2)})
        assert self.give_up(progress=progress, pods=pods).status.state == state

    def test_as_a_job_fail_the_study_however_far_it_came(self) -> None:
        job = JobView(3, False, failed=40, finished="Failed", message="backoff limit")
        decided = self.give_up(job=job, progress=make_progress(SPEC, complete=3))
        assert decided.status.state == "Failed"
        assert "backoff limit" in decided.notes[-1].message

    @pytest.mark.parametrize("job", [None, JobView(3, False, failed=9, deleting=True)])
    def test_stay_away_when_the_job_has_been_removed(self, job: JobView | None) -> None:
        status = self.give_up().status
        decided = self.give_up(job=job, status=status)
        assert (decided.actions, decided.notes, decided.status.state) == ((), (), "Failed")

    def test_are_tried_again_when_the_manifest_changes(self) -> None:
        status = self.give_up().status
        decided = self.give_up(job=None, status=status, generation=2)
        assert kinds(decided) == ["StartWorkers"]
        assert decided.status.state == "Running"

    def test_leave_room_for_a_new_round(self) -> None:
        status = self.give_up().status
        changed = make_spec(parameters=[choice()])
        by_spec = self.give_up(job=None, status=status, spec=changed, generation=2)
        by_hand = self.give_up(job=None, status=status, request="please")
        for decided in (by_spec, by_hand):
            assert only(decided.actions, StartRound).resolved.number == 2


def test_what_a_status_says_of_an_old_generation_is_said_of_the_new_one() -> None:
    assert plan(seen(generation=5)).status.observed_generation == 5


def test_a_plan_is_the_same_every_time() -> None:
    assert plan(seen()) == plan(seen())


def test_the_whole_status_reads_back_and_stays_small() -> None:
    rounds = [Round(round=number, reason="r" * 256, study="s" * 300) for number in range(1, 11)]
    status = plan(ended(status=make_status(10, rounds=rounds))).status
    for kind in ("Accepted", "StoreReady", "Running", "Suspended", "Complete"):
        status = with_condition(status, kind, "True", WORKERS_FAILED, "x" * 1000, NOW)  # type: ignore[arg-type]
    written = status.model_dump_json(by_alias=True, exclude_none=True)
    assert TuningStudyStatus.model_validate_json(written) == status
    assert len(written) < 16 * 1024


def test_the_digest_of_a_progress_is_that_of_its_own_spec() -> None:
    """Guards the builder: a wrong digest would make every test above start a new round."""
    assert make_progress(SPEC).digest == spec_digest(SPEC)


def test_a_round_that_was_started_and_never_told_is_started_again() -> None:
    decided = plan(seen(status=TuningStudyStatus(), job=None))
    assert [type(action) for action in decided.actions] == [StartRound, StartWorkers]
    assert decided.status.round == 1


def test_in_a_namespace_that_ends_the_job_goes_first() -> None:
    decided = plan(seen(namespace_ends=True))
    assert decided.actions == (RemoveWorkers(1),)
    assert decided.status == make_status()


def test_workers_that_the_api_server_refuses_are_told_once() -> None:
    observed = seen()
    decided = refused(observed, plan(observed), "quantities must match the regular expression")
    assert value(decided, "Running") == ("False", WORKERS_REFUSED)
    assert [note.reason for note in decided.notes] == [WORKERS_REFUSED]

    again = refused(seen(status=decided.status), plan(observed), "quantities must match the regular expression")
    assert again.notes == ()


def test_an_earlier_round_keeps_its_best_without_the_parameters() -> None:
    best = Best(
        trial=3, metrics=[MetricValue(name="accuracy", value=0.9)], parameters=[ParameterValue(name="C", value="1")]
    )
    decided = plan(seen(progress=make_progress(SPEC, complete=10), best=best))
    assert decided.status.best == best
    assert decided.status.rounds[-1].best == best.model_copy(update={"parameters": []})


def test_a_changed_deletion_policy_reaches_the_history() -> None:
    decided = plan(seen(make_spec(workers={"replicas": 3}, deletionPolicy="Retain")))
    assert decided.actions == (SetRetain(True),)


class TestWorkersThatDoNotRun:
    """The Job is there, and its pods are not, or do not begin."""

    NONE = JobView(3, False, started_at=NOW, workers_digest=workers_digest(SPEC.workers))
    WORDS = "ImagePullBackOff: Back-off pulling image"

    def missing(self, **fields: Any) -> MissingWorkers:
        return MissingWorkers(**({"seconds": 12.0, "running": 0, "message": self.WORDS} | fields))

    def look(self, spec: TuningStudySpec = SPEC, **more: Any) -> Plan:
        given = {"job": self.NONE, "progress": make_progress(spec), "missing": self.missing()} | more
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
        decided = self.look(status=pending, missing=None, job=RUNNING)
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
        self, minutes: int, counts: dict[str, int], fields: dict[str, Any], state: str
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
            job=self.NONE, progress=make_progress(SPEC), missing=self.missing(), now=NOW + timedelta(days=1)
        )
        queued = replace(observed, study=replace(observed.study, queue="team"))
        assert plan(queued).status.state == "Pending"

    def test_are_made_anew_from_a_changed_manifest(self) -> None:
        corrected = make_spec(workers={"replicas": 3, "image": "right:1"})
        assert self.look(corrected).actions == (RemoveWorkers(1),)
        assert self.look(corrected, missing=self.missing(running=1)).actions == ()
        assert self.look(corrected, missing=None, job=replace(self.NONE, suspended=True)).actions == (RemoveWorkers(1),)

    def test_are_no_reason_to_keep_what_a_round_is_made_of(self) -> None:
        pending = self.look().status
        wider = make_spec(workers={"replicas": 3}, parameters=[real(high=2.0)])
        decided = self.look(wider, status=pending, progress=make_progress(SPEC))
        assert (decided.status.round, decided.status.state) == (2, "Running")

    def test_pods_that_outlive_their_worker_are_removed(self) -> None:
        decided = self.look(missing=self.missing(running=2, outlived=["w-1"]))
        assert decided.actions == (RemovePod("w-1"),)


class TestPodsThatOutliveTheirRound:
    def test_are_removed_by_suspending_the_job_a_moment_after_its_end(self) -> None:
        done = plan(ended(status=make_status(), job=RUNNING))
        soon = plan(ended(status=done.status, job=RUNNING, now=NOW + timedelta(seconds=5)))
        assert (soon.actions, soon.poll) == ((), True)
        late = plan(ended(status=done.status, job=RUNNING, now=NOW + timedelta(seconds=15)))
        assert late.actions == (ScaleWorkers(1, 3, suspended=True),)
        rest = plan(ended(status=done.status, job=replace(RUNNING, suspended=True), now=NOW + timedelta(seconds=16)))
        assert (rest.actions, rest.poll) == ((), False)


class TestAStandstill:
    """Trials run, or none does, and none ends."""

    def told(self, spec: TuningStudySpec = SPEC, seconds: float = 0, **counts: int) -> str:
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
    def test_is_told_in_steps_that_grow(self, seconds: float, counts: dict[str, int], told: str) -> None:
        assert self.told(seconds=seconds, **counts) == told

    def test_of_bounded_trials_needs_no_advice(self) -> None:
        spec = make_spec(workers={"replicas": 3}, budget={"trials": 10, "trialDuration": "1h"})
        assert self.told(spec, 600, running=1) == "round 1 runs; 1 running, and no trial has ended for 10m"


class TestResultsThatCannotBeDescribed:
    def test_stop_neither_counting_nor_ending(self) -> None:
        decided = plan(ended(status=make_status(), job=None, results_problem="KeyError: 'x'"))
        assert decided.status.state == "Complete"
        assert value(decided, "Stalled") == ("True", "ResultsUnreadable")
        assert "ResultsUnreadable" in reasons(decided)
        again = plan(ended(status=decided.status, results_problem="KeyError: 'x'"))
        assert reasons(again) == []

    def test_are_forgotten_when_they_can(self) -> None:
        stalled = plan(seen(results_problem="KeyError: 'x'")).status
        assert value(plan(seen(status=stalled)), "Stalled") == ("False", "NotStalled")
