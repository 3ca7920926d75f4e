"""`spec.parameters`: the search space."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Literal

from pydantic import Field

from tuning_study.api.field_types import Number, ParameterName, ValueList
from tuning_study.api.rules import Model, Rule
from tuning_study.values import Scalar, Value, stored

_LARGEST = 1e100  # of bounds: samplers square differences of them
_EXACT = 2**53  # beyond it a float leaves out whole numbers


class When(Model):
    """The parameter exists only in trials in which another parameter has certain values. If left out, it exists in
    every trial."""

    parameter: ParameterName = Field(description="Name of the other parameter in `parameters`. Example: kernel.")
    values: ValueList = Field(
        description="The values of the other parameter with which this one exists. Example: [poly, sigmoid]."
    )


def _whole(field: str) -> str:
    """CEL for a whole number. Beyond int64 `int` is an error; such a number has a rule of its own."""
    number = f"self.{field}"
    return f"(!has({number}) || {number} < -{_EXACT}.0 || {number} > {_EXACT}.0 || {number} == double(int({number})))"


_UNSTEPPED = "!has(self.min) || !has(self.max) || !has(self.step)"
_ROUNDING = 1.000000001  # 0.3 - 0.1 is a little less than 0.2


class Parameter(Model):
    """A hyperparameter and the values that it may take."""

    name: ParameterName = Field(
        description="The name under which the objective gets it. With sklearn: an argument of the last step, or of "
        "any step as step__argument. Example: pca__n_components."
    )
    type: Literal["Float", "Int", "Categorical"] = Field(
        description="What kind of values it takes. Float takes any number and Int any whole number from min to max. "
        "Categorical takes one of `values`. Example: Float."
    )
    min: Number | None = Field(None, description="The smallest value. Float and Int need it. Example: 0.001.")
    max: Number | None = Field(
        None,
        description="The largest value. Float and Int need it. With a step, the largest is the last step that is not "
        "above it. Example: 1000.",
    )
    step: Number | None = Field(
        None,
        gt=0,
        description="The distance between neighbouring values, counted from min. If left out, an Int has steps of 1 "
        "and a Float takes any value. Example: 0.5.",
    )
    scale: Literal["Linear", "Log"] | None = Field(
        None,
        description="How values are spread: Linear evenly, Log evenly across orders of magnitude, for ranges such as "
        "0.001 to 1000. If left out, it is Linear. Example: Log.",
    )
    values: ValueList | None = Field(
        None,
        description="The choices of a Categorical, which needs them: strings, numbers, booleans, null, and lists and "
        "objects of these. With sklearn, {class, args} is an object of that class. Example: [rbf, poly].",
    )
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

    @property
    def choices(self) -> list[Scalar]:
        """The values as a store holds them."""
        return [stored(value) for value in self.values or []]

    def value_of(self, choice: Any) -> Value:
        """The value that a store holds as `choice`; of anything else itself."""
        for value in self.values or []:
            if isinstance(value, list | dict) and stored(value) == choice:
                return deepcopy(value)  # an objective may change what it is given
        return choice


def values_of(parameters: Sequence[Parameter], params: Mapping[str, Any]) -> dict[str, Value]:
    """A trial's parameters, as the manifest has their values; `params` are what a store holds."""
    known = {parameter.name: parameter for parameter in parameters}
    return {name: known[name].value_of(held) if name in known else held for name, held in params.items()}
