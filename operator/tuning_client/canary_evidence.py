"""What one metric of a canary says, as a row for people. Called by `tuning status` and `tuning canary replay`."""

from typing import Any

from tuning_study.api.promotion_status import CanaryEvidence
from tuning_study.promotion.canary.analysis import MetricVerdict


def evidence_row(entry: CanaryEvidence | MetricVerdict) -> dict[str, Any]:
    """A guard counts no requests: its effect is its value."""
    effect = entry.effect
    if entry.e is None:
        told = {"requests": "", "on stable": "", "bad, beside stable": f"{effect:.4g}" if effect is not None else ""}
        return {"metric": entry.metric, "says": entry.outcome, **told, "evidence of harm": ""}
    return {
        "metric": entry.metric,
        "says": entry.outcome,
        "requests": f"{entry.samples:,}",
        "on stable": f"{entry.stable_samples:,}",
        "bad, beside stable": f"{effect:+.2%}" if effect is not None else "",
        "evidence of harm": f"{entry.e:.3g} of {entry.threshold:g}",
    }
