"""Production on its way to other parameters, and back to those of before."""

from collections.abc import Sequence
from datetime import timedelta

from tuning_operator import reasons
from tuning_operator.plan.actions import MoveProduction, TryTarget
from tuning_operator.plan.draft import Draft
from tuning_operator.plan.promotion.steps import now, refuse, step, taken_back, update, who
from tuning_operator.plan.recording import OPERATOR
from tuning_study.api.promotion import Promotion
from tuning_study.api.promotion_status import GateStatus
from tuning_study.promotion import requests


def begin_promotion(draft: Draft, promotion: Promotion, name: str, told: Sequence[GateStatus]) -> None:
    if promotion.target is not None:
        draft.actions.append(TryTarget(promotion.target, name))
    began, change = draft.observed.now, _change(draft, name)
    step(draft, "Promoting", change, who(draft), candidate=name, gates=list(told), changed=began)


def follow_rollout(draft: Draft, promotion: Promotion) -> None:
    status, target = now(draft), draft.observed.target
    assert status.candidate is not None
    if target is not None and target.parameters == status.candidate and target.failed:
        _begin_return(draft, f"the rollout of {target.name} failed: {target.failed}", OPERATOR)
        return
    change = _change(draft, status.candidate)
    update(draft, message=f"{change}: {target.waiting}" if target is not None and target.waiting else change)
    if _has_moved(draft, promotion, status.candidate):
        before = f", before it was {status.stable}" if status.stable is not None else ""
        step(
            draft,
            "Stable",
            f"{status.candidate} is in production{before}",
            who(draft),
            kind=reasons.PROMOTED,
            stable=status.candidate,
            stable_since=draft.observed.now,
            previous=status.stable,
            candidate=None,
            approval=None,
        )


def goes_back(draft: Draft, promotion: Promotion) -> bool:
    """Whether production goes back to the parameters of before from now on: a person says so, or it is degraded."""
    status = now(draft)
    request = requests.unanswered(draft.observed.study.rollback_request, status.last_rollback)
    if request is not None:
        update(draft, last_rollback=request.digest, answer="")
        if status.state == "RollingBack":
            return False
        if (status.stable if status.state == "Promoting" else status.previous) is None:
            refuse(draft, request.who, "there is nothing to go back to: no other parameters were in production before")
            return False
        _begin_return(draft, request.who, request.by)
        return True
    degraded = _degraded(draft, promotion.watch)
    if degraded is None:
        return False
    _begin_return(draft, degraded, OPERATOR)
    return True


def follow_return(draft: Draft, promotion: Promotion) -> None:
    status, target = now(draft), draft.observed.target
    assert status.stable is not None
    if target is not None and (target.failed or target.waiting):
        update(draft, message=f"{status.stable} is not brought back yet: {target.failed or target.waiting}")
    if _has_moved(draft, promotion, status.stable):
        reason = status.rolled_back[-1].reason if status.rolled_back else ""
        message = f"{status.stable} is in production again, and {status.candidate} is not: {reason}"
        step(draft, "RolledBack", message, OPERATOR, candidate=None, gates=[])


def _change(draft: Draft, name: str) -> str:
    stable = now(draft).stable
    return f"{stable} → {name}" if stable is not None else name


def _has_moved(draft: Draft, promotion: Promotion, name: str) -> bool:
    """Whether production has these parameters by the end of this look. What is missing is done, and what is in the way
    told."""
    if promotion.target is None:
        draft.actions.append(MoveProduction(name, None))
        return True
    target, problem = draft.observed.target, draft.observed.refusal
    if target is None:
        return False
    problem = problem or target.problem
    if problem is not None:
        update(draft, message=": ".join(problem))
        return False
    if target.parameters != name:
        returns = now(draft).state == "RollingBack" and target.stale_pods
        draft.actions.append(MoveProduction(name, promotion.target, now(draft).since if returns else None))
        return False
    return target.rolled_out


def _degraded(draft: Draft, watch: timedelta) -> str | None:
    """Why the parameters that went to production lately are to be taken back; None if they are not."""
    status = now(draft)
    if status.is_moving or status.previous is None or status.stable_since is None:
        return None
    for entry in draft.status.production:
        if entry.degraded_since is not None and timedelta(0) <= entry.degraded_since - status.stable_since <= watch:
            return f"degraded within {watch} after the promotion: {entry.message}"
    return None


def _begin_return(draft: Draft, reason: str, actor: str) -> None:
    """From a rollout that goes on to what is stable still; else from what is stable to what was before."""
    status = now(draft)
    rolling = status.state == "Promoting"
    failing, back = (status.candidate, status.stable) if rolling else (status.stable, status.previous)
    assert failing is not None
    taken = taken_back(draft, failing, reason)
    if back is None:
        message = f"{failing}: {reason}; there is nothing to go back to, so that whatever serves still goes on serving"
        step(draft, "RolledBack", message, actor, candidate=None, gates=[], rolled_back=taken, approval=None)
        return
    _answer_episode(draft)
    step(
        draft,
        "RollingBack",
        f"{failing} → {back}: {reason}",
        actor,
        candidate=failing,
        stable=back,
        stable_since=status.stable_since if rolling else draft.observed.now,
        previous=status.previous if rolling else None,
        rolled_back=taken,
        approval=None,
    )


def _answer_episode(draft: Draft) -> None:
    """Going back is an answer to what was wrong: no round is started for the same cause at once."""
    retune = draft.status.retune
    if retune.episode is not None:
        answered = retune.episode.model_copy(update={"rounds": retune.episode.rounds + 1})
        draft.set(retune=retune.model_copy(update={"episode": answered}))
