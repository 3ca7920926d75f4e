"""How many rounds that no person asked for run at once: a storm of alerts starts so many, and the rest in order.

Used by the reconciler, before and after each decision about one study. Pure but for what it remembers.
"""

from datetime import datetime

from tuning_study.api.status import TuningStudyStatus

_RUN = ("Pending", "Running", "Verifying")


class RoundGate:
    """For all studies; used by the event loop alone. An operator that takes over tells it of all studies first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running: set[str] = set()
        self._waiting: dict[str, datetime] = {}  # since when their episode is open

    def has_room(self, uid: str) -> bool:
        """Whether the study may start a round: enough of the others have ended, and none has waited longer."""
        if uid in self._running:
            return True
        free = self._most - len(self._running)
        longest = sorted(self._waiting, key=lambda other: (self._waiting[other], other))[: max(0, free)]
        return uid in longest or len(longest) < free

    def note(self, uid: str, status: TuningStudyStatus) -> None:
        """What the study does, after a decision."""
        self.forget(uid)
        episode = status.retune.episode
        if status.state in _RUN and status.rounds and status.rounds[-1].is_retuned:
            self._running.add(uid)
        elif episode is not None and episode.waits_for == "RoundsLimit":
            self._waiting[uid] = episode.since

    def forget(self, uid: str) -> None:
        """The study is gone."""
        self._running.discard(uid)
        self._waiting.pop(uid, None)
