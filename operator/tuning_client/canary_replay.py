"""The analysis of a canary over what has been: what a manifest's canary would have decided on the history that a
Prometheus keeps. Called by `tuning canary replay`, so that a canary can be trusted before it acts."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic.alias_generators import to_camel

from tuning_client.canary_evidence import evidence_row
from tuning_client.exceptions import WrongUse
from tuning_prometheus.answer import Missing, Value
from tuning_prometheus.canary import Ask, Matchers, look
from tuning_prometheus.client import Prometheus, Server
from tuning_study.api.canary import Canary
from tuning_study.api.duration import format_duration
from tuning_study.promotion.canary.analysis import (
    CanaryVerdict,
    begin,
    is_over,
    judge,
    look_interval,
    observe,
)

_MOST_LOOKS = 2000


@dataclass(frozen=True)
class Moment:
    """What was known after one look."""

    time: datetime
    verdict: CanaryVerdict


async def run(url: str, canary: Canary, sides: Matchers, start: datetime, end: datetime) -> list[Moment]:
    """Of the Prometheus at that URL. Raises WrongUse where nobody answers there, and for a query that is none."""
    async with Prometheus() as prometheus:
        server = Server(url)
        probe = await prometheus.query(server, "vector(1)", end)
        if isinstance(probe, Missing):
            raise WrongUse(f"--prometheus: {probe.reason}")

        async def ask(query: str, at: datetime) -> Value | Missing:
            found = await prometheus.query(server, query, at)
            if isinstance(found, Missing) and found.outcome == "Error":  # of the query: no moment has another
                raise WrongUse(f"{found.reason}: {query}")
            return found

        return [moment async for moment in replay(ask, canary, sides, start, end)]


async def replay(ask: Ask, canary: Canary, sides: Matchers, start: datetime, end: datetime) -> AsyncIterator[Moment]:
    """Look by look, up to the one that decides. The canary's pods are taken to have been ready since `start`, and its
    time to end at `end`; nothing is known of how many pods there were, so that their shares are not compared."""
    asked = canary.model_copy(update={"for_": end - start})
    state, time = begin(asked, start), start
    every = max(look_interval(asked), (end - start) / _MOST_LOOKS)
    while True:
        state = observe(asked, state, await look(ask, asked, sides, time))
        found = Moment(time, judge(asked, state))
        yield found
        if found.verdict.outcome == "Harm" or is_over(asked, state):
            return
        time = min(time + every, end)


def with_history(canary: Canary) -> Canary:
    """Without the metrics that a Prometheus has no history of. Raises WrongUse where nothing is left to compare."""
    kept = [metric for metric in canary.metrics if metric.push is None]
    if not any(metric.compares for metric in kept):
        raise WrongUse(
            "promotion.canary.metrics: no Prometheus has counts that are pushed; only metrics with `bad` and `total`"
            " are looked at afterwards"
        )
    return canary.model_copy(update={"metrics": kept})


def outcome(canary: Canary, found: Sequence[Moment]) -> str:
    """In words, what would have become of it."""
    start, last = found[0].time, found[-1]
    after = format_duration(timedelta(seconds=round((last.time - start).total_seconds())))
    what = {
        "Harm": f"rolled back after {after}",
        "Better": f"promoted after {after}",
        "Unknown": f"undecided after {after}, which means {canary.undecided}",
    }[last.verdict.outcome]
    return f"{what}: {last.verdict.reason}"


def rows(found: Sequence[Moment]) -> list[dict[str, Any]]:
    """For a table: one line for each metric and look."""
    return [
        {"time": f"{moment.time.astimezone():%H:%M:%S}", **evidence_row(entry)}
        for moment in found
        for entry in moment.verdict.metrics
    ]


def document(canary: Canary, found: Sequence[Moment]) -> Mapping[str, Any]:
    """For programs."""
    decision: Mapping[str, str] = {"Harm": "RollBack", "Better": "Promote", "Unknown": canary.undecided}
    last = found[-1].verdict
    looks = [
        {
            "time": moment.time.isoformat(),
            "verdict": moment.verdict.outcome,
            "cause": moment.verdict.cause,
            "metrics": [{to_camel(key): value for key, value in vars(each).items()} for each in moment.verdict.metrics],
        }
        for moment in found
    ]
    return {"verdict": last.outcome, "decision": decision[last.outcome], "reason": last.reason, "looks": looks}
