"""The TuningStudy as its author writes it. The CRD is generated from these models; their names are the contract."""

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, WithJsonSchema, model_validator

from tuning_study.duration import Duration
from tuning_study.rules import Model, Rule

GROUP, VERSION, KIND, PLURAL = "tuning.dev", "v1alpha1", "TuningStudy", "tuningstudies"
API_VERSION = f"{GROUP}/{VERSION}"
NAME_LENGTH = 52  # leaves room for the longest suffix of an object that is named after a study

Scalar = str | int | float | bool | None
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"  # of every Kubernetes object
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=NAME_PATTERN)]
MetricName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z_][A-Za-z0-9_./-]*$")]
ParameterName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$")]
Number = Annotated[float, Field(allow_inf_nan=False)]  # JSON has no others
Text = Annotated[str, Field(min_length=1, max_length=4096)]

# What Kubernetes or a library defines better than a copy here could.
FreeObject = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})]
ScalarList = Annotated[
    list[Scalar],
    Field(min_length=1, max_length=256),
    WithJsonSchema(
        {
            "type": "array",
            "minItems": 1,
            "maxItems": 256,
            "items": {"nullable": True, "x-kubernetes-preserve-unknown-fields": True},
        }
    ),
]


def keyed(limit: int, key: str = "name", least: int = 0) -> Any:
    """A list whose entries are told apart by `key`; the API server refuses a second entry of the same key."""
    bounds: dict[str, Any] = {"max_length": limit} | ({"min_length": least} if least else {})
    return Field(
        **bounds,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]},
    )


class Metric(Model):
    name: MetricName
    direction: Literal["Maximize", "Minimize"] | None = Field(
        None, description="Makes the metric an objective. Without it the metric is recorded only."
    )
    goal: Number | None = Field(None, description="The study stops when one trial reaches every objective's goal.")

    rules = (
        Rule(
            "!has(self.goal) || has(self.direction)",
            "a goal needs a direction: add `direction: Maximize` or `direction: Minimize` to the metric",
            lambda m: m.goal is None or m.direction is not None,
        ),
    )


class Constraint(Model):
    metric: MetricName
    min: Number | None = None
    max: Number | None = None

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


class When(Model):
    parameter: ParameterName
    values: ScalarList = Field(description="The parameter exists in a trial whose other parameter has one of these.")


class Parameter(Model):
    name: ParameterName
    type: Literal["Float", "Int", "Categorical"]
    min: Number | None = None
    max: Number | None = None
    step: Number | None = Field(None, gt=0)
    scale: Literal["Linear", "Log"] | None = None
    values: ScalarList | None = None
    when: When | None = None

    rules = (
        Rule(
            "self.type == 'Categorical' || (has(self.min) && has(self.max))",
            "a Float or Int parameter needs `min` and `max`",
            lambda p: p.type == "Categorical" or (p.min is not None and p.max is not None),
        ),
        Rule(
            "self.type != 'Categorical' || (!has(self.min) && !has(self.max) && !has(self.step) && !has(self.scale))",
            "a Categorical parameter has `values`, not `min`, `max`, `step` or `scale`",
            lambda p: p.type != "Categorical" or p.min is p.max is p.step is p.scale is None,
        ),
        Rule(
            None,  # CEL does not see lists of mixed types
            "`values` belongs to a Categorical parameter, and it needs them",
            lambda p: bool(p.values) == (p.type == "Categorical"),
        ),
        Rule(
            "!has(self.min) || !has(self.max) || self.min <= self.max",
            "min must not be larger than max: swap them",
            lambda p: p.min is None or p.max is None or p.min <= p.max,
        ),
        Rule(
            "!has(self.scale) || self.scale != 'Log' || !has(self.min) || self.min > 0.0",
            "a Log scale needs min above 0: write a small number such as 1e-6, or use `scale: Linear`",
            lambda p: p.scale != "Log" or p.min is None or p.min > 0,
        ),
        Rule(
            "!has(self.scale) || self.scale != 'Log' || !has(self.step)",
            "a Log scale has no step: leave out `step`, or use `scale: Linear`",
            lambda p: p.scale != "Log" or p.step is None,
        ),
        Rule(
            "self.type != 'Int' || ((!has(self.min) || self.min == double(int(self.min)))"
            " && (!has(self.max) || self.max == double(int(self.max)))"
            " && (!has(self.step) || self.step == double(int(self.step))))",
            "an Int parameter's min, max and step must be whole numbers: round them, or use `type: Float`",
            lambda p: p.type != "Int" or all(v is None or v == int(v) for v in (p.min, p.max, p.step)),
        ),
    )


class Step(Model):
    class_: str = Field(alias="class", min_length=3, max_length=253, pattern=r"^[A-Za-z_][\w.]*\.[A-Za-z_]\w*$")
    args: FreeObject = Field(default_factory=dict)
    name: ParameterName | None = Field(
        None, description="Addresses parameters as name__parameter. By default the class name in lower case."
    )


class Table(Model):
    path: Text
    target: Text = Field(description="The column to predict; all other columns are features.")


class Dataset(Model):
    load: str | None = Field(
        None, max_length=63, pattern=r"^[a-z_0-9]+$", description="`digits` for sklearn.datasets.load_digits."
    )
    csv: Table | None = None
    parquet: Table | None = None

    rules = (
        Rule(
            "[has(self.load), has(self.csv), has(self.parquet)].filter(given, given).size() == 1",
            "give exactly one of load, csv and parquet",
            lambda d: sum(v is not None for v in (d.load, d.csv, d.parquet)) == 1,
        ),
    )


class CrossValidation(Model):
    folds: int = Field(5, ge=2, le=100)
    repeats: int = Field(1, ge=1, le=100)


class SklearnObjective(Model):
    steps: list[Step] = Field(min_length=1, max_length=16)
    dataset: Dataset
    cross_validation: CrossValidation = CrossValidation()


class PythonObjective(Model):
    function: str = Field(max_length=253, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    config_map: ObjectName | None = Field(None, description="Holds the module's files; put on the import path.")


class CommandObjective(Model):
    command: list[Text] = Field(min_length=1, max_length=64)
    args: list[Text] = Field(default_factory=list, max_length=256)


class Objective(Model):
    sklearn: SklearnObjective | None = None
    python: PythonObjective | None = None
    command: CommandObjective | None = None

    rules = (
        Rule(
            "[has(self.sklearn), has(self.python), has(self.command)].filter(given, given).size() == 1",
            "give exactly one of sklearn, python and command",
            lambda o: sum(v is not None for v in (o.sklearn, o.python, o.command)) == 1,
        ),
    )


SamplerType = Literal["Random", "Grid", "QMC", "TPE", "CmaEs", "GP", "NSGAII", "NSGAIII"]
PrunerType = Literal["None", "Median", "Percentile", "SuccessiveHalving", "Hyperband"]


class Sampler(Model):
    type: SamplerType = "TPE"
    options: FreeObject = Field(default_factory=dict, description="Optuna's arguments of the sampler, in camelCase.")


class Pruner(Model):
    type: PrunerType = "None"
    options: FreeObject = Field(default_factory=dict, description="Optuna's arguments of the pruner, in camelCase.")


class Phase(Model):
    name: ParameterName
    trials: int = Field(ge=1, le=1_000_000)
    sampler: Sampler = Sampler()
    pruner: Pruner = Pruner()


class Strategy(Model):
    sampler: Sampler | None = None
    pruner: Pruner | None = None
    phases: Annotated[list[Phase], keyed(16, least=1)] | None = None

    rules = (
        Rule(
            "!has(self.phases) || (!has(self.sampler) && !has(self.pruner))",
            "give either phases, or one sampler and pruner: move them into a phase",
            lambda s: s.phases is None or (s.sampler is None and s.pruner is None),
        ),
    )


class Budget(Model):
    trials: int | None = Field(
        None, ge=1, le=1_000_000, description="Complete and pruned trials, all workers together."
    )
    duration: Duration | None = Field(
        None, description="From the first trial's start; time in suspension does not count."
    )
    trial_duration: Duration | None = Field(None, description="A trial that takes longer is stopped and failed.")
    start_deadline: Duration = Field(
        timedelta(minutes=10),
        description="How long the first trial may take to begin; then the round has failed. None under a queue.",
    )
    failed_trials: int = Field(20, ge=1, le=1_000_000, description="The study fails when this many trials have failed.")


class Workers(Model):
    replicas: int = Field(1, ge=0, le=1000)
    image: str | None = Field(None, min_length=1, max_length=512)
    resources: FreeObject = Field(default_factory=dict, description="A container's resources.")
    env: list[FreeObject] = Field(default_factory=list, max_length=128)
    volumes: list[FreeObject] = Field(default_factory=list, max_length=64)
    volume_mounts: list[FreeObject] = Field(default_factory=list, max_length=64)
    pod_template: FreeObject = Field(default_factory=dict, description="Merged over the worker's pod template.")

    rules = (
        Rule(
            "!has(self.replicas) || self.replicas >= 1",
            "a study has at least one worker: to stop its workers set `suspend: true`",
            lambda w: w.replicas >= 1,
        ),
    )


class WarmStart(Model):
    points: list[FreeObject] = Field(
        default_factory=list, max_length=100, description="Known-good settings, tried first."
    )


class Storage(Model):
    secret_name: ObjectName
    key: str = Field("url", min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")


class RetuneBudget(Model):
    trials: int | None = Field(None, ge=1, le=1_000_000)
    duration: Duration | None = None


class RetuneWarmStart(Model):
    best: int = Field(10, ge=0, le=100, description="This many of the last round's best trials are tried first.")


class Retune(Model):
    triggers: list[Literal["Alert"]] = Field(
        default_factory=list, max_length=8, description="What may ask for a new round besides a person."
    )
    cooldown: Duration | None = Field(None, description="No round starts within this time of the last one's start.")
    max_per_day: int | None = Field(None, ge=1, le=1000)
    budget: RetuneBudget | None = Field(None, description="Replaces the study's own in later rounds.")
    warm_start: RetuneWarmStart = RetuneWarmStart()


_OBJECTIVES = "self.metrics.filter(m, has(m.direction))"
_ONE_ROUND = ("metrics", "constraints", "parameters", "objective", "strategy", "warmStart", "storage", "seed")


class TuningStudySpec(Model):
    metrics: Annotated[list[Metric], keyed(32, least=1)] = Field(
        description="What a trial reports. Those with a direction are objectives (1 to 4), the rest are recorded."
    )
    constraints: list[Constraint] = Field(default_factory=list, max_length=16)
    parameters: Annotated[list[Parameter], keyed(64)] = Field(default_factory=list)
    objective: Objective
    strategy: Strategy = Strategy()
    budget: Budget
    workers: Workers = Workers()
    seed: int | None = Field(None, ge=0, le=2**32 - 1, description="By default derived from the study's name.")
    suspend: bool = False
    warm_start: WarmStart = WarmStart()
    storage: Storage | None = Field(None, description="A PostgreSQL of one's own instead of the operator's.")
    retune: Retune = Retune()
    deletion_policy: Literal["Delete", "Retain"] = Field(
        "Delete", description="What becomes of the study's history when the resource is deleted."
    )

    rules = (
        Rule(
            f"{_OBJECTIVES}.size() >= 1 && {_OBJECTIVES}.size() <= 4",
            "metrics need one to four objectives: add `direction: Maximize` or `direction: Minimize` to a metric",
            lambda s: 1 <= len(s.objectives) <= 4,
        ),
        Rule(
            "has(self.budget.trials) || has(self.budget.duration)",
            "a budget needs `trials`, `duration` or both",
            lambda s: s.budget.trials is not None or s.budget.duration is not None,
        ),
        Rule(
            "!has(self.constraints) || self.constraints.all(c, self.metrics.exists(m, m.name == c.metric))",
            "a constraint names a metric that metrics does not list: correct the name, or add the metric",
            lambda s: {c.metric for c in s.constraints} <= {m.name for m in s.metrics},
        ),
        Rule(
            "!has(self.parameters) || self.parameters.all(p, !has(p.when)"
            " || self.parameters.exists(q, q.name == p.when.parameter))",
            "`when` names a parameter that parameters does not list: correct the name, or add the parameter",
            lambda s: {p.when.parameter for p in s.parameters if p.when} <= {p.name for p in s.parameters},
        ),
        Rule(
            f"{_OBJECTIVES}.size() < 2 || !has(self.strategy)"
            " || ((!has(self.strategy.pruner) || self.strategy.pruner.type == 'None')"
            " && (!has(self.strategy.phases)"
            " || self.strategy.phases.all(p, !has(p.pruner) || p.pruner.type == 'None')))",
            "no pruner can judge several objectives: use `pruner: {type: None}`, or keep one metric with a direction",
            lambda s: len(s.objectives) < 2 or all(p.pruner.type == "None" for p in s.phases),
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
        ),
        Rule(
            "has(self.parameters) && self.parameters.size() > 0 || has(self.objective.python)",
            "an sklearn or command objective needs `parameters`; only a python objective may suggest its own",
            lambda s: bool(s.parameters) or s.objective.python is not None,
        ),
    )

    @model_validator(mode="after")
    def _keys_are_unique(self) -> Self:
        for place, entries in (
            ("metrics", self.metrics),
            ("parameters", self.parameters),
            ("strategy.phases", self.strategy.phases or []),
        ):
            names = [entry.name for entry in entries]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{place}: {', '.join(twice)} is listed twice: rename one of them")
        return self

    @property
    def objectives(self) -> list[Metric]:
        """The metrics that are optimised, in the order of Optuna's values."""
        return [metric for metric in self.metrics if metric.direction is not None]

    @property
    def phases(self) -> list[Phase]:
        """The strategy as phases; one sampler and pruner are one phase without an end."""
        return self.strategy.phases or [
            Phase(
                name="search",
                trials=1_000_000,
                sampler=self.strategy.sampler or Sampler(),
                pruner=self.strategy.pruner or Pruner(),
            )
        ]

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
