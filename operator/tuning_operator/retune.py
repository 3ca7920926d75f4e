"""Decides what becomes of a request for a new round. Every request is answered; none is silently dropped."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tuning_study.spec import Budget, Retune
from tuning_study.status import RetuneStatus
from tuning_study.text import truncate

MANUAL = "Manual"


class Suppressed(StrEnum):
    """Why a request starts nothing."""

    DUPLICATE = "Duplicate"  # its token started the last round that was asked for
    NOT_A_TRIGGER = "NotATrigger"  # spec.retune.triggers does not list who asked
    SUSPENDED = "Suspended"
    ROUND_RUNNING = "RoundRunning"
    COOLDOWN = "Cooldown"
    DAILY_LIMIT = "DailyLimit"


@dataclass(frozen=True)
class Request:
    """One value of the annotation `tuning.dev/retune-requested`."""

    token: str
    reason: str
    trigger: str
    digest: str  # of the value as written: tells a repeated request from one that was read already


def parse_request(value: str) -> Request:
    """A token, or JSON `{token, reason, evidence, trigger}`; whatever is not such JSON is a token."""
    digest = hashlib.sha256(value.encode(errors="replace")).hexdigest()[:16]
    try:
        document = json.loads(value)
    except ValueError:
        document = None
    if not isinstance(document, dict) or not document.get("token"):
        return Request(truncate(value, 256), "requested by hand", MANUAL, digest)
    return Request(
        token=truncate(str(document["token"]), 256),
        reason=truncate(str(document.get("reason") or "requested by hand"), 256),
        trigger=truncate(str(document.get("trigger") or MANUAL), 64),
        digest=digest,
    )


def suppression(
    request: Request, retune: Retune, status: RetuneStatus, *, now: datetime, running: bool, suspended: bool
) -> Suppressed | None:
    """Why the request starts no round, or None if it does."""
    if request.token == status.last_taken:
        return Suppressed.DUPLICATE
    if request.trigger != MANUAL and request.trigger not in retune.triggers:
        return Suppressed.NOT_A_TRIGGER
    if suspended:
        return Suppressed.SUSPENDED
    if running:
        return Suppressed.ROUND_RUNNING
    if retune.cooldown is not None and status.last_time is not None and now - status.last_time < retune.cooldown:
        return Suppressed.COOLDOWN
    if retune.max_per_day is not None and started_today(status, now) >= retune.max_per_day:
        return Suppressed.DAILY_LIMIT
    return None


def started_today(status: RetuneStatus, now: datetime) -> int:
    """Rounds that were started on the (UTC) day of `now`."""
    return status.today if status.last_time is not None and status.last_time.date() == now.date() else 0


def answered(status: RetuneStatus, request: Request, verdict: Suppressed | None, now: datetime) -> RetuneStatus:
    handled = {"last_handled": request.token, "last_request": request.digest}
    if verdict is not None:
        reason = f"{verdict}: {request.reason}"
        return status.model_copy(
            update={**handled, "suppressed": status.suppressed + 1, "reason": truncate(reason, 512)}
        )
    today = started_today(status, now) + 1
    taken = {"last_taken": request.token, "last_time": now, "today": today, "reason": request.reason}
    return status.model_copy(update=handled | taken)


def round_budget(budget: Budget, retune: Retune, *, retuned: bool) -> Budget:
    """A round's budget: the study's own, with what retune.budget says of rounds that were asked for."""
    if not retuned or retune.budget is None:
        return budget
    given = {name: getattr(retune.budget, name) for name in ("trials", "duration")}
    return budget.model_copy(update={name: value for name, value in given.items() if value is not None})
