"""A round whose search is over and whose best trials are measured again, as the operator sees and tells it."""

from dataclasses import replace
from typing import Any

from builders import make_progress, make_spec, make_status, make_worker
from tuning_operator.observe.observation import Observation
from tuning_operator.plan.actions import ReleaseTrials, RemoveWorkers
from tuning_operator.plan.decide import plan
from tuning_study.api.spec import TuningStudySpec
from tuning_study.budget import Counts, RoundLimits, StopReason
from tuning_study.round import verification_name
from unit.operator.plans import RUNNING, kinds, reasons, seen, value

FIELDS: dict[str, Any] = {
    "budget": {"trials": 10},
    "verification": {"top": 2, "repeats": 3},
    "workers": {"replicas": 3},
}
SPEC = make_spec(**FIELDS)
SEARCHED = make_progress(SPEC, complete=10)
STUDY = verification_name(SEARCHED.study, 10)


def verifying(spec: TuningStudySpec = SPEC, *, complete: int = 2, running: int = 2, **more: Any) -> Observation:
    """Two of six runs are done, two run."""
    verification = make_progress(
        spec,
        study=STUDY,
        limits=RoundLimits(6, 7),
        counts_by_worker={"w-0": Counts(running=1)},
        complete=complete,
        running=running,
    )
    return seen(spec, progress=SEARCHED, verification=verification, **more)


def test_it_is_told_when_the_search_is_over_and_the_workers_stay() -> None:
    decided = plan(seen(SPEC, progress=SEARCHED))
    assert (decided.status.state, decided.actions, decided.poll) == ("Verifying", (), True)
    assert reasons(decided) == ["Verifying"]
    assert value(decided, "Running") == ("True", "Verifying")
    assert decided.status.workers.desired == 3


def test_it_is_told_once_and_its_runs_are_counted() -> None:
    decided = plan(verifying(status=make_status(state="Verifying")))
    assert decided.events == ()
    assert decided.status.verification is not None
    assert (decided.status.verification.study, decided.status.verification.runs.summary) == (STUDY, "2/6")
    running = decided.status.condition("Running")
    assert running is not None
    assert running.message == "round 1: the best 2 trials are measured again, 3 times each, 2 of 6 done"


def test_a_lost_workers_run_waits_again_in_its_own_study() -> None:
    decided = plan(verifying(each=[make_worker(exit_code=137)]))
    assert decided.actions == (ReleaseTrials("w-0", killed=True, of=STUDY),)


def test_suspension_pauses_it() -> None:
    decided = plan(verifying(make_spec(**FIELDS, suspend=True)))
    assert decided.status.state == "Suspended"
    assert kinds(decided) == ["SetPaused", "ScaleWorkers"]
    assert vars(decided.actions[0]) == {"paused": True, "of": STUDY}


def test_workers_that_have_ended_too_early_are_started_again() -> None:
    decided = plan(verifying(workers=replace(RUNNING, finished="Complete", active=0, ready=0)))
    assert RemoveWorkers(1) in decided.actions


def test_the_round_ends_with_it_and_says_what_it_came_to() -> None:
    decided = plan(verifying(complete=6, running=0, verified="trial 3 has accuracy 0.9 on the mean of 3 runs"))
    assert decided.status.state == "Complete"
    assert value(decided, "Complete") == ("True", "BudgetUsed")
    complete = decided.status.condition("Complete")
    assert complete is not None
    assert complete.message == "10 complete, 0 pruned, 0 failed; trial 3 has accuracy 0.9 on the mean of 3 runs"


def test_a_search_that_failed_is_not_verified() -> None:
    failed = make_progress(SPEC, complete=3, failed=20, limits=RoundLimits(10, 20, stop=StopReason.TOO_MANY_FAILURES))
    assert plan(seen(SPEC, progress=failed)).status.state == "Failed"
