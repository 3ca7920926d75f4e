"""The TuningStudy's status: a summary of counts and the best, small at any number of trials."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from tuning_study.rules import Model
from tuning_study.spec import MetricName, ParameterName

State = Literal["Pending", "Running", "Suspended", "Complete", "Failed"]
ConditionType = Literal["Accepted", "StoreReady", "Running", "Suspended", "Complete", "Failed"]
Short = Annotated[str, Field(max_length=512)]
Message = Annotated[str, Field(max_length=1024)]
ROUNDS_KEPT = 10


class Condition(Model):
    type: ConditionType
    status: Literal["True", "False", "Unknown"]
    reason: str = Field(max_length=128)
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
    name: MetricName
    value: float


class ParameterValue(Model):
    name: ParameterName
    value: Short


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
    trials: TrialCounts = TrialCounts()
    workers: WorkerCounts = WorkerCounts()
    phase: Short | None = None
    best: Best | None = None
    pareto: Pareto | None = None
    storage: StorageStatus | None = None
    retune: RetuneStatus = RetuneStatus()
    rounds: list[Round] = Field(default_factory=list, max_length=ROUNDS_KEPT)
    start_time: datetime | None = None
    completion_time: datetime | None = None

    def condition(self, kind: ConditionType) -> Condition | None:
        return next((condition for condition in self.conditions if condition.type == kind), None)
