"""Trials as an objective sees them, without a store."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial

from builders import MAXIMIZE, MINIMIZE, make_round, make_spec, real
from tuning_study.api.metrics import Metric
from tuning_study.search.space import stored_point
from tuning_worker.objective_trial import ObjectiveTrial
from tuning_worker.objectives.command import Command
from tuning_worker.objectives.metrics_report import MetricsReport
from tuning_worker.run import TrialRun
from tuning_worker.trial import check_metrics


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
        study.enqueue_trial(stored_point(point))
    resolved = make_round(**fields)
    trial = ObjectiveTrial(study, study.ask()._trial_id, resolved.spec.parameters)
    return TrialRun(trial, resolved, folder / "checkpoints", folder / "artifacts")


def make_report(*metrics: str | dict[str, Any]) -> MetricsReport:
    """Of a process that has reported nothing yet. A metric is its name, or all of it."""
    entries = [{"name": metric} if isinstance(metric, str) else metric for metric in metrics]
    return MetricsReport([Metric.model_validate(entry) for entry in entries])


def run_script(folder: Path, script: str, *, args: list[str] | None = None, **more: Any) -> dict[str, float]:
    """What a trial of this shell script reports; the script's $1, $2 … are `args`."""
    trial, objective = make_script_run(folder, script, args=args, **more)
    return dict(objective(trial))


def complete_script(folder: Path, script: str, *, args: list[str] | None = None, **more: Any) -> dict[str, float]:
    """The metrics that a trial of this shell script completes with. Raises TrialFailed as its end would."""
    trial, objective = make_script_run(folder, script, args=args, **more)
    return check_metrics(trial.round.spec, objective(trial), trial.notes)


def make_script_run(
    folder: Path, script: str, *, args: list[str] | None = None, **more: Any
) -> tuple[TrialRun, Command]:
    fields = {"metrics": [MAXIMIZE, MINIMIZE], "parameters": [real()]} | more.pop("fields", {})
    objective = {"command": {"command": ["sh", "-c", script, "sh"], "args": args or []}}
    spec = make_spec(objective=objective, **fields)
    assert spec.objective.command is not None
    trial = make_run(folder, **({"point": {"x": 0.5}, "objective": objective} | fields | more))
    return trial, Command(spec.objective.command, spec)


def assert_gone(pid: int) -> None:
    """The process has ended; whether somebody has read its exit code yet is not ours."""
    ended = threading.Event()
    for _ in range(100):
        try:
            os.kill(pid, 0)
            ended_threads = len(os.listdir(f"/proc/{pid}/task")) <= 1
            if "State:\tZ" in Path(f"/proc/{pid}/status").read_text() and ended_threads:
                return
        except (ProcessLookupError, FileNotFoundError):
            return
        ended.wait(0.05)
    os.kill(pid, signal.SIGKILL)
    pytest.fail(f"process {pid} was left behind")
