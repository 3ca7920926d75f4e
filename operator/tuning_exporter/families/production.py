"""The metrics of models in production and of what is done about them, from the studies' statuses. Pure."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from tuning_exporter.families.values import number_of, seconds_of

_METRIC = ["namespace", "study", "metric"]
_STUDY = ["namespace", "study"]


class ProductionFamilies:
    """Filled study by study."""

    def __init__(self) -> None:
        self._value = GaugeMetricFamily("tuning_production_value", "The last observation.", labels=_METRIC)
        self._baseline = GaugeMetricFamily(
            "tuning_production_baseline", "The value of a model that is well.", labels=_METRIC
        )
        self._level = GaugeMetricFamily(
            "tuning_production_degraded_level", "The value from which a model is degraded.", labels=_METRIC
        )
        self._evidence = GaugeMetricFamily(
            "tuning_production_evidence",
            "Evidence of degradation as a share of what is needed: degraded from 1 on, well again at 0.",
            labels=_METRIC,
        )
        self._degraded = GaugeMetricFamily(
            "tuning_production_degraded",
            "1 while the metric is degraded, also while nothing is observed.",
            labels=_METRIC,
        )
        self._stale = GaugeMetricFamily("tuning_production_stale", "1 while observations are missed.", labels=_METRIC)
        self._time = GaugeMetricFamily(
            "tuning_production_observation_timestamp_seconds", "When the last observation was made.", labels=_METRIC
        )
        self._rounds = GaugeMetricFamily(
            "tuning_retune_episode_rounds",
            "Rounds that were started for what is wrong with the model now; nothing while nothing is.",
            labels=_STUDY,
        )
        self._waits = GaugeMetricFamily(
            "tuning_retune_waiting", "1 while a retuning waits, and why.", labels=[*_STUDY, "reason"]
        )
        self._gap = GaugeMetricFamily(
            "tuning_production_gap",
            "The last observation less the baseline: what production differs by from trials.",
            labels=_METRIC,
        )
        self._promotion = GaugeMetricFamily(
            "tuning_promotion_state",
            "1 for the state that a promotion is in; nothing where the study promotes nothing.",
            labels=[*_STUDY, "state"],
        )
        self._promotion_time = GaugeMetricFamily(
            "tuning_promotion_state_timestamp_seconds", "When that state began.", labels=_STUDY
        )
        self._canary = GaugeMetricFamily(
            "tuning_canary_evidence",
            "Evidence that the canary is worse, as a share of what is harm, both as logarithms: harm from 1 on.",
            labels=_METRIC,
        )

    @property
    def families(self) -> Sequence[Metric]:
        of_metrics = [self._value, self._baseline, self._level, self._evidence, self._degraded, self._stale, self._time]
        of_promotion = [self._promotion, self._promotion_time, self._canary]
        return [*of_metrics, self._gap, self._rounds, self._waits, *of_promotion]

    def add(self, key: list[str], status: Mapping[str, Any]) -> None:
        """`key` is the study's namespace and name."""
        for entry in status.get("production") or ():
            self._add_metric([*key, str(entry.get("name", ""))], entry)
        promotion = status.get("promotion")
        if promotion:
            self._promotion.add_metric([*key, promotion.get("state", "Stable")], 1)
            if (since := seconds_of(promotion.get("since"))) is not None:
                self._promotion_time.add_metric(key, since)
            self._add_canary(key, promotion.get("canary") or {})
        episode = (status.get("retune") or {}).get("episode")
        if episode:
            self._rounds.add_metric(key, episode.get("rounds", 0))
            if episode.get("waitsFor"):
                self._waits.add_metric([*key, episode["waitsFor"]], 1)

    def _add_canary(self, key: list[str], canary: Mapping[str, Any]) -> None:
        """Of one whose pods serve; e-values have no upper end, which a graph would show and nothing else."""
        if canary.get("deployment") is None:
            return
        for entry in canary.get("evidence") or ():
            e, threshold = number_of(entry.get("e")), number_of(entry.get("threshold"))
            if e is not None and threshold is not None and e > 0 and threshold > 1:
                labels = [*key, str(entry.get("metric", ""))]
                self._canary.add_metric(labels, max(0.0, math.log(e) / math.log(threshold)))

    def _add_metric(self, labels: list[str], entry: Mapping[str, Any]) -> None:
        value, baseline = number_of(entry.get("value")), number_of(entry.get("baseline"))
        told = (
            (self._value, value),
            (self._baseline, baseline),
            (self._level, number_of(entry.get("level"))),
            (self._evidence, number_of(entry.get("evidence", 0.0))),
            (self._degraded, float("degradedSince" in entry)),
            (self._stale, float(bool(entry.get("stale")))),
            (self._time, seconds_of(entry.get("time"))),
            (self._gap, value - baseline if value is not None and baseline is not None else None),
        )
        for family, number in told:
            if number is not None:
                family.add_metric(labels, number)
