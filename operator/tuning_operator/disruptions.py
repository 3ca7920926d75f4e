"""Whose fault the end of a pod is: a disruption is charged to nobody, a trial that ends its own pod has failed."""

import signal
from datetime import datetime, timedelta

from tuning_operator.observed import PodView
from tuning_study.worker_contract import ExitCode

_BLAMELESS = (None, ExitCode.DONE, ExitCode.STOPPED)  # say nothing against the trial
_UNHEARD = timedelta(seconds=10)  # past its grace, in which a node would have told the end of a pod


def is_lost(pod: PodView | None, now: datetime) -> bool:
    """Whether the pod runs no trial any more: it ended, or its node is gone and nobody will ever tell."""
    return pod is None or pod.ended or (pod.end_by is not None and now > pod.end_by + _UNHEARD)


def own_fault(pod: PodView | None) -> str | None:
    """Why the trial is to blame for the end of its pod, or None."""
    if pod is None or pod.disrupted or pod.exit_code in _BLAMELESS:
        return None
    if pod.reason == "OOMKilled":
        return "the trial's pod was killed for using too much memory (OOMKilled): raise workers.resources.limits.memory"
    if pod.evicted:  # and no disruption: for what the pod did, not for what the node lacked
        return f"the trial's pod was evicted: {pod.evicted.strip()}"
    assert pod.exit_code is not None
    if was_killed(pod):
        return None  # somebody's kill -9, unless it comes again and again
    if pod.exit_code > 128:
        return f"the trial ended its worker by {_signal_name(pod.exit_code - 128)}"
    return f"the trial ended its worker with exit code {pod.exit_code}"


def was_killed(pod: PodView | None) -> bool:
    """Whether the worker was killed with no disruption or limit to explain it."""
    return pod is not None and not pod.disrupted and not pod.evicted and pod.exit_code == 128 + signal.SIGKILL


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
