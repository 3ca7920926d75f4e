"""A condition of a study's status. Pure."""

from datetime import datetime

from tuning_study.api.status import Condition, ConditionStatus, ConditionType, TuningStudyStatus


def with_condition(
    status: TuningStudyStatus,
    kind: ConditionType,
    value: ConditionStatus,
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
