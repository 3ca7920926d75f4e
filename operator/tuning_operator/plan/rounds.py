"""A round's life in the plan: how it starts, follows its budget, is counted, and is told as ended."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from tuning_operator import reasons
from tuning_operator.plan.actions import (
    DropParameters,
    KeepReferences,
    RemoveWorkers,
    SetBudget,
    SetSelection,
    StartRound,
    StartWorkers,
    StudyEvent,
)
from tuning_operator.plan.draft import Draft, Plan, workers_in_words
from tuning_operator.plan.recording import record_end, record_start
from tuning_operator.plan.requests import round_budget
from tuning_operator.plan.running import tell_running
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.status import (
    ROUNDS_KEPT,
    Outcome,
    Round,
    StorageStatus,
    Trigger,
    TuningStudyStatus,
    VerificationStatus,
    WorkerCounts,
    in_production,
)
from tuning_study.budget import Counts
from tuning_study.requests import RetuneRequest
from tuning_study.results.describe import trial_counts
from tuning_study.results.diagnosis import fitting
from tuning_study.round import ResolvedRound, resolve
from tuning_study.search.auto import sampler_status
from tuning_study.search.phases import phase_at

_MAX_DIAGNOSIS_BYTES = 2500  # of a status, which stays under 16 KiB


def start_round(
    draft: Draft,
    spec: TuningStudySpec,
    number: int,
    trigger: Trigger,
    reason: str = "",
    asked: RetuneRequest | None = None,
) -> Plan:
    """`asked` is the request that the round answers, as far as it is known."""
    started = draft.observed.now
    since = _degraded_since(draft.status)
    resolved = _resolve(draft, spec, number, since)
    entry = Round(
        round=number,
        start_time=started,
        trigger=trigger,
        reason=reason,
        study=resolved.study,
        degraded_since=since,
    )
    budget = round_budget(spec.budget, spec.retune, retuned=entry.is_retuned)
    last = draft.status.rounds[-1] if draft.status.rounds and number > 1 else None
    if number > draft.status.round > 0:
        draft.actions.append(RemoveWorkers(draft.status.round))
    draft.observed = replace(draft.observed, progress=None, workers=None, missing=None)  # those were the last round's
    start = StartRound(
        resolved,
        budget,
        warm_from=last.study if entry.is_retuned and last is not None and last.round < number else None,
        warm_best=spec.retune.warm_start.best,
        incumbent=_incumbent(draft) if entry.is_retuned else None,
    )
    target = f"{budget.trials} trials" if budget.trials is not None else f"{budget.duration}"
    workers = workers_in_words(spec.workers.replicas)
    message = f"round {number} ({reason or trigger}): {target}, {workers}"
    draft.actions.append(start)
    record_start(draft, start, entry, asked, message)
    if not spec.suspend:
        draft.actions.append(StartWorkers(resolved, spec.workers.replicas))
    _join_episode(draft)
    earlier = [other for other in draft.status.rounds if other.round != number]
    kept = _kept(draft.status, [*earlier, entry])
    _drop_parameters(draft, [other for other in earlier if other not in kept])
    draft.set(
        round=number,
        state="Suspended" if spec.suspend else "Running",
        rounds=kept,
        storage=StorageStatus(study=resolved.study),
        trials=trial_counts(Counts(), budget.trials),
        workers=_worker_counts(draft, spec),
        phase=spec.phases[0].name,
        sampler=sampler_status(spec, 0),
        verification=None,
        best=None,
        pareto=None,
        diagnosis=[],
        start_time=started,
        completion_time=None,
    )
    draft.condition("Complete", "False", reasons.ROUND_STARTED, f"round {number} runs")
    draft.condition("Failed", "False", reasons.NOT_FAILED, "")
    tell_running(draft, spec.suspend)
    draft.events.append(StudyEvent(reasons.ROUND_STARTED, message))
    return draft.done(poll=True)


def _kept(status: TuningStudyStatus, rounds: Sequence[Round]) -> list[Round]:
    """The newest, and the one whose parameters are in production, however many rounds since then improved nothing."""
    newest = list(rounds[-ROUNDS_KEPT:])
    serving = in_production(status)
    return newest if serving is None or serving in newest else [serving, *newest[1:]]


def _drop_parameters(draft: Draft, gone: Sequence[Round]) -> None:
    """Of rounds that the status tells of no more, unless production may need them; the record keeps them."""
    promotion = draft.status.promotion
    needed = {promotion.stable, promotion.previous, promotion.candidate} if promotion is not None else set()
    left = [entry.parameters for entry in gone if entry.parameters is not None and entry.parameters not in needed]
    draft.actions += map(DropParameters, left)


def _incumbent(draft: Draft) -> tuple[str, int] | None:
    serving = in_production(draft.status)
    return (serving.study, serving.best.trial) if serving is not None and serving.best is not None else None


def _join_episode(draft: Draft) -> None:
    """A round that begins while something is wrong counts for it, whoever asked."""
    retune = draft.status.retune
    if retune.episode is not None:
        joined = retune.episode.model_copy(update={"rounds": retune.episode.rounds + 1, "waits_for": None})
        draft.set(retune=retune.model_copy(update={"episode": joined}))


def obey_budget(draft: Draft, spec: TuningStudySpec) -> None:
    progress, rounds = draft.observed.progress, draft.status.rounds
    if progress is None:
        return
    budget = round_budget(spec.budget, spec.retune, retuned=bool(rounds) and rounds[-1].is_retuned)
    seconds = budget.duration.total_seconds() if budget.duration is not None else None
    wanted = (budget.trials, budget.failed_trials, seconds)
    if wanted != (progress.limits.trials, progress.limits.failed_trials, progress.duration):
        draft.actions.append(SetBudget(budget))
        draft.events.append(StudyEvent(reasons.BUDGET_CHANGED, f"trials {progress.limits.trials} → {budget.trials}"))


def count_trials(draft: Draft, spec: TuningStudySpec) -> None:
    progress = draft.observed.progress
    assert progress is not None
    counts = progress.counts
    draft.set(
        trials=trial_counts(counts, progress.limits.trials),
        phase=phase_at(spec.phases, counts.used).name,
        sampler=sampler_status(spec, counts.used),
        workers=_worker_counts(draft, spec),
        verification=_verification(draft),
        best=draft.observed.best,
        pareto=draft.observed.pareto,
    )
    _tell_diagnosis(draft)


def _tell_diagnosis(draft: Draft) -> None:
    """In the status, and each reason that is new in an Event. The store is asked for it now and then only."""
    told = fitting(draft.observed.diagnosis, _MAX_DIAGNOSIS_BYTES)
    known = {each.reason for each in draft.status.diagnosis}
    draft.events += [StudyEvent(each.reason, each.message, "Warning") for each in told if each.reason not in known]
    draft.set(diagnosis=told)


def _verification(draft: Draft) -> VerificationStatus | None:
    found = draft.observed.verification
    if found is None:
        return None
    runs = trial_counts(found.counts, found.limits.trials)
    return VerificationStatus(study=found.study, runs=runs, message=draft.observed.verified)


def _worker_counts(draft: Draft, spec: TuningStudySpec) -> WorkerCounts:
    study, workers, progress = draft.observed.study, draft.observed.workers, draft.observed.progress
    over = progress is not None and progress.stop_reason is not None and not draft.observed.verifying
    counts = WorkerCounts(
        desired=0 if spec.suspend or over else spec.workers.replicas,
        selector=f"tuning.dev/study={study.name},tuning.dev/role=worker",
    )
    if workers is None:
        return counts
    return counts.model_copy(update={"active": workers.active, "ready": workers.ready, "failed": workers.failed})


def finish_round(draft: Draft, succeeded: bool, reason: str, message: str) -> None:
    now = draft.observed.now
    draft.condition("Running", "False", reasons.ROUND_ENDED, message)
    draft.condition("Suspended", "False", reasons.ROUND_ENDED, "")
    draft.condition("Complete", "True" if succeeded else "False", reason, message)
    draft.condition("Failed", "False" if succeeded else "True", reason, message)
    *earlier, entry = draft.status.rounds
    told = {"completion_time": now, "data": draft.observed.provenance.data, **_outcome(draft, entry, succeeded)}
    ended = entry.model_copy(update=told)
    draft.set(state="Complete" if succeeded else "Failed", completion_time=now, rounds=[*earlier, ended])
    tell_best(draft)
    spec = draft.observed.study.spec
    watches = spec is not None and spec.production is not None and spec.production.drift is not None
    if watches and succeeded and draft.status.rounds[-1].helped:
        draft.actions.append(KeepReferences(entry.study))
    record_end(draft, ended, succeeded=succeeded, reason=reason, message=message)
    draft.events.append(StudyEvent(reason, message, "Normal" if succeeded else "Warning"))


def _outcome(draft: Draft, entry: Round, succeeded: bool) -> dict[str, Outcome | str]:
    """What a retuning came to, as far as it can be told."""
    compared = draft.observed.comparison
    if not entry.is_retuned:
        return {}
    if not succeeded:
        return {"outcome": "Failed"}
    if compared is None:
        return {"comparison": "not compared with the parameters of before: that takes spec.verification"}
    return {"outcome": compared.outcome, "comparison": compared.in_words}


def tell_best(draft: Draft) -> None:
    """Among the rounds, of the one that has ended."""
    best = draft.status.best
    # The metrics are enough here: the parameters are in the history, and the status stays small.
    summary = best.model_copy(update={"parameters": []}) if best is not None else None
    *earlier, entry = draft.status.rounds
    if entry.best != summary:
        draft.set(rounds=[*earlier, entry.model_copy(update={"best": summary})])


def obey_selection(draft: Draft, spec: TuningStudySpec) -> None:
    """The store is told of a changed selection, for those who read the round there."""
    study = draft.observed.study
    if len(spec.objectives) > 1 and study.status.observed_generation != study.generation:
        draft.actions.append(SetSelection(spec.selection))


def _degraded_since(status: TuningStudyStatus) -> datetime | None:
    return min((entry.degraded_since for entry in status.production if entry.degraded_since is not None), default=None)


def resolve_round(draft: Draft, spec: TuningStudySpec, number: int) -> ResolvedRound:
    """Of a round that has begun."""
    since = next((entry.degraded_since for entry in draft.status.rounds if entry.round == number), None)
    return _resolve(draft, spec, number, since)


def _resolve(draft: Draft, spec: TuningStudySpec, number: int, since: datetime | None) -> ResolvedRound:
    study, versions = draft.observed.study, draft.observed.versions
    made = resolve(spec, namespace=study.namespace, name=study.name, uid=study.uid, number=number, versions=versions)
    return made.model_copy(update={"degraded_since": since})
