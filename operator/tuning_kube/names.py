"""Names of the objects, labels and annotations that users, dashboards and the exporter rely on."""

from tuning_study.api.resource import GROUP, KIND

STUDY_LABEL = f"{GROUP}/study"
ROUND_LABEL = f"{GROUP}/round"
ROLE_LABEL = f"{GROUP}/role"
WORKER_ROLE = "worker"

RETUNE_ANNOTATION = f"{GROUP}/retune-requested"
FROZEN_ANNOTATION = (
    f"{GROUP}/frozen-until"  # on a study: a time until which no program starts a round, and nothing is promoted
)
PROMOTE_ANNOTATION = f"{GROUP}/promote"  # on a study: a round whose parameters are to go to production
ROLLBACK_ANNOTATION = f"{GROUP}/rollback"  # on a study: the parameters of before are to come back
# On the pod template of a target, and on the ConfigMap in production: the name of the parameters' own ConfigMap.
PARAMETERS_ANNOTATION = f"{GROUP}/parameters"
PROMOTABLE_LABEL = f"{GROUP}/promotable"  # on a target: `true` where the operator may roll it
CANARY_LABEL = f"{GROUP}/canary"  # on a canary's Deployment and pods: the name of the Deployment
TEMPLATE_ANNOTATION = f"{GROUP}/template"  # on a canary's Deployment: the digest of the target's pod template then
WORKERS_ANNOTATION = f"{GROUP}/workers"  # on a Job: the digest of the spec.workers that it was made from
REPLICAS_ANNOTATION = f"{GROUP}/replicas"  # on a Job: how many workers were asked for when it was made
SUSPENDED_ANNOTATION = f"{GROUP}/suspended"  # on a Job: `true` while it is the operator that suspends it

# Of Kueue. The labels are copied from a study to its Job; the annotations ask for partial admission.
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
QUEUE_LABELS = (QUEUE_LABEL, "kueue.x-k8s.io/priority-class", "kueue.x-k8s.io/max-exec-time-seconds")
MIN_PARALLELISM_ANNOTATION = "kueue.x-k8s.io/job-min-parallelism"
COMPLETIONS_ANNOTATION = "kueue.x-k8s.io/job-completions-equal-parallelism"

TENANT_SECRET = "tuning-store"  # noqa: S105 - a name
TENANT_SECRET_KEY = "url"  # noqa: S105 - a name
# On that Secret: who asks for a new password, and what the operator answers.
ROTATE_ANNOTATION = f"{GROUP}/rotate-requested"
ROTATE_HANDLED_ANNOTATION = f"{GROUP}/rotate-handled"  # the request's value
ROTATED_AT_ANNOTATION = f"{GROUP}/rotated-at"
ROTATE_PROBLEM_ANNOTATION = f"{GROUP}/rotate-problem"  # why there is no new password
FIELD_MANAGER = "tuning-operator"
PROMOTION_MANAGER = "tuning-promotion"  # of what is applied to objects of others, and never by force


def round_name(study: str, number: int) -> str:
    """Of a round's ConfigMap and Job."""
    return f"{study}-r{number}"


def labels(study: str, number: int) -> dict[str, str]:
    return {
        STUDY_LABEL: study,
        ROUND_LABEL: str(number),
        ROLE_LABEL: WORKER_ROLE,
        "app.kubernetes.io/name": "tuning-worker",
        "app.kubernetes.io/instance": study,
        "app.kubernetes.io/part-of": "tuning-operator",
        "app.kubernetes.io/managed-by": FIELD_MANAGER,
    }


def owner(name: str, uid: str) -> dict[str, object]:
    """Deleting the study deletes what carries this reference, with no help from the operator."""
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": KIND,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
