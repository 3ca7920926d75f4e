"""What is told of the model in production: the condition Degraded, the metrics as they stand, and the episode."""

from tuning_operator import reasons
from tuning_operator.plan import episodes
from tuning_operator.plan.actions import StudyEvent
from tuning_operator.plan.draft import Draft
from tuning_study.api.status import DriftStatus, ProductionStatus


def tell_production(draft: Draft) -> None:
    production = draft.observed.production
    if production is None:
        return
    metrics = production.metrics
    draft.set(production=list(metrics))
    if metrics:
        _tell_degraded(draft)
    else:
        draft.leave_out("Degraded")
    _tell_drifted(draft, production.drift)
    retune = draft.status.retune
    episode = episodes.follow(retune.episode, production, draft.observed.now)
    if episode == retune.episode:
        return
    draft.set(retune=retune.model_copy(update={"episode": episode}))
    if retune.episode is not None and episode is None:
        draft.events.append(StudyEvent(reasons.EPISODE_OVER, f"nothing is left of: {retune.episode.reason}"))


def _tell_degraded(draft: Draft) -> None:
    before, metrics = draft.status.condition("Degraded"), draft.status.production
    degraded = [entry for entry in metrics if entry.degraded_since is not None]
    if degraded:
        told = "; ".join(entry.message for entry in degraded)
        if before is None or before.status != "True":
            draft.events.append(StudyEvent(reasons.MODEL_DEGRADED, told, "Warning"))
        draft.condition("Degraded", "True", reasons.MODEL_DEGRADED, told)
        return
    told = "; ".join(entry.message for entry in metrics)
    if before is not None and before.status == "True":
        draft.events.append(StudyEvent(reasons.MODEL_WELL, told))
    if any(_is_unknown(entry) for entry in metrics):
        draft.condition("Degraded", "Unknown", reasons.NO_EVIDENCE, told)
    else:
        draft.condition("Degraded", "False", reasons.MODEL_WELL, told)


def _tell_drifted(draft: Draft, drift: DriftStatus | None) -> None:
    draft.set(drift=drift)
    if drift is None:
        draft.leave_out("Drifted")
        return
    before = draft.status.condition("Drifted")
    was_drifted = before is not None and before.status == "True"
    match drift.verdict:
        case "Drifted":
            if not was_drifted:
                draft.events.append(StudyEvent(reasons.DATA_DRIFTED, drift.message, "Warning"))
            draft.condition("Drifted", "True", reasons.DATA_DRIFTED, drift.message)
        case "Steady":
            draft.condition("Drifted", "False", reasons.DATA_STEADY, drift.message)
        case "Unknown":
            draft.condition("Drifted", "Unknown", reasons.NO_EVIDENCE, drift.message)


def _is_unknown(entry: ProductionStatus) -> bool:
    return entry.verdict == "Unknown" or entry.stale
