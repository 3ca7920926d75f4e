"""`spec.metrics` and `spec.constraints`: what a trial reports, and within which bounds it is feasible."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from tuning_study.api.field_types import Direction, MetricName, Number
from tuning_study.api.patterns import pattern_problem
from tuning_study.api.rules import Model, Rule

_LONGEST = 63  # characters of a scorer's name


def _named(given: dict[str, Any]) -> dict[str, Any]:
    name = given.get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= _LONGEST:
        raise ValueError(f"write the scorer's name, 1 to {_LONGEST} characters, as in scorer: {{name: f1}}")
    return given


Scorer = Annotated[
    dict[str, Any],
    AfterValidator(_named),
    WithJsonSchema(
        {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "required": ["name"],
            "properties": {
                "name": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": _LONGEST,
                    "description": "The name of a scikit-learn scorer. Example: f1.",
                }
            },
        }
    ),
]


class Metric(Model):
    """A number that each trial reports."""

    name: MetricName = Field(
        description="The name under which the objective reports it. With sklearn: the name of a scikit-learn scorer, "
        "or one of the measurements fitSeconds, latencyMs and modelBytes. Example: accuracy."
    )
    direction: Direction | None = Field(
        None,
        description="Whether larger or smaller values are better. This makes the metric an objective. If left out, "
        "the metric is only recorded. Example: Maximize.",
    )
    goal: Number | None = Field(
        None,
        description="The round ends when one feasible trial reaches the goals of all objectives. If any objective has "
        "no goal, no value ends the round. Example: 0.995.",
    )
    pattern: str | None = Field(
        None,
        min_length=1,
        max_length=1024,
        description="How a command prints the metric: a regular expression (RE2, without look-around) whose group "
        "`value` is the number. With a group `step` it is an intermediate report, which pruners judge. If left out, "
        "name=value is read. Example: 'epoch (?P<step>\\d+) .*val_loss (?P<value>\\S+)'.",
    )
    reduce: Literal["Last", "Min", "Max"] | None = Field(
        None,
        description="What a command's trial counts with when it reports the metric more than once: the Last report, "
        "preferably one without a step, or the Min or Max of all. If left out, it is Last. Example: Min.",
    )

    scorer: Scorer | None = Field(
        None,
        description="With sklearn: the scorer, where it needs arguments or has another name than the metric. All but "
        "`name` are arguments of its function. If left out, the metric's name is the scorer's. Example: {name: f1, "
        "average: macro}.",
    )

    rules = (
        Rule(
            None,  # CEL compiles no expression that is not written in a rule
            "pattern is no regular expression with a group `value`: write for example 'val_loss (?P<value>\\S+)'",
            lambda m: m.pattern is None or pattern_problem(m.pattern) is None,
            lambda m: str(pattern_problem(m.pattern)),
        ),
        Rule(
            "!has(self.goal) || has(self.direction)",
            "a goal needs a direction: add `direction: Maximize` or `direction: Minimize` to the metric",
            lambda m: m.goal is None or m.direction is not None,
        ),
    )

    @property
    def scorer_name(self) -> str:
        """Of scikit-learn's scorers, with sklearn."""
        return str(self.scorer["name"]) if self.scorer else self.name


class Constraint(Model):
    """Bounds on a metric. A trial outside them is infeasible, and never ranks above a feasible one."""

    metric: MetricName = Field(description="Name of a metric in `metrics`. Example: latencyMs.")
    min: Number | None = Field(
        None, description="The smallest feasible value. If left out, there is no lower bound. Example: 0.9."
    )
    max: Number | None = Field(
        None, description="The largest feasible value. If left out, there is no upper bound. Example: 50."
    )

    rules = (
        Rule(
            "has(self.min) || has(self.max)",
            "a constraint needs `min`, `max` or both",
            lambda c: c.min is not None or c.max is not None,
        ),
        Rule(
            "!has(self.min) || !has(self.max) || self.min <= self.max",
            "min must not be larger than max: no trial could be feasible",
            lambda c: c.min is None or c.max is None or c.min <= c.max,
        ),
    )
