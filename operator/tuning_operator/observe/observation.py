"""What is known of one study at one moment: the whole input of a decision, and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tuning_kube import names
from tuning_operator.executors.view import MissingWorkers, QueueWait, WorkersView, WorkerView
from tuning_operator.observe.production import Production
from tuning_operator.rollout.canary import CanaryView
from tuning_operator.rollout.parameters_job import JobView
from tuning_operator.rollout.target import TargetView
from tuning_store.values import Progress
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.status import Best, Diagnosis, Pareto, TuningStudyStatus
from tuning_study.promotion.canary.analysis import CanaryVerdict
from tuning_study.results.outcome import Comparison
from tuning_study.verification import is_under_way


@dataclass(frozen=True)
class Study:
    """The resource as the API server last showed it."""

    namespace: str
    name: str
    uid: str
    generation: int
    spec: TuningStudySpec | None
    problems: tuple[str, ...]  # why there is no spec
    status: TuningStudyStatus
    retune_request: str | None = None
    frozen_until: datetime | None = None
    """Until then no program starts a round; for ever where the annotation is no time."""
    promote_request: str | None = None
    rollback_request: str | None = None
    queue_labels: Mapping[str, str] = field(default_factory=dict)  # of Kueue
    version: int = 0  # grows with every change

    @property
    def queue(self) -> str | None:
        """The queue that the study asks for; its Job may be in one that it did not ask for."""
        return self.queue_labels.get(names.QUEUE_LABEL)


@dataclass(frozen=True)
class StoreProblem:
    """Why the store cannot be used; `reason` is one of the StoreReady condition's."""

    reason: str
    message: str


@dataclass(frozen=True)
class CanaryTold:
    """What a canary has shown so far."""

    verdict: CanaryVerdict
    since: datetime
    """When all its pods were ready."""
    over: bool
    """Whether its time is."""


@dataclass(frozen=True)
class Provenance:
    """What the workers of a round that is over have run, as far as they and their pods have told."""

    images: Sequence[str] = ()
    """With their digests."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """By package."""
    data: str | None = None
    """What tells their data set from another."""


@dataclass(frozen=True)
class Observation:
    now: datetime
    study: Study
    store: StoreProblem | None = None
    namespace_ends: bool = False
    shared_role: bool = False
    progress: Progress | None = None
    """Of the current round; None before its first start."""
    verification: Progress | None = None
    """Of the round's verification; None before it has begun, and where none is due."""
    verified: str = ""
    """What the verification came to, in words; empty before it is over."""
    comparison: Comparison | None = None
    """Of a retuning, once it is verified; None where there is nothing to compare."""
    parameters: Mapping[str, Any] | None = None
    """Of the trial that the verification names, as the manifest has their values; None before."""
    target: TargetView | None = None
    """What spec.promotion rolls out; None where it has no target, and when there was no reason to look."""
    staging: JobView | None = None
    """The check of the candidate; None before it has begun."""
    canary: CanaryView | None = None
    """The candidate's pods beside the target's; None where there are none."""
    canary_told: CanaryTold | None = None
    """None before anybody looked at their counters."""
    refusal: tuple[str, str] | None = None
    """Why what was just tried to bring parameters to production could not be done: a reason and a sentence."""
    chosen: str = ""
    """What the selection came to, in words; empty without one, and once a verification says it."""
    workers: WorkersView | None = None
    """Of the current round; None while there are none."""
    each: Sequence[WorkerView] | None = None
    """The workers one by one, the oldest first; None when there was no reason to look."""
    missing: MissingWorkers | None = None
    queued: QueueWait | None = None
    results_problem: str = ""
    """Why best and pareto could not be told."""
    best: Best | None = None
    pareto: Pareto | None = None
    diagnosis: Sequence[Diagnosis] = ()
    failures: Sequence[tuple[str, int]] = ()
    """Reasons of failed trials and how often, the most frequent first."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of this operator, for the record of a round that it starts."""
    provenance: Provenance = Provenance()
    """Of the current round. Empty before it is over, and once its end was told."""
    production: Production | None = field(default_factory=Production)
    """None while nobody can know; then nothing is decided by it."""
    room: bool = True
    """Whether the operator may start another round that no person asked for."""

    @property
    def frozen(self) -> bool:
        """Whether a person has asked that no program starts a round now."""
        until = self.study.frozen_until
        return until is not None and self.now < until

    @property
    def verifying(self) -> bool:
        """Whether the search is over, and its best trials are yet to be measured again, or are being."""
        if self.study.spec is None or self.progress is None:
            return False
        ended = self.verification.stop_reason if self.verification is not None else None
        return is_under_way(self.study.spec, self.progress.stop_reason, self.progress.counts, ended)
