"""A study at one moment, as a person watches it. One value for local runs and clusters, so that one display serves."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tuning_study.budget import Counts

_WINDOW = 30.0  # seconds that the rate looks back: long enough to be calm, short enough to notice a change


@dataclass(frozen=True)
class BestView:
    trial: int
    metrics: Mapping[str, float]
    parameters: Mapping[str, object]
    feasible: bool = True


@dataclass(frozen=True)
class WorkerView:
    name: str
    doing: str
    counts: Counts = Counts()


@dataclass(frozen=True)
class Snapshot:
    name: str
    state: str
    counts: Counts
    target: int | None = None
    elapsed: float = 0.0
    rate: float | None = None  # finished trials a second
    left: float | None = None  # seconds
    best: BestView | None = None
    workers: Sequence[WorkerView] = ()
    notes: Sequence[str] = ()

    @property
    def fraction(self) -> float | None:
        """How much of the budget is used; None without a number of trials."""
        return min(1.0, self.counts.used / self.target) if self.target else None


@dataclass
class RateEstimator:
    """How fast trials finish, from what was counted lately."""

    seen: deque[tuple[float, int]] = field(default_factory=deque)

    def rate(self, now: float, used: int) -> float | None:
        """Trials a second in the last half minute; None until two trials are in."""
        if self.seen and used < self.seen[-1][1]:
            self.seen.clear()
        self.seen.append((now, used))
        while len(self.seen) > 2 and self.seen[1][0] <= now - _WINDOW:
            self.seen.popleft()
        (since, before), elapsed = self.seen[0], now - self.seen[0][0]
        return (used - before) / elapsed if elapsed > 0 and used - before >= 2 and since < now else None


def time_left(counts: Counts, target: int | None, rate: float | None, until_deadline: float | None) -> float | None:
    """Seconds to the end, by whichever limit is met first; None while nobody can know."""
    by_trials = max(0, target - counts.used) / rate if target is not None and rate else None
    return min((limit for limit in (by_trials, until_deadline) if limit is not None), default=None)
