"""Metrics of a model in production and their observations, one an hour, for the tests of this folder."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from tuning_study.api.production import ProductionMetric
from tuning_study.production.degradation import BaselineValue
from tuning_study.production.observation import Observation

START = datetime(2026, 11, 26, tzinfo=UTC)
VERIFIED = BaselineValue(0.9, 0.01, "Verified")


def hour(number: int) -> datetime:
    return START + timedelta(hours=number)


def hourly(values: Iterable[float], samples: int | None = None) -> list[Observation]:
    return [Observation(hour(number), float(value), samples) for number, value in enumerate(values)]


def accuracy(window: str = "1h", **degraded: Any) -> ProductionMetric:
    return ProductionMetric.model_validate(
        {"name": "accuracy", "source": {"push": {"window": window}}, "degraded": degraded}
    )
