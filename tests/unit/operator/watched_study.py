"""A study whose model is in production, hour by hour, through the operator's own decisions; no store and no cluster.

Used by test_loop_holds.py and, for whole years, by `make bench-loop`. Each hour has one observation and one look at it,
as the operator has when it hears of an observation. A round that is started ends at the next look.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from builders import NOW, make_observation, make_progress, make_spec, make_status
from tuning_operator.observe.production import judged_since, standing
from tuning_operator.plan.actions import StartRound
from tuning_operator.plan.decide import plan
from tuning_store.production import Evidence
from tuning_study.api.production import ProductionMetric
from tuning_study.production.degradation import BaselineValue, degraded_level, judge
from tuning_study.production.observation import Observation
from tuning_study.results.outcome import Comparison

Shares = NDArray[np.float64]
Ending = Callable[[Shares, int], Literal["Improved", "NoBetter"]]
"""What a round that ends at this hour comes to. It may change what production has from then on."""

BASELINE = 0.9
YEAR = 365 * 24
"""Hours."""
COOLDOWN = 6
"""Hours."""
_READ = 60, 2000  # observations of a metric: the first and the newest, as tuning_store reads them


def never_better(_values: Shares, _hour: int) -> Literal["NoBetter"]:
    return "NoBetter"


class WatchedStudy:
    """One study, after its first round. `degraded` is what the manifest says of its metric."""

    def __init__(self, values: Shares, labels: int, degraded: Mapping[str, Any], ending: Ending = never_better) -> None:
        self.values, self.labels, self.ending = values.copy(), labels, ending
        watched = {"name": "accuracy", "source": {"push": {}}, "baseline": {"value": BASELINE}, "degraded": degraded}
        self.spec = make_spec(
            production={"metrics": [watched]},
            retune={"triggers": ["Degradation"], "cooldown": f"{COOLDOWN}h"},
            budget={"trials": 1},
        )
        self.metric = ProductionMetric.model_validate(watched)
        self.progress = make_progress(self.spec, complete=1)
        [first] = make_status().rounds
        self.status = make_status(state="Complete", rounds=[first.model_copy(update={"completion_time": NOW})])

    def starts(self, *, every_hour: bool = False) -> list[int]:
        """The hours at which rounds start. Those hours at which the metric cannot be degraded are left out, which
        changes nothing, unless `every_hour` is to be looked at."""
        found, hour = [], 0
        while hour < len(self.values):
            if not (every_hour or self._has_something_to_do):
                hour = self._next_that_may_alarm(hour)
            if hour < len(self.values) and self._look(hour):
                found.append(hour)
            hour += 1
        return found

    @property
    def _has_something_to_do(self) -> bool:
        metrics_degraded = any(entry.degraded_since for entry in self.status.production)
        return metrics_degraded or self.status.state != "Complete" or self.status.retune.episode is not None

    def _look(self, hour: int) -> bool:
        """Whether it starts a round."""
        now, comparison = at(hour), None
        if self.status.state == "Running":
            comparison = Comparison(self.ending(self.values, hour))
        production = standing(self.spec, self.status, self._evidence(hour), None, {}, now)
        decided = plan(
            make_observation(
                self.spec,
                now=now,
                status=self.status,
                progress=self.progress,
                comparison=comparison,
                production=production,
            )
        )
        self.status = decided.status
        return any(isinstance(action, StartRound) for action in decided.actions)

    def _evidence(self, hour: int) -> Evidence:
        begin, (first, newest) = self._judged_from(), _READ
        hours = range(begin, hour + 1)
        read = hours if len(hours) <= first + newest else [*hours[:first], *hours[-newest:]]
        return Evidence(
            observations={"accuracy": [Observation(at(each), float(self.values[each]), self.labels) for each in read]}
        )

    def _judged_from(self) -> int:
        since = judged_since(self.status)
        return 0 if since <= NOW else (since - NOW) // timedelta(hours=1)

    def _next_that_may_alarm(self, hour: int) -> int:
        begin = self._judged_from()
        found = np.flatnonzero(may_be_degraded(self.values[begin:], self.labels, self.metric)[hour - begin :])
        return hour + int(found[0]) if len(found) else len(self.values)


def at(hour: int) -> datetime:
    return NOW + timedelta(hours=hour + 1)


def may_be_degraded(values: Shares, labels: int, metric: ProductionMetric) -> NDArray[np.bool_]:
    """For each hour, whether a model that was well before could be called degraded: never where it is False.

    The evidence as it would be if labels were independent, without an upper end: what `judge` sums up is no more than
    that. Of a long list it reads the first observations and the newest, so that the first may count once more.
    """
    level = degraded_level(BASELINE, metric.degraded, "Maximize")
    assert level is not None
    if metric.degraded.bad is not None and metric.degraded.of is not None:
        return _among_the_last(values < level, metric.degraded.of) >= metric.degraded.bad
    hit, miss = np.log(level / BASELINE), np.log((1 - level) / (1 - BASELINE))
    summed = np.cumsum(labels * (values * hit + (1 - values) * miss))
    evidence = summed - np.minimum(0, np.minimum.accumulate(summed))
    first, newest = _READ
    evidence[first + newest :] += evidence[first - 1] if len(evidence) >= first else 0
    threshold = judge(metric, "Maximize", BaselineValue(BASELINE, None, "Given"), []).threshold
    return np.asarray(evidence >= threshold - 1e-6)


def naive_starts(values: Shares, bad: int = 3, of: int = 5, ratio: float = 0.95) -> list[int]:
    """The hours at which a program that knows no episodes starts rounds: whenever so many are bad, and none was
    started within the cooldown."""
    found: list[int] = []
    for hour in np.flatnonzero(_among_the_last(values < BASELINE * ratio, of) >= bad):
        if not found or hour - found[-1] >= COOLDOWN:
            found.append(int(hour))
    return found


def _among_the_last(beyond: NDArray[np.bool_], of: int) -> NDArray[np.int_]:
    return np.convolve(beyond.astype(int), np.ones(of, dtype=int))[: len(beyond)]
