"""A study's observations and the drift of its features over time, as JSON for charts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tuning_store.features import KnownFeatures
from tuning_store.production import Evidence
from tuning_study.api.production import Drift
from tuning_study.production.drift import stability_index
from tuning_study.production.observation import Observation
from tuning_study.production.windows import windows

MOST_POINTS = 600
"""Of one line. Of more, the mean of neighbours is drawn."""
MOST_FEATURES = 6
"""Those with the largest index at the end."""


def over_time(evidence: Evidence, features: KnownFeatures, rule: Drift | None) -> dict[str, Any]:
    return {
        "metrics": {name: _points(told) for name, told in evidence.observations.items()},
        "drift": _drift(features, rule) if rule is not None else [],
    }


def _points(observed: Sequence[Observation]) -> list[list[Any]]:
    """[time, value, samples] each, the oldest first; of joined ones the last time and all samples."""
    ordered = sorted(observed, key=lambda one: one.time)
    size = -(-len(ordered) // MOST_POINTS)
    return [_joined(ordered[start : start + size]) for start in range(0, len(ordered), size or 1)]


def _joined(neighbours: Sequence[Observation]) -> list[Any]:
    known = [one.samples for one in neighbours if one.samples is not None]
    mean = sum(one.value for one in neighbours) / len(neighbours)
    return [_time(neighbours[-1].time), mean, sum(known) if known else None]


def _drift(features: KnownFeatures, rule: Drift) -> list[dict[str, Any]]:
    """Of each feature its population stability index at the end of every window that was judged."""
    watched = [name for name in features.sent if not rule.features or name in rule.features]
    lines = [{"feature": name, "points": _indices(features, name, rule)} for name in watched]
    drawn = [line for line in lines if line["points"]]
    return sorted(drawn, key=lambda line: -line["points"][-1][1])[:MOST_FEATURES]


def _indices(features: KnownFeatures, name: str, rule: Drift) -> list[list[Any]]:
    reference = features.references.get(name)
    if reference is None:
        return []
    before = (*reference.counts.bins, reference.counts.missing)
    batches = [(each.time, each.counts) for each in features.sent[name] if len(each.counts.bins) + 1 == len(before)]
    checked = [
        [_time(window.end), stability_index(before, (*window.counts.bins, window.counts.missing))[0]]
        for window in windows(batches, length=rule.window, samples=rule.min_samples)
    ]
    return checked[-MOST_POINTS:]


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
