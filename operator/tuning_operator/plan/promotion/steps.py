"""A step of a promotion: told in status and Event, and kept in the record."""

from collections.abc import Mapping

from tuning_operator import reasons
from tuning_operator.plan.actions import StudyEvent
from tuning_operator.plan.draft import Draft
from tuning_operator.plan.recording import OPERATOR, add_line
from tuning_study.api.promotion_status import ROLLED_BACK_KEPT, PromotionState, PromotionStatus, RolledBack

_BAD: tuple[PromotionState, ...] = ("RollingBack", "RolledBack", "Held")


def now(draft: Draft) -> PromotionStatus:
    assert draft.status.promotion is not None
    return draft.status.promotion


def update(draft: Draft, **fields: object) -> None:
    """Not worth telling by itself."""
    draft.set(promotion=now(draft).model_copy(update=fields))


def who(draft: Draft) -> str:
    """Who brings the candidate to production."""
    approval = now(draft).approval
    return approval.who if approval is not None else OPERATOR


def step(
    draft: Draft, state: PromotionState, message: str, actor: str, *, kind: str | None = None, **fields: object
) -> None:
    """A change of state. `kind` is what it is called in Event and record, where that is not the state."""
    update(draft, state=state, message=message, since=draft.observed.now, steps=now(draft).steps + 1, **fields)
    told, after = kind or state, now(draft)
    draft.events.append(StudyEvent(told, message, "Warning" if state in _BAD else "Normal"))
    evidence: dict[str, object] = {
        "stable": after.stable,
        "candidate": after.candidate,
        "previous": after.previous,
        "gates": [gate.manifest() for gate in after.gates],
    }
    if after.canary is not None and after.canary.deployment is not None:
        evidence["canary"] = after.canary.manifest()
    _record(draft, told, message, actor, evidence)


def taken_back(draft: Draft, parameters: str, reason: str, *, undecided: bool = False) -> list[RolledBack]:
    """`rolled_back` with these."""
    data = next((entry.data for entry in draft.status.rounds if entry.parameters == parameters), None)
    taken = RolledBack(parameters=parameters, reason=reason, data=data, undecided=undecided)
    return [*now(draft).rolled_back, taken][-ROLLED_BACK_KEPT:]


def refuse(draft: Draft, actor: str, why: str) -> None:
    """What a person asked for is not done."""
    message = f"{actor}: not done, as {why}"
    update(draft, answer=message, steps=now(draft).steps + 1)
    draft.events.append(StudyEvent(reasons.PROMOTION_REFUSED, message, "Warning"))
    _record(draft, reasons.PROMOTION_REFUSED, message, actor, {})


def _record(draft: Draft, kind: str, message: str, actor: str, evidence: Mapping[str, object]) -> None:
    add_line(draft, kind, message, actor, evidence, f"promotion/{now(draft).steps}")
