"""Trials as an objective sees them, without a store."""

from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial

from builders import make_round
from tuning_worker.run import TrialRun


class PrunesFrom(BasePruner):
    """Sees no hope from this step on."""

    def __init__(self, step: int) -> None:
        self._step = step

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        return (trial.last_step or 0) >= self._step


def make_run(
    folder: Path, *, point: dict[str, Any] | None = None, pruner: BasePruner | None = None, **fields: Any
) -> TrialRun:
    """A trial at `point` of a round with these fields of its spec."""
    study = optuna.create_study(direction="maximize", pruner=pruner or optuna.pruners.NopPruner())
    if point:
        study.enqueue_trial(point)
    return TrialRun(study.ask(), make_round(**fields), folder / "checkpoints")
