"""Values of parameters: what manifest and objective have, and what a store holds. Imports nothing heavy."""

import json
from typing import Any

Scalar = str | int | float | bool | None
Value = Any
"""A scalar, or a list or an object of values, as JSON has them."""


def stored(value: Value) -> Scalar:
    """The value as a store holds it. Optuna's categories are scalars, so that a list or an object is its JSON text."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True) if isinstance(value, list | dict) else value


def same_value(left: Value, right: Value) -> bool:
    """Equality that tells True from 1 and None from "None", as YAML does, but not 1 from 1.0."""
    if isinstance(left, list | dict):
        return isinstance(right, list | dict) and stored(left) == stored(right)
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)
