"""The operator's own metrics; those of studies are the exporter's."""

from prometheus_client import Counter, Gauge, Histogram

_reconciles = Histogram(
    "tuning_reconcile_duration_seconds",
    "One look at a study, from observing to the status write.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_errors = Counter("tuning_reconcile_errors", "Looks at a study that ended in an error.")
_leading = Gauge("tuning_operator_leading", "1 while this replica holds the Lease.")
_observed = Gauge("tuning_operator_studies", "Studies that this replica has looked at since it leads.")
_retunes = Counter("tuning_retunes", "Rounds that were asked for and started.", ["namespace", "study", "reason"])
_suppressed = Counter(
    "tuning_retunes_suppressed", "Requests for a round that started none.", ["namespace", "study", "reason"]
)
_promotions = Counter("tuning_promotions", "What came of verified parameters.", ["namespace", "study", "outcome"])
_observations = Counter(
    "tuning_observations", "Queries of Prometheus for the model in production, by what came of them.", ["outcome"]
)
_writes = Counter("tuning_api_writes", "Requests of the operator that changed something in the API server.")


def looked(seconds: float) -> None:
    _reconciles.observe(seconds)


def failed() -> None:
    _errors.inc()


def leading(holds: bool) -> None:
    _leading.set(1 if holds else 0)


def observed(studies: int) -> None:
    _observed.set(studies)


def retuned(namespace: str, study: str, trigger: str) -> None:
    _retunes.labels(namespace, study, trigger).inc()


def suppressed(namespace: str, study: str, reason: str) -> None:
    _suppressed.labels(namespace, study, reason).inc()


def promoted(namespace: str, study: str, outcome: str) -> None:
    _promotions.labels(namespace, study, outcome).inc()


def asked_prometheus(outcome: str) -> None:
    _observations.labels(outcome).inc()


def wrote() -> None:
    _writes.inc()
