"""Whether what Prometheus told is new evidence: a value that nobody measured anew says nothing. Pure; the production
keeper asks."""

from datetime import datetime

from tuning_prometheus.answer import Missing
from tuning_store.production import Reading
from tuning_study.production.observation import Observation


def new_evidence(last: Reading | None, value: float, counter: float | None, at: datetime) -> Observation | Missing:
    """The observation of the moment `at`, after the `last` one. `counter` is that of the samples, None without one.

    The first reading of a counter only says where it stands: no sample is behind it. One that is less than before has
    begun anew.
    """
    if counter is None:
        if last is not None and last.observation.value == value:
            return Missing("Unchanged", "the value is that of the last observation: nobody has measured it anew")
        return Observation(at, value)
    before = last.counter if last is not None else None
    if before is None:
        return Observation(at, value, samples=0)
    samples = round(counter - before if counter >= before else counter)
    if not samples:
        return Missing("Unchanged", "no sample has come since the last observation")
    return Observation(at, value, samples)
