"""What a plan can ask for: each action is one value, carried out by execute, and each event one Event of Kubernetes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tuning_store.record import Line
from tuning_study.api.budget import Budget
from tuning_study.api.promotion import ParametersJob, Target
from tuning_study.api.selection import Selection
from tuning_study.promotion.parameters import VerifiedParameters
from tuning_study.round import ResolvedRound


@dataclass(frozen=True)
class StartRound:
    """Make the round in the store, then its ConfigMap. `warm_from` is the study whose best are tried first; before
    them `incumbent`, a trial and the study that it is of, whose parameters the round has to beat."""

    resolved: ResolvedRound
    budget: Budget
    warm_from: str | None = None
    warm_best: int = 0
    incumbent: tuple[str, int] | None = None


@dataclass(frozen=True)
class StartWorkers:
    resolved: ResolvedRound
    replicas: int


@dataclass(frozen=True)
class ScaleWorkers:
    number: int
    replicas: int
    suspended: bool


@dataclass(frozen=True)
class RemoveWorkers:
    number: int


@dataclass(frozen=True)
class RemoveWorker:
    """A worker that has ended while something beside it lives on."""

    name: str


@dataclass(frozen=True)
class SetBudget:
    budget: Budget


@dataclass(frozen=True)
class SetRetain:
    """spec.deletionPolicy, which may change at any time."""

    retain: bool


@dataclass(frozen=True)
class SetSelection:
    """spec.selection, which may change at any time."""

    selection: Selection | None


@dataclass(frozen=True)
class SetPaused:
    paused: bool
    of: str | None = None
    """The study whose trials the workers take; None for the round's search."""


@dataclass(frozen=True)
class ReleaseTrials:
    """The trials of a worker that is gone wait again. A `killed` worker counts towards their MAX_ATTEMPTS; other losses
    do not."""

    worker: str
    killed: bool = False
    of: str | None = None
    """As of SetPaused."""


@dataclass(frozen=True)
class FailTrials:
    """The trial of a worker that it brought down has failed."""

    worker: str
    reason: str
    of: str | None = None
    """As of SetPaused."""


@dataclass(frozen=True)
class KeepReferences:
    """Of the features of the data that the round was tuned on, where its workers have told of them."""

    round: str
    """Its study in Optuna."""


@dataclass(frozen=True)
class KeepParameters:
    """As an object that never changes, and in the record."""

    found: VerifiedParameters
    at: datetime


@dataclass(frozen=True)
class DropParameters:
    """The object of a round that is long past, and the Job that checked it."""

    name: str


@dataclass(frozen=True)
class StartStaging:
    """The Job that checks these parameters."""

    parameters: str
    job: ParametersJob


@dataclass(frozen=True)
class TryCanary:
    """Whether a canary could be made; nothing changes."""

    deployment: str
    """The target that it is made from."""
    parameters: str
    replicas: int


@dataclass(frozen=True)
class StartCanary:
    """Pods with these parameters beside those of the target."""

    deployment: str
    parameters: str
    replicas: int


@dataclass(frozen=True)
class DropCanary:
    """Its pods end. What they served, the target's serve."""

    name: str


@dataclass(frozen=True)
class TryTarget:
    """Whether the target can be rolled to these parameters; nothing changes."""

    target: Target
    parameters: str


@dataclass(frozen=True)
class MoveProduction:
    """The ConfigMap in production gets these parameters, and then the target starts its pods anew."""

    parameters: str
    """Name of their ConfigMap."""
    target: Target | None
    anew: datetime | None = None
    """Given where pods that have them in their template may have started with others: none of those is to stay."""


@dataclass(frozen=True)
class Record:
    """Lines about the study for its record."""

    lines: tuple[Line, ...]


PromotionAction = (
    KeepParameters
    | DropParameters
    | StartStaging
    | TryCanary
    | StartCanary
    | DropCanary
    | TryTarget
    | MoveProduction
    | Record
)
Action = (
    StartRound
    | StartWorkers
    | ScaleWorkers
    | RemoveWorkers
    | RemoveWorker
    | SetBudget
    | SetPaused
    | SetRetain
    | SetSelection
    | ReleaseTrials
    | FailTrials
    | KeepReferences
    | PromotionAction
)


@dataclass(frozen=True)
class StudyEvent:
    """An Event for people."""

    reason: str
    message: str
    kind: Literal["Normal", "Warning"] = "Normal"
    first: bool = False
    """Told before the actions, and once in the study's life: after them nobody could find out any more."""
