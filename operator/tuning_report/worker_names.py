"""Names of workers for people. Those of a local run say where they live: `slot@host-machine:process-start`."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from tuning_study.budget import Counts

LOCAL_WORKER = re.compile(r"(?P<slot>[^@]+)@(?P<host>[^@]+)-(?P<machine>[0-9a-f]{8}):(?P<pid>\d+)-(?P<started>\d+)")


def display_names(workers: Iterable[str]) -> dict[str, str]:
    """Short names for people: without the host where there is one alone."""
    parsed = {worker: LOCAL_WORKER.fullmatch(worker) for worker in workers}
    several = len({(found["host"], found["machine"]) for found in parsed.values() if found}) > 1
    return {
        worker: worker if found is None else f"{found['slot']}@{found['host']}" if several else found["slot"]
        for worker, found in parsed.items()
    }


def by_display_name(shares: Mapping[str, Counts]) -> dict[str, Counts]:
    """The shares of workers that people see as one: those of earlier runs, and of later ones."""
    names = display_names(shares)
    summed: dict[str, Counter[str]] = {}
    for worker, counts in shares.items():
        summed.setdefault(names[worker], Counter()).update(vars(counts))
    return {name: Counts(**counter) for name, counter in sorted(summed.items())}
