"""Each round that was verified leaves its parameters as an object, whether they go to production or not."""

from tuning_operator import reasons
from tuning_operator.plan.actions import KeepParameters, StudyEvent
from tuning_operator.plan.draft import Draft
from tuning_operator.plan.rounds import resolve_round
from tuning_study.api.spec import TuningStudySpec
from tuning_study.promotion.parameters import VerifiedParameters


def keep_verified(draft: Draft, spec: TuningStudySpec) -> None:
    study, status, found = draft.observed.study, draft.status, draft.observed.parameters
    if found is None or status.state != "Complete" or status.best is None or not status.best.verified:
        return
    *earlier, entry = status.rounds
    if entry.completion_time is None or entry.parameters is not None:
        return
    best, resolved = status.best, resolve_round(draft, spec, entry.round)
    about = {
        "namespace": study.namespace,
        "trial": best.trial,
        "metrics": {metric.name: metric.value for metric in best.metrics},
        "feasible": best.feasible,
        "comparison": entry.comparison,
        "trigger": entry.began_by,
        "reason": entry.reason,
        "verified": entry.completion_time.isoformat(),
        "seed": resolved.seed,
        "versions": resolved.versions,
        "image": spec.workers.image,
        "optunaStudy": entry.study,
        "data": entry.data,
    }
    kept = VerifiedParameters(study.name, entry.round, dict(found), about)
    draft.actions.append(KeepParameters(kept, draft.observed.now))
    draft.events.append(StudyEvent(reasons.PARAMETERS_VERIFIED, f"round {entry.round}: ConfigMap {kept.name}"))
    draft.set(rounds=[*earlier, entry.model_copy(update={"parameters": kept.name})])
