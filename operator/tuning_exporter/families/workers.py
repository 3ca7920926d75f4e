"""What each worker has done of a round's trials, for few of them: a study may have a thousand. Pure."""

from collections.abc import Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily

from tuning_study.budget import Counts

STATES = ("complete", "pruned", "failed", "running")
"""A trial that waits is no worker's."""
MAX_WORKERS = 5
"""Of a study, in which `OTHERS` count as one."""
OTHERS = "others"


class WorkerFamily:
    """Filled study by study."""

    def __init__(self) -> None:
        self.family = GaugeMetricFamily(
            "tuning_worker_trials",
            f"Trials of the round by worker and state. Of more than {MAX_WORKERS} workers, or as many as there is room "
            f"for, those with the most failed trials are told, and the sum of the {OTHERS}.",
            labels=["namespace", "study", "worker", "state"],
        )

    def add(self, key: list[str], counts_by_worker: Mapping[str, Counts], room: int) -> int:
        """`key` is the study's namespace and name, `room` a number of series. Returns how many it lacks."""
        names = sorted(counts_by_worker, key=lambda name: (-counts_by_worker[name].failed, name))
        most = max(0, min(MAX_WORKERS, room // len(STATES)))
        named = len(names) if len(names) <= most else max(0, most - 1)
        for name in names[:named]:
            self._tell([*key, name], [counts_by_worker[name]])
        if most and (others := [counts_by_worker[name] for name in names[named:]]):
            self._tell([*key, OTHERS], others)
        return max(0, len(names) - most) * len(STATES)

    def _tell(self, labels: list[str], each: Sequence[Counts]) -> None:
        for state in STATES:
            self.family.add_metric([*labels, state], sum(getattr(counts, state) for counts in each))
