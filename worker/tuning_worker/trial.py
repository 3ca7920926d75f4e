"""Runs one claimed trial, and decides its final state: the one place where that happens."""

import errno
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
import structlog
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study._tell import _tell_with_warning
from optuna.trial import TrialState

from tuning_store.exceptions import ClaimLost
from tuning_store.storage import Store
from tuning_store.values import Claimed
from tuning_study.budget import Over
from tuning_study.grid import SharedGridSampler
from tuning_study.results import FAILURE_ATTRIBUTE, METRICS_ATTRIBUTE, reaches_goals, violations
from tuning_study.seeds import trial_seed
from tuning_study.spec import TuningStudySpec
from tuning_study.strategy import Samplers, build_pruner, phase_at
from tuning_worker.exceptions import TrialFailed, TrialInterrupted
from tuning_worker.hints import near_names
from tuning_worker.pulse import Pulse
from tuning_worker.run import Objective, TrialRun
from tuning_worker.settings import Settings

log = structlog.get_logger()
_FAILURE_LENGTH = 2000
_WANTING = (errno.EMFILE, errno.ENOMEM)
_QUOTED = 100  # characters of a value that is no number


@dataclass(frozen=True)
class Bench:
    """What every trial of a worker is run with."""

    settings: Settings
    store: Store
    study: optuna.Study
    samplers: Samplers
    objective: Objective
    pulse: Pulse


def run_trial(bench: Bench, claimed: Claimed) -> bool:
    """Ask, run, tell. Whatever the objective does, the trial ends complete, pruned or failed, or it waits again.

    False when it failed for want of files or memory: what earlier trials kept would be wanting to the next one too.
    """
    resolved, study = bench.settings.round, bench.study
    phase = phase_at(resolved.spec.phases, claimed.taken)
    sampler_seed = trial_seed(resolved.seed, claimed.number, "sampler")
    study.sampler = bench.samplers.for_trial(phase, sampler_seed)
    study.pruner = build_pruner(phase.pruner)
    study._thread_local.cached_all_trials = None  # as Study.ask does: what others finished counts from now on
    study._thread_local.in_optimize_loop = True  # lets the objective call study.stop()
    trial = optuna.Trial(study, claimed.trial_id)
    run, goes_on = TrialRun(trial, resolved, bench.settings.checkpoints), True
    try:
        with bench.pulse.trial():
            metrics = _call(bench.objective, run)
        _complete(bench, trial, check_metrics(resolved.spec, metrics, run.notes))
    except optuna.TrialPruned:
        _tell(bench, trial, TrialState.PRUNED)
    except TrialInterrupted as interrupted:
        if interrupted.failure is None:
            bench.store.give_back(study._study_id)
            log.info("trial put back", trial=claimed.number, reason=str(interrupted))
        else:
            _fail(bench, trial, interrupted.failure)
    except (ClaimLost, UpdateFinishedTrialError) as lost:
        log.warning("the trial is no longer ours", trial=claimed.number, reason=str(lost))
    except TrialFailed as failed:
        _fail(bench, trial, str(failed))
    except BaseException as error:  # KeyboardInterrupt too: only the supervisor says when the worker ends
        log.warning("trial raised", trial=claimed.number, exc_info=True)
        goes_on = not _wants_resources(error)
        _fail(bench, trial, describe(error))
    grid = study.sampler if len(resolved.spec.phases) == 1 else None
    if isinstance(grid, SharedGridSampler) and grid.only_failures_are_left(study):
        # They would be tried again until budget.failedTrials is used.
        bench.store.stop(study._study_id, Over.GRID_WALKED, "each point of the grid was tried, and some failed")
    if study._stop_flag:
        bench.store.stop(study._study_id, Over.STOPPED_BY_OBJECTIVE, f"trial {claimed.number} called study.stop()")
    return goes_on


def _wants_resources(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _WANTING)


def _call(objective: Objective, run: TrialRun) -> Mapping[str, float]:
    """The objective's metrics. An end of the process that it asks for is the failure of its trial.

    A child that the objective forked and that comes back from it, by returning or by sys.exit(), ends here: it must
    not go on as a second worker.
    """
    worker, exit_code = os.getpid(), 0
    try:
        return objective(run)
    except SystemExit as asked:
        exit_code = asked.code if isinstance(asked.code, int) else int(asked.code is not None)
        raise TrialFailed(exit_message(asked)) from asked
    except BaseException:
        exit_code = 1
        raise
    finally:
        if os.getpid() != worker:
            os._exit(exit_code)


def describe(error: BaseException) -> str:
    """The error's type and text; some errors fail again when they are asked for their text."""
    try:
        return f"{type(error).__name__}: {error}"
    except BaseException:  # SystemExit too
        return f"{type(error).__name__}, whose text cannot be shown"


def exit_message(asked: SystemExit) -> str:
    """What `sys.exit(...)` in an objective tells its author."""
    if asked.code is None or isinstance(asked.code, int):
        return f"the objective ended its process with code {asked.code or 0}: remove sys.exit()"
    return f"the objective ended its process: {asked.code}"


def check_metrics(spec: TuningStudySpec, metrics: Mapping[str, Any], notes: Sequence[str] = ()) -> dict[str, float]:
    """The metrics that the study declares, as numbers; a recorded one that is no number is left out.

    Raises TrialFailed for an objective or constrained metric that is missing, no number or NaN. `notes` are what the
    objective knows of the reason.
    """
    needed = {metric.name for metric in spec.objectives} | {constraint.metric for constraint in spec.constraints}
    missing = sorted(needed - set(metrics))
    if missing:
        raise TrialFailed(_not_reported(missing, metrics, notes))
    numbers: dict[str, float] = {}
    for metric in spec.metrics:
        if metric.name not in metrics:
            continue
        try:
            numbers[metric.name] = float(metrics[metric.name])
        except Exception as error:  # of a type of the objective's own
            problem = f"{metric.name} is {repr(metrics[metric.name])[:_QUOTED]}, not a number"
            if metric.name in needed:
                raise TrialFailed(problem) from error
            log.warning("a recorded metric is left out", reason=problem)
            continue
        if metric.name in needed and math.isnan(numbers[metric.name]):
            raise TrialFailed(f"{metric.name} is NaN")
    return numbers


def _not_reported(missing: Sequence[str], metrics: Mapping[str, Any], notes: Sequence[str]) -> str:
    reported = sorted(map(str, metrics))
    others = [name for name in reported if name not in missing]
    meant = [f"{other} may be {name}" for name in missing for other in near_names(name, others, most=1)]
    said = f"the objective did not report {', '.join(missing)}; it reported {', '.join(reported) or 'nothing'}"
    return "; ".join([said, *meant, *notes])


def _complete(bench: Bench, trial: optuna.Trial, metrics: dict[str, float]) -> None:
    spec = bench.settings.round.spec
    trial.set_user_attr(METRICS_ATTRIBUTE, metrics)
    broken = violations(spec.constraints, metrics)
    for name, value in broken.items():
        trial.set_constraint(name, value)
    values = [metrics[metric.name] for metric in spec.objectives]
    _tell(bench, trial, TrialState.COMPLETE, values)
    if reaches_goals(spec.objectives, values, feasible=all(value <= 0 for value in broken.values())):
        reached = ", ".join(f"{metric.name} {metrics[metric.name]:g}" for metric in spec.objectives)
        detail = f"trial {trial.number} reached {reached}"
        bench.store.stop(bench.study._study_id, Over.GOAL_REACHED, detail)


def _fail(bench: Bench, trial: optuna.Trial, reason: str) -> None:
    reason = reason.replace("\x00", "")[:_FAILURE_LENGTH]
    try:
        trial.set_user_attr(FAILURE_ATTRIBUTE, reason)
        _tell(bench, trial, TrialState.FAIL, reason=reason)
    except (ClaimLost, UpdateFinishedTrialError) as lost:
        log.warning("the trial is no longer ours", trial=trial.number, reason=str(lost))


def _tell(
    bench: Bench, trial: optuna.Trial, state: TrialState, values: list[float] | None = None, reason: str = ""
) -> None:
    try:
        _tell_with_warning(bench.study, trial, values, state)  # Study.tell would read the trial again, and copy it
    except ValueError as error:  # Optuna's word for a trial that was put back meanwhile
        raise ClaimLost(str(error)) from error
    TrialRun(trial, bench.settings.round, bench.settings.checkpoints).discard_checkpoints()
    log.info(
        "trial ended", trial=trial.number, state=state.name, values=values, **({"reason": reason} if reason else {})
    )
