"""The TuningStudy as its author writes it: the parts beside this module, and the rules between them.

The CRD is generated from these models; their names are the contract.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from tuning_study.api.budget import Budget
from tuning_study.api.field_types import Direction, keyed
from tuning_study.api.metrics import Constraint, Metric
from tuning_study.api.objective import Objective, variable
from tuning_study.api.parameters import Parameter
from tuning_study.api.production import BETTER, Production, ProductionMetric
from tuning_study.api.promotion import Promotion
from tuning_study.api.resource import NAME_LENGTH, STUDY_NAME_ADVICE, STUDY_NAME_PATTERN
from tuning_study.api.retune import Retune
from tuning_study.api.rules import Model, Rule, one_name_each
from tuning_study.api.selection import Selection
from tuning_study.api.storage import Storage
from tuning_study.api.strategy import Phase, Pruner, Sampler, Strategy
from tuning_study.api.verification import Verification
from tuning_study.api.warm_start import WarmStart
from tuning_study.api.workers import Workers

_VARIABLES = "self.parameters.map(p, p.name.replace('.', '_').replace('-', '_').upperAscii())"
_OBJECTIVES = "self.metrics.filter(m, has(m.direction))"
_ONE_ROUND = (
    *("metrics", "constraints", "parameters", "objective", "strategy", "verification"),
    *("warmStart", "storage", "seed"),
)


def _names_of_one_variable(parameters: list[Parameter]) -> list[str]:
    """The first parameters of different names that share an environment variable."""
    by_variable: dict[str, list[str]] = {}
    for parameter in parameters:
        names = by_variable.setdefault(variable(parameter.name), [])
        if parameter.name not in names:
            names.append(parameter.name)
    return next((names for names in by_variable.values() if len(names) > 1), [])


def _constraints_on_nothing(spec: "TuningStudySpec") -> list[int]:
    known = {metric.name for metric in spec.metrics}
    return [index for index, constraint in enumerate(spec.constraints) if constraint.metric not in known]


def _conditions_on_nothing(spec: "TuningStudySpec") -> list[int]:
    known = {parameter.name for parameter in spec.parameters}
    return [index for index, p in enumerate(spec.parameters) if p.when and p.when.parameter not in known]


def _selects_by_others(spec: "TuningStudySpec", field: str) -> list[str]:
    named = getattr(spec.selection, field) if spec.selection is not None else None
    return sorted(set(named or ()) - {metric.name for metric in spec.objectives})


def _without_direction(spec: "TuningStudySpec") -> list[int]:
    known = {metric.name for metric in spec.objectives}
    watched = spec.production.metrics if spec.production is not None else []
    return [index for index, metric in enumerate(watched) if metric.direction is None and metric.name not in known]


def _scored_the_other_way(spec: "TuningStudySpec") -> list[int]:
    watched = spec.production.metrics if spec.production is not None else []
    directions = {metric.name: metric.direction for metric in spec.objectives}
    return [
        index
        for index, metric in enumerate(watched)
        if metric.source.predictions is not None
        and (metric.direction or directions.get(metric.name)) not in (None, BETTER[metric.source.predictions.score])
    ]


def _verified_by_nothing(spec: "TuningStudySpec") -> list[int]:
    known = {metric.name for metric in spec.metrics}
    watched = spec.production.metrics if spec.production is not None else []
    return [
        index
        for index, metric in enumerate(watched)
        if metric.baseline is not None and metric.baseline.from_ == "Verified" and metric.name not in known
    ]


def _selects_by_objectives(field: str) -> Rule:
    return Rule(
        f"!has(self.selection) || !has(self.selection.{field}) || self.selection.{field}.all(name,"
        " self.metrics.exists(m, m.name == name && has(m.direction)))",
        f"{field} names what is no objective: correct the name, or give that metric a direction",
        lambda s: not _selects_by_others(s, field),
        lambda s: ", ".join(_selects_by_others(s, field)),
        field=f"selection.{field}",
    )


def _other_aspiration(spec: "TuningStudySpec") -> list[str]:
    """Objectives that an aspiration leaves out, and what it names beside them."""
    aspiration = spec.selection.aspiration if spec.selection is not None else None
    return sorted({metric.name for metric in spec.objectives} ^ aspiration.keys()) if aspiration is not None else []


class TuningStudySpec(Model):
    """What to tune, and how. While a round runs, only `budget`, `workers`, `selection`, `suspend`, `production`,
    `promotion`, `retune` and `deletionPolicy` may change. Any other change needs `suspend: true` or the end of the
    round, and starts a new round."""

    metrics: Annotated[list[Metric], keyed(32, least=1)] = Field(
        description="What a trial reports. Those with a direction are objectives (1 to 4), the rest are recorded. "
        "Example: [{name: accuracy, direction: Maximize}]."
    )
    constraints: list[Constraint] = Field(
        default_factory=list,
        max_length=16,
        description="Bounds on metrics, which the sampler takes into account. If left out, every trial is feasible. "
        "Example: [{metric: latencyMs, max: 50}].",
    )
    parameters: Annotated[list[Parameter], keyed(64)] = Field(
        default_factory=list,
        description="The search space. Only a python objective may leave it out, and suggest its own parameters. "
        "Example: [{name: C, type: Float, min: 0.001, max: 1000, scale: Log}].",
    )
    objective: Objective
    strategy: Strategy = Field(default_factory=Strategy)
    verification: Verification | None = None
    selection: Selection | None = None
    budget: Budget
    workers: Workers = Field(default_factory=Workers)
    seed: int | None = Field(
        None,
        ge=0,
        le=2**32 - 1,
        description="Seed of all random numbers in the study. If left out, it is derived from the study's namespace "
        "and name. Example: 42.",
    )
    suspend: bool = Field(
        False,
        description="Whether to stop the workers and the budget's clock. Running trials finish within seconds, or run "
        "again later. Default: false.",
    )
    warm_start: WarmStart = Field(default_factory=WarmStart)
    storage: Storage | None = None
    production: Production | None = None
    retune: Retune = Field(default_factory=Retune)
    promotion: Promotion | None = None
    deletion_policy: Literal["Delete", "Retain"] = Field(
        "Delete",
        description="What becomes of the trials in the database when the resource is deleted: Delete removes them, "
        "Retain keeps them. Default: Delete.",
    )

    rules = (
        Rule(
            f"{_OBJECTIVES}.size() >= 1 && {_OBJECTIVES}.size() <= 4",
            "metrics need one to four objectives: add `direction: Maximize` or `direction: Minimize` to a metric",
            lambda s: 1 <= len(s.objectives) <= 4,
            field="metrics",
        ),
        Rule(
            "has(self.budget.trials) || has(self.budget.duration)",
            "a budget needs `trials`, `duration` or both",
            lambda s: s.budget.trials is not None or s.budget.duration is not None,
            field="budget",
        ),
        Rule(
            "!has(self.constraints) || self.constraints.all(c, self.metrics.exists(m, m.name == c.metric))",
            "a constraint names a metric that metrics does not list: correct the name, or add the metric",
            lambda s: not _constraints_on_nothing(s),
            lambda s: ", ".join(s.constraints[index].metric for index in _constraints_on_nothing(s)),
            field="constraints",
            at=lambda s: f"[{_constraints_on_nothing(s)[0]}].metric",
        ),
        Rule(
            "!has(self.constraints) || self.constraints.all(a, self.constraints.all(b,"
            " a.metric != b.metric || !has(a.min) || !has(b.max) || a.min <= b.max))",
            "two constraints on one metric exclude each other: no trial could be feasible. Change one of them",
            lambda s: all(
                a.metric != b.metric or a.min is None or b.max is None or a.min <= b.max
                for a in s.constraints
                for b in s.constraints
            ),
            field="constraints",
        ),
        Rule(
            "!has(self.objective.command) || !self.metrics.exists(m, m.name == 'step')",
            "a command's metrics file has the steps of intermediate reports under `step`: rename that metric",
            lambda s: s.objective.command is None or all(metric.name != "step" for metric in s.metrics),
            field="metrics",
        ),
        Rule(
            "has(self.objective.sklearn) || !self.metrics.exists(m, has(m.scorer))",
            "`scorer` is scikit-learn's: remove it from the metric, or use sklearn",
            lambda s: s.objective.sklearn is not None or all(m.scorer is None for m in s.metrics),
            field="metrics",
        ),
        Rule(
            "has(self.objective.command) || !self.metrics.exists(m, has(m.pattern) || has(m.reduce))",
            "`pattern` and `reduce` read what a command reports: remove them from the metric, or use a command",
            lambda s: s.objective.command is not None or all(m.pattern is m.reduce is None for m in s.metrics),
            field="metrics",
        ),
        Rule(
            f"!has(self.objective.command) || !has(self.parameters) || [{_VARIABLES}].all(names, names.all(name,"
            " names.exists_one(other, other == name)))",
            "two parameters become one variable TUNING_PARAM_<NAME>, in which a and A are one letter, and `.`, `-` and"
            " `_` too: rename one of them",
            # Two parameters of one name have a rule of their own.
            lambda s: s.objective.command is None or not _names_of_one_variable(s.parameters),
            lambda s: " and ".join(_names_of_one_variable(s.parameters)),
            field="parameters",
        ),
        Rule(
            "!has(self.parameters) || self.parameters.all(p, !has(p.when)"
            " || self.parameters.exists(q, q.name == p.when.parameter))",
            "`when` names a parameter that parameters does not list: correct the name, or add the parameter",
            lambda s: not _conditions_on_nothing(s),
            lambda s: ", ".join(
                f"{p.when.parameter}, named by {p.name}"
                for p in (s.parameters[index] for index in _conditions_on_nothing(s))
            ),
            field="parameters",
            at=lambda s: f"[{_conditions_on_nothing(s)[0]}].when.parameter",
        ),
        Rule(
            f"{_OBJECTIVES}.size() < 2 || !has(self.strategy)"
            " || ((!has(self.strategy.pruner) || self.strategy.pruner.type == 'None')"
            " && (!has(self.strategy.phases)"
            " || self.strategy.phases.all(p, !has(p.pruner) || p.pruner.type == 'None')))",
            "no pruner can judge several objectives: use `pruner: {type: None}`, or keep one metric with a direction",
            lambda s: len(s.objectives) < 2 or all(p.pruner.type == "None" for p in s.phases),
            field="strategy",
        ),
        Rule(
            "!has(self.strategy) || !((has(self.strategy.sampler) && self.strategy.sampler.type == 'Grid')"
            " || (has(self.strategy.phases)"
            " && self.strategy.phases.exists(p, has(p.sampler) && p.sampler.type == 'Grid')))"
            " || (has(self.parameters) && self.parameters.all(p, p.type != 'Float' || has(p.step)))",
            "a Grid needs parameters, and a `step` for each Float among them: add it, or use another sampler",
            lambda s: (
                all(p.sampler.type != "Grid" for p in s.phases)
                or (bool(s.parameters) and all(p.type != "Float" or p.step is not None for p in s.parameters))
            ),
            field="strategy",
        ),
        Rule(
            "has(self.parameters) && self.parameters.size() > 0 || has(self.objective.python)",
            "an sklearn or command objective needs `parameters`; only a python objective may suggest its own",
            lambda s: bool(s.parameters) or s.objective.python is not None,
        ),
        Rule(
            "!has(self.warmStart) || !has(self.warmStart.history) || has(self.objective.sklearn)",
            "warmStart.history compares data, which only an sklearn objective's workers know: use warmStart.studies",
            lambda s: s.warm_start.history is None or s.objective.sklearn is not None,
            field="warmStart.history",
        ),
        Rule(
            "!has(self.warmStart) || !has(self.warmStart.portfolio) || self.warmStart.portfolio == 'None'"
            " || has(self.objective.sklearn)",
            "the built-in portfolio is for models of scikit-learn's kind: remove it, and name settings that did well in"
            " warmStart.points",
            lambda s: s.warm_start.portfolio != "BuiltIn" or s.objective.sklearn is not None,
            field="warmStart.portfolio",
        ),
        Rule(
            "!has(self.verification) || !has(self.verification.folds) || has(self.objective.sklearn)",
            "verification.folds are scikit-learn's: leave them out, or use sklearn",
            lambda s: s.verification is None or s.verification.folds is None or s.objective.sklearn is not None,
            field="verification",
        ),
        Rule(
            f"!has(self.selection) || {_OBJECTIVES}.size() > 1",
            "a selection chooses among several objectives, and there is one: leave it out, or give another metric a"
            " direction",
            lambda s: s.selection is None or len(s.objectives) > 1,
            field="selection",
        ),
        *map(_selects_by_objectives, ("order", "weights")),
        Rule(
            f"!has(self.selection) || !has(self.selection.aspiration)"
            f" || (self.selection.aspiration.size() == {_OBJECTIVES}.size()"
            f" && {_OBJECTIVES}.all(m, m.name in self.selection.aspiration))",
            "aspiration needs a value for every objective, and for no other metric: correct the names",
            lambda s: not _other_aspiration(s),
            lambda s: ", ".join(_other_aspiration(s)),
            field="selection.aspiration",
        ),
        Rule(
            "!has(self.production) || !has(self.production.metrics) || self.production.metrics.all(p,"
            " has(p.direction) || self.metrics.exists(m, m.name == p.name && has(m.direction)))",
            "a metric in production that is no objective needs a direction: add `direction: Maximize` or"
            " `direction: Minimize`, or correct the name",
            lambda s: not _without_direction(s),
            field="production.metrics",
            at=lambda s: f"[{_without_direction(s)[0]}]",
        ),
        Rule(
            "!has(self.production) || !has(self.production.metrics) || self.production.metrics.all(p,"
            " !has(p.source.predictions) || (has(p.direction) ? p.direction :"
            " self.metrics.exists(m, m.name == p.name && has(m.direction))"
            " ? self.metrics.filter(m, m.name == p.name)[0].direction : 'None')"
            " in ['None', p.source.predictions.score == 'Accuracy' ? 'Maximize' : 'Minimize'])",
            "more Accuracy is better, and less of an error is: correct the score or the direction, or watch it under a"
            " name of its own",
            lambda s: not _scored_the_other_way(s),
            field="production.metrics",
            at=lambda s: f"[{_scored_the_other_way(s)[0]}]",
        ),
        Rule(
            "!has(self.production) || !has(self.production.metrics) || self.production.metrics.all(p,"
            " !has(p.baseline) || !has(p.baseline.from) || p.baseline.from != 'Verified'"
            " || self.metrics.exists(m, m.name == p.name))",
            "trials do not measure that metric, so that none of its values is verified: write `baseline: {value: …}` or"
            " `baseline: {from: FirstObservations}`, or correct the name",
            lambda s: not _verified_by_nothing(s),
            field="production.metrics",
            at=lambda s: f"[{_verified_by_nothing(s)[0]}].baseline",
        ),
        Rule(
            "!has(self.promotion) || (has(self.promotion.mode) && self.promotion.mode == 'None')"
            " || has(self.verification)",
            "only verified parameters are promoted: add `verification: {top: 5, repeats: 10}`, or write"
            " `promotion: {mode: None}`",
            lambda s: s.promotion is None or s.promotion.mode == "None" or s.verification is not None,
            field="promotion",
        ),
        one_name_each("metrics", lambda spec: spec.metrics),
        one_name_each("parameters", lambda spec: spec.parameters),
        one_name_each("production.metrics", lambda spec: spec.production.metrics if spec.production else []),
        one_name_each("strategy.phases", lambda spec: spec.strategy.phases or []),
    )

    @property
    def objectives(self) -> list[Metric]:
        """The metrics that are optimised, in the order of Optuna's values."""
        return [metric for metric in self.metrics if metric.direction is not None]

    @property
    def phases(self) -> list[Phase]:
        """The strategy as phases; one sampler and pruner are one phase without an end."""
        return self.strategy.phases or [
            Phase.model_construct(  # of parts that have been validated, or are told to be wrong where they stand
                name="search",
                trials=1_000_000,
                sampler=self.strategy.sampler or Sampler(),
                pruner=self.strategy.pruner or Pruner(),
            )
        ]

    def direction_of(self, metric: ProductionMetric) -> Direction:
        """Which of the metric's values in production are better: as it says itself, else as the objective of its name
        does."""
        own = {known.name: known.direction for known in self.metrics}.get(metric.name)
        chosen = metric.direction or own
        assert chosen is not None  # a rule
        return chosen

    def round_part(self) -> dict[str, Any]:
        """What is fixed for a round: a change of it needs a new one."""
        manifest = self.manifest()
        return {key: manifest[key] for key in _ONE_ROUND if key in manifest}


_AT_REST = (
    "!has(oldSelf.status) || !has(oldSelf.status.state) || oldSelf.status.state in ['Pending', 'Complete', 'Failed']"
)
_SUSPENDED = "has(oldSelf.spec.suspend) && oldSelf.spec.suspend"

STUDY_RULES = (
    Rule(
        f"size(self.metadata.name) <= {NAME_LENGTH}",
        f"a study's name has at most {NAME_LENGTH} characters: its objects are named after it. Shorten the name",
    ),
    Rule(f"self.metadata.name.matches('{STUDY_NAME_PATTERN}')", STUDY_NAME_ADVICE),
    *(
        Rule(
            f"{_AT_REST} || {_SUSPENDED} || (has(self.spec.{field}) == has(oldSelf.spec.{field})"
            f" && (!has(self.spec.{field}) || self.spec.{field} == oldSelf.spec.{field}))",
            f"{field} is fixed while a round runs: set `suspend: true` first, or wait for the round to end;"
            " the change then starts a new round",
        )
        for field in _ONE_ROUND
    ),
)
"""Rules of the whole resource, which need its metadata or status."""
