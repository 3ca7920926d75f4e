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
from optuna.trial import TrialState

from tuning_store.exceptions import ClaimLost
from tuning_store.optuna_internals import begin_trial, id_of_study
from tuning_store.store import Store
from tuning_store.values import ClaimedTrial
from tuning_study.api.spec import TuningStudySpec
from tuning_study.attributes import ARTIFACTS_ATTRIBUTE, FAILURE_ATTRIBUTE, METRICS_ATTRIBUTE, TRACEBACK_ATTRIBUTE
from tuning_study.budget import StopReason
from tuning_study.results.best import reaches_goals
from tuning_study.results.feasibility import all_hold, violations
from tuning_study.search.phases import phase_at
from tuning_study.search.samplers.grid import SharedGridSampler
from tuning_study.search.strategy import Samplers, build_pruner
from tuning_study.seeds import trial_seed
from tuning_study.worker_contract import TRIAL_BEGINS
from tuning_worker import artifacts, folders
from tuning_worker.exceptions import TrialFailed, TrialInterrupted
from tuning_worker.failures import describe_with_place, exit_message, format_traceback
from tuning_worker.heartbeat import Heartbeat
from tuning_worker.hints import near_names
from tuning_worker.known import Known
from tuning_worker.objective_trial import ObjectiveTrial
from tuning_worker.optuna_internals import stop_was_asked, tell_trial
from tuning_worker.run import Objective, TrialRun
from tuning_worker.settings import Settings
from tuning_worker.verifying import is_needless

log = structlog.get_logger()
_FAILURE_LENGTH = 2000
_WANTING = (errno.EMFILE, errno.ENOMEM)
_QUOTED = 100  # characters of a value that is no number


@dataclass(frozen=True)
class WorkerContext:
    """What every trial of a worker is run with."""

    settings: Settings
    store: Store
    study: optuna.Study
    samplers: Samplers
    objective: Objective
    heartbeat: Heartbeat
    known: Known = Known()


def run_trial(context: WorkerContext, claimed: ClaimedTrial) -> bool:
    """Ask, run, tell. Whatever the objective does, the trial ends complete, pruned or failed, or it waits again.

    False when it failed for want of files or memory: what earlier trials kept would be wanting to the next one too.
    """
    log.info(TRIAL_BEGINS, trial=claimed.number)
    resolved, study = context.settings.round, context.study
    phase = phase_at(resolved.spec.phases, claimed.taken)
    sampler_seed = trial_seed(resolved.seed, claimed.number, "sampler")
    study.sampler = context.samplers.for_trial(phase, claimed.taken, sampler_seed)
    study.pruner = build_pruner(phase.pruner, resolved.spec)
    begin_trial(study)
    context.known.give(context.store, claimed)
    trial = ObjectiveTrial(study, claimed.trial_id, resolved.spec.parameters)
    run, goes_on = _run_of(context, trial), True
    try:
        if resolved.verifies and is_needless(resolved, study, claimed.number):
            raise optuna.TrialPruned
        with context.heartbeat.trial():
            metrics = _call(context.objective, run)
        _complete(context, trial, run, check_metrics(resolved.spec, metrics, run.notes))
    except optuna.TrialPruned:
        _tell(context, trial, TrialState.PRUNED)
    except TrialInterrupted as interrupted:
        if interrupted.failure is None:
            context.store.claims.release(id_of_study(study), context.settings.worker)
            log.info("trial put back", trial=claimed.number, reason=str(interrupted))
        else:
            _fail(context, trial, interrupted.failure)
    except (ClaimLost, UpdateFinishedTrialError) as lost:
        log.warning("the trial is no longer ours", trial=claimed.number, reason=str(lost))
    except TrialFailed as failed:
        _fail(context, trial, str(failed))
    except BaseException as error:  # KeyboardInterrupt too: only the supervisor says when the worker ends
        log.warning("trial raised", trial=claimed.number, exc_info=True)
        goes_on = not _wants_resources(error)
        _fail(context, trial, describe_with_place(error), format_traceback(error))
    grid = study.sampler if len(resolved.spec.phases) == 1 else None
    if isinstance(grid, SharedGridSampler) and grid.only_failures_are_left(study):
        # They would be tried again until budget.failedTrials is used.
        context.store.claims.stop(
            id_of_study(study), StopReason.GRID_WALKED, "each point of the grid was tried, and some failed"
        )
    if stop_was_asked(study) and not resolved.verifies:
        context.store.claims.stop(
            id_of_study(study), StopReason.STOPPED_BY_OBJECTIVE, f"trial {claimed.number} called study.stop()"
        )
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
            numbers[metric.name] = _number(metrics[metric.name])
        except Exception as error:  # of a type of the objective's own
            problem = f"{metric.name} is {repr(metrics[metric.name])[:_QUOTED]}, not a number"
            if metric.name in needed:
                raise TrialFailed(problem) from error
            log.warning("a recorded metric is left out", reason=problem)
            continue
        if metric.name in needed and math.isnan(numbers[metric.name]):
            raise TrialFailed(f"{metric.name} is NaN")
    return numbers


def _number(value: Any) -> float:
    """An array or tensor of one element is that element. Raises whatever its type does for what is no number."""
    return float(value.item() if hasattr(value, "item") else value)


def _not_reported(missing: Sequence[str], metrics: Mapping[str, Any], notes: Sequence[str]) -> str:
    reported = sorted(map(str, metrics))
    others = [name for name in reported if name not in missing]
    meant = [f"{other} may be {name}" for name in missing for other in near_names(name, others, most=1)]
    said = f"the objective did not report {', '.join(missing)}; it reported {', '.join(reported) or 'nothing'}"
    return "; ".join([said, *meant, *notes])


def _run_of(context: WorkerContext, trial: optuna.Trial) -> TrialRun:
    settings = context.settings
    return TrialRun(trial, settings.round, settings.checkpoints, settings.artifacts)


def _complete(context: WorkerContext, trial: optuna.Trial, run: TrialRun, metrics: dict[str, float]) -> None:
    spec = context.settings.round.spec
    left_files = artifacts.holds_any(run.artifacts_dir)
    if left_files:
        trial.set_user_attr(ARTIFACTS_ATTRIBUTE, str(run.artifacts_dir))
    trial.set_user_attr(METRICS_ATTRIBUTE, metrics)
    broken = violations(spec.constraints, metrics)
    for name, value in broken.items():
        trial.set_constraint(name, value)
    values = [metrics[metric.name] for metric in spec.objectives]
    _tell(context, trial, TrialState.COMPLETE, values)
    if left_files:
        complete = context.store.readings.candidates(context.settings.round.study)
        artifacts.keep_best(run.artifacts_dir, spec, complete)
    if reaches_goals(spec.objectives, values, feasible=all_hold(broken)):
        reached = ", ".join(f"{metric.name} {metrics[metric.name]:g}" for metric in spec.objectives)
        detail = f"trial {trial.number} reached {reached}"
        context.store.claims.stop(id_of_study(context.study), StopReason.GOAL_REACHED, detail)


def _fail(context: WorkerContext, trial: optuna.Trial, reason: str, trace: str = "") -> None:
    reason = reason.replace("\x00", "")[:_FAILURE_LENGTH]
    try:
        trial.set_user_attr(FAILURE_ATTRIBUTE, reason)
        if trace:
            trial.set_user_attr(TRACEBACK_ATTRIBUTE, trace.replace("\x00", ""))
        _tell(context, trial, TrialState.FAIL, reason=reason)
    except (ClaimLost, UpdateFinishedTrialError) as lost:
        log.warning("the trial is no longer ours", trial=trial.number, reason=str(lost))


def _tell(
    context: WorkerContext, trial: optuna.Trial, state: TrialState, values: list[float] | None = None, reason: str = ""
) -> None:
    try:
        tell_trial(context.study, trial, values, state)  # Study.tell would read the trial again, and copy it
    except ValueError as error:  # the trial is no longer RUNNING: it was put back meanwhile
        raise ClaimLost(str(error)) from error
    run = _run_of(context, trial)
    run.discard_checkpoints()
    if state is not TrialState.COMPLETE or not artifacts.holds_any(run.artifacts_dir):
        folders.remove(run.artifacts_dir)
    log.info(
        "trial ended", trial=trial.number, state=state.name, values=values, **({"reason": reason} if reason else {})
    )
