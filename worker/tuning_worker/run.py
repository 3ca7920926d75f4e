"""One trial as an objective sees it: its parameters, its seed, where to report, and how it is interrupted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import optuna
from optuna.trial import FrozenTrial, TrialState

from tuning_study.production.features import Reference
from tuning_study.round import ResolvedRound
from tuning_study.search import space
from tuning_study.search.likeness import Profile
from tuning_study.seeds import trial_seed
from tuning_study.verification import run_seed
from tuning_worker import artifacts, folders


class Objective(Protocol):
    """Turns one trial's parameters into metrics. Made by `objectives.load`."""

    preparation: Sequence[str]
    """What it makes of its data's columns before the manifest's own steps, a line each."""

    @property
    def profile(self) -> Profile | None:
        """Its model and what its data are like; None where it does not know them."""

    def references(self, features: Sequence[str]) -> Mapping[str, Reference]:
        """The distribution of its data's features, of those named or else of all; none where it does not know them."""

    def __call__(self, run: "TrialRun") -> Mapping[str, float]:
        """The trial's metrics by name. May raise TrialPruned and TrialFailed; any other error fails the trial."""


@dataclass
class TrialRun:
    trial: optuna.Trial
    round: ResolvedRound
    checkpoints: Path
    artifacts: Path
    notes: list[str] = field(default_factory=list)
    """What the objective knows of metrics that it could not report; told when the trial fails for want of them."""
    _point: space.Point | None = field(default=None, init=False, repr=False)

    @property
    def seed(self) -> int:
        """The objective's own seed, the same whenever this trial is run again."""
        number = self.trial.number
        return run_seed(number, self.round) if self.round.verifies else trial_seed(self.round.seed, number)

    def suggest(self) -> space.Point:
        """The values of the manifest's parameters. The first call asks the sampler, later ones repeat its answer."""
        if self._point is None:
            self._point = space.suggest(self.trial, self.round.spec.parameters)
        return self._point

    def make_checkpoint_dir(self) -> Path:
        """The folder of what the trial goes on from when it is put back. It is made where it is missing."""
        return folders.make(self._checkpoint_path)

    def make_artifacts_dir(self) -> Path:
        """The folder for files that stay when the trial is among the best. It is made where it is missing."""
        return folders.make(self.artifacts_dir)

    @property
    def artifacts_dir(self) -> Path:
        return artifacts.folder_of(self.artifacts, self.round, self.trial.number)

    def environment(self) -> dict[str, str]:
        """Who the trial is and where it may keep files, for whoever runs it."""
        since = self.round.degraded_since
        return {
            "TUNING_TRIAL": str(self.trial.number),
            "TUNING_STUDY": self.round.study,
            "TUNING_SEED": str(self.seed),
            "TUNING_CHECKPOINT_DIR": str(self.make_checkpoint_dir()),
            "TUNING_ARTIFACTS_DIR": str(self.make_artifacts_dir()),
            **({"TUNING_DEGRADED_SINCE": since.isoformat()} if since is not None else {}),
        }

    @property
    def ran_before(self) -> bool:
        """Whether an earlier run of the trial, which did not end it, was on this machine."""
        return self._checkpoint_path.exists()

    def discard_checkpoints(self) -> None:
        """The trial has ended for good: nobody will go on from its folder."""
        folders.remove(self._checkpoint_path)

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


def discard_folders(checkpoints: Path, artifact_root: Path, round: ResolvedRound, trial: int) -> None:
    """Of a trial that has failed for good."""
    folders.remove(_checkpoint_path(checkpoints, round, trial))
    folders.remove(artifacts.folder_of(artifact_root, round, trial))


def left_behind(checkpoints: Path, artifact_root: Path, round: ResolvedRound) -> bool:
    """Whether any trial has a folder."""
    return any(map(folders.names_in, _folders_of_all(checkpoints, artifact_root, round)))


def discard_left_behind(
    checkpoints: Path, artifact_root: Path, round: ResolvedRound, trials: Sequence[FrozenTrial]
) -> None:
    """Of `trials` that ended with their worker, so that nobody discarded them. The files of complete ones stay."""
    left = {name for place in _folders_of_all(checkpoints, artifact_root, round) for name in folders.names_in(place)}
    for trial in trials:
        if not trial.state.is_finished() or _checkpoint_path(checkpoints, round, trial.number).name not in left:
            continue
        folders.remove(_checkpoint_path(checkpoints, round, trial.number))
        files = artifacts.folder_of(artifact_root, round, trial.number)
        if trial.state is not TrialState.COMPLETE or not artifacts.holds_any(files):
            folders.remove(files)


def _folders_of_all(checkpoints: Path, artifact_root: Path, round: ResolvedRound) -> tuple[Path, Path]:
    return _checkpoint_path(checkpoints, round, 0).parent, artifacts.folder_of(artifact_root, round, 0).parent


def _checkpoint_path(root: Path, round: ResolvedRound, trial: int) -> Path:
    return root / (round.uid or round.name) / round.folder / f"trial-{trial}"
