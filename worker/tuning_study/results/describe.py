"""The best trial, and what its verification came to, as the status tells it. Called by whoever tells a status.

Trials hold more than a status may: names of any text and length, any number of parameters, attributes of any type.
What fits is told, with a mark where it is cut.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from tuning_study.api.metrics import Metric
from tuning_study.api.parameters import values_of
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.status import Best, MetricValue, ParameterValue, Pareto, TrialCounts
from tuning_study.attributes import METRICS_ATTRIBUTE
from tuning_study.budget import Counts
from tuning_study.results.candidates import Candidate
from tuning_study.results.hypervolume import hypervolume
from tuning_study.results.pareto import pareto_front
from tuning_study.results.selection import chosen_by
from tuning_study.results.verified import Verified, meets
from tuning_study.text import CUT, first_of

_MAX_PARAMETERS = 64
_MOST_ALIKE = 5  # trials that are named
_MAX_PARAMETER_BYTES = 6000  # of all names and values together: a status stays under 16 KiB


def trial_counts(counts: Counts, target: int | None) -> TrialCounts:
    summary = f"{counts.used}/{target}" if target is not None else str(counts.used)
    return TrialCounts(target=target, **vars(counts), summary=summary)


def describe_verified(found: Verified, spec: TuningStudySpec, parameters: Mapping[str, Any]) -> Best:
    """The candidate that a verification names, with its means. `parameters` are those of its trial in the search."""
    assert found.best is not None
    winner = found.candidates[found.best]
    metrics = _metrics(spec, winner.metrics)
    return Best(
        trial=winner.trial,
        metrics=metrics,
        summary=_summary(spec, metrics),
        parameters=_parameters(values_of(spec.parameters, parameters)),
        feasible=meets(spec.constraints, winner),
        verified=True,
        chosen_by=chosen_by(spec.selection, found.among) if spec.selection is not None else "",
    )


def verification_message(found: Verified, spec: TuningStudySpec) -> str:
    """What a verification came to, in one or two sentences."""
    if found.none_is_feasible:
        return "no trial is feasible on the mean of its runs: none is chosen"
    if found.best is None:
        return "no run came to a value: the search's values decide"
    if spec.selection is not None:
        chosen = found.candidates[found.best]
        means = ", ".join(f"{m.name} {chosen.mean(place):.6g}" for place, m in enumerate(spec.objectives))
        how = chosen_by(spec.selection, found.among)
        return f"trial {chosen.trial}, chosen by {how}, has {means} on the mean of {chosen.runs} runs"
    winner, name = found.candidates[found.best], spec.objectives[0].name
    interval = winner.interval(0, found.overlap)
    within = f", of which the mean lies within {interval[0]:.6g} and {interval[1]:.6g} (95 %)" if interval else ""
    message = f"trial {winner.trial} has {name} {winner.mean(0):.6g} on the mean of {winner.runs} runs{within}"
    if not found.alike:
        return message
    others = first_of([str(found.candidates[place].trial) for place in found.alike], _MOST_ALIKE)
    return f"{message}; trials {', '.join(others)} cannot be told apart from it"


def describe_best(
    winner: Candidate,
    spec: TuningStudySpec,
    parameters: Mapping[str, Any],
    attributes: Mapping[str, Any],
    *,
    chosen_by: str = "",
) -> Best:
    """`parameters` and user `attributes` are the trial's as the store holds them, whoever wrote them. `chosen_by` is
    how the study's selection chose the trial, where it has one."""
    objectives = dict(zip((metric.name for metric in spec.objectives), winner.values, strict=False))
    reported = attributes.get(METRICS_ATTRIBUTE)
    metrics = _metrics(spec, {**(reported if isinstance(reported, Mapping) else {}), **objectives})
    return Best(
        trial=winner.number,
        metrics=metrics,
        summary=_summary(spec, metrics),
        parameters=_parameters(values_of(spec.parameters, parameters)),
        feasible=winner.feasible,
        chosen_by=chosen_by,
    )


def _metrics(spec: TuningStudySpec, values: Mapping[str, Any]) -> list[MetricValue]:
    return [
        MetricValue(name=metric.name, value=value)
        for metric in spec.metrics
        if (value := metric_value(values.get(metric.name))) is not None
    ]


def _summary(spec: TuningStudySpec, metrics: Sequence[MetricValue]) -> str:
    values = {metric.name: metric.value for metric in metrics}
    return ", ".join(f"{float(values[metric.name]):.6g}" for metric in spec.objectives if metric.name in values)


def parameter_text(value: Any) -> str:
    """A value as JSON: `true`, `null`, `0.1`. A string as it stands, unless it would be taken for other JSON."""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False, default=str)
    try:
        json.loads(value)
    except ValueError:
        return value
    return json.dumps(value, ensure_ascii=False)


def parameter_value(text: str) -> Any:
    """The value that `parameter_text` wrote."""
    try:
        return json.loads(text)
    except ValueError:
        return text


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


def metric_value(value: Any) -> float | Literal["Infinity", "-Infinity"] | None:
    """The value of a metric as JSON holds it, which knows no infinity; None for what is no number, or NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # a whole number beyond what a double holds
        number = math.inf if value > 0 else -math.inf
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    return None if math.isnan(number) else number


def describe_front(objectives: Sequence[Metric], found: Sequence[Candidate]) -> Pareto:
    """The Pareto set in numbers, for a status."""
    size, share = len(pareto_front(objectives, found)), hypervolume(objectives, found)
    return Pareto(size=size, feasible=size, hypervolume=None if share is None else round(share, 4))
