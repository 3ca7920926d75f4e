"""`spec.promotion.canary`: what is compared between stable and the canary, and what has to be shown before the canary
is promoted."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from tuning_study.api.duration import Duration, SomeTime
from tuning_study.api.field_types import LabelName, MetricName, Number, Text, keyed
from tuning_study.api.rules import Model, Rule, one_name_each

VARIANT = "{{variant}}"
"""What a query writes for the label matchers of one side's pods."""


class PushedCounts(Model):
    """Requests that programs count themselves, and send to the exporter: `POST /counts`, or `tuning observe`."""


class CanaryMetric(Model):
    """A share of bad requests, by two counters of each side, which are asked for or sent; or, as a plain guard, one
    number that must not be above `max`, which knows nothing of noise."""

    name: MetricName = Field(description="Name, as status and history call it. Example: errors.")
    bad: Text | None = Field(
        None,
        description="Query of a counter of bad requests, not of a rate; no series means none. {{variant}} stands for "
        'the label matchers of each side\'s pods. Example: sum(requests_total{code=~"5..", {{variant}}}).',
    )
    total: Text | None = Field(
        None, description="Query of the counter of all requests. Example: sum(requests_total{ {{variant}} })."
    )
    push: PushedCounts | None = None
    margin: Annotated[float, Field(ge=0.0001, le=0.2, allow_inf_nan=False)] = Field(
        0.01,
        description="How much more of the canary's requests may be bad: it is promoted once that much is ruled out. "
        "`tuning validate` tells how many requests that takes. Default: 0.01. That is one request in a hundred.",
    )
    critical: bool = Field(
        True,
        description="Whether harm that this metric shows rolls the canary back. It keeps the canary from being "
        "promoted in any case. Default: true.",
    )
    query: Text | None = Field(
        None,
        description="Instead of counters, as a plain guard: query of one number; {{variant}} stands for the label "
        "matchers of the canary's pods. Example: histogram_quantile(0.99, sum by (le) (rate(seconds_bucket{ "
        "{{variant}} }[1m]))).",
    )
    max: Number | None = Field(
        None,
        description="Largest good value of `query`. A value above it keeps the canary from being promoted, and three "
        "in succession are harm. Example: 0.3.",
    )

    rules = (
        Rule(
            "has(self.bad) == has(self.total) && has(self.query) == has(self.max) && "
            "[has(self.bad), has(self.push), has(self.query)].filter(given, given).size() == 1",
            "a metric is one of two counters, pushed counts and a plain guard: write `bad: …, total: …`, `push: {}` or "
            "`query: …, max: …`",
            lambda m: (
                (m.bad is None) == (m.total is None)
                and (m.query is None) == (m.max is None)
                and sum(given is not None for given in (m.bad, m.push, m.query)) == 1
            ),
        ),
        Rule(
            "(!has(self.bad) || self.bad.contains('{{variant}}')) && "
            "(!has(self.total) || self.total.contains('{{variant}}')) && "
            "(!has(self.query) || self.query.contains('{{variant}}'))",
            "without {{variant}} a query answers alike for stable and for the canary: write it among the labels, as in "
            "requests_total{ {{variant}} }",
            lambda m: all(query is None or VARIANT in query for query in (m.bad, m.total, m.query)),
        ),
    )

    @property
    def compares(self) -> bool:
        """Whether it compares requests of both sides; a guard does not."""
        return self.query is None


class Canary(Model):
    """Pods with the candidate's parameters beside the target's, compared until the candidate is shown to do harm, or to
    be as good. They are copies of the target's pods, in a Deployment of their own."""

    metrics: Annotated[list[CanaryMetric], keyed(8, least=1)] = Field(
        description="Metrics to compare. All of them must be as good; a critical one that is worse rolls back."
    )
    replicas: Annotated[int, Field(ge=1, le=1000)] = Field(
        1, description="Pods with the candidate's parameters, beside all of the target's. Default: 1."
    )
    min_samples: Annotated[int, Field(ge=1, le=100_000_000)] = Field(
        200, description="Requests on each side before the canary may be promoted. Default: 200."
    )
    alpha: Annotated[float, Field(ge=0.0001, le=0.2, allow_inf_nan=False)] = Field(
        0.05,
        description="Largest acceptable probability that a canary that is not worse is rolled back, at whatever time "
        "and over all critical metrics, and that one that is worse by the margin is promoted. Default: 0.05.",
    )
    for_: SomeTime = Field(
        timedelta(minutes=10),
        alias="for",
        description="How long the canary runs. It is promoted then, if it is shown to be as good; what is not known "
        "by then is for `undecided`. Harm ends it at any time. Default: 10m.",
    )
    warmup: Duration = Field(
        timedelta(0),
        description="Time from the start of the canary whose requests are left out, as caches are still cold. "
        "Default: 0s.",
    )
    undecided: Literal["RollBack", "Hold"] = Field(
        "RollBack",
        description="What becomes of a canary that is neither shown to do harm nor to be as good: RollBack returns to "
        "stable, and the same parameters may be tried again; Hold waits for a person. Default: RollBack.",
    )
    dry_run: bool = Field(
        False,
        description="Whether to only record what would have been decided: the parameters are promoted either way. "
        "Default: false.",
    )
    pod_label: LabelName = Field(
        "pod", description="Label of the series that names the pod that they are of. Default: pod."
    )
    namespace_label: LabelName = Field(
        "namespace", description="Label of the series that names the pod's namespace. Default: namespace."
    )

    rules = (
        one_name_each("metrics", lambda canary: canary.metrics),
        Rule(
            "self.metrics.exists(m, !has(m.query))",
            "guards alone compare nothing with stable: add a metric with `bad` and `total`, or with `push: {}`",
            lambda c: any(m.compares for m in c.metrics),
            field="metrics",
        ),
        Rule(
            "duration(self.__for__) >= duration('10s')",
            "both sides are looked at every 2 seconds at most: write 10s or more",
            lambda c: c.for_ >= timedelta(seconds=10),
            field="for",
        ),
        Rule(
            "duration(self.warmup) < duration(self.__for__)",
            "`warmup` leaves no time to compare anything: write a shorter one than `for`",
            lambda c: c.warmup < c.for_,
            field="warmup",
        ),
    )

    @property
    def pushed(self) -> Sequence[str]:
        """Names of the metrics whose requests programs count."""
        return [metric.name for metric in self.metrics if metric.push is not None]
