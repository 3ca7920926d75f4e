"""A search space as people write it in Python."""

from typing import Any

import numpy as np
import pytest

import tuning
from tuning.parameters import manifest_of


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ((0.0, 1.0), {"type": "Float", "min": 0.0, "max": 1.0}),
        ((0, 1.0), {"type": "Float", "min": 0, "max": 1.0}),
        ((1, 10), {"type": "Int", "min": 1, "max": 10}),
        (["rbf", "poly", None], {"type": "Categorical", "values": ["rbf", "poly", None]}),
        (range(3), {"type": "Categorical", "values": [0, 1, 2]}),
        (np.arange(3), {"type": "Categorical", "values": [0, 1, 2]}),
        (list(np.logspace(0, 1, 2)), {"type": "Categorical", "values": [1.0, 10.0]}),
        ((np.int64(1), np.int64(3)), {"type": "Int", "min": 1, "max": 3}),
        ((np.float32(0), 1), {"type": "Float", "min": 0.0, "max": 1}),
        (tuning.Float(1e-3, 1e3, log=True), {"type": "Float", "min": 1e-3, "max": 1e3, "scale": "Log"}),
        (tuning.Float(0, 1, step=0.25), {"type": "Float", "min": 0, "max": 1, "step": 0.25}),
        (tuning.Int(8, 64, step=8), {"type": "Int", "min": 8, "max": 64, "step": 8}),
        (
            tuning.Int(2, 5, when={"kernel": ["poly"]}),
            {"type": "Int", "min": 2, "max": 5, "when": {"parameter": "kernel", "values": ["poly"]}},
        ),
        (tuning.Choice([True, False]), {"type": "Categorical", "values": [True, False]}),
        ({"type": "Int", "min": 1, "max": 2}, {"type": "Int", "min": 1, "max": 2}),
    ],
)
def test_forms(given: Any, want: dict[str, Any]) -> None:
    assert manifest_of({"x": given}) == [{"name": "x", **want}]


def test_a_list_is_the_manifests_own_form() -> None:
    parameters = [{"name": "x", "type": "Int", "min": 1, "max": 2}]
    assert manifest_of(parameters) == parameters


@pytest.mark.parametrize("given", [3, "rbf", (1, 2, 3), ("a", "b"), (True, False), None])
def test_what_is_no_range_is_told_with_what_to_write(given: Any) -> None:
    with pytest.raises(tuning.WrongUse, match=r"parameters: x=.* is no range: write \(low, high\) for numbers"):
        manifest_of({"x": given})


def test_a_condition_names_one_parameter() -> None:
    with pytest.raises(tuning.WrongUse, match="names 2 parameters: name one"):
        manifest_of({"x": tuning.Int(1, 2, when={"a": [1], "b": [2]})})
