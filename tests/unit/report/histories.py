"""Histories of rounds that never ran."""

from datetime import datetime
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from tuning_report.round_history import History
from tuning_store.values import Progress
from tuning_study.api.spec import TuningStudySpec
from tuning_study.budget import Counts, RoundLimits, StopReason
from tuning_study.round import resolve

MARKUP = "</script><script>alert(1)</script>"


def history(
    metrics: list[dict[str, Any]],
    trials: list[FrozenTrial],
    failures: list[tuple[str, int]] | None = None,
    **fields: Any,
) -> History:
    spec = TuningStudySpec.model_validate(
        {"metrics": metrics, "objective": {"python": {"function": "m:f"}}, "budget": {"trials": 30}} | fields
    )
    resolved = resolve(
        spec, namespace="local", name=f"digits{MARKUP}", uid="abc", number=1, versions={"optuna": "5.0.0"}
    )
    states = [trial.state for trial in trials]
    counts = Counts(states.count(TrialState.COMPLETE), states.count(TrialState.PRUNED), states.count(TrialState.FAIL))
    for number, trial in enumerate(trials):
        trial.number = number
    return History(
        folder=None,
        resolved=resolved,
        progress=Progress(
            study=resolved.study,
            schema=None,
            owner="local",
            digest="abc",
            counts=counts,
            limits=RoundLimits(30, 20, stop=StopReason.GOAL_REACHED),
            duration=None,
            detail="trial 3 reached the goal",
            retain=False,
            started_at=datetime(2026, 1, 1),
            counts_by_worker={"worker-0": counts, MARKUP: Counts()},
        ),
        trials=trials,
        workers=dict.fromkeys(range(len(trials)), "worker-0"),
        failures=failures or [],
        active=12.0,
        versions=resolved.versions,
    )


def trial(index: int, values: list[float] | None, state: TrialState = TrialState.COMPLETE, **rest: Any) -> FrozenTrial:
    return create_trial(
        state=state,
        values=values,
        params={"x": 0.001 * (index + 1), "n": index % 7 + 1, "kind": (MARKUP, None, "rbf")[index % 3]},
        distributions={
            "x": FloatDistribution(1e-3, 1, log=True),
            "n": IntDistribution(1, 7),
            "kind": CategoricalDistribution((MARKUP, None, "rbf")),
        },
        **rest,
    )
