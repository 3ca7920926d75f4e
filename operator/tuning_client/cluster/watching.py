"""Follows a study on a cluster until it is over. Called by `tuning watch` and by Study.wait."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

from tuning_client.cluster import views
from tuning_client.cluster.client import Cluster, Study
from tuning_client.display import Display
from tuning_client.exceptions import TuningError
from tuning_client.snapshot import RateEstimator


def until_over(cluster: Cluster, name: str, display: Display, timeout: float | None = None) -> Study:
    """The study once it is complete or failed. Raises TuningError when it is not after `timeout` seconds."""
    deadline = time.monotonic() + timeout if timeout is not None else None
    study: Study = {}
    with display:
        for study in _states(cluster, name, display):
            if deadline is not None and time.monotonic() > deadline:
                raise TuningError(f"{name} is {views.state_of(study).lower()} after {timeout:g}s")
    return study


def raise_if_failed(study: Study) -> None:
    """Raises TuningError with why, when a study that is over has failed."""
    if views.FINISHED[views.state_of(study)]:
        raise TuningError(views.failure(views.status_of(study)))


def _states(cluster: Cluster, name: str, display: Display) -> Iterator[Study]:
    pace = RateEstimator()
    for study in cluster.follow(name):
        display.update(views.snapshot(study, pace, datetime.now(UTC)))
        yield study
        if views.state_of(study) in views.FINISHED:
            return
