"""What a manifest says of production that cannot run, and what is allowed and yet seldom meant. Asked by whoever reads
a manifest."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from tuning_study.api.production import ProductionMetric
from tuning_study.api.spec import TuningStudySpec
from tuning_study.exceptions import InvalidSchedule
from tuning_study.production.degradation import degraded_level, false_alarm_rate
from tuning_study.production.schedule import next_run

_SAMPLES = (50, 200, 1000)  # of an observation, for which false alarms are told
_TOO_OFTEN = 0.01  # false alarms a week
_SOME_BASELINE = 0.9  # where the manifest does not name it
_SOME_TIME = datetime(2026, 1, 1, tzinfo=UTC)
_WEEK = timedelta(days=7)


def problems_of_production(spec: TuningStudySpec) -> list[str]:
    """Each with its place; a study with one of them cannot run."""
    retune = spec.retune
    if retune.schedule is None:
        return []
    try:
        next_run(retune.schedule, retune.time_zone or "UTC", _SOME_TIME)
    except InvalidSchedule as error:
        return [f"spec.retune.schedule: {error}"]
    return []


def advice_on_production(spec: TuningStudySpec) -> Iterator[str]:
    """One sentence for each thing to reconsider, with its place."""
    watched = spec.production.metrics if spec.production is not None else []
    for metric in watched:
        yield from (f"production.metrics.{metric.name}: {told}" for told in _of_plain_form(metric, spec))
    if "Degradation" in spec.retune.triggers and not watched:
        yield "retune.triggers: Degradation asks for nothing without production.metrics: add the metrics to watch"
    elif {"Alert", "Degradation"} & set(spec.retune.triggers) and spec.verification is None:
        yield (
            "retune.triggers: without verification a round is not compared with the parameters of before, and one cause"
            " asks for no second round: add `verification: {top: 3, repeats: 3}`"
        )


def _of_plain_form(metric: ProductionMetric, spec: TuningStudySpec) -> Iterator[str]:
    """`bad` of `of` knows nothing of noise: how often that is a false alarm depends on the samples alone."""
    rule = metric.degraded
    if rule.bad is None or rule.of is None:
        return
    given = metric.baseline.value if metric.baseline is not None else None
    baseline = _SOME_BASELINE if given is None else given
    level = degraded_level(baseline, rule, spec.direction_of(metric)) if 0 < baseline < 1 else None
    if level is None or not 0 < level < 1:
        return
    checks = _WEEK / metric.source.window
    rates = {n: false_alarm_rate(baseline, level, n, rule.bad, rule.of, checks) for n in _SAMPLES}
    if max(rates.values()) > _TOO_OFTEN:
        told = ", ".join(f"{rate:.2g} with {samples}" for samples, rate in rates.items())
        yield (
            f"{rule.bad} bad of {rule.of} is a false alarm within a week with a probability of {told} samples an"
            f" observation, at a baseline of {baseline:g}: leave out `bad` and `of`, and falseAlarmsPerWeek is kept"
        )
