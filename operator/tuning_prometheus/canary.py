"""One look at both sides of a canary: everything its manifest asks for, of one moment.

The operator's canary keeper looks at what serves now, and `tuning canary replay` at what served then.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from tuning_prometheus.answer import Missing, Value
from tuning_study.api.canary import VARIANT, Canary, CanaryMetric
from tuning_study.promotion.canary.looks import Answer, Counters, Look, Pods, Sides, Unread

Ask = Callable[[str, datetime], Awaitable[Value | Missing]]
"""The number that a query is at a moment."""


@dataclass(frozen=True)
class Matchers:
    """Label matchers of the series of each side's pods, which stand for {{variant}}."""

    stable: str
    canary: str


def matchers(canary: Canary, namespace: str, stable_pods: str, canary_pods: str) -> Matchers:
    """Of pods in a namespace, whose names are these regular expressions."""
    one, other = (
        f'{canary.namespace_label}="{namespace}",{canary.pod_label}=~"{pods}"' for pods in (stable_pods, canary_pods)
    )
    return Matchers(one, other)


def pods_of(deployment: str) -> str:
    """A regular expression of the names of a Deployment's pods, and of no other's whose name begins alike."""
    return f"{deployment.replace('.', '[.]')}-[a-z0-9]+-[a-z0-9]{{5}}"


async def look(ask: Ask, canary: Canary, matchers: Matchers, at: datetime, ready: Pods | None = None) -> Look:
    """What all queries say of the moment `at`, asked side by side. What is pushed is not in it."""
    counted = [metric for metric in canary.metrics if metric.bad is not None]
    guards = [metric for metric in canary.metrics if not metric.compares]

    async def answer(query: str | None, side: str) -> Answer:
        assert query is not None  # a metric has both counters, or a query
        return _answer(await ask(query.replace(VARIANT, side), at))

    async def counters(metric: CanaryMetric, side: str) -> Counters:
        return Counters(*await asyncio.gather(answer(metric.bad, side), answer(metric.total, side)))

    async def sides(metric: CanaryMetric) -> Sides:
        return Sides(*await asyncio.gather(counters(metric, matchers.stable), counters(metric, matchers.canary)))

    compared, guarded = await asyncio.gather(
        asyncio.gather(*(sides(metric) for metric in counted)),
        asyncio.gather(*(answer(metric.query, matchers.canary) for metric in guards)),
    )
    return Look(
        at,
        dict(zip((metric.name for metric in counted), compared, strict=True)),
        dict(zip((metric.name for metric in guards), guarded, strict=True)),
        ready,
    )


def _answer(told: Value | Missing) -> Answer:
    """No series is an answer of its own: a counter that nothing has counted on yet has none."""
    match told:
        case Value(value):
            return value
        case Missing("Empty"):
            return None
        case Missing(reason=reason):
            return Unread(reason)
