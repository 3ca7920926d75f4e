"""The TuningStudy's status: a summary of counts and the best, small at any number of trials."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from tuning_study.api.promotion_status import PromotionStatus
from tuning_study.api.retune import RETUNES_KEPT
from tuning_study.api.rules import Model
from tuning_study.api.status_fields import Label, Message, Short, Value

State = Literal["Pending", "Running", "Verifying", "Suspended", "Complete", "Failed"]
Trigger = Literal["Created", "SpecChanged", "Manual", "Alert", "Degradation", "Drift", "Schedule"]
"""What began a round: a new or a changed manifest, or who asked for it."""
Suppression = Literal[
    "Duplicate", "NotATrigger", "Suspended", "Frozen", "RoundRunning", "Cooldown", "DailyLimit", "RoundsLimit"
]
"""Why a request for a round starts none: its token started the last round that was asked for; spec.retune.triggers
does not list who asks; the study is suspended, or frozen, or runs; it was retuned too lately, or too often within 24
hours; as many rounds as the operator may start at once run in other studies."""
Verdict = Literal["Degraded", "Healthy", "Unknown"]
Outcome = Literal["Improved", "NoBetter", "Failed"]
RetuneOutcome = Literal["Started", Suppression]
ConditionStatus = Literal["True", "False", "Unknown"]
ConditionType = Literal[
    "Accepted",
    "StoreReady",
    "Running",
    "Suspended",
    "Complete",
    "Failed",
    "Degraded",
    "Drifted",
    "Promoted",
    "Stalled",
    "Reconciling",
]
ROUNDS_KEPT = 10
FEATURES_TOLD = 10
MAX_DIAGNOSES = 10
MANIFEST_TRIGGERS: tuple[Trigger, ...] = ("Created", "SpecChanged")


class Condition(Model):
    """The state of one aspect of the study."""

    type: ConditionType = Field(
        description="The aspect. Accepted: the manifest can run. StoreReady: the database answers. Running: workers "
        "take trials. Suspended, Complete, Failed: the state of the round. Degraded: the model in production is worse "
        "than its baseline. Drifted: its data have changed. Promoted: the newest verified parameters "
        "are in production. Stalled: somebody has to change something. Reconciling: the round has yet to begin."
    )
    status: ConditionStatus = Field(description="Whether the condition holds: True, False or Unknown.")
    reason: Label = Field(description="Why, as one word that programs can rely on.")
    message: Message = Field("", description="Why, in words for people.")
    observed_generation: int = Field(0, description="The metadata.generation that the condition was determined for.")
    last_transition_time: datetime = Field(description="When `status` last changed.")


class TrialCounts(Model):
    """Trial counts of the current round."""

    target: int | None = Field(
        None, description="Number of trials in the budget. Left out when the budget is a duration only."
    )
    complete: int = Field(0, description="Trials that finished and reported every objective.")
    pruned: int = Field(0, description="Trials that the pruner stopped early. They count towards the budget.")
    failed: int = Field(0, description="Trials that failed. They do not count towards the budget.")
    running: int = Field(0, description="Trials that workers are running.")
    waiting: int = Field(0, description="Trials to run next: points of a warm start, and trials whose worker was lost.")
    summary: Short = Field("", description="Complete and pruned trials out of the target, as in 104/450.")


class WorkerCounts(Model):
    """Counts of the current round's worker pods."""

    desired: int = Field(
        0, description="Workers that should run: `spec.workers.replicas`, or 0 while suspended and after the round."
    )
    active: int = Field(0, description="Pods that are pending or running.")
    ready: int = Field(0, description="Pods that are ready.")
    failed: int = Field(0, description="Pods that have failed.")
    selector: Short = Field("", description="Label selector of the pods, for the scale subresource.")


class MetricValue(Model):
    """A metric of a trial."""

    name: Label = Field(description="Name of a metric in `spec.metrics`.")
    value: Value = Field(description="A number, or the text Infinity or -Infinity.")


class ParameterValue(Model):
    """A parameter of a trial."""

    name: Label = Field(
        description="Name of a parameter in `spec.parameters`, or of one that a python objective suggests."
    )
    value: Label = Field(
        description="The value as JSON. A string stands as it is, unless it would be taken for other JSON."
    )


class Best(Model):
    """The best trial of a round: the one that `spec.selection` chooses. Without one, feasible before infeasible, then
    by the objectives in order, then the earliest."""

    trial: int = Field(description="Number of the trial, counted from 0 in each round.")
    metrics: list[MetricValue] = Field(max_length=32, description="The metrics that the trial reported.")
    summary: Short = Field(
        "", description="The values of the objectives, in their order and six digits long, as in 0.9714, 20.3."
    )
    parameters: list[ParameterValue] = Field(
        max_length=64, description="The parameters of the trial. Empty in `rounds`: the database has them."
    )
    feasible: bool = Field(True, description="Whether the trial meets every constraint.")
    verified: bool = Field(
        False, description="Whether the metrics are means of the verification's runs, and not the search's one value."
    )
    chosen_by: Short = Field(
        "", description="With a selection: its policy, and of how many trials of the Pareto set, as in Knee among 12."
    )


class VerificationStatus(Model):
    """The best trials of the search, measured again."""

    study: Short = Field("", description="Name of its Optuna study, in which each run is a trial.")
    runs: TrialCounts = Field(
        default_factory=TrialCounts,
        description="Runs by state. Those of candidates that could hardly win any more are pruned.",
    )
    message: Message = Field("", description="What it came to, in words for people.")


class Pareto(Model):
    """The Pareto front of a study with several objectives: the feasible trials that no other trial beats."""

    size: int = Field(0, description="Number of trials on the front.")
    feasible: int = Field(0, description="Number of trials on the front that meet every constraint.")
    hypervolume: float | None = Field(
        None,
        description="Share of a box that the front dominates, from 0 to 1; the box reaches from the best to the worst "
        "value of each objective among the feasible trials.",
    )


class Diagnosis(Model):
    """Something that is wrong with the round, seen from its trials. It never stops a study."""

    reason: Label = Field(description="What, as one word that programs can rely on. Example: BestAtBoundary.")
    message: Short = Field(description="The evidence in numbers, and what to change.")


class Episode(Model):
    """One cause for retuning, whatever tells of it and however often: alerts, degradation. It is over once nothing of
    it is left and the model in production is seen to be well."""

    trigger: Trigger = Field(description="What told of it first: Alert, Degradation or Drift.")
    reason: Message = Field("", description="The first thing that was told of it.")
    since: datetime = Field(description="When it began.")
    last_seen: datetime = Field(description="When something of it was last there.")
    rounds: int = Field(0, description="Rounds that were started for it.")
    waits_for: Suppression | None = Field(
        None, description="Why its next round has not started yet; as in `lastOutcome`."
    )


class RetuneStatus(Model):
    """Requests for new rounds, and what became of them."""

    last_handled: Short | None = Field(None, description="Token of the last request that was decided.")
    last_taken: Short | None = Field(None, description="Token of the last request that started a round.")
    last_request: Short | None = Field(
        None, description="Digest of the annotation tuning.dev/retune-requested when it was last read."
    )
    last_outcome: RetuneOutcome | None = Field(
        None,
        description="Started, or why the last request was refused. Duplicate: its token started the last round. "
        "NotATrigger: `spec.retune.triggers` does not list its trigger. Suspended, RoundRunning: the state of the "
        "study. Frozen: the annotation tuning.dev/frozen-until. Cooldown, DailyLimit: the limits in `spec.retune`. "
        "RoundsLimit: the chart's maxRunningRounds.",
    )
    last_time: datetime | None = Field(None, description="When the last retuning started.")
    recent: list[datetime] = Field(
        default_factory=list, max_length=RETUNES_KEPT, description="When the retunings of the last 24 hours started."
    )
    suppressed: int = Field(0, description="Number of requests that were refused, since the study was created.")
    reason: Short | None = Field(None, description="The reason given with the last request that was decided.")
    last_scheduled: datetime | None = Field(
        None, description="The last time of `spec.retune.schedule` that was taken up, or missed."
    )
    next_scheduled: datetime | None = Field(None, description="The next time of `spec.retune.schedule`.")
    episode: Episode | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_earlier_fields(cls, given: Any) -> Any:
        """Version 0.1.0 counted the rounds of a day under `today`."""
        return {key: value for key, value in given.items() if key != "today"} if isinstance(given, Mapping) else given


class Round(Model):
    """One round of the study."""

    round: int = Field(description="Number of the round, from 1.")
    start_time: datetime | None = Field(None, description="When the round started.")
    completion_time: datetime | None = Field(None, description="When the round ended. Left out while it runs.")
    trigger: Trigger | None = Field(
        None,
        description="What started the round: the manifest (Created, SpecChanged), a person (Manual), or an automatic "
        "request (the others).",
    )
    reason: Short = Field(
        "", description="The reason given with the request. Empty when the manifest started the round."
    )
    outcome: Outcome | None = Field(
        None,
        description="What a retuning came to. Improved: its best is better than the parameters of before on the same "
        "data. NoBetter: it is not, as far as can be told. Failed: no trial completed, or the round failed. Left out "
        "for rounds of the manifest, while it runs, and where the parameters of before could not be measured.",
    )
    comparison: Short | None = Field(None, description="The outcome in numbers.")
    best: Best | None = None
    study: Short = Field("", description="Name of the round's Optuna study, as optuna.load_study takes it.")
    parameters: Short | None = Field(
        None, description="Name of the ConfigMap with the verified parameters. Left out before there is one."
    )
    data: Short | None = Field(
        None, description="Fingerprint of the data set that it was tuned on. Left out where its workers cannot tell."
    )
    degraded_since: datetime | None = Field(
        None,
        description="Since when a metric of production was degraded as the round began. Trials of a command or a "
        "function are told, as TUNING_DEGRADED_SINCE. Left out where none was.",
    )

    @property
    def began_by(self) -> Trigger:
        """The trigger; of rounds of version 0.1.0, which told it by the reason alone, as far as it can be known."""
        told_by_reason: Trigger = next((trigger for trigger in MANIFEST_TRIGGERS if trigger == self.reason), "Manual")
        return self.trigger or told_by_reason

    @property
    def helped(self) -> bool:
        """Whether the round may have changed what is in production: all but retunings that improved nothing."""
        return self.outcome not in ("NoBetter", "Failed")

    @property
    def is_retuned(self) -> bool:
        """Whether the round was asked for, rather than begun by a new or changed manifest."""
        return self.began_by not in MANIFEST_TRIGGERS


class ProductionStatus(Model):
    """A metric of the model in production, as it was observed last."""

    name: Label = Field(description="Name of a metric in `spec.production.metrics`.")
    verdict: Verdict = Field(
        "Unknown",
        description="Degraded, Healthy, or Unknown while there is no baseline, or no observation since the last round.",
    )
    value: Value | None = Field(None, description="The last observation. Left out before the first.")
    time: datetime | None = Field(None, description="When it was observed.")
    baseline: Value | None = Field(None, description="The value of a model that is well. Left out until it is known.")
    level: Value | None = Field(None, description="The degraded level, which follows from the baseline.")
    evidence: float = Field(
        0.0, description="Evidence of degradation as a share of what is needed; from 1 on the metric is degraded."
    )
    degraded_since: datetime | None = Field(
        None,
        description="End of the first observation that spoke for it, of a metric that is degraded. Left out while it "
        "is well.",
    )
    confirmed: bool = Field(
        False,
        description="Whether it is degraded by evidence for a round: a hundred times as unlikely of a model that is "
        "well, and all from after its parameters went to production.",
    )
    stale: bool = Field(
        False, description="Whether observations are missed: none has come for three windows. Nothing is judged by it."
    )
    message: Message = Field("", description="The evidence in numbers, or why there is none.")


class FeatureStatus(Model):
    """A feature in production beside the sample that the last round was tuned on."""

    name: Label = Field(description="Name of the feature.")
    psi: float = Field(description="Population stability index.")
    threshold: float = Field(
        description="The index from which it has drifted: the manifest's, or what chance explains if that is more."
    )


class DriftStatus(Model):
    """Features in production, as of the last check."""

    verdict: Literal["Drifted", "Steady", "Unknown"] = Field(
        description="Drifted, Steady, or Unknown while there is no reference, or too few samples."
    )
    time: datetime | None = Field(None, description="When the last samples of the check came.")
    features: list[FeatureStatus] = Field(
        default_factory=list, max_length=FEATURES_TOLD, description="Those with the largest index, the largest first."
    )
    message: Message = Field("", description="The evidence in numbers, or why there is none.")


def in_production(status: "TuningStudyStatus") -> Round | None:
    """The round whose best is in production. Where the study has promoted nothing itself, that is taken to be the last
    one that has changed anything."""
    promotion, rounds = status.promotion, status.rounds
    if promotion is not None and promotion.stable is not None:
        return next((entry for entry in rounds if entry.parameters == promotion.stable), None)
    ended = (entry for entry in reversed(rounds) if entry.completion_time is not None)
    return next((entry for entry in ended if entry.best is not None and entry.helped), None)


class StorageStatus(Model):
    """Where the current round is stored."""

    study: Short = Field("", description="Name of the Optuna study, as optuna.load_study takes it.")


class SamplerStatus(Model):
    """What draws new trials."""

    type: Short = Field(description="The sampler. Where the manifest says Auto, what that is now. Example: GP.")
    reason: Message | None = Field(None, description="Why Auto is that. Left out where the manifest names the sampler.")


class TuningStudyStatus(Model):
    """What the operator last observed: counts and the best trial. The database holds all trials."""

    observed_generation: int = Field(0, description="The metadata.generation that this status was determined for.")
    state: State = Field("Pending", description="A summary in one word, for people. Programs should read `conditions`.")
    round: int = Field(0, description="Number of the current or last round; 0 before the first.")
    conditions: Annotated[
        list[Condition],
        Field(
            max_length=16, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
        ),
    ] = Field(default_factory=list, description="Conditions by type, for programs and `kubectl wait`.")
    trials: TrialCounts = Field(default_factory=TrialCounts)
    workers: WorkerCounts = Field(default_factory=WorkerCounts)
    phase: Short | None = Field(
        None, description="Phase of `spec.strategy` that new trials belong to; search if the strategy has no phases."
    )
    sampler: SamplerStatus | None = None
    verification: VerificationStatus | None = None
    best: Best | None = None
    pareto: Pareto | None = None
    diagnosis: list[Diagnosis] = Field(
        default_factory=list,
        max_length=MAX_DIAGNOSES,
        description="What is wrong with the round, seen from its trials, the gravest first; `tuning diagnose` tells "
        "the same. Looked for when the round has half as many trials again, and at its end.",
    )
    storage: StorageStatus | None = None
    retune: RetuneStatus = Field(default_factory=RetuneStatus)
    production: list[ProductionStatus] = Field(
        default_factory=list, max_length=8, description="The metrics of `spec.production`, as they stand."
    )
    drift: DriftStatus | None = None
    promotion: PromotionStatus | None = None
    rounds: list[Round] = Field(
        default_factory=list,
        max_length=ROUNDS_KEPT,
        description="The last ten rounds, the newest last. In place of the oldest of them stands the one whose "
        "parameters are in production, if that is older.",
    )
    start_time: datetime | None = Field(None, description="When the current round started.")
    completion_time: datetime | None = Field(None, description="When the current round ended. Left out while it runs.")

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
