"""Whose fault the end of a pod is. Pure.

A disruption is charged to nobody; a trial that ends its own pod has failed.
"""

import signal
from dataclasses import dataclass

from tuning_study.worker_contract import ExitCode

_BLAMELESS = (None, ExitCode.DONE, ExitCode.STOPPED)  # say nothing against the trial
_SIGKILLED = 128 + signal.SIGKILL  # exit code


@dataclass(frozen=True)
class PodEnd:
    """What a pod tells of the end of its worker."""

    exit_code: int | None = None
    """None while the worker has not ended, and when nobody could tell how."""
    reason: str = ""
    """The kubelet's: `OOMKilled`, `Error`, `Evicted` …"""
    disrupted: bool = False
    """Evicted, preempted or deleted by the API: the condition DisruptionTarget."""
    deleted: bool = False
    evicted: str = ""
    """Why its node evicted it."""


def own_fault(end: PodEnd) -> str | None:
    """Why the trial is to blame for the end of its pod, or None."""
    if end.disrupted or end.exit_code in _BLAMELESS:
        return None
    if end.reason == "OOMKilled":
        return "the trial's pod was killed for using too much memory (OOMKilled): raise workers.resources.limits.memory"
    if end.evicted:  # and no disruption: for what the pod did, not for what the node lacked
        return f"the trial's pod was evicted: {end.evicted.strip()}"
    assert end.exit_code is not None
    if end.exit_code == _SIGKILLED:
        return None  # at the end of its grace; or by somebody's kill -9, unless that comes again and again
    if end.exit_code > 128:
        return f"the trial ended its worker by {_signal_name(end.exit_code - 128)}"
    return f"the trial ended its worker with exit code {end.exit_code}"


def was_killed(end: PodEnd) -> bool:
    """Whether the worker was killed with no disruption, deletion or limit to explain it."""
    explained = end.disrupted or end.evicted or end.deleted or end.reason == "OOMKilled"
    return not explained and end.exit_code == _SIGKILLED


def story(end: PodEnd) -> str:
    if was_killed(end):
        return "was killed (SIGKILL)"
    if end.evicted:
        return f"was evicted ({end.evicted.strip()})"
    told = end.reason if end.reason not in ("", "Error") else f"exit code {end.exit_code}"  # "Error": it was not 0
    return f"was disrupted ({told})" if end.disrupted else f"ended ({told})"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
