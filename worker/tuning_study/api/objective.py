"""`spec.objective`: what a trial runs. One of a scikit-learn pipeline, a Python function and a command."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from tuning_study.api.dataset import Dataset
from tuning_study.api.field_types import FreeObject, ObjectName, ParameterName, Text
from tuning_study.api.rules import Model, Rule

_MODULE, _IDENTIFIER = "[A-Za-z_][A-Za-z0-9_.]*", "[A-Za-z_][A-Za-z0-9_]*"  # of Python, in letters that Go's \w has
_PIPELINE_ARGUMENTS = ["memory", "steps", "transform_input", "verbose"]  # scikit-learn has no step of such a name


_CLASS_PATTERN = rf"^{_MODULE}\.{_IDENTIFIER}$"


class Step(Model):
    """One step of the pipeline: a transformer, or the estimator."""

    class_: str = Field(
        alias="class",
        min_length=3,
        max_length=253,
        pattern=_CLASS_PATTERN,
        description="The class with its module, which the worker's image must have. Example: sklearn.svm.SVC.",
    )
    args: FreeObject = Field(
        default_factory=dict,
        description="Arguments of the class that are the same in every trial. If left out, the class's own defaults "
        "apply. Example: {cache_size: 500}.",
    )
    name: ParameterName | None = Field(
        None,
        description="The name by which parameters address the step, as name__argument. If left out, it is the class "
        "name in lower case. Example: scaler.",
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


class Select(Model):
    """Which columns: exactly one of dtype, names and pattern."""

    dtype: Literal["number", "category"] | None = Field(
        None,
        description="All columns of numbers and booleans (number), or all others, such as text (category). Example: "
        "category.",
    )
    names: list[Text] | None = Field(
        None, min_length=1, max_length=256, description="The columns of these names. Example: [city, colour]."
    )
    pattern: str | None = Field(
        None,
        min_length=1,
        max_length=253,
        description="All columns whose names a regular expression matches anywhere. Example: ^city_.",
    )

    rules = (
        Rule(
            "[has(self.dtype), has(self.names), has(self.pattern)].filter(given, given).size() == 1",
            "give exactly one of dtype, names and pattern",
            lambda s: sum(v is not None for v in (s.dtype, s.names, s.pattern)) == 1,
        ),
    )


class Columns(Model):
    """What is done with some of a table's columns before the steps."""

    select: Select
    steps: list[Step] = Field(
        min_length=1,
        max_length=16,
        description="Transformers of these columns, in order. Example: [{class: sklearn.preprocessing.OneHotEncoder}].",
    )
    name: ParameterName | None = Field(
        None,
        description="The name by which parameters address them, as columns__name__step__argument. If left out, it is "
        "the dtype that is selected, or else columns and the entry's number from 1. Example: text.",
    )


Splitter = Literal["Auto", "KFold", "Stratified", "Group", "TimeSeries", "Holdout"]
_SPLITTERS = ["Auto", "KFold", "Stratified", "Group", "TimeSeries", "Holdout"]


class SplitterClass(Model):
    """A splitter of scikit-learn's or of one's own."""

    class_: str = Field(alias="class", min_length=3, max_length=253, pattern=_CLASS_PATTERN)
    args: FreeObject = Field(default_factory=dict)


def _splitter(given: Any) -> Any:
    if isinstance(given, dict):
        return SplitterClass.model_validate(given)
    if isinstance(given, SplitterClass) or given in _SPLITTERS:
        return given
    raise ValueError(f"write one of {', '.join(_SPLITTERS)}, or {{class, args}}")


_UNION_OF_BOTH = {
    "x-kubernetes-preserve-unknown-fields": True,
    "properties": {
        "class": {
            "type": "string",
            "minLength": 3,
            "maxLength": 253,
            "pattern": _CLASS_PATTERN,
            "description": "The splitter's class with its module. Example: sklearn.model_selection.RepeatedKFold.",
        },
        "args": {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "description": "Arguments of the class. If left out, its own defaults apply. Example: {n_splits: 3}.",
        },
    },
    # A structural schema has no unions. Of these two a string can only satisfy the first, and an object the second.
    "allOf": [{"anyOf": [{"enum": _SPLITTERS}, {"minLength": 1, "maxLength": 0, "required": ["class"]}]}],
}


def _chosen(splitter: Splitter) -> dict[str, Any]:
    """A JSON schema of a `crossValidation` with it: CEL cannot read a field that is a string or an object."""
    return {"required": ["splitter"], "properties": {"splitter": {"enum": [splitter]}}}


class CrossValidation(Model):
    """How a trial is measured: its metrics are means over all folds, and a pruner may stop it after any fold."""

    folds: int = Field(
        5,
        ge=2,
        le=100,
        description="Number of parts that the rows are split into; each is the test set once. For a classifier, all "
        "parts have the same mix of classes. Default: 5.",
    )
    repeats: int = Field(
        1,
        ge=1,
        le=100,
        description="How many times cross-validation is done, each time with new folds. A trial fits folds × repeats "
        "models. Default: 1.",
    )
    splitter: Annotated[Splitter | SplitterClass, BeforeValidator(_splitter), WithJsonSchema(_UNION_OF_BOTH)] | None = (
        Field(
            None,
            description="How the rows are split: Auto (by `groups`, else by `time`, else Stratified for a classifier "
            "and KFold for others), KFold, Stratified, Group, TimeSeries, Holdout (scored once, on 1/folds of the "
            "rows), or a splitter's class, which does without `folds`. If left out, it is Auto. Example: {class: "
            "sklearn.model_selection.ShuffleSplit, args: {n_splits: 3}}.",
        )
    )

    rules = (
        Rule(
            None,
            "TimeSeries has one order of the rows, which repeats do not change: leave out `repeats`",
            lambda c: c.splitter != "TimeSeries" or c.repeats == 1,
            schema={"anyOf": [{"not": _chosen("TimeSeries")}, {"properties": {"repeats": {"maximum": 1}}}]},
        ),
    )


class EarlyStopping(Model):
    """When a booster adds no more trees: once its loss on rows that it is not fitted on has not become smaller for
    some rounds."""

    rounds: int = Field(
        ge=1,
        le=10_000,
        description="Number of boosting rounds without a smaller loss after which fitting ends. Example: 20.",
    )
    fraction: float = Field(
        0.15,
        gt=0,
        le=0.5,
        description="Share of the rows of each fold's training part that the loss is computed on instead. The rows "
        "that the metrics are computed on are never among them. Default: 0.15.",
    )


_NOT_BY_GROUPS = {"not": {"required": ["crossValidation"], "properties": {"crossValidation": _chosen("Group")}}}
_GROUPED_TABLES = [
    {"properties": {"dataset": {"required": [kind], "properties": {kind: {"required": ["groups"]}}}}}
    for kind in ("csv", "parquet")
]
_STEP_NAMES = "self.steps.map(s, has(s.name) ? s.name : s.class.substring(s.class.lastIndexOf('.') + 1).lowerAscii())"


class SklearnObjective(Model):
    """A scikit-learn pipeline, cross-validated on a data set. It needs no code."""

    steps: list[Step] = Field(
        min_length=1,
        max_length=16,
        description="The steps of the pipeline in order: transformers first, the estimator last. Example: [{class: "
        "sklearn.svm.SVC}].",
    )
    dataset: Dataset
    columns: list[Columns] | None = Field(
        None,
        min_length=1,
        max_length=32,
        description="What is done with each kind of column before the steps: a ColumnTransformer. Columns that none "
        "selects pass as they are. If left out, and no step takes text, dates or gaps, a table is prepared in the "
        "way that fits the estimator. Example: [{select: {dtype: category}, steps: [{class: "
        "sklearn.preprocessing.OneHotEncoder}]}].",
    )
    cross_validation: CrossValidation = Field(default_factory=CrossValidation)
    early_stopping: EarlyStopping | None = Field(
        None,
        description="For HistGradientBoosting, XGBoost, LightGBM and CatBoost: when to add no more trees. If left out, "
        "every model has as many as it is told to. Example: {rounds: 20}.",
    )

    rules = (
        Rule(
            f"{_STEP_NAMES}.all(name, {_STEP_NAMES}.exists_one(other, other == name))",
            "two steps have one name (by default the class's): give one of them another `name`",
            lambda o: len({step.address for step in o.steps}) == len(o.steps),
        ),
        Rule(
            None,
            "the splitter Group needs the column of the groups: add `groups: COLUMN` to csv or parquet",
            lambda o: o.splitter != "Group" or (o.dataset.table is not None and o.dataset.table.groups is not None),
            schema={"anyOf": [_NOT_BY_GROUPS, *_GROUPED_TABLES]},
        ),
        Rule(
            None,  # their names by default are more than a rule in CEL can say
            "two entries of columns have one name (by default their dtype): give one of them another `name`",
            lambda o: len(set(o.column_names)) == len(o.column_names),
        ),
        Rule(
            "!has(self.columns) || !has(self.dataset.load)",
            "`columns` selects columns of a table: use csv or parquet, or a step for all columns",
            lambda o: o.columns is None or o.dataset.load is None,
        ),
        Rule(
            f"!has(self.columns) || !('columns' in {_STEP_NAMES})",
            "with `columns` no step may be called columns: choose another name",
            lambda o: o.columns is None or all(step.address != "columns" for step in o.steps),
        ),
    )

    @property
    def splitter(self) -> Splitter | SplitterClass:
        """The splitter; Auto as far as the data set's columns decide it."""
        asked, table = self.cross_validation.splitter or "Auto", self.dataset.table
        if asked != "Auto" or table is None:
            return asked
        return "Group" if table.groups else "TimeSeries" if table.time else "Auto"

    @property
    def column_names(self) -> list[str]:
        """Of the entries of `columns`, by which parameters address them."""
        entries = enumerate(self.columns or [], start=1)
        return [entry.name or entry.select.dtype or f"columns{number}" for number, entry in entries]


class PythonObjective(Model):
    """A Python function that takes an optuna.Trial and returns a number, a tuple with one value per objective, or a
    mapping of metrics."""

    function: str = Field(
        max_length=253,
        pattern=rf"^{_MODULE}:{_IDENTIFIER}$",
        description="The function, as module:name. Example: train:objective.",
    )
    config_map: ObjectName | None = Field(
        None,
        description="A ConfigMap in the study's namespace whose keys are files, such as train.py. They are put on the "
        "import path. If left out, the module must be in the worker's image. Example: my-code.",
    )


class CommandObjective(Model):
    """One process per trial, in any language. It reads its parameters from TUNING_PARAM_<NAME> or, as JSON, from the
    file $TUNING_PARAMETERS_FILE. It reports metrics by printing name=value, or what a metric's `pattern` reads, or as
    JSON lines in the file $TUNING_METRICS_FILE."""

    command: list[Text] = Field(
        min_length=1,
        max_length=64,
        description="The program and its first arguments. No shell is involved. {name} is replaced by that "
        "parameter's value. On a laptop, python is the interpreter that runs tuning. Example: [python, train.py].",
    )
    args: list[Text] = Field(
        default_factory=list,
        max_length=256,
        description="Further arguments. {name} is replaced by that parameter's value; an argument is left out when "
        "the trial does not have the parameter, and so is the option before it that it is the value of. Example: "
        '["--c={C}"].',
    )


class Objective(Model):
    """What a trial runs: exactly one of sklearn, python and command."""

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


def variable(parameter: str) -> str:
    """The NAME of a command's variable TUNING_PARAM_<NAME>."""
    return re.sub(r"[^A-Za-z0-9]", "_", parameter).upper()
