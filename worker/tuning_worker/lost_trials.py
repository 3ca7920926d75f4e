"""What a worker does while it waits: now and then it looks for the trials of workers that went silent."""

from collections.abc import Callable
from datetime import timedelta
from time import monotonic

import structlog

from tuning_store.interfaces import Claims

log = structlog.get_logger()

_SEARCH = 10.0  # seconds between two searches
_PATIENCE = 2.0  # seconds of waiting before one: at the end of a round most have less to wait for the last trials


class LostTrials:
    """Of one round. Each worker that waits looks by itself, and what one has found the others do not find again."""

    def __init__(
        self, claims: Claims, study_id: int, stale_after: timedelta, clock: Callable[[], float] = monotonic
    ) -> None:
        self._claims, self._study, self._stale_after, self._clock = claims, study_id, stale_after, clock
        self._next = self._last = float("-inf")

    def look(self) -> None:
        """Called while there is nothing else to do, at least every second: it searches when that has been so for two
        seconds, and then every ten."""
        now = self._clock()
        if now - self._last >= _PATIENCE:  # a new wait
            self._next = max(self._next, now + _PATIENCE)
        self._last = now
        if now < self._next:
            return
        self._next = now + _SEARCH
        if lost := self._claims.requeue_stale(self._study, stale_after=self._stale_after):
            log.warning("trials of workers that went silent wait again", trials=lost)
