"""A plan in the making, which the modules of this package add to one after another, and the plan that comes of it."""

from dataclasses import dataclass, field
from typing import Literal

from tuning_operator.conditions import with_condition
from tuning_operator.observe.observation import Observation
from tuning_operator.plan.actions import (
    Action,
    StudyEvent,
)
from tuning_study.api.status import (
    ConditionStatus,
    ConditionType,
    TuningStudyStatus,
)


@dataclass(frozen=True)
class Plan:
    """Actions in order, then the status, then the events. `poll` asks for another look soon."""

    status: TuningStudyStatus
    actions: tuple[Action, ...] = ()
    events: tuple[StudyEvent, ...] = ()
    poll: bool = False


@dataclass
class Draft:
    """A plan in the making."""

    observed: Observation
    status: TuningStudyStatus
    actions: list[Action] = field(default_factory=list)
    events: list[StudyEvent] = field(default_factory=list)
    verification: str | None = None
    """The study whose runs the workers take, where they verify."""

    def set(self, **fields: object) -> None:
        self.status = self.status.model_copy(update=fields)

    def condition(self, kind: ConditionType, value: ConditionStatus, reason: str, message: str) -> None:
        self.status = with_condition(self.status, kind, value, reason, message, self.observed.now)

    def leave_out(self, kind: ConditionType) -> None:
        """Of what the study does not have."""
        self.set(conditions=[entry for entry in self.status.conditions if entry.type != kind])

    def done(self, poll: bool = False) -> Plan:
        return Plan(self.status, tuple(self.actions), tuple(self.events), poll)


def condition_is(draft: Draft, kind: Literal["Accepted", "StoreReady"], value: str) -> bool:
    condition = draft.status.condition(kind)
    return condition is not None and condition.status == value


def workers_in_words(replicas: int) -> str:
    return "1 worker" if replicas == 1 else f"{replicas} workers"


def has_ended(draft: Draft) -> bool:
    """Whether the round takes no more trials, and another may start."""
    progress = draft.observed.progress
    over = progress is not None and progress.stop_reason is not None and not draft.observed.verifying
    return draft.status.state == "Failed" or over
