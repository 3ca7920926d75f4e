"""The exporter's own metrics, beside those of studies; `/metrics` tells both.

They have a registry of their own: the operator counts observations under the same name, with other outcomes, and
whatever imports both programs would otherwise register it twice.
"""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, PlatformCollector, ProcessCollector

REGISTRY = CollectorRegistry()
for _collector in (ProcessCollector, PlatformCollector, GCCollector):
    _collector(registry=REGISTRY)

_alerts = Counter("tuning_alerts_received", "Alerts received, by what became of them.", ["outcome"], registry=REGISTRY)
_observations = Counter(
    "tuning_observations", "Observations received, by what became of them.", ["outcome"], registry=REGISTRY
)
_predictions = Counter(
    "tuning_predictions", "Predictions and labels received, by what became of them.", ["outcome"], registry=REGISTRY
)
_counts = Counter(
    "tuning_canary_counts",
    "Counts of a canary's requests received, by what became of them.",
    ["outcome"],
    registry=REGISTRY,
)
_operations = Histogram(
    "tuning_store_operation_duration_seconds", "The exporter's statements in the store.", registry=REGISTRY
)
_dropped = Counter(
    "tuning_exporter_series_dropped", "Series that scrapes left out, as they would be too many.", registry=REGISTRY
)
store_operation = _operations.time
"""A decorator and a context manager."""


def received_alerts(numbers: Mapping[str, int]) -> None:
    """By outcome."""
    for outcome, number in numbers.items():
        _alerts.labels(outcome).inc(number)


def received_observations(outcome: str, number: int) -> None:
    _observations.labels(outcome).inc(number)


def received_predictions(outcome: str, number: int) -> None:
    _predictions.labels(outcome).inc(number)


def received_counts(outcome: str, number: int) -> None:
    _counts.labels(outcome).inc(number)


def dropped_series(number: int) -> None:
    _dropped.inc(number)
