"""What the operator does and tells, from what it saw: the manifest, the store, a round that starts and runs."""

from typing import Any

import pytest

from builders import NOW, choice, make_observation, make_progress, make_spec, make_status
from tuning_operator.conditions import with_condition
from tuning_operator.executors.view import WorkersView
from tuning_operator.observe.observation import StoreProblem
from tuning_operator.plan.actions import (
    RemoveWorkers,
    ScaleWorkers,
    SetBudget,
    SetPaused,
    SetRetain,
    StartRound,
    StartWorkers,
)
from tuning_operator.plan.decide import plan
from tuning_operator.reasons import WORKERS_FAILED
from tuning_study.api.status import Round, TuningStudyStatus
from tuning_study.budget import RoundLimits
from tuning_study.round import spec_digest
from unit.operator.plans import RUNNING, SPEC, SUSPENDED, ended, kinds, only, reasons, seen, value


class TestAManifestThatCannotRun:
    REFUSED = make_observation(problems=["spec.budget: needs trials", "spec.x: no such field"])

    def test_starts_nothing_and_tells_every_problem(self) -> None:
        decided = plan(self.REFUSED)
        assert decided.actions == ()
        assert value(decided, "Accepted") == ("False", "InvalidSpec")
        assert decided.events[0].message == "spec.budget: needs trials; spec.x: no such field"
        assert decided.events[0].kind == "Warning"

    def test_counts_the_problems_that_are_more_than_a_person_reads_at_once(self) -> None:
        decided = plan(make_observation(problems=[f"spec.x{number}: no such field" for number in range(13)]))
        assert decided.events[0].message.count("no such field") == 10
        assert decided.events[0].message.endswith("; and 3 more")

    def test_is_told_once(self) -> None:
        status = plan(self.REFUSED).status
        assert plan(make_observation(problems=["x"], status=status)).events == ()

    def test_leaves_a_round_that_runs_alone(self) -> None:
        assert plan(seen(problems=["x"])).actions == ()


class TestTheStore:
    AWAY = StoreProblem("Unreachable", "no route to host")

    def test_that_is_away_starts_nothing_and_is_asked_again_soon(self) -> None:
        decided = plan(make_observation(SPEC, store=self.AWAY))
        assert (decided.actions, decided.poll) == ((), True)
        assert value(decided, "StoreReady") == ("False", "Unreachable")
        assert value(decided, "Running") == ("False", "NotStarted")
        assert reasons(decided) == ["Unreachable"]

    def test_that_goes_away_is_told_once_and_so_is_its_return(self) -> None:
        away = plan(seen(store=self.AWAY, progress=None))
        assert plan(seen(store=self.AWAY, progress=None, status=away.status)).events == ()
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
        decided = plan(make_observation(SPEC))
        assert kinds(decided) == ["StartRound", "Record", "StartWorkers"]
        start = only(decided.actions, StartRound)
        assert (start.resolved.study, start.budget, start.warm_from) == ("team/digits/uid-1/r1", SPEC.budget, None)
        assert only(decided.actions, StartWorkers).replicas == 3

    def test_reads_running_at_once(self) -> None:
        status = plan(make_observation(SPEC)).status
        assert (status.state, status.round, status.trials.summary) == ("Running", 1, "0/10")
        assert (status.start_time, status.completion_time) == (NOW, None)
        assert status.workers.desired == 3
        assert status.workers.selector == "tuning.dev/study=digits,tuning.dev/role=worker"
        assert [(entry.round, entry.trigger) for entry in status.rounds] == [(1, "Created")]
        assert value(status, "Running")[0] == "True"
        assert value(status, "Complete")[0] == value(status, "Failed")[0] == "False"

    def test_that_is_suspended_makes_its_round_and_no_workers(self) -> None:
        decided = plan(make_observation(SUSPENDED))
        assert kinds(decided) == ["StartRound", "Record"]
        assert decided.status.state == "Suspended"
        assert value(decided, "Suspended")[0] == "True"
        assert decided.status.workers.desired == 0

    def test_whose_round_is_not_in_the_store_yet_starts_the_same_one_again(self) -> None:
        before = plan(make_observation(SPEC))
        again = plan(make_observation(SPEC, status=before.status))
        assert again.actions == before.actions
        assert [entry.round for entry in again.status.rounds] == [1]


def test_a_round_that_was_started_and_never_told_is_started_again() -> None:
    decided = plan(seen(status=TuningStudyStatus(), workers=None))
    assert kinds(decided) == ["StartRound", "Record", "StartWorkers"]
    assert decided.status.round == 1


class TestARoundThatRuns:
    def test_needs_nothing_done(self) -> None:
        decided = plan(seen())
        assert (decided.actions, decided.events[1:], decided.poll) == ((), (), True)
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
        trials = plan(seen(spec, progress=make_progress(spec, complete=4), workers=RUNNING)).status.trials
        assert (trials.target, trials.summary) == (None, "4")

    def test_tells_its_phase(self) -> None:
        phases = [{"name": "explore", "trials": 4}, {"name": "exploit", "trials": 9}]
        spec = make_spec(strategy={"phases": phases}, workers={"replicas": 3})
        assert plan(seen(spec)).status.phase == "exploit"

    def test_whose_job_is_gone_gets_it_again(self) -> None:
        assert kinds(plan(seen(workers=None))) == ["StartWorkers"]

    def test_whose_job_is_going_waits_for_it(self) -> None:
        assert plan(seen(workers=WorkersView(3, False, deleting=True))).actions == ()

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
        progress = make_progress(spec, complete=1, limits=RoundLimits(50, 20))
        assert plan(seen(spec, status=status, progress=progress)).actions == ()

    def test_ignores_a_changed_search_space_until_it_is_at_rest(self) -> None:
        changed = make_spec(parameters=[choice()], workers={"replicas": 3})
        assert plan(seen(changed, progress=make_progress(SPEC, running=2))).actions == ()


class TestAPause:
    def test_stops_claims_and_workers(self) -> None:
        decided = plan(seen(SUSPENDED))
        assert decided.actions == (SetPaused(True), ScaleWorkers(1, 3, suspended=True))
        assert decided.status.state == "Suspended"
        assert value(decided, "Running") == ("False", "Suspended")
        assert decided.poll, "two trials are still at work"

    def test_that_holds_needs_nothing(self) -> None:
        progress = make_progress(SUSPENDED, limits=RoundLimits(10, 20, paused=True), complete=4)
        status = plan(seen(SUSPENDED)).status
        decided = plan(seen(SUSPENDED, progress=progress, status=status, workers=WorkersView(3, suspended=True)))
        assert (decided.actions, decided.events, decided.poll) == ((), (), False)

    def test_ends_with_the_same_workers(self) -> None:
        progress = make_progress(SPEC, limits=RoundLimits(10, 20, paused=True), complete=4)
        status = plan(seen(SUSPENDED)).status
        decided = plan(seen(progress=progress, status=status, workers=WorkersView(3, suspended=True)))
        assert decided.actions == (SetPaused(False), ScaleWorkers(1, 3, suspended=False))
        assert value(decided, "Suspended") == ("False", "Resumed")
        assert "Resumed" in reasons(decided)

    def test_with_a_changed_search_space_starts_a_new_round(self) -> None:
        changed = make_spec(parameters=[choice()], suspend=True)
        decided = plan(seen(changed, progress=make_progress(SPEC, complete=4)))
        assert kinds(decided) == ["RemoveWorkers", "StartRound", "Record"]
        assert decided.status.rounds[-1].trigger == "SpecChanged"


class TestANamespaceThatEnds:
    def test_is_not_held_up_by_the_workers(self) -> None:
        decided = plan(seen(namespace_ends=True))
        assert decided.actions == (RemoveWorkers(1),)
        assert decided.status == make_status()

    @pytest.mark.parametrize("job", [None, WorkersView(3, False, deleting=True)])
    def test_gets_nothing_new(self, job: WorkersView | None) -> None:
        assert plan(seen(namespace_ends=True, workers=job)).actions == ()
        assert plan(make_observation(SPEC, namespace_ends=True)).actions == ()


def test_a_changed_deletion_policy_reaches_the_history() -> None:
    decided = plan(seen(make_spec(workers={"replicas": 3}, deletionPolicy="Retain")))
    assert decided.actions == (SetRetain(True),)


class TestResultsThatCannotBeDescribed:
    def test_stop_neither_counting_nor_ending(self) -> None:
        decided = plan(ended(status=make_status(), workers=None, results_problem="KeyError: 'x'"))
        assert decided.status.state == "Complete"
        assert value(decided, "Stalled") == ("True", "ResultsUnreadable")
        assert "ResultsUnreadable" in reasons(decided)
        again = plan(ended(status=decided.status, results_problem="KeyError: 'x'"))
        assert reasons(again) == []

    def test_are_forgotten_when_they_can(self) -> None:
        stalled = plan(seen(results_problem="KeyError: 'x'")).status
        assert value(plan(seen(status=stalled)), "Stalled") == ("False", "NotStalled")


def test_what_a_status_says_of_an_old_generation_is_said_of_the_new_one() -> None:
    assert plan(seen(generation=5)).status.observed_generation == 5


def test_a_plan_is_the_same_every_time() -> None:
    assert plan(seen()) == plan(seen())


def test_the_whole_status_reads_back_and_stays_small() -> None:
    rounds = [Round(round=number, reason="r" * 256, study="s" * 300) for number in range(1, 11)]
    status = plan(ended(status=make_status(10, rounds=rounds))).status
    for kind in ("Accepted", "StoreReady", "Running", "Suspended", "Complete"):
        status = with_condition(status, kind, "True", WORKERS_FAILED, "x" * 1000, NOW)
    written = status.model_dump_json(by_alias=True, exclude_none=True)
    assert TuningStudyStatus.model_validate_json(written) == status
    assert len(written) < 16 * 1024


def test_the_digest_of_a_progress_is_that_of_its_own_spec() -> None:
    """Guards the builder: a wrong digest would make every test above start a new round."""
    assert make_progress(SPEC).digest == spec_digest(SPEC)
