"""How a round ends, and what starts the next."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import NOW, choice, make_progress, make_spec, make_status
from tuning_operator.executors.view import WorkersView
from tuning_operator.observe.production import Production
from tuning_operator.plan.actions import (
    RemoveWorkers,
    ScaleWorkers,
    SetBudget,
    StartRound,
    StartWorkers,
)
from tuning_operator.plan.decide import plan
from tuning_operator.plan.draft import Plan
from tuning_study.api.status import Best, MetricValue, ParameterValue, ProductionStatus, RetuneStatus, Round
from tuning_study.budget import RoundLimits, StopReason
from tuning_study.requests import RetuneRequest
from unit.operator.plans import RUNNING, SPEC, SUSPENDED, ended, kinds, message, only, reasons, seen, value


class TestARoundThatIsOver:
    def test_is_complete_once_no_trial_runs(self) -> None:
        waiting = plan(
            ended(status=make_status(), progress=make_progress(SPEC, complete=10, running=1), workers=RUNNING)
        )
        assert (waiting.status.state, waiting.poll) == ("Running", True)
        decided = plan(ended(status=make_status(), workers=WorkersView(3, False, finished="Complete")))
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
        decided = plan(ended(status=make_status(), progress=progress, workers=RUNNING))
        told = "round 1 takes no more trials (BudgetUsed), and ends with those that run: 1 running"
        assert message(decided, "Running") == told

    @pytest.mark.parametrize(("silent", "waits"), [(59.0, True), (60.0, False)])
    def test_does_not_wait_for_workers_that_hang(self, silent: float, waits: bool) -> None:
        """In native code that keeps the interpreter's lock they neither hear of the end nor say that they live."""
        progress = replace(make_progress(SPEC, complete=10, running=1), seconds_since_heartbeat={"w-0": silent})
        decided = plan(ended(status=make_status(), progress=progress, workers=RUNNING))
        assert decided.actions == (() if waits else (ScaleWorkers(1, 3, suspended=True),))
        assert decided.status.state == "Running"

    def test_does_not_wait_for_trials_of_a_job_that_has_ended(self) -> None:
        progress = make_progress(SPEC, complete=10, running=1)
        job = WorkersView(3, False, finished="Complete")
        assert plan(ended(status=make_status(), progress=progress, workers=job)).status.state == "Complete"

    @pytest.mark.parametrize(
        ("over", "counts", "state", "message"),
        [
            (StopReason.GOAL_REACHED, {"complete": 4}, "Complete", "trial 3 reached accuracy 0.99; 4 complete"),
            (StopReason.NO_IMPROVEMENT, {"complete": 4}, "Complete", "trial 3 reached accuracy 0.99; 4 complete"),
            (None, {"complete": 9, "pruned": 1}, "Complete", "9 complete, 1 pruned, 0 failed"),
            (None, {"pruned": 10}, "Failed", "no trial completed: 0 complete, 10 pruned"),
            (None, {"complete": 1, "failed": 20}, "Failed", "as many as budget.failedTrials allows: 20 × no metric"),
            (StopReason.REJECTED, {}, "Failed", "the objective cannot run: trial 3"),
        ],
    )
    def test_says_how_it_ended(self, over: StopReason | None, counts: dict[str, Any], state: str, message: str) -> None:
        limits = RoundLimits(10, 20, stop=over)
        progress = make_progress(SPEC, limits=limits, detail="trial 3 reached accuracy 0.99", **counts)
        decided = plan(ended(status=make_status(), progress=progress, failures=[("no metric", 20)]))
        assert decided.status.state == state
        condition = decided.status.condition("Complete" if state == "Complete" else "Failed")
        assert condition is not None and condition.status == "True"
        assert message in condition.message

    def test_that_was_rejected_by_its_workers_is_not_accepted(self) -> None:
        decided = plan(ended(over=StopReason.REJECTED, status=make_status()))
        assert value(decided, "Accepted") == ("False", "ObjectiveRejected")

    def test_goes_on_when_its_budget_is_raised(self) -> None:
        spec = make_spec(budget={"trials": 20}, workers={"replicas": 3})
        raised = plan(ended(spec, progress=make_progress(SPEC, complete=10)))
        assert raised.actions == (SetBudget(spec.budget),)
        job = WorkersView(3, False, finished="Complete")
        going = plan(ended(spec, progress=make_progress(spec, complete=10), workers=job))
        assert going.actions == (RemoveWorkers(1),)
        assert (going.status.state, going.status.completion_time) == ("Running", None)
        assert value(going, "Complete")[0] == "False"

    def test_starts_a_new_one_when_its_spec_was_changed(self) -> None:
        changed = make_spec(parameters=[choice()], workers={"replicas": 3})
        decided = plan(ended(changed, progress=make_progress(SPEC, complete=10)))
        assert kinds(decided) == ["RemoveWorkers", "StartRound", "Record", "StartWorkers"]
        start = only(decided.actions, StartRound)
        assert (start.resolved.number, start.warm_from) == (2, None)
        assert decided.status.rounds[-1].trigger == "SpecChanged"


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

    def test_has_its_trials_told_since_when_the_model_is_degraded(self) -> None:
        fell = NOW - timedelta(hours=5)
        metrics = [ProductionStatus(name="accuracy", degraded_since=fell), ProductionStatus(name="latency")]
        decided = plan(ended(production=Production(metrics), request="please"))
        assert only(decided.actions, StartRound).resolved.degraded_since == fell
        assert only(decided.actions, StartWorkers).resolved.degraded_since == fell
        assert decided.status.rounds[-1].degraded_since == fell
        well = plan(ended(production=Production(metrics[1:]), request="please"))
        assert only(well.actions, StartRound).resolved.degraded_since is None

    def test_that_was_read_already_is_not_read_again(self) -> None:
        first = plan(ended(request="please"))
        progress = make_progress(SPEC, study="team/digits/uid-1/r2")
        again = plan(seen(request="please", status=first.status, progress=progress))
        assert again.actions == ()
        assert again.status.retune == first.status.retune

    def test_while_a_round_runs_starts_nothing_and_is_told(self) -> None:
        decided = plan(seen(request="please"))
        assert kinds(decided) == ["Record"]
        assert decided.status.retune.suppressed == 1
        assert "RetuneSuppressed" in reasons(decided)
        assert "RoundRunning" in decided.events[-1].message

    def test_to_a_suspended_study_starts_nothing(self) -> None:
        decided = plan(ended(SUSPENDED, request="please", progress=make_progress(SUSPENDED, complete=10)))
        assert decided.status.retune.suppressed == 1
        assert "StartRound" not in kinds(decided)

    def test_of_a_token_that_started_a_round_is_a_duplicate(self) -> None:
        status = make_status(state="Complete", retune=RetuneStatus(last_taken="please"))
        decided = plan(ended(status=status, request="please"))
        assert "Duplicate" in decided.events[-1].message

    def test_only_the_last_ten_rounds_stay_in_the_status(self) -> None:
        rounds = [
            Round(round=number, reason="by hand", study=f"team/digits/uid-1/r{number}") for number in range(3, 13)
        ]
        decided = plan(ended(status=make_status(12, "Complete", rounds=rounds), request="please"))
        assert [entry.round for entry in decided.status.rounds] == list(range(4, 14))

    def test_keeps_the_round_whose_parameters_are_in_production_however_many_improve_nothing(self) -> None:
        """Its best is the baseline of production, and what the next round is compared with."""
        best = Best(trial=7, metrics=[MetricValue(name="accuracy", value=0.9)], parameters=[])
        first = Round(round=1, trigger="Created", start_time=NOW, completion_time=NOW, best=best, study="team/d/u/r1")
        others = [
            Round(round=number, trigger="Schedule", start_time=NOW, completion_time=NOW, outcome="NoBetter")
            for number in range(2, 11)
        ]
        status = make_status(round=10, state="Complete", rounds=[first, *others])
        for number in (11, 12):
            decided = plan(ended(status=status, request=f"t{number}"))
            assert only(decided.actions, StartRound).incumbent == ("team/d/u/r1", 7)
            assert [entry.round for entry in decided.status.rounds] == [1, *range(number - 8, number + 1)]
            *earlier, entry = decided.status.rounds
            over = entry.model_copy(update={"completion_time": NOW, "outcome": "NoBetter"})
            status = decided.status.model_copy(update={"rounds": [*earlier, over], "state": "Complete"})

    @pytest.mark.parametrize("words", ["new data", "SpecChanged", "Created"])
    def test_starts_a_round_with_its_own_budget_and_warm_start_whatever_its_words(self, words: str) -> None:
        spec = make_spec(retune={"budget": {"trials": 5}}, workers={"replicas": 2})
        decided = plan(ended(spec, request=RetuneRequest("t", words).to_annotation("12:00")))
        start = only(decided.actions, StartRound)
        assert (start.budget.trials, start.warm_from) == (5, "team/digits/uid-1/r1")
        entry = decided.status.rounds[-1]
        assert (entry.trigger, entry.reason, entry.is_retuned) == ("Manual", words, True)


def test_an_earlier_round_keeps_its_best_without_the_parameters() -> None:
    best = Best(
        trial=3, metrics=[MetricValue(name="accuracy", value=0.9)], parameters=[ParameterValue(name="C", value="1")]
    )
    decided = plan(seen(progress=make_progress(SPEC, complete=10), best=best))
    assert decided.status.best == best
    assert decided.status.rounds[-1].best == best.model_copy(update={"parameters": []})


def test_a_verification_that_is_asked_for_after_the_round_is_a_new_round() -> None:
    """As by the manifest of now, the old one would have to be verified, by workers that know nothing of it."""
    before, now = make_spec(), make_spec(verification={"top": 1})
    progress = make_progress(before, complete=10)
    decided = plan(ended(now, progress=progress, status=make_status(state="Complete")))
    assert (decided.status.round, decided.status.rounds[-1].trigger) == (2, "SpecChanged")
