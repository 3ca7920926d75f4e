"""What a worker does while it waits: now and then it looks for the trials of workers that went silent."""

from datetime import timedelta
from time import monotonic

import structlog

from tuning_store.interfaces import Claims

log = structlog.get_logger()

_SEARCH = timedelta(seconds=10)  # between two searches


class LostTrials:
    """Of one round. Each worker that waits looks by itself, and what one has found the others do not find again."""

    def __init__(self, claims: Claims, study_id: int, stale_after: timedelta) -> None:
        self._claims, self._study, self._stale_after = claims, study_id, stale_after
        self._next = 0.0

    def look(self) -> None:
        """Called as often as one likes: it searches at once, and then every ten seconds."""
        if monotonic() < self._next:
            return
        self._next = monotonic() + _SEARCH.total_seconds()
        if lost := self._claims.requeue_stale(self._study, stale_after=self._stale_after):
            log.warning("trials of workers that went silent wait again", trials=lost)
