"""What waits in a study: for somebody, who is told what to write, or for a time, a limit or a run that goes on."""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from tuning_report.fleet.watched import WatchedStudy
from tuning_study.api.duration import format_duration
from tuning_study.api.status import Episode, ProductionStatus
from tuning_study.production.limits import MOST_ROUNDS, cooldown_ends, daily_limit_ends, next_round_of, told_since
from tuning_study.promotion.gates import OVERRIDABLE

ForSomebody = Literal[
    "RoundsUsedUp",
    "NotATrigger",
    "Suspended",
    "Held",
    "Approval",
    "Unobserved",
    "Stalled",
    "RolledBack",
    "Drifted",
]
"""What goes on only when a person acts, the most urgent first. RoundsUsedUp: as many rounds as one cause may have did
not help. NotATrigger, Suspended: something is wrong with the model, and `retune.triggers` lets nothing ask for a round,
or the study is suspended. Held: something is in the way of a promotion. Approval: a candidate passes every gate but
that of a person. Unobserved: observations are missed. Stalled: the condition. RolledBack: parameters were taken back.
Drifted: features have drifted, which by itself asks for no round."""
ByItself = Literal[
    "RoundRunning",
    "Cooldown",
    "DailyLimit",
    "RoundsLimit",
    "Confirming",
    "Settling",
    "Gated",
    "Staging",
    "Moving",
    "Queued",
    "Frozen",
]
"""What goes on without anybody. RoundRunning: a round for what is wrong with the model. Cooldown, DailyLimit,
RoundsLimit: as in `status.retune`. Confirming: until the evidence is enough for a round. Settling: after a round that
may have helped, until the model is seen to be well. Gated: a gate keeps parameters out. Staging: their check runs.
Moving: a canary serves, or a target is being rolled. Queued: a round has yet to begin. Frozen: the annotation
`tuning.dev/frozen-until`."""

FOR_SOMEBODY: tuple[str, ...] = get_args(ForSomebody)
BY_ITSELF: tuple[str, ...] = get_args(ByItself)
LEAST_URGENT = len(FOR_SOMEBODY + BY_ITSELF)
"""Of a study in which nothing waits."""
_RUNS = ("Pending", "Running", "Verifying")
_REASON = '--reason "…"'


@dataclass(frozen=True)
class Waiting:
    kind: ForSomebody | ByItself
    message: str
    """Why, with the evidence in the status's own words."""
    do: str = ""
    """A command, or what to write in the manifest. Empty where nobody has to."""
    since: datetime | None = None
    until: datetime | None = None
    """When it is over, where that is known."""

    @property
    def urgency(self) -> int:
        """0 is the most urgent."""
        return (FOR_SOMEBODY + BY_ITSELF).index(self.kind)

    @property
    def needs_somebody(self) -> bool:
        return self.kind in FOR_SOMEBODY

    def document(self) -> dict[str, Any]:
        """As plain JSON."""
        times = {"since": self.since, "until": self.until}
        return {
            "kind": self.kind,
            "somebody": self.needs_somebody,
            "urgency": self.urgency,
            "message": self.message,
            "do": self.do,
            **{name: time.isoformat(timespec="seconds") for name, time in times.items() if time is not None},
        }


def what_waits(study: WatchedStudy, now: datetime) -> list[Waiting]:
    """The most urgent first."""
    found: list[Waiting] = []
    for look in (_stalled, _frozen, _episode, _refused, _promotion, _unobserved, _drifted, _queued):
        found.extend(look(study, now))
    return sorted(found, key=lambda waiting: waiting.urgency)


def command(study: WatchedStudy, verb: str, *options: str) -> str:
    return " ".join(["tuning", verb, study.name, "-n", study.namespace, *options])


def _stalled(study: WatchedStudy, _: datetime) -> Iterator[Waiting]:
    stalled = study.status.condition("Stalled")
    if stalled is not None and stalled.status == "True":
        told = f"{stalled.reason}: {stalled.message}" if stalled.message else stalled.reason
        yield Waiting("Stalled", told, command(study, "status"), stalled.last_transition_time)


def _frozen(study: WatchedStudy, now: datetime) -> Iterator[Waiting]:
    until, status = study.frozen_until, study.status
    if until is None or not _is_frozen(study, now):
        return
    held = [f"a round for {status.retune.episode.reason}"] if status.retune.episode is not None else []
    if status.promotion is not None and status.promotion.candidate is not None:
        held.append(f"{status.promotion.candidate} on its way to production")
    told = f"it holds up {' and '.join(held)}" if held else "no program starts a round, and nothing is promoted"
    known = until if until.year < datetime.max.year else None
    yield Waiting("Frozen", told, command(study, "unfreeze"), until=known)


def _episode(study: WatchedStudy, now: datetime) -> Iterator[Waiting]:
    episode = study.status.retune.episode
    if episode is None:
        return
    told = f"{episode.trigger}: {episode.reason}" if episode.reason else episode.trigger
    wait = _wait_of(study, episode, now)
    if wait is not None:
        kind, do, until = wait
        yield Waiting(kind, told, do, episode.since, until)


def _wait_of(
    study: WatchedStudy, episode: Episode, now: datetime
) -> tuple[ForSomebody | ByItself, str, datetime | None] | None:
    """Why the episode's next round has not started, what somebody may do about it, and when it does."""
    status, retune = study.status, study.retune
    rounds, by_hand = status.rounds, command(study, "retune", _REASON)
    if status.state in _RUNS and rounds and (rounds[-1].is_retuned or episode.waits_for == "RoundRunning"):
        return "RoundRunning", "", None
    limits = {"Cooldown": cooldown_ends(retune, status.retune), "DailyLimit": daily_limit_ends(retune, status.retune)}
    match episode.waits_for:
        case "NotATrigger":
            return "NotATrigger", f"retune: {{triggers: [{episode.trigger}]}}, or: {by_hand}", None
        case "Suspended":
            return "Suspended", command(study, "resume"), None
        case ("Cooldown" | "DailyLimit") as limit if (until := limits[limit]) is not None and now < until:
            return limit, "", until
        case "RoundsLimit":
            return "RoundsLimit", "", None
        case "Frozen" if _is_frozen(study, now):  # told by itself
            return None
    following = next_round_of(episode, status, retune)
    degraded = [entry for entry in status.production if entry.degraded_since]
    unsure = bool(degraded) and not any(entry.confirmed for entry in degraded)
    if episode.rounds >= MOST_ROUNDS and not unsure and told_since(rounds[-1], status) is not None:
        return "RoundsUsedUp", by_hand, None
    if following is None:
        return "Settling", "", None
    if following > now:
        return "Cooldown", "", following
    if unsure:
        return "Settling" if episode.rounds else "Confirming", "", None
    return None


def _refused(study: WatchedStudy, now: datetime) -> Iterator[Waiting]:
    """The last request, of one who has to ask again: it was refused for a time that is not over."""
    retune = study.status.retune
    if retune.episode is not None:
        return
    limits: dict[ByItself, datetime | None] = {
        "Cooldown": cooldown_ends(study.retune, retune),
        "DailyLimit": daily_limit_ends(study.retune, retune),
    }
    for kind, until in limits.items():
        if retune.last_outcome != kind or until is None or until <= now:
            continue
        told = f"the request {retune.reason or retune.last_handled or ''!r} was refused, and is not taken up by itself"
        yield Waiting(kind, told, f"then: {command(study, 'retune', _REASON)}", until=until)


def _promotion(study: WatchedStudy, now: datetime) -> Iterator[Waiting]:
    promotion = study.status.promotion
    if promotion is None:
        return
    message, since = promotion.message, promotion.since
    match promotion.state:
        case "Held":
            undecided = promotion.canary is not None and promotion.canary.decision is not None
            yield Waiting("Held", message, command(study, "promote" if undecided else "history"), since)
        case "RolledBack":
            yield Waiting("RolledBack", message, command(study, "history"), since)
        case "Staging":
            yield Waiting("Staging", message, since=since)
        case "Canary" | "Promoting" | "RollingBack":
            yield Waiting("Moving", f"{promotion.state}: {message}", since=since)
        case "Gated":
            shut = [gate for gate in promotion.gates if gate.verdict != "Passed"]
            yield from _gated(study, message, since, {gate.name for gate in shut} - {"NotFrozen"})
        case "Candidate" | "Stable":
            return


def _gated(study: WatchedStudy, message: str, since: datetime | None, shut: Set[str]) -> Iterator[Waiting]:
    """What a freeze keeps out alone is told with the freeze."""
    if shut == {"Approved"}:
        yield Waiting("Approval", message, command(study, "promote", _REASON), since)
    elif shut:
        again = ["--again"] if "NotRolledBack" in shut else []
        decides = f"to decide otherwise: {command(study, 'promote', *again, _REASON)}"
        yield Waiting("Gated", message, decides if shut <= {*OVERRIDABLE, "NotRolledBack"} else "", since)


def _unobserved(study: WatchedStudy, _: datetime) -> Iterator[Waiting]:
    for metric in study.status.production:
        if metric.stale:
            yield Waiting("Unobserved", metric.message or metric.name, _how_observed(study, metric), metric.time)


def _how_observed(study: WatchedStudy, metric: ProductionStatus) -> str:
    source = study.source_of(metric.name)
    if source is None:
        return ""
    every = format_duration(source.window)
    if source.prometheus is not None:
        return f"ask Prometheus: {source.prometheus.query}"
    if source.predictions is not None:
        return f"send predictions and labels to the exporter's /predictions; a window is {every}"
    return f"send a value every {every}: {command(study, 'observe', f'{metric.name}=…')}"


def _drifted(study: WatchedStudy, _: datetime) -> Iterator[Waiting]:
    drift = study.status.drift
    if drift is not None and drift.verdict == "Drifted" and "Drift" not in study.retune.triggers:
        do = f"retune: {{triggers: [Drift]}}, or: {command(study, 'retune', '--reason drift')}"
        yield Waiting("Drifted", drift.message, do, drift.time)


def _queued(study: WatchedStudy, _: datetime) -> Iterator[Waiting]:
    reconciling = study.status.condition("Reconciling")
    if reconciling is not None and reconciling.status == "True":
        told = f"{reconciling.reason}: {reconciling.message}" if reconciling.message else reconciling.reason
        yield Waiting("Queued", told, since=reconciling.last_transition_time)


def _is_frozen(study: WatchedStudy, now: datetime) -> bool:
    return study.frozen_until is not None and now < study.frozen_until
