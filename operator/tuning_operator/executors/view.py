"""A round's workers as the plan sees them, whatever object they are made of. Values only; executors fill them in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

_UNHEARD = timedelta(seconds=10)  # after its grace; a node that lives reports the end of a worker within it


@dataclass(frozen=True)
class WorkersView:
    """The object that holds a round's workers: it is scaled, suspended and removed as a whole."""

    replicas: int
    """How many should run now."""
    suspended: bool
    active: int = 0
    ready: int = 0
    failed: int = 0
    terminating: int = 0
    finished: str | None = None
    """`Complete` or `Failed`, once it does nothing more."""
    message: str = ""
    """Why it failed."""
    deleting: bool = False
    started_at: datetime | None = None
    """Anew after each suspension."""
    workers_digest: str = ""
    """Of the `spec.workers` that it was made from."""
    requested: int | None = None
    """Workers that it was made for; its queue may have admitted fewer."""
    queue: str | None = None
    """Of Kueue, which then decides when it runs, and with how many workers."""
    suspended_by_operator: bool = False

    @property
    def is_active(self) -> bool:
        """Whether workers run, or should by now."""
        return not (self.suspended or self.deleting or self.finished is not None)

    @property
    def lacks_workers(self) -> bool:
        """Whether fewer workers are ready than should run now."""
        return self.is_active and self.ready < self.replicas

    @property
    def waits_in_queue(self) -> bool:
        return self.suspended and self.queue is not None


@dataclass(frozen=True)
class WorkerView:
    """One worker, as far as it tells what became of it."""

    name: str
    ended: bool
    """Whatever lives on beside it."""
    uid: str = ""
    began: bool = True
    image: str = ""
    """With its digest, as the node that runs it tells."""
    lives: bool = False
    """What holds it has not ended: the worker runs, is yet to begin, or has left something behind."""
    waits_for: str = ""
    """Why it has not begun."""
    end_by: datetime | None = None
    """When it is deleted: the end of its grace."""
    message: str = ""
    """Its last words, or why it ended."""
    fault: str | None = None
    """Why its trial is to blame for its end."""
    killed: bool = False
    """Killed, with no disruption, deletion or limit to explain it."""
    story: str = ""
    """How it ended, in a few words: `was evicted (…)`."""

    def is_lost(self, now: datetime) -> bool:
        """Whether it runs no trial any more: it ended, or its node is gone and nobody will ever tell."""
        return self.ended or (self.end_by is not None and now > self.end_by + _UNHEARD)


@dataclass(frozen=True)
class MissingWorkers:
    """Fewer workers run than should, and not for a moment only."""

    seconds: float
    """For how long."""
    running: int
    message: str
    """Why, in the words of those who should start them; may be empty."""
    outlived: Sequence[str] = ()
    """Names of workers that ended, while what held them lives on."""


@dataclass(frozen=True)
class QueueWait:
    """A queue holds the workers back."""

    seconds: float
    """For how long."""
    seen: bool = False
    """Whether Kueue has said anything of them."""
    message: str = ""
    """Why, in its words."""
