"""Whose fault the end of a pod is: a disruption is charged to nobody, a trial that ends its own pod has failed."""

import signal

from tuning_operator.observed import PodView

_STOPPED, _STUCK = 143, 75  # exit codes of tuning_worker that say nothing against the trial


def own_fault(pod: PodView | None) -> str | None:
    """Why the trial is to blame for the end of its pod, or None."""
    if pod is None or pod.disrupted or pod.exit_code in (None, 0, _STOPPED, _STUCK):
        return None
    if pod.reason == "OOMKilled":
        return "the trial's pod was killed for using too much memory (OOMKilled): raise workers.resources.limits.memory"
    assert pod.exit_code is not None
    if pod.exit_code == 128 + signal.SIGKILL:
        return None  # somebody's kill -9
    if pod.exit_code > 128:
        return f"the trial ended its worker by {_signal_name(pod.exit_code - 128)}"
    return f"the trial ended its worker with exit code {pod.exit_code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
