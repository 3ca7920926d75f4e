"""The best trial as the status tells it. Pure; called by observe.

Trials hold more than a status may: names of any text and length, any number of parameters, attributes of any type.
What fits is told, with a mark where it is cut.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from tuning_study.results import METRICS_ATTRIBUTE, Candidate
from tuning_study.spec import TuningStudySpec
from tuning_study.status import Best, MetricValue, ParameterValue
from tuning_study.text import CUT

_MAX_PARAMETERS = 64
_MAX_PARAMETER_BYTES = 6000  # of all names and values together: a status stays under 16 KiB


def describe_best(
    winner: Candidate, spec: TuningStudySpec, parameters: Mapping[str, Any], attributes: Mapping[str, Any]
) -> Best:
    """`attributes` are the trial's user attributes, whoever wrote them."""
    objectives = dict(zip((metric.name for metric in spec.objectives), winner.values, strict=False))
    reported = attributes.get(METRICS_ATTRIBUTE)
    metrics = {**(reported if isinstance(reported, Mapping) else {}), **objectives}
    return Best(
        trial=winner.number,
        metrics=[
            MetricValue(name=metric.name, value=value)
            for metric in spec.metrics
            if (value := _told(metrics.get(metric.name))) is not None
        ],
        parameters=_parameters(parameters),
        feasible=winner.feasible,
    )


def parameter_text(value: Any) -> str:
    """A value as JSON: `true`, `null`, `0.1`. A string as it stands, unless it would be taken for other JSON."""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False, default=str)
    try:
        json.loads(value)
    except ValueError:
        return value
    return json.dumps(value, ensure_ascii=False)


def _parameters(parameters: Mapping[str, Any]) -> list[ParameterValue]:
    told = list(_fitting(parameters))
    if len(told) < len(parameters):
        told[-1:] = [ParameterValue(name=CUT, value=f"{len(parameters) - len(told) + 1} more")]
    return told


def _fitting(parameters: Mapping[str, Any]) -> Iterator[ParameterValue]:
    left = _MAX_PARAMETER_BYTES
    for name, value in list(parameters.items())[:_MAX_PARAMETERS]:
        entry = ParameterValue(name=name, value=parameter_text(value))
        left -= len(entry.name.encode()) + len(entry.value.encode())
        if left < 0:
            return
        yield entry


def _told(value: Any) -> Any:
    """The value of a metric as the status holds it; None for what is no number, or NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # a whole number beyond what a double holds
        number = math.inf if value > 0 else -math.inf
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    return None if math.isnan(number) else number
