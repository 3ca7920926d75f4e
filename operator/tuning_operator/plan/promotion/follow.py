"""The next step of a promotion, if there is one. Called by the plan at each look."""

from tuning_operator.plan.draft import Draft
from tuning_operator.plan.promotion.canary import follow_canary, stop_canary, tidy_canary
from tuning_operator.plan.promotion.candidate import consider, take_approval
from tuning_operator.plan.promotion.moves import follow_return, follow_rollout, goes_back
from tuning_operator.plan.promotion.steps import now
from tuning_operator.plan.promotion.verified import keep_verified
from tuning_study.api.promotion_status import PromotionState, PromotionStatus
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.status import ConditionStatus

_CONDITION: dict[PromotionState, ConditionStatus] = {
    "Candidate": "Unknown",
    "Gated": "False",
    "Held": "Unknown",
    "Staging": "Unknown",
    "Canary": "Unknown",
    "Promoting": "Unknown",
    "Stable": "True",
    "RollingBack": "False",
    "RolledBack": "False",
}


def follow_promotion(draft: Draft, spec: TuningStudySpec) -> None:
    keep_verified(draft, spec)
    promotion = spec.promotion
    wanted = promotion is not None and promotion.mode != "None"
    tidy_canary(draft, wanted=wanted)
    if promotion is None or not wanted:
        draft.leave_out("Promoted")
        return
    if draft.status.promotion is None:
        draft.set(promotion=PromotionStatus(message="no round has verified parameters yet"))
    if not stop_canary(draft) and not goes_back(draft, promotion):
        take_approval(draft)
        match now(draft).state:
            case "Canary":
                follow_canary(draft, promotion)
            case "Promoting":
                follow_rollout(draft, promotion)
            case "RollingBack":
                follow_return(draft, promotion)
            case _:
                consider(draft, promotion)
    after = now(draft)
    value = _CONDITION[after.state] if after.stable is not None or after.candidate is not None else "Unknown"
    draft.condition("Promoted", value, after.state, after.message)
