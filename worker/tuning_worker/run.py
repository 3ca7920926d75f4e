"""One trial as an objective sees it: its parameters, its seed, where to report, and how it is interrupted."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import optuna

from tuning_study import space
from tuning_study.round import ResolvedRound
from tuning_study.seeds import trial_seed


class Objective(Protocol):
    """Turns one trial's parameters into metrics."""

    def check(self) -> None:
        """Raise ObjectiveRejected if no trial could ever run."""

    def __call__(self, run: "TrialRun") -> Mapping[str, float]:
        """The trial's metrics by name. May raise TrialPruned and TrialFailed; any other error fails the trial."""


@dataclass
class TrialRun:
    trial: optuna.Trial
    round: ResolvedRound
    checkpoints: Path

    @property
    def seed(self) -> int:
        """The objective's own seed, the same whenever this trial is run again."""
        return trial_seed(self.round.seed, self.trial.number)

    @cached_property
    def parameters(self) -> space.Point:
        return space.suggest(self.trial, self.round.spec.parameters)

    @property
    def checkpoint_folder(self) -> Path:
        folder = self.checkpoints / self.round.uid / f"r{self.round.number}" / f"trial-{self.trial.number}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def report(self, metrics: Mapping[str, float], step: int) -> None:
        """An intermediate report; raises TrialPruned when the pruner sees no hope.

        Pruners judge one objective: with several, or without that metric in the report, nothing is judged.
        """
        objectives = self.round.spec.objectives
        if len(objectives) > 1 or objectives[0].name not in metrics:
            return
        self.trial.report(metrics[objectives[0].name], step)
        if self.trial.should_prune():
            raise optuna.TrialPruned
