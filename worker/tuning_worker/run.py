"""One trial as an objective sees it: its parameters, its seed, where to report, and how it is interrupted."""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
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
    notes: list[str] = field(default_factory=list)
    """What the objective knows of metrics that it could not report; told when the trial fails for want of them."""

    @property
    def seed(self) -> int:
        """The objective's own seed, the same whenever this trial is run again."""
        return trial_seed(self.round.seed, self.trial.number)

    @cached_property
    def parameters(self) -> space.Point:
        return space.suggest(self.trial, self.round.spec.parameters)

    @property
    def checkpoint_folder(self) -> Path:
        """Holds what the trial goes on from when it is put back."""
        folder = self._checkpoint_path
        while not folder.is_dir():
            with suppress(FileNotFoundError):  # another worker has just removed a folder above that was empty
                folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def ran_before(self) -> bool:
        """Whether an earlier run of the trial, which did not end it, was on this machine."""
        return self._checkpoint_path.exists()

    def discard_checkpoints(self) -> None:
        """The trial has ended for good: nobody will go on from its folder."""
        discard_checkpoints(self.checkpoints, self.round, self.trial.number)

    @property
    def _checkpoint_path(self) -> Path:
        return _checkpoint_path(self.checkpoints, self.round, self.trial.number)

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


def discard_checkpoints(root: Path, round: ResolvedRound, trial: int) -> None:
    path = _checkpoint_path(root, round, trial)
    _remove_folder(path)
    for folder in (path.parent, path.parent.parent):
        with suppress(OSError):  # other trials have theirs in it
            folder.rmdir()


def _checkpoint_path(root: Path, round: ResolvedRound, trial: int) -> Path:
    return root / round.uid / f"r{round.number}" / f"trial-{trial}"


def _remove_folder(path: Path) -> None:
    """Also what its owner may not open or change, as unpacked archives and read-only data sets are."""
    shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.chmod(0o700)
        for top, folders, _ in os.walk(path):
            for folder in folders:
                if not os.path.islink(inner := os.path.join(top, folder)):
                    os.chmod(inner, 0o700)
        shutil.rmtree(path, ignore_errors=True)
