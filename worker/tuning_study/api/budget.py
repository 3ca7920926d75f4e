"""`spec.budget`: when a round ends. The rule that applies it is tuning_study.budget."""

from datetime import timedelta

from pydantic import Field

from tuning_study.api.duration import SomeTime
from tuning_study.api.rules import Model


class Budget(Model):
    """When a round ends: after a number of trials, after a duration, or after whichever of the two comes first."""

    trials: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Number of complete and pruned trials, all workers together. Failed trials do not count. If left "
        "out, only `duration` ends the round. Example: 450.",
    )
    duration: SomeTime | None = Field(
        None,
        description="Time since the first trial began, without time in suspension or in a queue. If left out, only "
        "`trials` ends the round. Example: 2h.",
    )
    trial_duration: SomeTime | None = Field(
        None,
        description="A trial that takes longer is stopped and has failed. If left out, a trial may take any time. "
        "Example: 10m.",
    )
    start_deadline: SomeTime = Field(
        timedelta(minutes=10),
        description="The round fails if no trial begins within this time after the workers start. It does not apply "
        "to a study in a Kueue queue. Default: 10m.",
    )
    fail_fast: int = Field(
        3,
        ge=0,
        le=1_000_000,
        description="The round fails when this many trials have failed for one and the same reason before any has "
        "completed or was pruned: the next ones would fail too. 0 for no such limit. Counts as it was when the round "
        "began. Default: 3.",
    )
    no_improvement: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="The round ends when this many complete and pruned trials in a row have not improved the best "
        "feasible value; with several objectives, when none of them has joined the Pareto set. The count begins with "
        "the first feasible trial, and counts as it was when the round began. If left out, there is no such limit. "
        "Example: 100.",
    )
    failed_trials: int = Field(
        20, ge=1, le=1_000_000, description="The round fails when this many of its trials have failed. Default: 20."
    )
