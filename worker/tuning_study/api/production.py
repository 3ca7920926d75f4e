"""`spec.production`: what is known of the tuned model in production, and when it counts as degraded or drifted."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from tuning_study.api.duration import Duration, SomeTime
from tuning_study.api.field_types import Direction, MetricName, Number, ObjectName, Text, keyed
from tuning_study.api.rules import Model, Rule

_MOST_DAYS = 90
FalseAlarms = Annotated[float, Field(ge=0.0001, le=1, allow_inf_nan=False)]


class PrometheusSource(Model):
    """Queries of Prometheus; each must answer with one number."""

    query: Text = Field(
        description='Query of the metric\'s value over the last window. Example: model_accuracy{model="digits"}.'
    )
    samples: Text | None = Field(
        None,
        description="Query of a counter of the samples behind the value, such as labelled predictions; its increase "
        "from one observation to the next is their number. If left out, noise is learnt from the values. "
        'Example: sum(model_labelled_total{model="digits"}).',
    )
    window: SomeTime = Field(
        timedelta(hours=1),
        description="Time that an observation is about, and from one observation to the next. Default: 1h.",
    )
    delay: Duration = Field(
        timedelta(0),
        description="How long after a window its labels are complete: queries ask for a moment so long ago. "
        "Default: 0s.",
    )


class PushSource(Model):
    """Observations that are sent to the exporter: `POST /observations`, or `tuning observe`."""

    window: SomeTime = Field(
        timedelta(hours=1),
        description="Time from one observation to the next, as they are sent. It decides how many observations a "
        "week has, and when they are missed. Default: 1h.",
    )


Score = Literal["Accuracy", "ErrorRate", "MeanAbsoluteError", "RootMeanSquaredError"]
BETTER: Mapping[Score, Direction] = {
    "Accuracy": "Maximize",
    "ErrorRate": "Minimize",
    "MeanAbsoluteError": "Minimize",
    "RootMeanSquaredError": "Minimize",
}


class PredictionsSource(Model):
    """Predictions, and later their labels, that are sent to the exporter: `POST /predictions`. Each window of them is
    one observation."""

    score: Score = Field(
        description="What is computed of the predictions with a label. Accuracy and ErrorRate: the share of those that "
        "are, or are not, equal to their label. MeanAbsoluteError and RootMeanSquaredError: of numbers."
    )
    window: SomeTime = Field(
        timedelta(hours=1),
        description="Length of a window of predictions, by their times. Windows begin at multiples of it since 1970. "
        "Default: 1h.",
    )
    delay: Duration = Field(
        timedelta(0),
        description="How long labels are waited for after the end of a window. Later ones do not count. Default: 0s.",
    )

    rules = (
        Rule(
            "!has(self.window) || !has(self.delay)"
            f" || duration(self.window) + duration(self.delay) <= duration('{_MOST_DAYS * 24}h')",
            f"predictions are kept for at most {_MOST_DAYS} days: write a shorter window or delay",
            lambda s: s.window + s.delay <= timedelta(days=_MOST_DAYS),
        ),
    )


class Source(Model):
    """Where observations come from: exactly one of the fields."""

    prometheus: PrometheusSource | None = None
    push: PushSource | None = None
    predictions: PredictionsSource | None = None

    rules = (
        Rule(
            "[has(self.prometheus), has(self.push), has(self.predictions)].filter(given, given).size() == 1",
            "a source is one of prometheus, push and predictions: write `prometheus: {query: …}`, `push: {}` or"
            " `predictions: {score: Accuracy}`",
            lambda s: sum(v is not None for v in (s.prometheus, s.push, s.predictions)) == 1,
        ),
    )

    @property
    def window(self) -> timedelta:
        """From one observation to the next."""
        chosen = self.prometheus or self.push or self.predictions
        assert chosen is not None
        return chosen.window

    @property
    def delay(self) -> timedelta:
        """After a window, until it can be observed."""
        chosen = self.prometheus or self.predictions
        return chosen.delay if chosen is not None else timedelta(0)


class Baseline(Model):
    """The value of a model that is well. If left out, `from: Verified` where the metric is one of `metrics`, else
    `from: FirstObservations`."""

    from_: Literal["Verified", "FirstObservations"] | None = Field(
        None,
        alias="from",
        description="Verified: the mean of the last round's verification, or the value of its best trial where there "
        "is none. FirstObservations: the mean of the first 50 observations after the last round.",
    )
    value: Number | None = Field(None, description="The value itself. Example: 0.97.")

    rules = (
        Rule(
            "has(self.from) != has(self.value)",
            "a baseline is either `from: Verified`, `from: FirstObservations`, or `value: 0.97`",
            lambda b: (b.from_ is None) != (b.value is None),
        ),
    )


class Degraded(Model):
    """When a metric counts as degraded: by evidence that is summed up over observations, or as the plain form `bad` of
    the last `of`, which knows nothing of noise."""

    ratio: Annotated[float, Field(ge=0.001, le=0.9999, allow_inf_nan=False)] = Field(
        0.95,
        description="The degraded level as a share of the baseline. Where less is better, the baseline is divided by "
        "it. Default: 0.95.",
    )
    false_alarms_per_week: FalseAlarms = Field(
        0.01,
        description="The largest acceptable probability that a model that is well counts as degraded within a week. "
        "Default: 0.01.",
    )
    bad: Annotated[int, Field(ge=1, le=12)] | None = Field(
        None,
        description="Instead of false alarms: number of bad observations among the last `of`. `tuning validate` tells "
        "how often that is a false alarm. Example: 3.",
    )
    of: Annotated[int, Field(ge=1, le=12)] | None = Field(None, description="See `bad`. Example: 5.")

    rules = (
        Rule(
            "has(self.bad) == has(self.of) && (!has(self.bad) || self.bad <= self.of)",
            "`bad` and `of` belong together, and `bad` is at most `of`: write `bad: 3, of: 5`",
            lambda d: (d.bad is None) == (d.of is None) and (d.bad is None or d.of is None or d.bad <= d.of),
        ),
    )


class ProductionMetric(Model):
    """A metric of the model in production."""

    name: MetricName = Field(description="Name. Of an objective, its direction applies. Example: accuracy.")
    direction: Direction | None = Field(
        None, description="Which values are better. May be left out where the metric is an objective."
    )
    source: Source
    baseline: Baseline | None = None
    degraded: Degraded = Field(default_factory=Degraded)


class PrometheusServer(Model):
    """The namespace's own Prometheus."""

    secret_name: ObjectName = Field(
        description="Secret in the study's namespace with the key `url`, and as needed `token`, or `username` and "
        "`password`, and `ca.crt`."
    )


class Drift(Model):
    """Drift of features, against the sample that the last round was tuned on: of an sklearn objective its data, of any
    other what is sent as `reference`. It warns; it asks for a round only where `retune.triggers` lists Drift."""

    features: Annotated[list[Annotated[str, Field(min_length=1, max_length=253)]], Field(max_length=200)] = Field(
        default_factory=list,
        description="Features to watch. If left out, all that are sent, at most 200. Example: [age, income].",
    )
    psi: Annotated[float, Field(ge=0.001, le=100, allow_inf_nan=False)] = Field(
        0.2,
        description="Population stability index from which a feature has drifted, if that many samples can show it. "
        "Default: 0.2.",
    )
    window: SomeTime = Field(
        timedelta(hours=1),
        description="Time from one check to the next, if `minSamples` have come meanwhile. Default: 1h.",
    )
    min_samples: Annotated[int, Field(ge=50, le=10_000_000)] = Field(
        500, description="Fewer samples than these are not judged. Default: 500."
    )
    false_alarms_per_week: FalseAlarms = Field(
        0.01,
        description="The largest acceptable probability that data that have not changed count as drifted within a "
        "week. Default: 0.01.",
    )


class Production(Model):
    """The tuned model in production: where its metrics come from, and when it counts as degraded."""

    metrics: Annotated[list[ProductionMetric], keyed(8)] = Field(
        default_factory=list, description="Metrics to watch. Each is judged by itself."
    )
    prometheus: PrometheusServer | None = None
    drift: Drift | None = None
