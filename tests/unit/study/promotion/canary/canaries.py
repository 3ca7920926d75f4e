"""Canaries, and looks at their counters each 30 seconds, for the tests of this folder."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from tuning_study.api.canary import Canary
from tuning_study.promotion.canary.analysis import CanaryState, CanaryVerdict, begin, judge, observe
from tuning_study.promotion.canary.looks import Answer, Block, Counters, Look, Pods, Sides

START = datetime(2026, 11, 26, tzinfo=UTC)
EACH = timedelta(seconds=30)


def counted(name: str = "errors", **fields: Any) -> dict[str, Any]:
    return {"name": name, "bad": "bad{ {{variant}} }", "total": "total{ {{variant}} }", **fields}


def guard(name: str = "latency", **fields: Any) -> dict[str, Any]:
    return {"name": name, "query": "latency{ {{variant}} }", "max": 0.3, **fields}


def make_canary(*metrics: dict[str, Any], **fields: Any) -> Canary:
    return Canary.model_validate({"metrics": list(metrics) or [counted()], **fields})


def sides(stable_bad: Answer, stable: Answer, canary_bad: Answer, canary: Answer) -> Sides:
    return Sides(Counters(stable_bad, stable), Counters(canary_bad, canary))


def counters(blocks: Iterable[Block]) -> Iterator[Sides]:
    """What the counters stand at before the first block, and after each."""
    bad, total, canary_bad, canary = 0.0, 0.0, 0.0, 0.0
    yield sides(bad, total, canary_bad, canary)
    for block in blocks:
        bad, total = bad + block.stable_bad, total + block.stable_total
        canary_bad, canary = canary_bad + block.canary_bad, canary + block.canary_total
        yield sides(bad, total, canary_bad, canary)


def looks(
    read: Iterable[Sides],
    *,
    name: str = "errors",
    guards: Iterable[Answer] = (),
    ready: Pods | None = None,
) -> list[Look]:
    guarded = iter(guards)
    return [
        Look(
            START + number * EACH,
            {name: each},
            {"latency": next(guarded)} if guards else {},
            ready,
        )
        for number, each in enumerate(read, 1)
    ]


def after(canary: Canary, seen: Iterable[Look], state: CanaryState | None = None) -> CanaryState:
    state = state or begin(canary, START)
    for look in seen:
        state = observe(canary, state, look)
    return state


def verdict(canary: Canary, seen: Iterable[Look]) -> CanaryVerdict:
    return judge(canary, after(canary, seen))
