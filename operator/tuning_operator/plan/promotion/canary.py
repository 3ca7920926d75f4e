"""The candidate's pods beside those in production: begun, followed to a verdict, and taken away.

What is decided is in the status before any pod is touched, so that an operator that takes over neither forgets a harm
nor compares anew what was decided.
"""

from collections.abc import Sequence
from typing import Literal

from tuning_operator import reasons
from tuning_operator.observe.observation import CanaryTold
from tuning_operator.plan.actions import DropCanary, StartCanary, StudyEvent, TryCanary
from tuning_operator.plan.draft import Draft
from tuning_operator.plan.promotion.moves import begin_promotion
from tuning_operator.plan.promotion.steps import now, step, taken_back, update, who
from tuning_operator.plan.recording import OPERATOR
from tuning_operator.rollout.canary import canary_name
from tuning_study.api.canary import Canary
from tuning_study.api.promotion import Promotion
from tuning_study.api.promotion_status import (
    CanaryDecision,
    CanaryEvidence,
    CanaryStatus,
    GateStatus,
    PromotionStatus,
)
from tuning_study.promotion import requests
from tuning_study.promotion.canary.analysis import MetricVerdict


def begin_canary(draft: Draft, promotion: Promotion, name: str, told: Sequence[GateStatus]) -> None:
    target, asked, status = promotion.target, promotion.canary, now(draft)
    assert target is not None and target.deployment is not None and asked is not None
    draft.actions.append(TryCanary(target.deployment.name, name, asked.replicas))
    message, begun = f"{name} serves beside {status.stable}", _begun(target.deployment.name, name)
    step(draft, "Canary", message, who(draft), candidate=name, gates=list(told), canary=begun)


def is_held(status: PromotionStatus) -> bool:
    """Whether a canary that has shown nothing serves on, until a person decides."""
    held = status.canary is not None and status.canary.decision == "Hold" and status.canary.deployment is not None
    return held and status.state == "Held" and status.candidate is not None


def tidy_canary(draft: Draft, *, wanted: bool) -> None:
    """Take the pods away that nothing is to be learnt from any more."""
    status = draft.status.promotion
    if status is None or status.canary is None or status.canary.deployment is None:
        return
    if wanted and (status.state == "Canary" or is_held(status)):
        return
    beside = draft.observed.canary
    if beside is None:
        update(draft, canary=status.canary.model_copy(update={"deployment": None}))
    elif not beside.ending:
        draft.actions.append(DropCanary(beside.name))


def stop_canary(draft: Draft) -> bool:
    """Whether a person has asked to go back, and it is the canary that goes."""
    status = now(draft)
    request = requests.unanswered(draft.observed.study.rollback_request, status.last_rollback)
    if request is None or not (status.state == "Canary" or is_held(status)):
        return False
    update(draft, last_rollback=request.digest, answer="")
    _keep_out(draft, reasons.CANARY_STOPPED, request.who, request.by)
    return True


def follow_canary(draft: Draft, promotion: Promotion) -> None:
    asked, target, beside = promotion.canary, draft.observed.target, draft.observed.canary
    status = now(draft)
    assert status.canary is not None and status.candidate is not None
    if asked is None or promotion.target is None:
        step(draft, "Candidate", "the manifest asks for no canary any more", OPERATOR)
        return
    problem = draft.observed.refusal or (target.problem if target is not None else None)
    if problem is not None:
        update(draft, message=": ".join(problem))
    elif target is None:
        return
    elif beside is None:
        draft.actions.append(StartCanary(target.name, status.candidate, asked.replicas))
        update(draft, canary=_begun(target.name, status.candidate))
    elif not beside.ending and beside.made_from != target.template:
        message = f"the Deployment {target.name} has changed: the canary is made anew from it"
        draft.events.append(StudyEvent(reasons.CANARY_RESTARTED, message))
        draft.actions.append(DropCanary(beside.name))
    elif not beside.ending:
        _follow_pods(draft, promotion, asked, beside.failed)


def _follow_pods(draft: Draft, promotion: Promotion, asked: Canary, failed: str) -> None:
    told = draft.observed.canary_told
    if told is None:
        if failed:
            _end(draft, promotion, asked, "Unknown", f"the canary's pods do not become ready: {failed}")
        return
    update(draft, canary=_status(now(draft), told))
    if told.verdict.outcome == "Unknown" and not told.over:
        return
    if told.verdict.outcome == "Better" and draft.observed.frozen:
        update(draft, message="the canary has passed, and waits: the study is frozen")
        return
    _end(draft, promotion, asked, told.verdict.outcome, told.verdict.reason)


def _end(
    draft: Draft, promotion: Promotion, asked: Canary, outcome: Literal["Harm", "Better", "Unknown"], reason: str
) -> None:
    decision: CanaryDecision = "Promote" if outcome == "Better" else "RollBack"
    if outcome == "Unknown":
        decision = asked.undecided
    status = now(draft)
    assert status.canary is not None and status.candidate is not None
    update(draft, canary=status.canary.model_copy(update={"decision": decision}))
    kind = {
        "Harm": reasons.CANARY_HARMED,
        "Better": reasons.CANARY_PASSED,
        "Unknown": reasons.CANARY_UNDECIDED,
    }[outcome]
    if outcome == "Better" or asked.dry_run:
        would = f"without `dryRun`: {decision}; " if asked.dry_run else ""
        step(draft, "Canary", would + reason, OPERATOR, kind=kind)
        begin_promotion(draft, promotion, status.candidate, status.gates)
    elif decision == "Hold":
        step(draft, "Held", f"undecided: {reason}", OPERATOR, kind=kind, approval=None)
    else:
        _keep_out(draft, kind, reason, OPERATOR, undecided=outcome == "Unknown")


def _keep_out(draft: Draft, kind: str, reason: str, actor: str, *, undecided: bool = False) -> None:
    """What serves stays as it is; only the canary's pods go."""
    status = now(draft)
    assert status.candidate is not None and status.canary is not None
    told = f"{status.stable} stays in production, and {status.candidate} is kept out: "
    step(
        draft,
        "Held" if undecided else "RolledBack",
        told + (f"undecided: {reason}" if undecided else reason),
        actor,
        kind=kind,
        candidate=None,
        gates=[],
        approval=None,
        canary=status.canary.model_copy(update={"decision": "RollBack"}),
        rolled_back=taken_back(draft, status.candidate, reason, undecided=undecided),
    )


def _begun(target: str, parameters: str) -> CanaryStatus:
    return CanaryStatus(parameters=parameters, deployment=canary_name(target, parameters))


def _status(status: PromotionStatus, told: CanaryTold) -> CanaryStatus:
    assert status.canary is not None
    return status.canary.model_copy(
        update={
            "since": told.since.replace(microsecond=0),
            "verdict": told.verdict.outcome,
            "cause": told.verdict.cause,
            "message": told.verdict.reason,
            "evidence": [_evidence(metric) for metric in told.verdict.metrics],
        }
    )


def _evidence(metric: MetricVerdict) -> CanaryEvidence:
    at_least, at_most = metric.interval or (None, None)
    return CanaryEvidence(
        metric=metric.metric,
        outcome=metric.outcome,
        samples=metric.samples,
        stable_samples=metric.stable_samples,
        e=_rounded(metric.e),
        threshold=_rounded(metric.threshold),
        effect=_rounded(metric.effect),
        at_least=_rounded(at_least),
        at_most=_rounded(at_most),
    )


def _rounded(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.4g}")
