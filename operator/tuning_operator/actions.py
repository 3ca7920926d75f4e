"""What a plan can ask for: each action is one value, carried out by act.py, and each note one Event."""

from dataclasses import dataclass
from typing import Literal

from tuning_study.round import ResolvedRound
from tuning_study.spec import Budget


@dataclass(frozen=True)
class StartRound:
    """Make the round in the store, then its ConfigMap. `warm_from` is the study whose best are tried first."""

    resolved: ResolvedRound
    budget: Budget
    warm_from: str | None = None
    warm_best: int = 0


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
class RemovePod:
    """A pod whose worker has ended while another container lives on."""

    name: str


@dataclass(frozen=True)
class SetBudget:
    budget: Budget


@dataclass(frozen=True)
class SetRetain:
    """spec.deletionPolicy, which may change at any time."""

    retain: bool


@dataclass(frozen=True)
class SetPaused:
    paused: bool


@dataclass(frozen=True)
class PutBack:
    """The trials of a worker that is gone wait again; of one that was `killed`, and nobody knows why, so often only."""

    worker: str
    killed: bool = False


@dataclass(frozen=True)
class FailTrial:
    """The trial of a worker that it brought down has failed."""

    worker: str
    reason: str


Action = (
    StartRound
    | StartWorkers
    | ScaleWorkers
    | RemoveWorkers
    | RemovePod
    | SetBudget
    | SetPaused
    | SetRetain
    | PutBack
    | FailTrial
)


@dataclass(frozen=True)
class Note:
    """An Event for people."""

    reason: str
    message: str
    kind: Literal["Normal", "Warning"] = "Normal"
    first: bool = False
    """Told before the actions, and once in the study's life: after them nobody could find out any more."""
