"""What becomes of verified parameters: kept as an object, judged by gates, brought to production, and back. Pure.

A step at a look. That production is to change is in the status before it does, so that an operator that takes over
goes on with it. First the ConfigMap in production changes, then the pods that read it.
"""

from collections.abc import Mapping
from datetime import timedelta

from tuning_operator import reasons
from tuning_operator.plan.actions import KeepParameters, MoveProduction, Record, StartStaging, StudyEvent, TryTarget
from tuning_operator.plan.draft import Draft
from tuning_operator.targets.deployment import TargetView
from tuning_store.record import Line
from tuning_study.api.promotion import Promotion, Staging
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.status import (
    REFUSED_KEPT,
    Approval,
    ConditionStatus,
    GateStatus,
    PromotionState,
    PromotionStatus,
    RolledBack,
    Round,
)
from tuning_study.promotion import gates, requests
from tuning_study.promotion.parameters import VerifiedParameters, digest_of
from tuning_study.round import resolve

OPERATOR = "the operator"
_CONDITION: dict[PromotionState, ConditionStatus] = {
    "Candidate": "Unknown",
    "Gated": "False",
    "Held": "Unknown",
    "Staging": "Unknown",
    "Promoting": "Unknown",
    "Stable": "True",
    "RollingBack": "False",
    "RolledBack": "False",
}


def follow_promotion(draft: Draft, spec: TuningStudySpec) -> None:
    """Take the next step, if there is one."""
    _keep_verified(draft, spec)
    promotion = spec.promotion
    if promotion is None or promotion.mode == "None":
        draft.set(conditions=[entry for entry in draft.status.conditions if entry.type != "Promoted"])
        return
    if draft.status.promotion is None:
        draft.set(promotion=PromotionStatus(message="no round has verified parameters yet"))
    if not _goes_back(draft, promotion):
        _take_approval(draft)
        match _now(draft).state:
            case "Promoting":
                _follow_rollout(draft, promotion)
            case "RollingBack":
                _follow_return(draft, promotion)
            case _:
                _consider(draft, promotion)
    now = _now(draft)
    value = _CONDITION[now.state] if now.stable is not None or now.candidate is not None else "Unknown"
    draft.condition("Promoted", value, now.state, now.message)


def _keep_verified(draft: Draft, spec: TuningStudySpec) -> None:
    """Each round that was verified leaves its parameters, whether they go to production or not."""
    study, status, found = draft.observed.study, draft.status, draft.observed.parameters
    if found is None or status.state != "Complete" or status.best is None or not status.best.verified:
        return
    *earlier, entry = status.rounds
    if entry.completion_time is None or entry.parameters is not None:
        return
    best = status.best
    resolved = resolve(spec, namespace=study.namespace, name=study.name, uid=study.uid, number=entry.round, versions={})
    about = {
        "namespace": study.namespace,
        "trial": best.trial,
        "metrics": {metric.name: metric.value for metric in best.metrics},
        "feasible": best.feasible,
        "comparison": entry.comparison,
        "trigger": entry.began_by,
        "reason": entry.reason,
        "verified": entry.completion_time.isoformat(),
        "seed": resolved.seed,
        "versions": dict(draft.observed.versions),
        "image": spec.workers.image,
        "optunaStudy": entry.study,
    }
    kept = VerifiedParameters(study.name, entry.round, dict(found), about)
    draft.actions.append(KeepParameters(kept, draft.observed.now))
    draft.events.append(StudyEvent(reasons.PARAMETERS_VERIFIED, f"round {entry.round}: ConfigMap {kept.name}"))
    draft.set(rounds=[*earlier, entry.model_copy(update={"parameters": kept.name})])


def _goes_back(draft: Draft, promotion: Promotion) -> bool:
    """Whether production goes back to the parameters of before from now on: a person says so, or it is degraded."""
    now = _now(draft)
    request = requests.unanswered(draft.observed.study.rollback_request, now.last_rollback)
    if request is not None:
        _update(draft, last_rollback=request.digest, answer="")
        if now.state == "RollingBack":
            return False
        if (now.stable if now.state == "Promoting" else now.previous) is None:
            _refuse(draft, request.who, "there is nothing to go back to: no other parameters were in production before")
            return False
        _begin_return(draft, request.who, request.by)
        return True
    degraded = _degraded(draft, promotion.watch)
    if degraded is None:
        return False
    _begin_return(draft, degraded, OPERATOR)
    return True


def _degraded(draft: Draft, watch: timedelta) -> str | None:
    """Why the parameters that went to production lately are to be taken back; None if they are not."""
    now = _now(draft)
    if now.is_moving or now.previous is None or now.stable_since is None:
        return None
    for entry in draft.status.production:
        if entry.degraded_since is not None and timedelta(0) <= entry.degraded_since - now.stable_since <= watch:
            return f"degraded within {watch} after the promotion: {entry.message}"
    return None


def _begin_return(draft: Draft, reason: str, who: str) -> None:
    now = _now(draft)
    failing = now.candidate if now.state == "Promoting" else now.stable
    back = now.stable if now.state == "Promoting" else now.previous
    assert failing is not None
    taken = [*now.rolled_back, RolledBack(parameters=failing, reason=reason)][-REFUSED_KEPT:]
    if back is None:
        message = f"{failing}: {reason}; there is nothing to go back to, so that whatever serves still goes on serving"
        _step(draft, "RolledBack", message, who, candidate=None, gates=[], rolled_back=taken, approval=None)
        return
    _answer_episode(draft)
    _step(
        draft,
        "RollingBack",
        f"{failing} → {back}: {reason}",
        who,
        candidate=failing,
        stable=back,
        stable_since=now.stable_since if now.state == "Promoting" else draft.observed.now,
        previous=now.previous if now.state == "Promoting" else None,
        rolled_back=taken,
        approval=None,
    )


def _answer_episode(draft: Draft) -> None:
    """Going back is an answer to what was wrong: no round is started for the same cause at once."""
    retune = draft.status.retune
    if retune.episode is not None:
        answered = retune.episode.model_copy(update={"rounds": retune.episode.rounds + 1})
        draft.set(retune=retune.model_copy(update={"episode": answered}))


def _take_approval(draft: Draft) -> None:
    """What a person asks to promote is the candidate from now on."""
    now = _now(draft)
    request = requests.unanswered(draft.observed.study.promote_request, now.last_promote)
    if request is None:
        return
    _update(draft, last_promote=request.digest)
    asked = _verified_round(draft, request.round)
    if now.is_moving:
        _refuse(draft, request.who, f"another change is under way: {now.message}")
    elif asked is None or asked.parameters is None:
        which = f"round {request.round} has no verified parameters" if request.round else "no round is verified yet"
        _refuse(draft, request.who, which)
    elif asked.parameters == now.stable:
        _refuse(draft, request.who, f"{asked.parameters} is in production already")
    else:
        approval = Approval(parameters=asked.parameters, by=request.by, reason=request.reason, again=request.again)
        _update(draft, approval=approval, answer="")


def _verified_round(draft: Draft, number: int | None) -> Round | None:
    """The one that is asked for, or the newest with verified parameters."""
    known = [entry for entry in draft.status.rounds if entry.parameters is not None]
    if number is None:
        return known[-1] if known else None
    return next((entry for entry in known if entry.round == number), None)


def _consider(draft: Draft, promotion: Promotion) -> None:
    """Judge the candidate, and begin to promote it if every gate lets it through."""
    now = _now(draft)
    approval = now.approval
    entry = _approved_round(draft, approval) or _verified_round(draft, None)
    if entry is None or entry.parameters is None or entry.best is None:
        return
    if _is_settled(now, entry.parameters):
        if now.candidate is not None:
            _step(draft, "Stable", f"{now.stable} stays: no newer parameters", OPERATOR, candidate=None, gates=[])
        return
    name, target = entry.parameters, draft.observed.target
    told = gates.judge(
        gates.Candidate(
            name,
            entry.best,
            draft.observed.comparison if entry.round == draft.status.round and _was_beside(now, entry) else None,
            _judged_before(now, name) if _was_beside(now, entry) else None,
            _why_not_compared(now, entry),
        ),
        promotion.gates,
        gates.Circumstances(
            stable=now.stable,
            rolled_back=[taken.parameters for taken in now.rolled_back],
            drifted=_drifted(draft),
            frozen=draft.observed.frozen,
            automatic=promotion.mode == "Automatic",
            approved_by=approval.who if approval is not None else None,
            again=approval is not None and approval.again,
        ),
    )
    if gates.let_through(told) and promotion.staging is not None:
        told.append(_checked(draft, promotion.staging, name))
    if not gates.let_through(told):
        _keep_out(draft, name, told)
    elif promotion.target is not None and target is None:  # the next look knows how it stands
        _wait(draft, "Candidate", f"{name}: every gate lets it through", name, told)
    elif target is not None and target.problem is not None:
        _wait(draft, "Held", ": ".join(target.problem), name, told)
    else:
        _begin_promotion(draft, promotion, name, told)


def _checked(draft: Draft, staging: Staging, name: str) -> GateStatus:
    """The last gate, which costs a Job: it is asked when all others let the parameters through."""
    found = draft.observed.staging if _now(draft).candidate == name else None
    if found is None:
        draft.actions.append(StartStaging(name, staging.job))
    match found.finished if found is not None else None:
        case "Complete":
            return GateStatus(name="Staging", verdict="Passed")
        case "Failed":
            assert found is not None
            return GateStatus(name="Staging", verdict="Refused", message=f"the check failed: {found.message}")
        case _:
            return GateStatus(name="Staging", verdict="Unknown", message="the check runs")


def _begin_promotion(draft: Draft, promotion: Promotion, name: str, told: list[GateStatus]) -> None:
    now = _now(draft)
    who = now.approval.who if now.approval is not None else OPERATOR
    change = f"{now.stable} → {name}" if now.stable is not None else name
    if promotion.target is not None:
        draft.actions.append(TryTarget(promotion.target.deployment.name, name))
    _step(draft, "Promoting", change, who, candidate=name, gates=told)


def _is_settled(now: PromotionStatus, name: str) -> bool:
    """Whether nothing is to be decided of these parameters: they serve, or were taken back, and nobody asks again."""
    if now.approval is not None:
        return False
    same = now.stable is not None and digest_of(now.stable) == digest_of(name)
    return same or any(taken.parameters == name for taken in now.rolled_back)


def _approved_round(draft: Draft, approval: Approval | None) -> Round | None:
    if approval is None:
        return None
    return next((entry for entry in draft.status.rounds if entry.parameters == approval.parameters), None)


def _was_beside(now: PromotionStatus, entry: Round) -> bool:
    """Whether what is in production was so when the round began, and so was measured in it."""
    began = entry.start_time
    return entry.is_retuned and began is not None and (now.stable_since is None or now.stable_since <= began)


def _why_not_compared(now: PromotionStatus, entry: Round) -> str:
    if not entry.is_retuned:
        return "a changed manifest began the round, so that those in production were not measured in it"
    if not _was_beside(now, entry):
        return "what is in production has changed since the round began"
    return "the verification has no two runs of both"


def _judged_before(now: PromotionStatus, name: str) -> GateStatus | None:
    if now.candidate != name:
        return None
    return next((gate for gate in now.gates if gate.name == "Better" and gate.verdict != "Unknown"), None)


def _drifted(draft: Draft) -> bool | None:
    drift = draft.status.drift
    if drift is None:
        return False
    return None if drift.verdict == "Unknown" else drift.verdict == "Drifted"


def _keep_out(draft: Draft, name: str, told: list[GateStatus]) -> None:
    now, words = _now(draft), gates.in_words(told)
    if now.approval is not None and not _may_change(told):
        _refuse(draft, now.approval.who, words)
        _update(draft, approval=None)
    checking = any((gate.name, gate.verdict) == ("Staging", "Unknown") for gate in told)
    _wait(draft, "Staging" if checking else "Gated", f"{name}: {words}", name, told)


def _may_change(told: list[GateStatus]) -> bool:
    """Whether what keeps the candidate out may pass by itself."""
    shut = [(gate.name, gate.verdict) for gate in told if gate.verdict != "Passed"]
    return set(shut) <= {("NotFrozen", "Refused"), ("Staging", "Unknown")}


def _wait(draft: Draft, state: PromotionState, message: str, name: str, told: list[GateStatus]) -> None:
    """A candidate that goes no further for now; told once."""
    now = _now(draft)
    if (now.candidate, now.state, now.message) != (name, state, message):
        _step(draft, state, message, OPERATOR, candidate=name, gates=told)


def _follow_rollout(draft: Draft, promotion: Promotion) -> None:
    now, target = _now(draft), draft.observed.target
    assert now.candidate is not None
    if promotion.target is None:
        _move(draft, promotion, now.candidate)
        _finish_promotion(draft)
    elif target is None or target.problem is not None:
        _tell_problem(draft, target)
    elif target.parameters != now.candidate:
        _move(draft, promotion, now.candidate)
    elif target.failed:
        _begin_return(draft, f"the rollout of {target.name} failed: {target.failed}", OPERATOR)
    elif target.rolled_out:
        _finish_promotion(draft)


def _follow_return(draft: Draft, promotion: Promotion) -> None:
    now, target = _now(draft), draft.observed.target
    assert now.stable is not None
    if promotion.target is None:
        _move(draft, promotion, now.stable)
        _finish_return(draft)
    elif target is None or target.problem is not None:
        _tell_problem(draft, target)
    elif target.parameters != now.stable:
        _move(draft, promotion, now.stable)
    elif target.rolled_out:
        _finish_return(draft)


def _tell_problem(draft: Draft, target: TargetView | None) -> None:
    if target is not None and target.problem is not None:
        _update(draft, message=": ".join(target.problem))


def _finish_promotion(draft: Draft) -> None:
    now = _now(draft)
    by = now.approval.who if now.approval is not None else OPERATOR
    _step(
        draft,
        "Stable",
        f"{now.candidate} is in production" + (f", before it was {now.stable}" if now.stable is not None else ""),
        by,
        kind=reasons.PROMOTED,
        stable=now.candidate,
        stable_since=draft.observed.now,
        previous=now.stable,
        candidate=None,
        approval=None,
    )


def _finish_return(draft: Draft) -> None:
    now = _now(draft)
    reason = now.rolled_back[-1].reason if now.rolled_back else ""
    message = f"{now.stable} is in production again, and {now.candidate} is not: {reason}"
    _step(draft, "RolledBack", message, OPERATOR, candidate=None, gates=[])


def _move(draft: Draft, promotion: Promotion, name: str) -> None:
    deployment = promotion.target.deployment.name if promotion.target is not None else None
    draft.actions.append(MoveProduction(name, deployment))


def _refuse(draft: Draft, who: str, why: str) -> None:
    """What a person asked for is not done; they are told, and it is kept."""
    message = f"{who}: not done, as {why}"
    draft.events.append(StudyEvent(reasons.PROMOTION_REFUSED, message, "Warning"))
    _update(draft, answer=message, steps=_now(draft).steps + 1)
    _record(draft, reasons.PROMOTION_REFUSED, message, who, {})


def _step(
    draft: Draft, state: PromotionState, message: str, who: str, *, kind: str | None = None, **fields: object
) -> None:
    """A change of state: told in status, Event and record."""
    bad = state in ("RollingBack", "RolledBack", "Held")
    _update(draft, state=state, message=message, since=draft.observed.now, steps=_now(draft).steps + 1, **fields)
    told = kind or state
    draft.events.append(StudyEvent(told, message, "Warning" if bad else "Normal"))
    now = _now(draft)
    evidence = {
        "stable": now.stable,
        "candidate": now.candidate,
        "previous": now.previous,
        "gates": [gate.manifest() for gate in now.gates],
    }
    _record(draft, told, message, who, evidence)


def _record(draft: Draft, kind: str, message: str, who: str, evidence: Mapping[str, object]) -> None:
    key = f"promotion/{_now(draft).steps}"
    draft.actions.append(Record((Line(kind, message, draft.observed.now, who, evidence, key=key),)))


def _update(draft: Draft, **fields: object) -> None:
    draft.set(promotion=_now(draft).model_copy(update=fields))


def _now(draft: Draft) -> PromotionStatus:
    assert draft.status.promotion is not None
    return draft.status.promotion
