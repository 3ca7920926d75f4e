"""Values of parameters: what manifest and objective have, and what a store holds. Imports nothing heavy."""

import json
from collections.abc import Mapping
from typing import Any

Scalar = str | int | float | bool | None
Value = Any
"""A scalar, or a list or an object of values, as JSON has them."""


def stored(value: Value) -> Scalar:
    """The value as a store holds it. Optuna's categories are scalars, so that a list or an object is its JSON text."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True) if isinstance(value, list | dict) else value


def plain(value: Any) -> Any:
    """The value with numbers and arrays of NumPy, at any depth, as Python's own."""
    match value:
        case Mapping():
            return {key: plain(each) for key, each in value.items()}
        case list():
            return [plain(each) for each in value]
        case tuple():
            return tuple(plain(each) for each in value)
        case _ if hasattr(value, "tolist"):
            return value.tolist()
    return value


def same_value(left: Value, right: Value) -> bool:
    """Equality that tells True from 1 and None from "None", as YAML does, but not 1 from 1.0."""
    if isinstance(left, list | dict):
        return isinstance(right, list | dict) and stored(left) == stored(right)
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)
