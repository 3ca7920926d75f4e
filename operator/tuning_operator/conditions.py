"""Condition types, and the reasons that conditions and Events carry; each says when it holds."""

from datetime import datetime
from typing import Final, Literal

from tuning_study.status import Condition, ConditionType, TuningStudyStatus

# Accepted
VALID: Final = "Valid"  # the manifest can run
INVALID_SPEC: Final = "InvalidSpec"  # it cannot, whatever the workers do; nothing is started
OBJECTIVE_REJECTED: Final = "ObjectiveRejected"  # the workers found that no trial could run

# StoreReady
CONNECTED: Final = "Connected"  # the store answers, and the namespace has a role of its own
SHARED_ROLE: Final = "SharedRole"  # the store answers, but all namespaces share one login
UNREACHABLE: Final = "Unreachable"  # no answer; the study goes on when there is one
AUTHENTICATION_FAILED: Final = "AuthenticationFailed"  # the store refuses the name or password
PERMISSION_DENIED: Final = "PermissionDenied"  # the role may not make schemas or roles
SECRET_UNUSABLE: Final = "SecretUnusable"  # noqa: S105 - spec.storage names a Secret that cannot be used

# Running
ROUND_STARTED: Final = "RoundStarted"  # workers take trials
ROUND_ENDED: Final = "RoundEnded"
NOT_STARTED: Final = "NotStarted"  # waits for its manifest or the store
SUSPENDED: Final = "Suspended"  # spec.suspend is true
RESUMED: Final = "Resumed"
WORKERS_REFUSED: Final = "WorkersRefused"  # the API server does not take the worker Job: spec.workers is wrong

WORKERS_PENDING: Final = "WorkersPending"  # none runs yet, or none any more; the message has the pods' own words

# Stalled
LOOK_FAILED: Final = "LookFailed"  # the operator cannot look at the study, for a reason that is not the study's
RESULTS_UNREADABLE: Final = "ResultsUnreadable"  # the best trials cannot be described; counts and ends can
NOT_STALLED: Final = "NotStalled"

# Failed
START_DEADLINE: Final = "StartDeadlineExceeded"  # no trial began within budget.startDeadline
WORKERS_FAILED: Final = "WorkersFailed"  # the worker Job failed, or its pods fail without finishing a trial
NOT_FAILED: Final = "NotFailed"
# Complete and Failed also carry budget.Over's reasons: BudgetUsed, DurationUsed, GoalReached, TooManyFailures

# Events alone
SCALED: Final = "Scaled"  # spec.workers.replicas changed
BUDGET_CHANGED: Final = "BudgetChanged"
TRIALS_PUT_BACK: Final = "TrialsPutBack"  # their pod is gone; charged to nobody
TRIAL_ENDED_POD: Final = "TrialEndedPod"  # a trial brought its own pod down, and failed
RETUNE_STARTED: Final = "RetuneStarted"
RETUNE_SUPPRESSED: Final = "RetuneSuppressed"
WARM_START_CLIPPED: Final = "WarmStartClipped"  # a point was moved into the space


def with_condition(
    status: TuningStudyStatus,
    kind: ConditionType,
    value: Literal["True", "False", "Unknown"],
    reason: str,
    message: str,
    now: datetime,
) -> TuningStudyStatus:
    """`status` with the condition set; its transition time moves only when its value does."""
    before = status.condition(kind)
    since = before.last_transition_time if before is not None and before.status == value else now
    condition = Condition(
        type=kind,
        status=value,
        reason=reason,
        message=message,
        observed_generation=status.observed_generation,
        last_transition_time=since,
    )
    others = [entry for entry in status.conditions if entry.type != kind]
    return status.model_copy(update={"conditions": sorted([*others, condition], key=lambda entry: entry.type)})
