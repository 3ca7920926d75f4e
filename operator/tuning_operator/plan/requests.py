"""Decides what becomes of a request for a new round. Every request is answered; none is silently dropped."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import get_args

from tuning_operator import reasons
from tuning_operator.observe.observation import Observation
from tuning_operator.plan import episodes
from tuning_operator.plan.actions import (
    StudyEvent,
)
from tuning_operator.plan.draft import Draft, has_ended
from tuning_operator.plan.recording import record_refusal
from tuning_study.api.budget import Budget
from tuning_study.api.retune import Retune
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.status import RetuneOutcome, RetuneStatus, Suppression, Trigger
from tuning_study.production.limits import cooldown_ends, daily_limit_ends
from tuning_study.production.schedule import due, next_run
from tuning_study.requests import MANUAL, SCHEDULE, RetuneRequest, unanswered

_DAY = timedelta(hours=24)


def taken_request(draft: Draft, spec: TuningStudySpec) -> RetuneRequest | None:
    """The request that starts a round now; the others are answered, or wait. One at most is taken at a look."""
    for request in _requests(draft, spec):
        if takes(draft, spec, request):
            return request
    return None


def _requests(draft: Draft, spec: TuningStudySpec) -> Iterator[RetuneRequest]:
    """Of people and programs first, then of the episode that goes on, then of the schedule."""
    by_annotation = new_request(draft.observed)
    if by_annotation is not None:
        yield by_annotation
    episode, production = draft.status.retune.episode, draft.observed.production
    if episode is not None and production is not None:
        wanted = episodes.request_of(episode, production, draft.status, spec.retune, draft.observed.now)
        if wanted is not None:
            yield wanted
    if scheduled := _scheduled_request(draft, spec):
        yield scheduled


def new_request(observed: Observation) -> RetuneRequest | None:
    return unanswered(observed.study.retune_request or None, observed.study.status.retune.last_request)


def _scheduled_request(draft: Draft, spec: TuningStudySpec) -> RetuneRequest | None:
    """At most one for all times that have passed since the last one: after a downtime nobody wants all of them."""
    retune, status, now = spec.retune, draft.status.retune, draft.observed.now
    if retune.schedule is None:
        if status.next_scheduled is not None:
            draft.set(retune=status.model_copy(update={"next_scheduled": None, "last_scheduled": None}))
        return None
    zone = retune.time_zone or "UTC"
    passed = due(retune.schedule, zone, status.last_scheduled, now) if status.last_scheduled is not None else None
    last = passed.at if passed is not None else status.last_scheduled or now
    following = next_run(retune.schedule, zone, now)
    if (last, following) != (status.last_scheduled, status.next_scheduled):
        draft.set(retune=status.model_copy(update={"last_scheduled": last, "next_scheduled": following}))
    if passed is None:
        return None
    earlier = f", which makes up for {passed.missed} earlier times" if passed.missed else ""
    return RetuneRequest(passed.at.isoformat(), f"{retune.schedule} of {passed.at.isoformat()}{earlier}", SCHEDULE)


def takes(draft: Draft, spec: TuningStudySpec, request: RetuneRequest) -> bool:
    refusal = suppression(
        request,
        spec.retune,
        draft.status.retune,
        now=draft.observed.now,
        running=not has_ended(draft),
        suspended=spec.suspend,
        frozen=draft.observed.frozen,
        room=draft.observed.room,
    )
    if refusal is not None and refusal == _waits_for(draft, request):
        return False
    draft.set(retune=answered(draft.status.retune, request, refusal, draft.observed.now))
    if refusal is not None:
        message = f"the request {request.token!r} ({request.reason}) starts no round: {refusal}"
        draft.events.append(StudyEvent(reasons.RETUNE_SUPPRESSED, message, "Warning"))
        record_refusal(draft, request, refusal, message)
        return False
    draft.events.append(StudyEvent(reasons.RETUNE_STARTED, f"{request.trigger}: {request.reason}"))
    return True


def _waits_for(draft: Draft, request: RetuneRequest) -> Suppression | None:
    """Why an episode's request waits, as it was told already: it is made anew at every look."""
    episode = draft.status.retune.episode
    return episode.waits_for if episode is not None and _is_episodes(request) else None


def _is_episodes(request: RetuneRequest) -> bool:
    return request.digest is None and request.trigger != SCHEDULE


def suppression(
    request: RetuneRequest,
    retune: Retune,
    status: RetuneStatus,
    *,
    now: datetime,
    running: bool,
    suspended: bool,
    frozen: bool,
    room: bool,
) -> Suppression | None:
    """Why the request starts no round, or None if it does. A person's is refused for fewer reasons: who asks by hand
    need not be listed, nor wait for other studies."""
    by_hand = request.trigger == MANUAL
    if request.token == status.last_taken:
        return "Duplicate"
    if not by_hand and request.trigger not in retune.triggers:
        return "NotATrigger"
    if suspended:
        return "Suspended"
    if not by_hand and frozen:
        return "Frozen"
    if running:
        return "RoundRunning"
    if (cooldown := cooldown_ends(retune, status)) is not None and now < cooldown:
        return "Cooldown"
    if (limit := daily_limit_ends(retune, status)) is not None and now < limit:
        return "DailyLimit"
    if not by_hand and not room:
        return "RoundsLimit"
    return None


def trigger_of(request: RetuneRequest) -> Trigger:
    """Of a request that was taken; its trigger is then one of the known."""
    return next(known for known in get_args(Trigger) if known == request.trigger)


def within_a_day(status: RetuneStatus, now: datetime) -> list[datetime]:
    """When the retunings of the last 24 hours started."""
    return [start for start in status.recent if now - start < _DAY]


def answered(status: RetuneStatus, request: RetuneRequest, refusal: Suppression | None, now: datetime) -> RetuneStatus:
    """The status with the request's answer."""
    outcome: RetuneOutcome = refusal or "Started"
    handled: dict[str, object] = {
        "last_handled": request.token,
        "last_outcome": outcome,
        "reason": request.reason,
    }
    if request.digest is not None:
        handled["last_request"] = request.digest
    if status.episode is not None and _is_episodes(request):
        handled["episode"] = status.episode.model_copy(update={"waits_for": refusal})
    if refusal is not None:
        return status.model_copy(update=handled | {"suppressed": status.suppressed + 1})
    recent = [*within_a_day(status, now), now]
    return status.model_copy(update=handled | {"last_taken": request.token, "last_time": now, "recent": recent})


def round_budget(budget: Budget, retune: Retune, *, retuned: bool) -> Budget:
    """A round's budget: the study's own, with what retune.budget says of rounds that were asked for."""
    if not retuned or retune.budget is None:
        return budget
    given = {name: getattr(retune.budget, name) for name in ("trials", "duration")}
    return budget.model_copy(update={name: value for name, value in given.items() if value is not None})
