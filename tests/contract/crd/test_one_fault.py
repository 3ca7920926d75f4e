"""One fault is told once: no rule takes a value that cannot be read, or is misspelt, for one that breaks it."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from builders import make_study
from tuning_study.exceptions import InvalidStudy
from tuning_study.manifest import read_study

from .manifests import RIGHT, Object

Path = tuple[Any, ...]


def leaves(node: Any, at: Path = ()) -> Iterator[Path]:
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else None
    if entries is None:
        yield at
    else:
        for key, value in entries:
            yield from leaves(value, (*at, key))


def changed(spec: Object, path: Path) -> tuple[Object, Any]:
    """A copy of the study, and what holds the last part of the path in it."""
    study: Object = make_study() | {"spec": copy.deepcopy(spec)}
    holder = study["spec"]
    for key in path[:-1]:
        holder = holder[key]
    return study, holder


def problems(study: Object) -> list[str]:
    try:
        read_study(study)
    except InvalidStudy as invalid:
        return invalid.problems
    return []  # a field that may hold anything


@pytest.mark.parametrize("spec", RIGHT.values(), ids=RIGHT)
def test_a_value_that_cannot_be_read_is_the_only_problem(spec: Object) -> None:
    for path in leaves(spec):
        study, holder = changed(spec, path)
        holder[path[-1]] = [["?"]]
        assert len(problems(study)) <= 1, path


@pytest.mark.parametrize("spec", RIGHT.values(), ids=RIGHT)
def test_a_misspelt_field_is_the_only_problem(spec: Object) -> None:
    for path in leaves(spec):
        if isinstance(path[-1], str):
            study, holder = changed(spec, path)
            holder[f"{path[-1]}x"] = holder.pop(path[-1])
            assert len(problems(study)) <= 1, path
