"""What each worker has done of a round's trials, for few of them: a study may have a thousand. Pure."""

from collections.abc import Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily

from tuning_study.budget import Counts

STATES = ("complete", "pruned", "failed", "running")
"""A trial that waits is no worker's."""
MAX_WORKERS = 5
"""Of a study, in which `OTHERS` count as one: a study with one metric then tells at most 60 series."""
OTHERS = "others"


class WorkerFamily:
    """Filled study by study."""

    def __init__(self) -> None:
        self.family = GaugeMetricFamily(
            "tuning_worker_trials",
            f"Trials of the round by worker and state. Of more than {MAX_WORKERS} workers those with the most failed "
            f"trials are told, and the sum of the {OTHERS}.",
            labels=["namespace", "study", "worker", "state"],
        )

    def add(self, key: list[str], counts_by_worker: Mapping[str, Counts]) -> None:
        """`key` is the study's namespace and name."""
        names = sorted(counts_by_worker, key=lambda name: (-counts_by_worker[name].failed, name))
        told = len(names) if len(names) <= MAX_WORKERS else MAX_WORKERS - 1
        for name in names[:told]:
            self._tell([*key, name], [counts_by_worker[name]])
        if others := [counts_by_worker[name] for name in names[told:]]:
            self._tell([*key, OTHERS], others)

    def _tell(self, labels: list[str], each: Sequence[Counts]) -> None:
        for state in STATES:
            self.family.add_metric([*labels, state], sum(getattr(counts, state) for counts in each))


def dropped(counts_by_worker: Mapping[str, Counts]) -> int:
    """The number of series that a study's many workers would have had."""
    return max(0, len(counts_by_worker) - MAX_WORKERS) * len(STATES)
