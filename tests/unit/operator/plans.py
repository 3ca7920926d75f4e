"""Situations of a study for tests of the plan, and what a plan says."""

from collections.abc import Sequence
from typing import Any, TypeVar

from builders import make_observation, make_progress, make_spec, make_status
from tuning_operator.executors.view import WorkersView
from tuning_operator.observe.observation import Observation
from tuning_operator.plan.actions import Action
from tuning_operator.plan.draft import Plan
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.status import ConditionType, TuningStudyStatus
from tuning_study.budget import RoundLimits, StopReason

A = TypeVar("A", bound=Action)
SPEC = make_spec(workers={"replicas": 3})
RUNNING = WorkersView(replicas=3, suspended=False, active=3, ready=3)
SUSPENDED = make_spec(workers={"replicas": 3}, suspend=True)


def seen(spec: TuningStudySpec = SPEC, **more: Any) -> Observation:
    """A round that runs: three workers, four trials complete, two at work."""
    given: dict[str, Any] = {
        "status": make_status(),
        "progress": make_progress(spec, complete=4, running=2),
        "workers": RUNNING,
    } | more
    return make_observation(spec, **given)


def ended(spec: TuningStudySpec = SPEC, *, over: StopReason | None = None, **more: Any) -> Observation:
    """A round whose budget is used, or that ended for `over`."""
    limits = RoundLimits(spec.budget.trials, spec.budget.failed_trials, stop=over)
    progress = make_progress(spec, complete=10, limits=limits, detail="trial 3 reached accuracy 0.99")
    return seen(spec, **({"progress": progress, "workers": None, "status": make_status(state="Complete")} | more))


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
    return [note.reason for note in decided.events]
