"""The TuningStudy's status: a summary of counts and the best, small at any number of trials."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, WithJsonSchema

from tuning_study.rules import Model
from tuning_study.text import truncate


def _cut_to(length: int) -> Callable[[Any], Any]:
    return lambda value: truncate(value, length) if isinstance(value, str) else value


State = Literal["Pending", "Running", "Suspended", "Complete", "Failed"]
ConditionType = Literal["Accepted", "StoreReady", "Running", "Suspended", "Complete", "Failed", "Stalled"]
# Texts of any length are taken, and cut with a mark: no text may keep a status from being written.
Label = Annotated[str, BeforeValidator(_cut_to(128)), Field(max_length=128)]
Short = Annotated[str, BeforeValidator(_cut_to(512)), Field(max_length=512)]
Message = Annotated[str, BeforeValidator(_cut_to(1024)), Field(max_length=1024)]
# JSON has no infinity, so that is told as text.
Value = Annotated[
    float | Literal["Infinity", "-Infinity"], WithJsonSchema({"x-kubernetes-preserve-unknown-fields": True})
]
ROUNDS_KEPT = 10


class Condition(Model):
    type: ConditionType
    status: Literal["True", "False", "Unknown"]
    reason: Label
    message: Message = ""
    observed_generation: int = 0
    last_transition_time: datetime


class TrialCounts(Model):
    target: int | None = None
    complete: int = 0
    pruned: int = 0
    failed: int = 0
    running: int = 0
    waiting: int = 0
    summary: Short = ""


class WorkerCounts(Model):
    desired: int = 0
    active: int = 0
    ready: int = 0
    failed: int = 0
    selector: Short = Field("", description="For the scale subresource.")


class MetricValue(Model):
    name: Label
    value: Value = Field(description="A number, or the text Infinity or -Infinity.")


class ParameterValue(Model):
    name: Label
    value: Label = Field(description="As JSON; a string that cannot be mistaken for other JSON stands as it is.")


class Best(Model):
    trial: int
    metrics: list[MetricValue] = Field(max_length=32)
    parameters: list[ParameterValue] = Field(max_length=64)
    feasible: bool = True


class Pareto(Model):
    size: int = 0
    feasible: int = 0


class RetuneStatus(Model):
    last_handled: Short | None = Field(None, description="Token of the last request that was decided.")
    last_taken: Short | None = Field(None, description="Token of the last request that started a round.")
    last_request: Short | None = Field(None, description="Digest of the last annotation that was read.")
    last_time: datetime | None = Field(None, description="When the last retuning started.")
    today: int = 0
    suppressed: int = 0
    reason: Short | None = None


class Round(Model):
    round: int
    start_time: datetime | None = None
    completion_time: datetime | None = None
    reason: Short = ""
    best: Best | None = None
    study: Short = Field("", description="The study's name in Optuna.")


class StorageStatus(Model):
    study: Short = Field("", description="The study's name in Optuna.")


class TuningStudyStatus(Model):
    observed_generation: int = 0
    state: State = "Pending"
    round: int = 0
    conditions: Annotated[
        list[Condition],
        Field(
            max_length=16, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
        ),
    ] = Field(default_factory=list)
    trials: TrialCounts = Field(default_factory=TrialCounts)
    workers: WorkerCounts = Field(default_factory=WorkerCounts)
    phase: Short | None = None
    best: Best | None = None
    pareto: Pareto | None = None
    storage: StorageStatus | None = None
    retune: RetuneStatus = Field(default_factory=RetuneStatus)
    rounds: list[Round] = Field(default_factory=list, max_length=ROUNDS_KEPT)
    start_time: datetime | None = None
    completion_time: datetime | None = None

    def condition(self, kind: ConditionType) -> Condition | None:
        return next((condition for condition in self.conditions if condition.type == kind), None)


def read_status(document: Mapping[str, Any]) -> TuningStudyStatus:
    """The status of a resource, without the fields that this version cannot read: another one wrote them."""
    fields = dict(document)
    while True:
        try:
            return TuningStudyStatus.model_validate(fields)
        except ValidationError as error:
            for problem in error.errors():
                fields.pop(str(problem["loc"][0]), None)
