"""What one look at the counters of both sides adds to what is known: a block of requests, or why there is none.

Nothing is guessed. A look that cannot be read whole adds no block; the next one that can covers its time, too.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Unread:
    """A query without a usable answer."""

    reason: str


Answer = float | None | Unread
"""A number, None for an answer without any series, or why there is neither."""


@dataclass(frozen=True)
class Counters:
    """What the two counters of one side stand at."""

    bad: Answer
    """Requests that count against the side. An absent series means none, as long as `total` is there."""
    total: Answer
    """All its requests. An absent series is no data."""


@dataclass(frozen=True)
class Sides:
    """One metric in one look."""

    stable: Counters
    canary: Counters


@dataclass(frozen=True)
class Pods:
    """Ready ones, behind which the requests of a look were served."""

    stable: int
    canary: int


@dataclass(frozen=True)
class Look:
    """All that was asked at one moment. What it does not name was not asked."""

    time: datetime
    """Aware."""
    metrics: Mapping[str, Sides] = field(default_factory=dict)
    guards: Mapping[str, Answer] = field(default_factory=dict)
    ready: Pods | None = None


@dataclass(frozen=True)
class Block:
    """Requests of both sides in the same time; at least one on each side."""

    stable_bad: float
    stable_total: float
    canary_bad: float
    canary_total: float


@dataclass(frozen=True)
class Standing:
    """What the counters of one side stood at when the last block ended."""

    bad: float
    total: float


@dataclass(frozen=True)
class Standings:
    stable: Standing
    canary: Standing


@dataclass(frozen=True)
class Step:
    """What a look makes of the standings before it."""

    standings: Standings | None
    block: Block | None = None
    reason: str = ""
    """Why there is no block, in words for the author of the queries."""
    reset: bool = False
    """A counter has begun anew: nobody knows what it counted before, so that this look's requests are left out."""


def step(before: Standings | None, now: Sides) -> Step:
    """The block from the standings `before` until `now`. The first readable look only says where counters stand."""
    last_stable = before.stable if before is not None else None
    last_canary = before.canary if before is not None else None
    stable, canary = _standing("stable", now.stable, last_stable), _standing("the canary", now.canary, last_canary)
    for side in (stable, canary):
        if isinstance(side, str):
            return Step(before, reason=side)
    assert isinstance(stable, Standing) and isinstance(canary, Standing)
    here = Standings(stable, canary)
    if before is None:
        return Step(here, reason="the counters have been read once; requests are counted from here on")
    if _fell(before.stable, stable) or _fell(before.canary, canary):
        return Step(here, reason="a counter has begun anew; requests are counted from here on", reset=True)
    block = Block(
        stable.bad - before.stable.bad,
        stable.total - before.stable.total,
        canary.bad - before.canary.bad,
        canary.total - before.canary.total,
    )
    for name, bad, total in (
        ("stable", block.stable_bad, block.stable_total),
        ("the canary", block.canary_bad, block.canary_total),
    ):
        if total == 0 and bad == 0:
            return Step(before, reason=f"no traffic on {name} since the last look")
        if bad > total:
            return Step(
                before,
                reason=f"on {name} `bad` grew by {bad:g} and `total` by {total:g}: write a `bad` that counts some of "
                "what `total` counts",
            )
    return Step(here, block)


def _standing(name: str, now: Counters, before: Standing | None) -> Standing | str:
    """What the side's counters stand at, or why that is not known."""
    for field_name, answer in (("total", now.total), ("bad", now.bad)):
        if isinstance(answer, Unread):
            return f"`{field_name}` of {name}: {answer.reason}"
        if answer is not None and not (math.isfinite(answer) and answer >= 0):
            return f"`{field_name}` of {name} is {answer:g}, which no counter can be"
    if now.total is None:
        return f"no traffic on {name}: the query of `total` answers with no series"
    assert isinstance(now.total, float | int) and not isinstance(now.bad, Unread)
    if now.bad is None and before is not None and before.bad > 0 and now.total >= before.total:
        return f"`bad` of {name} was {before.bad:g} and is not there now"  # it may be back with the next scrape
    return Standing(now.bad or 0.0, now.total)


def _fell(before: Standing, now: Standing) -> bool:
    return now.bad < before.bad or now.total < before.total
