"""What a study says of itself when no trial ends for a while. Told in steps that grow: few lines, and few writes."""

from datetime import timedelta

from tuning_study.api.duration import format_duration

_STEPS = [timedelta(minutes=m) for m in (1, 2, 5, 10, 20, 30, 60, 120, 240, 480, 960, 1440)]


def describe_standstill(running: int, since: timedelta, *, limited: bool) -> str:
    """Nothing within the first minute. `since` the last trial ended; `limited`: whether a trial's time is bounded."""
    step = max((step for step in _STEPS if since >= step), default=None)
    if step is None:
        return ""
    if running == 0:
        return f"no trial has run for {format_duration(step)}: workers load the objective, or wait for a trial"
    advice = "" if limited else "; budget.trialDuration would bound a trial"
    return f"{running} running, and no trial has ended for {format_duration(step)}{advice}"
