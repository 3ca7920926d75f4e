"""Keeps programs from starting rounds of a study, and everything from being promoted, for a time. Called by `tuning
freeze` and `tuning unfreeze`."""

from datetime import datetime

from tuning_client.cluster.client import Cluster
from tuning_client.exceptions import WrongUse
from tuning_kube.names import FROZEN_ANNOTATION
from tuning_study.api.duration import parse_duration
from tuning_study.exceptions import InvalidDuration

_FOR_EVER = "for ever"


def freeze(cluster: Cluster, study: str, until: datetime | None) -> None:
    """None is for ever."""
    cluster.change(study, {"metadata": {"annotations": {FROZEN_ANNOTATION: until.isoformat() if until else _FOR_EVER}}})


def unfreeze(cluster: Cluster, study: str) -> None:
    cluster.change(study, {"metadata": {"annotations": {FROZEN_ANNOTATION: None}}})


def end_of_freeze(written: str | None, now: datetime) -> datetime | None:
    """What a person means by a duration from `now`, or by a time, of this machine's clock unless it names a zone. None
    where nothing is written. Raises WrongUse."""
    if written is None:
        return None
    try:
        return now + parse_duration(written)
    except InvalidDuration:
        pass
    try:
        end = datetime.fromisoformat(written).astimezone()
    except ValueError:
        raise WrongUse(f"--until: {written!r} is no time: write one such as 2h, or 2026-12-01T08:00") from None
    if end <= now:
        raise WrongUse(f"--until: {written} has passed; to end a freeze use `tuning unfreeze`")
    return end
