"""`spec.retune`: further rounds of a study, and who may request them."""

from typing import Annotated, Literal

from pydantic import Field

from tuning_study.api.duration import Duration, SomeTime
from tuning_study.api.rules import Model, Rule

RETUNES_KEPT = 100
"""Of the starts within 24 hours, as many as the status holds."""


class RetuneBudget(Model):
    """The budget of retuning rounds. What is left out is taken from the study's `budget`."""

    trials: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Number of complete and pruned trials in the round. If left out, `budget.trials` applies. "
        "Example: 50.",
    )
    duration: SomeTime | None = Field(
        None,
        description="Time since the round's first trial began. If left out, `budget.duration` applies. Example: 30m.",
    )


class RetuneWarmStart(Model):
    """What a retuning round takes over from the last round."""

    best: int = Field(
        10,
        ge=0,
        le=100,
        description="Number of the last round's best trials that are tried first; 0 for none. Default: 10.",
    )


class Retune(Model):
    """Retuning: who may request a new round, how often, and with which budget."""

    triggers: list[Literal["Alert", "Degradation", "Drift", "Schedule"]] = Field(
        default_factory=list,
        max_length=8,
        description="What may request a round besides a person. Alert: an alert that Alertmanager sends to the "
        "exporter. Degradation: a metric of `production` that is degraded. Drift: features that have drifted, which "
        "need not hurt. Schedule: `schedule`. If left out, only a person may. Example: [Alert, Degradation].",
    )
    schedule: Annotated[str, Field(min_length=1, max_length=256)] | None = Field(
        None,
        description="When to tune anew, as five fields of cron or @hourly, @daily, @weekly, @monthly, @yearly. Needs "
        'the trigger Schedule. Example: "0 3 * * 0".',
    )
    time_zone: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        None, description="Time zone of `schedule`. If left out, UTC. Example: Europe/Berlin."
    )
    cooldown: Duration | None = Field(
        None,
        description="Requests are refused for this long after the last retuning started. One cause that goes on after "
        "a round that improved nothing asks again after twice as long each time, up to 7 days; without a cooldown as "
        "if it were 6h. If left out, there is no cooldown. Example: 6h.",
    )
    max_per_day: int | None = Field(
        None,
        ge=1,
        le=RETUNES_KEPT,
        description="The largest number of retuning rounds within any 24 hours. Further requests are refused. If left "
        "out, there is no limit. Example: 2.",
    )
    budget: RetuneBudget | None = None
    warm_start: RetuneWarmStart = Field(default_factory=RetuneWarmStart)

    rules = (
        Rule(
            "has(self.schedule) == (has(self.triggers) && 'Schedule' in self.triggers)",
            "a schedule and the trigger Schedule belong together: write `triggers: [Schedule]` and"
            ' `schedule: "0 3 * * 0"`, or neither',
            lambda r: (r.schedule is not None) == ("Schedule" in r.triggers),
            field="schedule",
        ),
        Rule(
            "!has(self.timeZone) || has(self.schedule)",
            "timeZone is the schedule's: add `schedule`, or remove timeZone",
            lambda r: r.time_zone is None or r.schedule is not None,
            field="timeZone",
        ),
    )
