"""The reasons that conditions and Events carry; each says when it holds."""

from typing import Final

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
SCHEMA_MISMATCH: Final = "SchemaMismatch"  # the tables of the store are not what this version of the program needs
SECRET_UNUSABLE: Final = "SecretUnusable"  # noqa: S105 - spec.storage names a Secret that cannot be used

# Running
ROUND_STARTED: Final = "RoundStarted"  # workers take trials
VERIFYING: Final = "Verifying"  # workers measure the best trials again
ROUND_ENDED: Final = "RoundEnded"
NOT_STARTED: Final = "NotStarted"  # waits for its manifest or the store
EARLIER_STUDY_MISSING: Final = "EarlierStudyMissing"  # spec.warmStart names a study that the store does not hold
SUSPENDED: Final = "Suspended"  # spec.suspend is true
RESUMED: Final = "Resumed"
WORKERS_REFUSED: Final = "WorkersRefused"  # the API server does not take the worker Job: spec.workers is wrong

QUEUED: Final = "Queued"  # Kueue holds the worker Job until there is room
HELD: Final = "Held"  # somebody suspended the worker Job, neither the operator nor a queue
WORKERS_PENDING: Final = "WorkersPending"  # none runs yet, or none any more; the message has the pods' own words

# Reconciling: as kstatus reads it, only while nothing of the round has begun; then with Running's reason
# NotObserved is the CRD's default: no operator has looked at the study yet
NOT_RECONCILING: Final = "NotReconciling"

# Stalled: as kstatus reads it, the study goes on only when somebody changes something; also with the reasons of
# Accepted=False and Failed=True
LOOK_FAILED: Final = "LookFailed"  # the operator cannot look at the study, for a reason that is not the study's
RESULTS_UNREADABLE: Final = "ResultsUnreadable"  # the best trials cannot be described; counts and ends can
NOT_STALLED: Final = "NotStalled"

# Degraded
MODEL_DEGRADED: Final = "ModelDegraded"  # a metric of the model in production is worse than its baseline
MODEL_WELL: Final = "ModelWell"  # none is
NO_EVIDENCE: Final = "NoEvidence"  # one of them has no baseline yet, or no observation

# Drifted
DATA_DRIFTED: Final = "DataDrifted"  # a feature in production is not distributed as in the data of the last round
DATA_STEADY: Final = "DataSteady"  # none is
# also NoEvidence: there is no reference yet, or too few samples

# Promoted carries the state of status.promotion. Of a target that cannot be rolled, in the message of Held:
TARGET_MISSING: Final = "TargetMissing"  # there is no object of that name
TARGET_FORBIDDEN: Final = "TargetForbidden"  # the operator lacks the right; the chart gives it
TARGET_NOT_PROMOTABLE: Final = "TargetNotPromotable"  # it lacks the label that allows it, or a pod template
TARGET_INVALID: Final = "TargetInvalid"  # the controller of a Rollout refuses its spec
PARAMETERS_LOST: Final = "ParametersLost"  # the record does not hold them any more
TARGET_REFUSED: Final = "TargetRefused"  # the API server does not take the Job that brings them to production
STAGING_REFUSED: Final = "StagingRefused"  # the API server does not take the Job that checks them
CANARY_REFUSED: Final = "CanaryRefused"  # the API server does not take the Deployment of the canary
CANARY_WITHOUT_PARAMETERS: Final = "CanaryWithoutParameters"  # the target does not read the ConfigMap in production
TARGET_CONFLICT: Final = "TargetConflict"  # somebody else owns the field that would be written

# Failed
START_DEADLINE: Final = "StartDeadlineExceeded"  # no trial began within budget.startDeadline
WORKERS_FAILED: Final = "WorkersFailed"  # the worker Job failed, or its pods fail without finishing a trial
NOT_FAILED: Final = "NotFailed"
# Complete and Failed also carry budget.StopReason's reasons: BudgetUsed, DurationUsed, GoalReached, NoImprovement, …

# Events alone
SCALED: Final = "Scaled"  # spec.workers.replicas changed
REQUEUED: Final = "Requeued"  # what a queue counts was changed: the workers end, and wait in the queue again
ADMITTED: Final = "Admitted"  # by the queue
BUDGET_CHANGED: Final = "BudgetChanged"
TRIALS_PUT_BACK: Final = "TrialsPutBack"  # their pod is gone; charged to nobody
TRIAL_ENDED_POD: Final = "TrialEndedPod"  # a trial brought its own pod down, and failed
RETUNE_STARTED: Final = "RetuneStarted"
RETUNE_SUPPRESSED: Final = "RetuneSuppressed"
EPISODE_OVER: Final = "EpisodeOver"  # the model is well again, and no alert fires
PARAMETERS_VERIFIED: Final = "ParametersVerified"  # a round has left its ConfigMap
PROMOTED: Final = "Promoted"
CANARY_PASSED: Final = "CanaryPassed"
CANARY_HARMED: Final = "CanaryHarmed"
CANARY_STOPPED: Final = "CanaryStopped"  # by a person
CANARY_UNDECIDED: Final = "CanaryUndecided"  # its time is over, and neither harm nor that there is none was shown
CANARY_RESTARTED: Final = "CanaryRestarted"  # the target has changed, so that the two sides differed in more
PROMOTION_REFUSED: Final = "PromotionRefused"  # what a person asked for is not done
WARM_START_CLIPPED: Final = "WarmStartClipped"  # a point was moved into the space
# … and the reasons of status.diagnosis, each when it is first found; tuning_study.results.diagnosis lists them
