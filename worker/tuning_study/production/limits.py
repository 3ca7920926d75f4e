"""From when a study may be retuned again. Pure: the operator decides by it, the dashboard tells what waits by it."""

from datetime import datetime, timedelta

from tuning_study.api.retune import Retune
from tuning_study.api.status import Episode, RetuneStatus, Round, TuningStudyStatus

MOST_ROUNDS = 3
"""Of one episode; then it waits for a person."""
_DAY = timedelta(hours=24)
_PATIENCE = timedelta(hours=6)  # between two rounds of an episode, where the manifest has no cooldown
_LONGEST_PATIENCE = timedelta(days=7)


def cooldown_ends(retune: Retune, status: RetuneStatus) -> datetime | None:
    """None where there is no cooldown."""
    if retune.cooldown is None or status.last_time is None:
        return None
    return status.last_time + retune.cooldown


def daily_limit_ends(retune: Retune, status: RetuneStatus) -> datetime | None:
    """When fewer than `maxPerDay` retunings have started within 24 hours; None where that many have never started."""
    if retune.max_per_day is None or len(status.recent) < retune.max_per_day:
        return None
    return sorted(status.recent)[-retune.max_per_day] + _DAY


def next_round_of(episode: Episode, status: TuningStudyStatus, retune: Retune) -> datetime | None:
    """From when the episode asks for its next round: at once for its first, then after twice as long each time. None
    where it asks for none any more: its last round may help once its parameters are in production, or three have not
    helped."""
    if episode.rounds == 0 or not status.rounds:
        return episode.since
    begun = told_since(status.rounds[-1], status)
    if episode.rounds >= MOST_ROUNDS or begun is None:
        return None
    patience: timedelta = (retune.cooldown or _PATIENCE) * 2**episode.rounds
    return begun + min(patience, _LONGEST_PATIENCE)


def told_since(last: Round, status: TuningStudyStatus) -> datetime | None:
    """From when production tells whether a round has helped; None while it cannot."""
    if not last.helped:
        return last.start_time
    promotion = status.promotion
    if promotion is None or last.parameters is None:
        return None
    if promotion.stable == last.parameters:
        return promotion.stable_since
    taken_back = any(entry.parameters == last.parameters for entry in promotion.rolled_back)
    return last.start_time if taken_back else None
