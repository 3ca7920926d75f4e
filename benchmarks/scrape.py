"""One scrape of the exporter: 1,000 studies that run, on 8 and on 100 workers each, and how it grows with them.

`python benchmarks/scrape.py`. What is timed is what a scrape computes: families from a snapshot, and their text.
Reading studies and store, which a scrape does besides, is timed by benchmarks/scale.py and benchmarks/store.py.
"""

import argparse
import statistics
import time
from datetime import datetime

from machine import describe

from tuning_exporter.app import exposition
from tuning_exporter.families.study import Snapshot, tell
from tuning_store.tenants import tenant_of
from tuning_store.values import DURATION_BOUNDS, Durations, Progress, RoundLimits
from tuning_study.api.status import ConditionType
from tuning_study.budget import Counts

TARGET = 0.5  # seconds for 1,000 studies
NAMESPACES = 50


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--repeats", type=int, default=5)
    given = options.parse_args()
    print(f"{describe()}; medians of {given.repeats}\n")
    print(f"{'studies':>8} {'workers':>8} {'series':>8} {'a study':>8} {'MB':>6} {'seconds':>8}")
    for studies, workers in ((100, 8), (1000, 8), (1000, 100), (3000, 8)):
        told = snapshot(studies, workers)
        series = sum(len(family.samples) for family in tell(told).families)
        seconds, size = [], 0
        for _ in range(given.repeats):
            began = time.process_time()  # of this process alone, whatever else the machine does
            size = len(exposition(told))
            seconds.append(time.process_time() - began)
        took = statistics.median(seconds)
        print(f"{studies:8} {workers:8} {series:8} {series / studies:8.1f} {size / 1e6:6.1f} {took:8.3f}", flush=True)
    print(f"\nThe target is {TARGET} s for 1,000 studies.")


def snapshot(studies: int, workers: int) -> Snapshot:
    """Each with one metric, which production observes, and all conditions."""
    bodies, progress, durations = [], {}, {}
    for number in range(studies):
        namespace, name = f"team-{number % NAMESPACES}", f"study-{number}"
        body = study(namespace, name)
        place = tenant_of(namespace, "cluster").schema, body["status"]["storage"]["study"]
        shares = {f"{name}-r1-{worker}": Counts(complete=10, running=1) for worker in range(workers)}
        bodies.append(body)
        progress[place] = Progress(
            study=place[1],
            schema=None,
            owner="cluster",
            digest="",
            counts=Counts(complete=10 * workers, running=workers),
            limits=RoundLimits(100 * workers, None),
            duration=None,
            detail=None,
            retain=False,
            started_at=datetime(2026, 3, 8),
            counts_by_worker=shares,
        )
        durations[place] = Durations([0] + [10 * workers] * len(DURATION_BOUNDS), 4.0 * workers)
    return Snapshot(bodies, "cluster", progress, durations)


def study(namespace: str, name: str) -> dict:
    kinds = ConditionType.__args__
    return {
        "metadata": {"namespace": namespace, "name": name, "uid": f"uid of {name}"},
        "status": {
            "state": "Running",
            "round": 1,
            "storage": {"study": f"{namespace}/{name}/uid/r1"},
            "best": {"metrics": [{"name": "accuracy", "value": 0.97}]},
            "workers": {"desired": 8, "ready": 8},
            "conditions": [{"type": kind, "status": "True", "reason": "AsItShouldBe"} for kind in kinds],
            "production": [
                {"name": "accuracy", "value": 0.91, "time": "2026-03-08T12:00:00Z", "baseline": 0.9, "level": 0.85}
            ],
        },
    }


if __name__ == "__main__":
    main()
