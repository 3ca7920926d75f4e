"""The parameters that may go to production next: which they are, who wants them, and what keeps them out."""

from collections.abc import Sequence

from tuning_operator.plan.actions import StartStaging
from tuning_operator.plan.draft import Draft
from tuning_operator.plan.promotion.canary import begin_canary, is_held
from tuning_operator.plan.promotion.moves import begin_promotion
from tuning_operator.plan.promotion.steps import now, refuse, step, update
from tuning_operator.plan.recording import OPERATOR
from tuning_study.api.promotion import Promotion, Staging
from tuning_study.api.promotion_status import Approval, GateStatus, PromotionState, PromotionStatus, RolledBack
from tuning_study.api.status import Round
from tuning_study.promotion import gates, requests
from tuning_study.promotion.parameters import digest_of


def take_approval(draft: Draft) -> None:
    """What a person asks to promote is the candidate from now on."""
    status = now(draft)
    request = requests.unanswered(draft.observed.study.promote_request, status.last_promote)
    if request is None:
        return
    update(draft, last_promote=request.digest)
    asked = _verified_round(draft, request.round)
    if status.is_moving:
        refuse(draft, request.who, f"another change is under way: {status.message}")
    elif asked is None or asked.parameters is None:
        which = f"round {request.round} has no verified parameters" if request.round else "no round is verified yet"
        refuse(draft, request.who, which)
    elif asked.parameters == status.stable:
        refuse(draft, request.who, f"{asked.parameters} is in production already")
    else:
        approval = Approval(parameters=asked.parameters, by=request.by, reason=request.reason, again=request.again)
        update(draft, approval=approval, answer="")


def consider(draft: Draft, promotion: Promotion) -> None:
    """Judge the candidate, and begin to promote it if every gate lets it through."""
    status = now(draft)
    entry = _approved_round(draft, status.approval) or _verified_round(draft, None)
    if entry is None or entry.parameters is None or entry.best is None:
        return
    name, target, refusal = entry.parameters, draft.observed.target, draft.observed.refusal
    if _is_settled(status, name):
        if status.candidate is not None and not is_held(status):
            step(draft, "Stable", f"{status.stable} stays: no newer parameters", OPERATOR, candidate=None, gates=[])
        return
    told = _judged(draft, promotion, entry, name)
    problem = refusal or (target.problem if target is not None else None)
    if not gates.let_through(told):
        _keep_out(draft, name, told)
    elif problem is not None:
        _wait(draft, "Held", ": ".join(problem), name, told)
    elif promotion.target is not None and target is None:  # the next look knows how it stands
        _wait(draft, "Candidate", f"{name}: every gate lets it through", name, told)
    elif _needs_canary(status, promotion, name):
        if status.canary is not None and status.canary.deployment is not None:  # of earlier parameters, or a look back
            _wait(draft, "Candidate", f"{name}: the canary of before has to go first", name, told)
        else:
            begin_canary(draft, promotion, name, told)
    else:
        begin_promotion(draft, promotion, name, told)


def _verified_round(draft: Draft, number: int | None) -> Round | None:
    """The one that is asked for, or the newest with verified parameters."""
    known = [entry for entry in draft.status.rounds if entry.parameters is not None]
    if number is None:
        return known[-1] if known else None
    return next((entry for entry in known if entry.round == number), None)


def _approved_round(draft: Draft, approval: Approval | None) -> Round | None:
    if approval is None:
        return None
    return next((entry for entry in draft.status.rounds if entry.parameters == approval.parameters), None)


def _needs_canary(status: PromotionStatus, promotion: Promotion, name: str) -> bool:
    """The first parameters have nothing to stand beside, and of what a canary could not tell a person has decided."""
    if promotion.canary is None or status.stable is None:
        return False
    decided = is_held(status) and status.candidate == name and status.approval is not None
    return not decided or (status.approval is not None and status.approval.again)


def _is_settled(status: PromotionStatus, name: str) -> bool:
    """Whether nothing is to be decided of these parameters: they serve, or were taken back or held, and nobody asks
    again."""
    if status.approval is not None:
        return False
    if is_held(status) and status.candidate == name:
        return True
    same = status.stable is not None and digest_of(status.stable) == digest_of(name)
    return same or any(taken.parameters == name for taken in status.rolled_back)


def _judged(draft: Draft, promotion: Promotion, entry: Round, name: str) -> list[GateStatus]:
    assert entry.best is not None
    status, beside = now(draft), _was_beside(now(draft), entry)
    compared = draft.observed.comparison if entry.round == draft.status.round and beside else None
    before = _judged_before(status, name) if beside else None
    told = gates.judge(
        gates.Candidate(name, entry.best, compared, before, _why_not_compared(status, entry)),
        promotion.gates,
        gates.Circumstances(
            stable=status.stable,
            rolled_back=[taken.parameters for taken in status.rolled_back if _is_blamed(taken, entry)],
            drifted=_drifted(draft),
            frozen=draft.observed.frozen,
            automatic=promotion.mode == "Automatic",
            approved_by=status.approval.who if status.approval is not None else None,
            again=status.approval is not None and status.approval.again,
        ),
    )
    if gates.let_through(told) and promotion.staging is not None:
        told.append(_checked(draft, promotion.staging, name))
    return told


def _checked(draft: Draft, staging: Staging, name: str) -> GateStatus:
    """The last gate, which costs a Job: it is asked when all others let the parameters through."""
    found = draft.observed.staging if now(draft).candidate == name else None
    if found is not None:
        return gates.checked(found.finished, found.message)
    if draft.observed.refusal is not None:
        return gates.checked("Failed", draft.observed.refusal[1])
    draft.actions.append(StartStaging(name, staging.job))
    return gates.checked(None)


def _was_beside(status: PromotionStatus, entry: Round) -> bool:
    """Whether what is in production was so when the round began, and so was measured in it."""
    began = entry.start_time
    return entry.is_retuned and began is not None and (status.stable_since is None or status.stable_since <= began)


def _why_not_compared(status: PromotionStatus, entry: Round) -> str:
    if not entry.is_retuned:
        return "a changed manifest began the round, so that those in production were not measured in it"
    if not _was_beside(status, entry):
        return "what is in production has changed since the round began"
    return "the verification has no two runs of both"


def _is_blamed(taken: RolledBack, entry: Round) -> bool:
    """Whether what was shown then is about the same data, as far as anybody knows."""
    return not taken.undecided and (None in (taken.data, entry.data) or taken.data == entry.data)


def _judged_before(status: PromotionStatus, name: str) -> GateStatus | None:
    if status.candidate != name:
        return None
    return next((gate for gate in status.gates if gate.name == "Better" and gate.verdict != "Unknown"), None)


def _drifted(draft: Draft) -> bool | None:
    drift = draft.status.drift
    if drift is None:
        return False
    return None if drift.verdict == "Unknown" else drift.verdict == "Drifted"


def _keep_out(draft: Draft, name: str, told: Sequence[GateStatus]) -> None:
    approval, words = now(draft).approval, gates.in_words(told)
    shut = {(gate.name, gate.verdict) for gate in told if gate.verdict != "Passed"}
    may_pass_by_itself = shut <= {("NotFrozen", "Refused"), ("Staging", "Unknown")}
    if approval is not None and not may_pass_by_itself:
        refuse(draft, approval.who, words)
        update(draft, approval=None)
    _wait(draft, "Staging" if ("Staging", "Unknown") in shut else "Gated", f"{name}: {words}", name, told)


def _wait(draft: Draft, state: PromotionState, message: str, name: str, told: Sequence[GateStatus]) -> None:
    """A candidate that goes no further for now; told once."""
    status = now(draft)
    if (status.candidate, status.state, status.message) != (name, state, message):
        step(draft, state, message, OPERATOR, candidate=name, gates=list(told))
