"""Predictions and their labels as observations: which windows are closed, and what one of them comes to. Pure.

Windows begin at multiples of their length since 1970, so that all programs see the same ones, whenever they look. A
window is closed once `delay` has passed since its end, and labels that come later do not count. The operator's keeper
of predictions asks; the exporter asks which predictions come too late.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tuning_study.api.duration import format_duration
from tuning_study.api.production import PredictionsSource
from tuning_study.production.observation import Observation

EPOCH = datetime.fromtimestamp(0, UTC)
_MARGIN = timedelta(days=1)  # for which an operator may be away


@dataclass(frozen=True)
class Tally:
    """What is known of the predictions of one window."""

    slot: int
    """Which window since 1970."""
    predictions: int
    labels: int
    """That came in time."""
    alike: int
    """Labels of the same type as their prediction: a number, a text, or a boolean."""
    hits: int
    """Of these, the labels that are equal to their prediction."""
    numbers: int
    """Labels that are a number, as their prediction is; counted for scores of errors alone."""
    absolute: float
    """The sum of the absolute errors of these."""
    squared: float
    """The sum of their squares."""


def slot_of(time: datetime, source: PredictionsSource) -> int:
    """The window that a prediction of that time is in."""
    return (time - EPOCH) // source.window


def begin_of(slot: int, source: PredictionsSource) -> datetime:
    return EPOCH + slot * source.window


def is_closed(slot: int, source: PredictionsSource, now: datetime) -> bool:
    return begin_of(slot + 1, source) + source.delay <= now


def closed_slots(source: PredictionsSource, after: datetime | None, now: datetime) -> range:
    """The windows that are closed, and begin at `after` or later: up to there they have been observed. None that is so
    old that its predictions may be gone."""
    kept = now - kept_for(source)
    oldest = max(after or kept, kept)
    first = -((EPOCH - oldest) // source.window)  # the first that does not begin before
    end = slot_of(now - source.delay, source)  # the first that is not closed
    return range(first, max(first, end))


def kept_for(source: PredictionsSource) -> timedelta:
    """How long a prediction is of use."""
    return source.window + source.delay + _MARGIN


def observed(tally: Tally, source: PredictionsSource) -> Observation | str:
    """The observation of a closed window, or why there is none. A label of another type than its prediction is another
    label, unless all are: then it is how they are written.

    The mean of errors has no `samples`: they would be taken to vary as shares do, and errors may be of any size.
    """
    end = begin_of(tally.slot + 1, source)
    if not tally.labels:
        return (
            f"no label came within {format_duration(source.delay)} for the {tally.predictions} predictions of the "
            f"window until {end:%Y-%m-%dT%H:%MZ}"
        )
    of_shares = source.score in ("Accuracy", "ErrorRate")
    comparable = tally.alike if of_shares else tally.numbers
    counted = tally.labels if of_shares else comparable
    coverage = counted / tally.predictions
    if not comparable:
        wanted = "of the type of their prediction (1 and '1' are none)" if of_shares else "numbers, as are predictions"
        return f"none of the {tally.labels} labels of the window until {end:%Y-%m-%dT%H:%MZ} are {wanted}"
    match source.score:
        case "Accuracy":
            return Observation(end, tally.hits / counted, counted, coverage)
        case "ErrorRate":
            return Observation(end, (counted - tally.hits) / counted, counted, coverage)
        case "MeanAbsoluteError":
            return Observation(end, tally.absolute / counted, None, coverage)
        case "RootMeanSquaredError":
            return Observation(end, math.sqrt(tally.squared / counted), None, coverage)
