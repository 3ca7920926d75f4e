"""Types of fields that several parts of the spec share: names, numbers, values, and lists with a key."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from tuning_study.values import Value

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=rf"^{_LABEL}(\.{_LABEL})*$")]  # of any object
MetricName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z_][A-Za-z0-9_./@:=%+()\[\]-]*$")]
LabelName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]  # of Prometheus
ParameterName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$")]
Direction = Literal["Maximize", "Minimize"]
"""Which values are better."""
Number = Annotated[float, Field(allow_inf_nan=False)]  # JSON has no others
Text = Annotated[str, Field(min_length=1, max_length=4096)]

# What Kubernetes or a library defines better than a copy here could.
FreeObject = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})]


def _value(given: Any) -> Value:
    if given is None or isinstance(given, str | int | float):
        return given
    if isinstance(given, list | tuple):
        return [_value(entry) for entry in given]
    if isinstance(given, Mapping) and all(isinstance(key, str) for key in given):
        return {key: _value(entry) for key, entry in given.items()}
    raise ValueError("only strings, numbers, booleans, null, and lists and objects of them can be values")


ValueList = Annotated[
    list[Annotated[Value, PlainValidator(_value)]],
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
