"""The cause of a retuning, from when something first tells of it until the model is seen to be well. Pure.

Alerts, degradation and drift that overlap are one episode, however often, in whatever order and by however many
programs they are told; and one episode asks for one round. Only where that has not mended the model in production it
asks again, after twice as long each time, and no more than three times in all.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tuning_operator.observe.production import Production
from tuning_study.api.retune import Retune
from tuning_study.api.status import Episode, Trigger, TuningStudyStatus
from tuning_study.production.limits import next_round_of
from tuning_study.requests import DEGRADED_ALERT, RetuneRequest

_SEEN_AGAIN = timedelta(minutes=5)  # between two writes of when something was last there
_QUIET = timedelta(minutes=30)  # without a cause, until an episode is over where no metric tells that the model is well
_LONGEST_QUIET = timedelta(days=7)  # until it is over in any case


@dataclass(frozen=True)
class Cause:
    """Something that tells of an episode as long as it is there."""

    trigger: Trigger
    reason: str


def causes(production: Production) -> list[Cause]:
    alerts = list(dict.fromkeys(alert.reason for alert in production.alerts))
    found = [Cause("Alert", "; ".join(alerts))] if alerts else []
    found += [Cause("Degradation", entry.message) for entry in production.metrics if entry.degraded_since]
    if production.drift_asks and production.drift is not None:
        found.append(Cause("Drift", production.drift.message))
    return found


def causes_of_a_round(production: Production) -> list[Cause]:
    """Those of them that are sure enough to ask for one. Our own alert knows no more than the metrics that it is of."""
    confirmed = [entry for entry in production.metrics if entry.confirmed]
    alerts = production.alerts
    if production.metrics and not confirmed:
        alerts = [alert for alert in alerts if alert.name != DEGRADED_ALERT]
    return causes(replace(production, metrics=confirmed, alerts=alerts))


def follow(episode: Episode | None, production: Production, now: datetime) -> Episode | None:
    """The episode after this look: opened by a cause, joined by others, closed when none is left and the model is
    well. None where there is none, or no more."""
    found = causes(production)
    if episode is None:
        return Episode(trigger=found[0].trigger, reason=found[0].reason, since=now, last_seen=now) if found else None
    if found:
        seen_lately = now - episode.last_seen < _SEEN_AGAIN
        return episode if seen_lately else episode.model_copy(update={"last_seen": now})
    return None if _is_over(episode, production, now) else episode


def _is_over(episode: Episode, production: Production, now: datetime) -> bool:
    quiet = now - episode.last_seen
    if production.seen_well_at is not None and production.seen_well_at > episode.last_seen:
        return True
    return quiet >= (_LONGEST_QUIET if production.metrics else _QUIET)


def request_of(
    episode: Episode, production: Production, status: TuningStudyStatus, retune: Retune, now: datetime
) -> RetuneRequest | None:
    """The round that the episode asks for now; None while it asks for none."""
    found, due = causes_of_a_round(production), next_round_of(episode, status, retune)
    if not found or due is None or now < due:
        return None
    cause = next((one for one in found if one.trigger in retune.triggers), found[0])
    token = f"{episode.since.isoformat()}/{episode.rounds + 1}"
    return RetuneRequest(token, cause.reason, cause.trigger)
