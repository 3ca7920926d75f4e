"""Decides, from what was observed, what to do and what to tell. Pure: no clock, no I/O, the same answer every time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta
from typing import Literal

from tuning_operator import conditions as why
from tuning_operator.actions import (
    Action,
    FailTrial,
    Note,
    PutBack,
    RemovePod,
    RemoveWorkers,
    ScaleWorkers,
    SetBudget,
    SetPaused,
    SetRetain,
    StartRound,
    StartWorkers,
)
from tuning_operator.conditions import with_condition
from tuning_operator.disruptions import is_lost, own_fault, was_killed
from tuning_operator.jobs import workers_digest
from tuning_operator.observed import Observed, PodView
from tuning_operator.retune import Request, answered, parse_request, round_budget, suppression
from tuning_store.progress import Progress
from tuning_study.budget import SUCCESSES, Counts, Over
from tuning_study.digest import spec_digest
from tuning_study.duration import format_duration
from tuning_study.round import ResolvedRound, resolve
from tuning_study.spec import TuningStudySpec
from tuning_study.standstill import describe_standstill
from tuning_study.status import (
    ROUNDS_KEPT,
    ConditionType,
    Round,
    StorageStatus,
    TrialCounts,
    TuningStudyStatus,
    WorkerCounts,
)
from tuning_study.strategy import phase_at

CREATED, SPEC_CHANGED = "Created", "SpecChanged"
_HOPELESS = 3  # pods of each worker that may fail with no trial ended in between
_PENDING_AFTER = {True: 10.0, False: 14.0}  # seconds without a worker until the study says so, with a reason or none
_SILENT = 60.0  # seconds after which a worker that was not heard of is not waited for
_TIME_TO_END = timedelta(seconds=15)  # for workers to end by themselves after their round


@dataclass(frozen=True)
class Plan:
    """Actions in order, then the status, then the notes. `poll` asks for another look soon."""

    status: TuningStudyStatus
    actions: tuple[Action, ...] = ()
    notes: tuple[Note, ...] = ()
    poll: bool = False


@dataclass
class _Draft:
    """A plan in the making."""

    observed: Observed
    status: TuningStudyStatus
    actions: list[Action] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def set(self, **fields: object) -> None:
        self.status = self.status.model_copy(update=fields)

    def condition(self, kind: ConditionType, value: Literal["True", "False"], reason: str, message: str) -> None:
        self.status = with_condition(self.status, kind, value, reason, message, self.observed.now)

    def done(self, poll: bool = False) -> Plan:
        return Plan(self.status, tuple(self.actions), tuple(self.notes), poll)


def plan(observed: Observed) -> Plan:
    draft = _Draft(observed, observed.study.status)
    if observed.namespace_ends:
        return _let_namespace_end(draft)
    draft.set(observed_generation=observed.study.generation)
    _tell_stalled(draft)
    spec = observed.study.spec
    if spec is None:
        return _refuse(draft)
    progress = observed.progress
    if progress is not None and progress.over is Over.REJECTED and progress.digest == spec_digest(spec):
        draft.condition("Accepted", "False", why.OBJECTIVE_REJECTED, progress.detail or "")
    else:
        draft.condition("Accepted", "True", why.VALID, "the manifest can run")
    if not _store_is_ready(draft):
        return draft.done(poll=True)

    if progress is None or draft.status.round == 0:  # or it was started, and the operator ended before it told
        reason = draft.status.rounds[-1].reason if draft.status.round else CREATED
        return _start_round(draft, spec, max(1, draft.status.round), reason)
    may_change = _has_ended(draft) or spec.suspend or draft.status.state == "Pending"
    if may_change and progress.digest != spec_digest(spec):
        return _start_round(draft, spec, draft.status.round + 1, SPEC_CHANGED)
    request = _new_request(observed)
    if request is not None and _takes(draft, spec, request):
        return _start_round(draft, spec, draft.status.round + 1, request.reason)

    _settle_lost_trials(draft)
    _obey_budget(draft, spec)
    if progress.retain != (spec.deletion_policy == "Retain"):
        draft.actions.append(SetRetain(spec.deletion_policy == "Retain"))
    _count(draft, spec)
    if progress.over is not None:
        return _end_round(draft, progress.over)
    if _workers_were_given_up(draft) or _workers_are_hopeless(draft):
        return draft.done()
    if spec.suspend:
        return _suspend(draft)
    return _run(draft, spec)


def refused(observed: Observed, decided: Plan, problem: str) -> Plan:
    """What to tell, beyond `decided`, when the API server does not take what it wanted to make; once, not each time."""
    message = f"the API server does not take the workers: {problem}"
    before = observed.study.status.condition("Running")
    others = [entry for entry in decided.status.conditions if entry.type != "Running"]
    draft = _Draft(observed, decided.status)
    draft.set(conditions=[*others, before] if before is not None else others)
    if before is None or before.reason != why.WORKERS_REFUSED:
        draft.notes.append(Note(why.WORKERS_REFUSED, message, "Warning"))
    draft.condition("Running", "False", why.WORKERS_REFUSED, message)
    if decided.status.trials.running == 0 and decided.status.state == "Running":
        draft.set(state="Pending")
    return draft.done()


def _let_namespace_end(draft: _Draft) -> Plan:
    """A namespace's end takes pods first, but the Job controller holds a pod until its replacement is there, which
    the namespace refuses: without the Job both are free."""
    job = draft.observed.job
    if job is not None and not job.deleting:
        draft.actions.append(RemoveWorkers(draft.status.round))
    return draft.done()


def _refuse(draft: _Draft) -> Plan:
    """A manifest that cannot run starts nothing; a round that runs already is left alone."""
    problems = "; ".join(draft.observed.study.problems)
    if _condition_is(draft, "Accepted", "False") is False:
        draft.notes.append(Note(why.INVALID_SPEC, problems, "Warning"))
    draft.condition("Accepted", "False", why.INVALID_SPEC, problems)
    draft.condition("Running", "False", why.NOT_STARTED, "waits for a manifest that can run")
    return draft.done()


def _store_is_ready(draft: _Draft) -> bool:
    problem = draft.observed.store
    was_ready = _condition_is(draft, "StoreReady", "False") is False
    if problem is not None:
        if was_ready:
            draft.notes.append(Note(problem.reason, problem.message, "Warning"))
        draft.condition("StoreReady", "False", problem.reason, problem.message)
        if draft.status.round == 0:
            draft.condition("Running", "False", why.NOT_STARTED, "waits for the store")
        return False
    if not was_ready:
        draft.notes.append(Note(why.CONNECTED, "the store answers again"))
    if draft.observed.shared_role:
        message = (
            "all namespaces share one login, so a worker of one could read the studies of another: the "
            "administrator's role may not create roles, or store.roles is false"
        )
        draft.condition("StoreReady", "True", why.SHARED_ROLE, message)
    else:
        draft.condition("StoreReady", "True", why.CONNECTED, "the store answers")
    return True


def _start_round(draft: _Draft, spec: TuningStudySpec, number: int, reason: str) -> Plan:
    resolved = _resolve(draft, spec, number)
    retuned = is_retuned(reason)
    budget = round_budget(spec.budget, spec.retune, retuned=retuned)
    last = draft.status.rounds[-1] if draft.status.rounds and number > 1 else None
    if number > draft.status.round > 0:
        draft.actions.append(RemoveWorkers(draft.status.round))
    draft.observed = replace(draft.observed, progress=None, job=None, missing=None)  # those were the last round's
    draft.actions.append(
        StartRound(
            resolved,
            budget,
            warm_from=last.study if retuned and last is not None and last.round < number else None,
            warm_best=spec.retune.warm_start.best,
        )
    )
    if not spec.suspend:
        draft.actions.append(StartWorkers(resolved, spec.workers.replicas))
    entry = Round(round=number, start_time=draft.observed.now, reason=reason, study=resolved.study)
    earlier = [other for other in draft.status.rounds if other.round != number]
    draft.set(
        round=number,
        state="Suspended" if spec.suspend else "Running",
        rounds=[*earlier, entry][-ROUNDS_KEPT:],
        storage=StorageStatus(study=resolved.study),
        trials=TrialCounts(target=budget.trials, summary=_summary(0, budget.trials)),
        workers=_workers(draft, spec),
        phase=spec.phases[0].name,
        best=None,
        pareto=None,
        start_time=draft.observed.now,
        completion_time=None,
    )
    draft.condition("Complete", "False", why.ROUND_STARTED, f"round {number} runs")
    draft.condition("Failed", "False", why.NOT_FAILED, "")
    _tell_running(draft, spec.suspend)
    target = f"{budget.trials} trials" if budget.trials is not None else f"{budget.duration}"
    workers = _workers_in_words(spec.workers.replicas)
    draft.notes.append(Note(why.ROUND_STARTED, f"round {number} ({reason}): {target}, {workers}"))
    return draft.done(poll=True)


def _workers_in_words(replicas: int) -> str:
    return "1 worker" if replicas == 1 else f"{replicas} workers"


def is_retuned(reason: str) -> bool:
    """Whether a round was asked for, rather than made by a new or changed manifest."""
    return reason not in (CREATED, SPEC_CHANGED)


def _new_request(observed: Observed) -> Request | None:
    if not observed.study.retune_request:
        return None
    request = parse_request(observed.study.retune_request)
    return request if request.digest != observed.study.status.retune.last_request else None


def _takes(draft: _Draft, spec: TuningStudySpec, request: Request) -> bool:
    verdict = suppression(
        request,
        spec.retune,
        draft.status.retune,
        now=draft.observed.now,
        running=not _has_ended(draft),
        suspended=spec.suspend,
    )
    draft.set(retune=answered(draft.status.retune, request, verdict, draft.observed.now))
    if verdict is not None:
        message = f"the request {request.token!r} ({request.reason}) starts no round: {verdict}"
        draft.notes.append(Note(why.RETUNE_SUPPRESSED, message, "Warning"))
        return False
    draft.notes.append(Note(why.RETUNE_STARTED, f"{request.trigger}: {request.reason}"))
    return True


def _settle_lost_trials(draft: _Draft) -> None:
    """Trials whose pod is gone wait again, and are charged to nobody; one that ended its own pod has failed."""
    progress, pods = draft.observed.progress, draft.observed.pods
    if progress is None or pods is None:
        return
    by_name = {pod.name: pod for pod in pods}
    for worker, share in progress.shares.items():
        pod = by_name.get(worker)
        if not share.running or not is_lost(pod, draft.observed.now):
            continue
        reason = own_fault(pod)
        if reason is None:
            draft.actions.append(PutBack(worker, was_killed(pod)))
            gone = _how_it_went(pod)
            message = f"pod {worker} {gone}: its trial waits again, charged to nobody"
            draft.notes.append(Note(why.TRIALS_PUT_BACK, message, "Warning", first=True))
        else:
            draft.actions.append(FailTrial(worker, reason))
            draft.notes.append(Note(why.TRIAL_ENDED_POD, f"pod {worker}: {reason}", "Warning", first=True))


def _how_it_went(pod: PodView | None) -> str:
    if pod is None:
        return "is gone"
    if not pod.ended:
        return "is on a node that does not answer"
    if was_killed(pod):
        return "was killed (SIGKILL)"
    if pod.evicted:
        return f"was evicted ({pod.evicted.strip()})"
    told = pod.reason if pod.reason not in ("", "Error") else f"exit code {pod.exit_code}"  # "Error": it was not 0
    return f"was disrupted ({told})" if pod.disrupted else f"ended ({told})"


def _obey_budget(draft: _Draft, spec: TuningStudySpec) -> None:
    progress, rounds = draft.observed.progress, draft.status.rounds
    if progress is None:
        return
    budget = round_budget(spec.budget, spec.retune, retuned=bool(rounds) and is_retuned(rounds[-1].reason))
    seconds = budget.duration.total_seconds() if budget.duration is not None else None
    wanted = (budget.trials, budget.failed_trials, seconds)
    if wanted != (progress.limits.trials, progress.limits.failed_trials, progress.duration):
        draft.actions.append(SetBudget(budget))
        draft.notes.append(Note(why.BUDGET_CHANGED, f"trials {progress.limits.trials} → {budget.trials}"))


def _count(draft: _Draft, spec: TuningStudySpec) -> None:
    progress = draft.observed.progress
    assert progress is not None
    counts = progress.counts
    draft.set(
        trials=TrialCounts(
            target=progress.limits.trials,
            complete=counts.complete,
            pruned=counts.pruned,
            failed=counts.failed,
            running=counts.running,
            waiting=counts.waiting,
            summary=_summary(counts.used, progress.limits.trials),
        ),
        phase=phase_at(spec.phases, counts.used).name,
        workers=_workers(draft, spec),
        best=draft.observed.best,
        pareto=draft.observed.pareto,
    )


def _workers(draft: _Draft, spec: TuningStudySpec) -> WorkerCounts:
    study, job, progress = draft.observed.study, draft.observed.job, draft.observed.progress
    counts = WorkerCounts(
        desired=0 if spec.suspend or (progress is not None and progress.over) else spec.workers.replicas,
        selector=f"tuning.dev/study={study.name},tuning.dev/role=worker",
    )
    if job is None:
        return counts
    return counts.model_copy(update={"active": job.active, "ready": job.ready, "failed": job.failed})


def _end_round(draft: _Draft, over: Over) -> Plan:
    """The round is over; it is told once no trial is running any more."""
    progress = draft.observed.progress
    assert progress is not None
    if progress.counts.running and not (draft.observed.job and draft.observed.job.finished):
        return _wait_for_the_last(draft, progress, over)
    if draft.status.state in ("Complete", "Failed"):
        return _clear_away(draft)
    succeeded = over in SUCCESSES and progress.counts.complete > 0
    message = _ending(draft.observed, over)
    _finish(draft, succeeded, str(over), message)
    return draft.done(poll=draft.observed.job is not None and draft.observed.job.finished is None)


def _wait_for_the_last(draft: _Draft, progress: Progress, over: Over) -> Plan:
    """What still runs is given back, or finished, within seconds. Workers that are silent do neither: their pods go."""
    job, silent = draft.observed.job, max(progress.silent.values(), default=0.0)
    if job is not None and not job.suspended and not job.deleting and silent >= _SILENT:
        draft.actions.append(ScaleWorkers(draft.status.round, job.parallelism, suspended=True))
    if draft.status.state == "Running":
        running = f"{progress.counts.running} running"
        message = f"round {draft.status.round} takes no more trials ({over}), and ends with those that run: {running}"
        draft.condition("Running", "True", why.ROUND_STARTED, message)
    return draft.done(poll=True)


def _clear_away(draft: _Draft) -> Plan:
    """Pods that outlive their round are removed, and a suspended Job removes them: a sidecar may live on for ever, and
    so may a worker whose node is gone. What has ended stays, with its log."""
    job, since = draft.observed.job, draft.status.completion_time
    if job is None or job.suspended or job.deleting or job.finished is not None:
        return draft.done()
    if since is not None and draft.observed.now - since >= _TIME_TO_END:
        draft.actions.append(ScaleWorkers(draft.status.round, job.parallelism, suspended=True))
    return draft.done(poll=True)


def _finish(draft: _Draft, succeeded: bool, reason: str, message: str) -> None:
    now = draft.observed.now
    draft.condition("Running", "False", why.ROUND_ENDED, message)
    draft.condition("Suspended", "False", why.ROUND_ENDED, "")
    draft.condition("Complete", "True" if succeeded else "False", reason, message)
    draft.condition("Failed", "False" if succeeded else "True", reason, message)
    *earlier, entry = draft.status.rounds
    best = draft.status.best
    # Of earlier rounds the metrics are enough here: the parameters are in the history, and the status stays small.
    summary = best.model_copy(update={"parameters": []}) if best is not None else None
    ended = entry.model_copy(update={"completion_time": now, "best": summary})
    draft.set(state="Complete" if succeeded else "Failed", completion_time=now, rounds=[*earlier, ended])
    draft.notes.append(Note(reason, message, "Normal" if succeeded else "Warning"))


def _ending(observed: Observed, over: Over) -> str:
    progress = observed.progress
    assert progress is not None
    counts = progress.counts
    tally = f"{counts.complete} complete, {counts.pruned} pruned, {counts.failed} failed"
    reasons = "; ".join(f"{number} × {reason}" for reason, number in observed.failures[:3])
    match over:
        case Over.TOO_MANY_FAILURES:
            return f"{counts.failed} trials failed, as many as budget.failedTrials allows: {reasons}"
        case Over.REJECTED:
            return f"the objective cannot run: {progress.detail}"
        case Over.GOAL_REACHED:
            return f"{progress.detail}; {tally}"
        case _ if counts.complete == 0:
            return f"no trial completed: {tally}. {reasons}".strip()
        case _:
            return tally


def _has_ended(draft: _Draft) -> bool:
    """Whether the round takes no more trials, and another may start."""
    progress = draft.observed.progress
    return draft.status.state == "Failed" or (progress is not None and progress.over is not None)


def _workers_were_given_up(draft: _Draft) -> bool:
    """Whether the round failed for its workers, and nobody has changed the manifest since."""
    failed = draft.status.condition("Failed")
    return (
        failed is not None
        and failed.status == "True"
        and failed.reason in (why.WORKERS_FAILED, why.START_DEADLINE)
        and failed.observed_generation == draft.observed.study.generation
    )


def _workers_are_hopeless(draft: _Draft) -> bool:
    """Whether the Job gave up, or its pods fail again and again and no trial ends any more."""
    job, progress = draft.observed.job, draft.observed.progress
    assert progress is not None
    if job is None or job.deleting:
        return False
    no_trial_ended = progress.counts.used + progress.counts.failed == 0
    failures = job.failed if no_trial_ended else _barren(draft.observed.pods or (), progress.shares)
    if job.finished == "Failed" or failures >= _HOPELESS * job.parallelism:
        said = next((pod.message for pod in _newest_first(draft.observed.pods) if pod.message), "")
        last_lines = "\n".join(said.strip().splitlines()[-5:])
        message = f"{job.failed} worker pods failed. {job.message} Last lines: {last_lines}"
        _finish(draft, False, why.WORKERS_FAILED, message)
        draft.actions.append(RemoveWorkers(draft.status.round))
        return True
    return False


def _barren(pods: Sequence[PodView], shares: Mapping[str, Counts]) -> int:
    """How many of the pods failed since one last ended a trial; none while a worker lives that has."""
    count = 0
    ending = {name for name, share in shares.items() if share.used + share.failed}
    if any(pod.name in ending and not pod.ended for pod in pods):
        return 0
    for pod in _newest_first(pods):
        if pod.name in ending:
            break
        count += own_fault(pod) is not None
    return count


def _newest_first(pods: Sequence[PodView] | None) -> Sequence[PodView]:
    return [pod for pod in reversed(pods or ()) if pod.ended]


def _suspend(draft: _Draft) -> Plan:
    progress, job = draft.observed.progress, draft.observed.job
    assert progress is not None
    if not progress.limits.paused:
        draft.actions.append(SetPaused(True))
    if job is not None and not job.suspended and job.finished is None:
        draft.actions.append(ScaleWorkers(draft.status.round, job.parallelism, suspended=True))
    if draft.status.state != "Suspended":
        draft.notes.append(Note(why.SUSPENDED, "workers stop; what they run is finished or put back"))
    draft.set(state="Suspended")
    _tell_running(draft, suspended=True)
    return draft.done(poll=progress.counts.running > 0)


def _run(draft: _Draft, spec: TuningStudySpec) -> Plan:
    observed, replicas = draft.observed, spec.workers.replicas
    progress, job = observed.progress, observed.job
    assert progress is not None
    if _start_took_too_long(draft, spec):
        return draft.done()
    if progress.limits.paused:
        draft.actions.append(SetPaused(False))
    if job is None:
        draft.actions.append(StartWorkers(_resolve(draft, spec, draft.status.round), replicas))
    elif job.deleting:
        pass  # the next look finds it gone
    elif job.finished == "Complete" or _workers_changed_while_none_runs(draft, spec):
        # Complete: its workers saw a budget that was raised since. The next look makes it anew.
        draft.actions.append(RemoveWorkers(draft.status.round))
    elif job.parallelism != replicas or job.suspended:
        draft.actions.append(ScaleWorkers(draft.status.round, replicas, suspended=False))
        if job.parallelism != replicas:
            draft.notes.append(Note(why.SCALED, f"from {job.parallelism} to {_workers_in_words(replicas)}"))
    draft.actions += [RemovePod(name) for name in (observed.missing.outlived if observed.missing else ())]
    if draft.status.state == "Suspended":
        draft.notes.append(Note(why.RESUMED, f"with {_workers_in_words(replicas)}"))
    if draft.status.state in ("Complete", "Failed"):
        draft.set(completion_time=None)
        draft.condition("Complete", "False", why.ROUND_STARTED, "the budget was raised")
        draft.condition("Failed", "False", why.NOT_FAILED, "")
    draft.set(state="Running")
    _tell_running(draft, suspended=False)
    return draft.done(poll=True)


def _start_took_too_long(draft: _Draft, spec: TuningStudySpec) -> bool:
    """Whether no trial began within the deadline, and nothing but the workers is to wait for. Ends the round then."""
    observed, job = draft.observed, draft.observed.job
    if job is None or job.started_at is None or job.suspended or job.deleting or observed.study.queue is not None:
        return False
    deadline, counts = spec.budget.start_deadline, draft.status.trials
    began = counts.complete + counts.pruned + counts.failed + counts.running > 0
    if began or observed.now - job.started_at < deadline:
        return False
    words = observed.missing.message if observed.missing else "workers run, and load the objective or its data"
    message = f"no trial began within budget.startDeadline ({format_duration(deadline)}): {words}".rstrip(": ")
    _finish(draft, False, why.START_DEADLINE, message)
    draft.actions.append(RemoveWorkers(draft.status.round))
    return True


def _workers_changed_while_none_runs(draft: _Draft, spec: TuningStudySpec) -> bool:
    """Whether spec.workers was changed since the Job was made, and a new Job takes no worker away from its trial."""
    job, missing = draft.observed.job, draft.observed.missing
    assert job is not None
    if job.workers_digest in ("", workers_digest(spec.workers)):
        return False
    return job.suspended or (missing is not None and missing.running == 0)


def _resolve(draft: _Draft, spec: TuningStudySpec, number: int) -> ResolvedRound:
    study, versions = draft.observed.study, draft.observed.versions
    return resolve(spec, namespace=study.namespace, name=study.name, uid=study.uid, number=number, versions=versions)


def _tell_running(draft: _Draft, suspended: bool) -> None:
    if suspended:
        draft.condition("Running", "False", why.SUSPENDED, "spec.suspend is true")
        draft.condition("Suspended", "True", why.SUSPENDED, "spec.suspend is true")
        return
    draft.condition("Suspended", "False", why.RESUMED, "")
    missing = draft.observed.missing
    if missing is not None and missing.running == 0 and missing.seconds >= _PENDING_AFTER[bool(missing.message)]:
        message = f"no worker runs: {missing.message}" if missing.message else "no worker runs yet"
        before = draft.status.condition("Running")
        if before is None or before.reason != why.WORKERS_PENDING:
            draft.notes.append(Note(why.WORKERS_PENDING, message, "Warning"))
        draft.condition("Running", "False", why.WORKERS_PENDING, message)
        draft.set(state="Pending")
        return
    remarks = [f"round {draft.status.round} runs", *_of_missing(draft), *_of_standstill(draft)]
    draft.condition("Running", "True", why.ROUND_STARTED, "; ".join(remarks))


def _of_missing(draft: _Draft) -> Iterator[str]:
    missing, job = draft.observed.missing, draft.observed.job
    if job is None or missing is None or missing.seconds < _PENDING_AFTER[True]:
        return
    if 0 < missing.running < job.parallelism:  # all may run while another container keeps a pod from being ready
        yield f"{missing.running} of {job.parallelism} workers run; the others wait: {missing.message}".rstrip(": ")


def _of_standstill(draft: _Draft) -> Iterator[str]:
    progress, spec = draft.observed.progress, draft.observed.study.spec
    if progress is None or spec is None or draft.status.round == 0:
        return
    since = max(filter(None, (progress.started_at, progress.last_finished_at))).replace(tzinfo=UTC)
    if draft.observed.job is not None and draft.observed.job.started_at is not None:  # anew after a suspension
        since = max(since, draft.observed.job.started_at)
    limited = spec.budget.trial_duration is not None
    if words := describe_standstill(progress.counts.running, draft.observed.now - since, limited=limited):
        yield words


def _tell_stalled(draft: _Draft) -> None:
    """A look that came here has not failed; what it could not describe is told until it can."""
    problem, before = draft.observed.results_problem, draft.status.condition("Stalled")
    if problem:
        message = f"the best trials cannot be described: {problem}"
        if before is None or before.status != "True":
            draft.notes.append(Note(why.RESULTS_UNREADABLE, message, "Warning"))
        draft.condition("Stalled", "True", why.RESULTS_UNREADABLE, message)
    elif before is not None:
        draft.condition("Stalled", "False", why.NOT_STALLED, "")


def _condition_is(draft: _Draft, kind: Literal["Accepted", "StoreReady"], value: str) -> bool:
    condition = draft.status.condition(kind)
    return condition is not None and condition.status == value


def _summary(used: int, target: int | None) -> str:
    return f"{used}/{target}" if target is not None else str(used)
