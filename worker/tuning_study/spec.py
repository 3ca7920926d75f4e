"""The TuningStudy as its author writes it. The CRD is generated from these models; their names are the contract."""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema, model_validator

from tuning_study.duration import Duration, SomeTime
from tuning_study.options import PRUNERS, SAMPLERS, PrunerOptions, SamplerOptions, known_options
from tuning_study.rules import Model, Rule

GROUP, VERSION, KIND, PLURAL = "tuning.dev", "v1alpha1", "TuningStudy", "tuningstudies"
API_VERSION = f"{GROUP}/{VERSION}"
NAME_LENGTH = 52  # leaves room for the longest suffix of an object that is named after a study
STUDY_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"  # a DNS label: worker pods are hosts of that name
STUDY_NAME_ADVICE = "a study's name is also its workers' host name: write lower case letters, digits and `-` only"

Scalar = str | int | float | bool | None
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=rf"^{_LABEL}(\.{_LABEL})*$")]  # of any object
MetricName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z_][A-Za-z0-9_./-]*$")]
ParameterName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$")]
Number = Annotated[float, Field(allow_inf_nan=False)]  # JSON has no others
_LARGEST = 1e100  # of bounds: samplers square differences of them
_EXACT = 2**53  # beyond it a float leaves out whole numbers
_MODULE, _IDENTIFIER = "[A-Za-z_][A-Za-z0-9_.]*", "[A-Za-z_][A-Za-z0-9_]*"  # of Python, in letters that Go's \w has
Text = Annotated[str, Field(min_length=1, max_length=4096)]

# What Kubernetes or a library defines better than a copy here could.
FreeObject = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})]


def _scalar(given: Any) -> Scalar:
    if given is None or isinstance(given, str | int | float):
        return given
    raise ValueError("only strings, numbers, booleans and null can be values")


ScalarList = Annotated[
    list[Annotated[Scalar, PlainValidator(_scalar)]],
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


def _whole(field: str) -> str:
    """CEL for a whole number. Beyond int64 `int` is an error; such a number has a rule of its own."""
    number = f"self.{field}"
    return f"(!has({number}) || {number} < -{_EXACT}.0 || {number} > {_EXACT}.0 || {number} == double(int({number})))"


_UNSTEPPED = "!has(self.min) || !has(self.max) || !has(self.step)"
_ROUNDING = 1.000000001  # 0.3 - 0.1 is a little less than 0.2


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
            schema={
                "oneOf": [
                    {"properties": {"type": {"enum": ["Categorical"]}}, "required": ["values"]},
                    {"properties": {"type": {"enum": ["Float", "Int"]}}, "not": {"required": ["values"]}},
                ]
            },
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
            "!has(self.scale) || self.scale != 'Log' || !has(self.min) || !has(self.max) || self.min <= 0.0"
            " || self.min >= self.max || self.max / self.min >= 1.000001",
            "on a Log scale max must be clearly above min, or all values have one logarithm: use `scale: Linear`",
            lambda p: (
                p.scale != "Log"
                or p.min is None
                or p.max is None
                or p.min <= 0
                or p.min >= p.max
                or p.max / p.min >= 1.000001
            ),
        ),
        Rule(
            "!has(self.scale) || self.scale != 'Log' || !has(self.step)",
            "a Log scale has no step: leave out `step`, or use `scale: Linear`",
            lambda p: p.scale != "Log" or p.step is None,
        ),
        Rule(
            f"self.type != 'Int' || ({_whole('min')} && {_whole('max')} && {_whole('step')})",
            "an Int parameter's min, max and step must be whole numbers: round them, or use `type: Float`",
            lambda p: p.type != "Int" or all(v is None or v == int(v) for v in (p.min, p.max, p.step)),
        ),
        Rule(  # as `maximum` the API server would round the limit to an int64 beside whole numbers
            f"(!has(self.min) || self.min >= -{_LARGEST}) && (!has(self.max) || self.max <= {_LARGEST})",
            f"min and max lie between -{_LARGEST} and {_LARGEST}: take narrower ones",
            lambda p: all(v is None or abs(v) <= _LARGEST for v in (p.min, p.max)),
        ),
        Rule(
            f"self.type != 'Int' || ((!has(self.min) || self.min >= -{_EXACT}.0)"
            f" && (!has(self.max) || self.max <= {_EXACT}.0))",
            f"an Int parameter lies between -{_EXACT} and {_EXACT}: narrow it, or use `type: Float`",
            lambda p: p.type != "Int" or all(v is None or abs(v) <= _EXACT for v in (p.min, p.max)),
        ),
        Rule(
            f"{_UNSTEPPED} || self.min == self.max || self.step <= (self.max - self.min) * {_ROUNDING}",
            "the step is larger than max - min, so that only min is left: take a smaller one",
            lambda p: None in (p.min, p.max, p.step) or p.min == p.max or p.step <= (p.max - p.min) * _ROUNDING,
        ),
        Rule(
            f"{_UNSTEPPED} || [self.min / self.step, self.max / self.step].all(n, n >= -{_EXACT}.0 && n <= {_EXACT}.0)",
            "the step is so small beside min and max that values a step apart are equal: take a larger one",
            lambda p: None in (p.min, p.max, p.step) or max(abs(p.min), abs(p.max)) <= p.step * _EXACT,
        ),
        Rule(
            "!has(self.when) || self.when.parameter != self.name",
            "`when` names its own parameter: name another one, or remove the condition",
            lambda p: p.when is None or p.when.parameter != p.name,
        ),
    )


_PIPELINE_ARGUMENTS = ["memory", "steps", "transform_input", "verbose"]  # scikit-learn has no step of such a name


class Step(Model):
    class_: str = Field(alias="class", min_length=3, max_length=253, pattern=rf"^{_MODULE}\.{_IDENTIFIER}$")
    args: FreeObject = Field(default_factory=dict)
    name: ParameterName | None = Field(
        None, description="Addresses parameters as name__parameter. By default the class name in lower case."
    )

    rules = (
        Rule(
            f"!has(self.name) || (!self.name.contains('__') && !(self.name in {_PIPELINE_ARGUMENTS}))",
            f"a step's name has no `__` and is none of {', '.join(_PIPELINE_ARGUMENTS)}: choose another",
            lambda s: s.name is None or ("__" not in s.name and s.name not in _PIPELINE_ARGUMENTS),
        ),
    )

    @property
    def address(self) -> str:
        """The step's name in the pipeline."""
        return self.name or self.class_.rpartition(".")[2].lower()


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


_STEP_NAMES = "self.steps.map(s, has(s.name) ? s.name : s.class.substring(s.class.lastIndexOf('.') + 1).lowerAscii())"


class SklearnObjective(Model):
    steps: list[Step] = Field(min_length=1, max_length=16)
    dataset: Dataset
    cross_validation: CrossValidation = Field(default_factory=CrossValidation)

    rules = (
        Rule(
            f"{_STEP_NAMES}.all(name, {_STEP_NAMES}.exists_one(other, other == name))",
            "two steps have one name (by default the class's): give one of them another `name`",
            lambda o: len({step.address for step in o.steps}) == len(o.steps),
        ),
    )


class PythonObjective(Model):
    function: str = Field(max_length=253, pattern=rf"^{_MODULE}:{_IDENTIFIER}$")
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
    options: SamplerOptions = Field(SamplerOptions(), description="Optuna's arguments of the sampler, in camelCase.")

    rules = known_options(SamplerOptions, SAMPLERS)


_NO_BOOTSTRAP = "!has(self.options) || !has(self.options.bootstrapCount) || self.options.bootstrapCount == 0"


class Pruner(Model):
    type: PrunerType = "None"
    options: PrunerOptions = Field(PrunerOptions(), description="Optuna's arguments of the pruner, in camelCase.")

    rules = (
        *known_options(PrunerOptions, PRUNERS),
        Rule(
            "self.type != 'Hyperband' || !has(self.options) || !has(self.options.minResource)"
            " || type(self.options.minResource) == int",
            "Hyperband's minResource is a whole number: write one, or leave it out",
            lambda p: p.type != "Hyperband" or p.options.min_resource != "auto",
        ),
        Rule(
            f"{_NO_BOOTSTRAP} || self.type == 'Hyperband'"
            " || (has(self.options.minResource) && type(self.options.minResource) == int)",
            "SuccessiveHalving with a bootstrapCount needs a number for minResource: write one",
            lambda p: not p.options.bootstrap_count or p.type == "Hyperband" or isinstance(p.options.min_resource, int),
        ),
        Rule(
            f"{_NO_BOOTSTRAP} || self.type != 'Hyperband'"
            " || (has(self.options.maxResource) && type(self.options.maxResource) == int)",
            "Hyperband with a bootstrapCount needs a number for maxResource: write one",
            lambda p: not p.options.bootstrap_count or p.type != "Hyperband" or isinstance(p.options.max_resource, int),
        ),
    )


class Phase(Model):
    name: ParameterName
    trials: int = Field(ge=1, le=1_000_000)
    sampler: Sampler = Field(default_factory=Sampler)
    pruner: Pruner = Field(default_factory=Pruner)


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
    duration: SomeTime | None = Field(
        None, description="From the first trial's start; time in suspension does not count."
    )
    trial_duration: SomeTime | None = Field(None, description="A trial that takes longer is stopped and failed.")
    start_deadline: SomeTime = Field(
        timedelta(minutes=10),
        description="How long the first trial may take to begin; then the round has failed. None under a queue.",
    )
    failed_trials: int = Field(20, ge=1, le=1_000_000, description="The study fails when this many trials have failed.")


_MAX_VALUE = 32 * 1024  # characters of an environment variable


def _text_value(given: dict[str, Any]) -> dict[str, Any]:
    value = given.get("value", "")
    if not isinstance(value, str):
        raise ValueError(f"the value of {given.get('name')} is no text: quote it, as in value: {str(value)!r}")
    if len(value) > _MAX_VALUE:
        raise ValueError(f"the value of {given.get('name')} has {len(value)} characters; write at most {_MAX_VALUE}")
    return given


EnvVar = Annotated[
    dict[str, Any],
    AfterValidator(_text_value),
    WithJsonSchema(
        {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"value": {"type": "string", "maxLength": _MAX_VALUE}},
        }
    ),
]
"""A container's environment variable. A number without quotes is the commonest mistake in one."""


class Workers(Model):
    replicas: int = Field(1, ge=0, le=1000)
    image: str | None = Field(None, min_length=1, max_length=512)
    resources: FreeObject = Field(default_factory=dict, description="A container's resources.")
    env: list[EnvVar] = Field(default_factory=list, max_length=128)
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
    duration: SomeTime | None = None


class RetuneWarmStart(Model):
    best: int = Field(10, ge=0, le=100, description="This many of the last round's best trials are tried first.")


class Retune(Model):
    triggers: list[Literal["Alert"]] = Field(
        default_factory=list, max_length=8, description="What may ask for a new round besides a person."
    )
    cooldown: Duration | None = Field(None, description="No round starts within this time of the last one's start.")
    max_per_day: int | None = Field(None, ge=1, le=1000)
    budget: RetuneBudget | None = Field(None, description="Replaces the study's own in later rounds.")
    warm_start: RetuneWarmStart = Field(default_factory=RetuneWarmStart)


def variable(parameter: str) -> str:
    """The NAME of a command's variable TUNING_PARAM_<NAME>."""
    return re.sub(r"[^A-Za-z0-9]", "_", parameter).upper()


_VARIABLES = "self.parameters.map(p, p.name.replace('.', '_').replace('-', '_').upperAscii())"
_OBJECTIVES = "self.metrics.filter(m, has(m.direction))"
_ONE_ROUND = ("metrics", "constraints", "parameters", "objective", "strategy", "warmStart", "storage", "seed")


def _names_of_one_variable(parameters: list[Parameter]) -> list[str]:
    """The first parameters of different names that share an environment variable."""
    by_variable: dict[str, list[str]] = {}
    for parameter in parameters:
        names = by_variable.setdefault(variable(parameter.name), [])
        if parameter.name not in names:
            names.append(parameter.name)
    return next((names for names in by_variable.values() if len(names) > 1), [])


class TuningStudySpec(Model):
    metrics: Annotated[list[Metric], keyed(32, least=1)] = Field(
        description="What a trial reports. Those with a direction are objectives (1 to 4), the rest are recorded."
    )
    constraints: list[Constraint] = Field(default_factory=list, max_length=16)
    parameters: Annotated[list[Parameter], keyed(64)] = Field(default_factory=list)
    objective: Objective
    strategy: Strategy = Field(default_factory=Strategy)
    budget: Budget
    workers: Workers = Field(default_factory=Workers)
    seed: int | None = Field(None, ge=0, le=2**32 - 1, description="By default derived from the study's name.")
    suspend: bool = False
    warm_start: WarmStart = Field(default_factory=WarmStart)
    storage: Storage | None = Field(None, description="A PostgreSQL of one's own instead of the operator's.")
    retune: Retune = Field(default_factory=Retune)
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
            lambda s: ", ".join(sorted({c.metric for c in s.constraints} - {m.name for m in s.metrics})),
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
        ),
        Rule(
            "!has(self.objective.command) || !self.metrics.exists(m, m.name == 'step')",
            "a command's metrics file has the steps of intermediate reports under `step`: rename that metric",
            lambda s: s.objective.command is None or all(metric.name != "step" for metric in s.metrics),
        ),
        Rule(
            f"!has(self.objective.command) || !has(self.parameters) || [{_VARIABLES}].all(names, names.all(name,"
            " names.exists_one(other, other == name)))",
            "two parameters become one variable TUNING_PARAM_<NAME>, in which a and A are one letter, and `.`, `-` and"
            " `_` too: rename one of them",
            # A name that is listed twice is told as such.
            lambda s: s.objective.command is None or not _names_of_one_variable(s.parameters),
            lambda s: " and ".join(_names_of_one_variable(s.parameters)),
        ),
        Rule(
            "!has(self.parameters) || self.parameters.all(p, !has(p.when)"
            " || self.parameters.exists(q, q.name == p.when.parameter))",
            "`when` names a parameter that parameters does not list: correct the name, or add the parameter",
            lambda s: {p.when.parameter for p in s.parameters if p.when} <= {p.name for p in s.parameters},
            lambda s: ", ".join(
                f"{p.when.parameter}, named by {p.name}"
                for p in s.parameters
                if p.when and p.when.parameter not in {q.name for q in s.parameters}
            ),
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
