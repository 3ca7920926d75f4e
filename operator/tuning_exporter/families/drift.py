"""How far the data of models in production have drifted, for few of their features. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from tuning_exporter.families.values import number_of

MAX_FEATURES = 5
"""Of a study; its status tells ten."""
_LABELS = ["namespace", "study", "feature", "method"]


class DriftFamilies:
    """Filled study by study."""

    def __init__(self) -> None:
        self._score = GaugeMetricFamily(
            "tuning_drift_score",
            f"How far features are from the data that the model was tuned on; the farthest {MAX_FEATURES}.",
            labels=_LABELS,
        )
        self._threshold = GaugeMetricFamily(
            "tuning_drift_threshold", "The score from which it has drifted.", labels=_LABELS
        )

    @property
    def families(self) -> Sequence[Metric]:
        return [self._score, self._threshold]

    def add(self, key: list[str], features: Sequence[Mapping[str, Any]], room: int) -> int:
        """`key` is the study's namespace and name, `features` those of its status, the farthest first, `room` a number
        of series. Returns how many it lacks."""
        told = max(0, min(MAX_FEATURES, room // len(self.families)))
        for feature in features[:told]:
            labels = [*key, str(feature.get("name", "")), "psi"]
            for family, field in ((self._score, "psi"), (self._threshold, "threshold")):
                if (number := number_of(feature.get(field))) is not None:
                    family.add_metric(labels, number)
        return max(0, len(features) - told) * len(self.families)
