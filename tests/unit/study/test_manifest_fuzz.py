"""Whatever a file holds, reading it gives a study or says what is wrong with it; it never crashes and never hangs."""

import contextlib
import json
from functools import reduce
from operator import getitem
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_study
from tuning_study.exceptions import InvalidStudy
from tuning_study.manifest import parse_yaml, read_study

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(["Maximize", "Float", "Int", "Categorical", "TPE", "2h", "1e999", "-0", "", 10**400, -(10**400)])
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def problems_of(text: str | bytes) -> list[str] | None:
    """What is wrong; None when nothing is."""
    try:
        read_study(parse_yaml(text))
    except InvalidStudy as refused:
        return refused.problems
    return None


def is_told_shortly(problems: list[str] | None) -> bool:
    return problems is None or (bool(problems) and all(len(problem) <= 1500 for problem in problems))


@given(st.text() | st.binary())
def test_any_text(text: str | bytes) -> None:
    assert is_told_shortly(problems_of(text))


@given(st.text(alphabet="{}[]&*!|>'\"%@`:,-?#\n ~<a1.\x00\ud800", max_size=60))
def test_any_text_of_what_yaml_is_made_of(text: str) -> None:
    assert is_told_shortly(problems_of(text))


def paths(document: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    entries = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [at, *(path for key, value in entries for path in paths(value, (*at, key)))]


RICH = make_study(
    "digits",
    metrics=[{"name": "accuracy", "direction": "Maximize", "goal": 0.9}, {"name": "loss", "direction": "Minimize"}],
    constraints=[{"metric": "loss", "max": 5}],
    parameters=[
        {"name": "x", "type": "Float", "min": 1e-3, "max": 1e3, "scale": "Log"},
        {"name": "k", "type": "Categorical", "values": ["a", None, True, 1.5]},
        {"name": "n", "type": "Int", "min": 2, "max": 5, "step": 1, "when": {"parameter": "k", "values": ["a"]}},
    ],
    strategy={"sampler": {"type": "TPE", "options": {"nStartupTrials": 5}}},
    budget={"trials": 20, "duration": "2h", "failedTrials": 3},
    warmStart={"points": [{"x": 1.0, "k": "a", "n": 3}]},
)


@given(st.lists(st.tuples(st.sampled_from(paths(RICH)[1:]), anything), min_size=1, max_size=4))
def test_a_study_with_anything_in_some_places(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    document = json.loads(json.dumps(RICH))
    for path, value in changes:
        with contextlib.suppress(KeyError, IndexError, TypeError):  # an earlier change has taken the place away
            reduce(getitem, path[:-1], document)[path[-1]] = value
    with contextlib.suppress(InvalidStudy):
        read_study(document)


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


CASES = {
    "nothing": "",
    "nested lists": "[" * 100_000,
    "nested objects": "a: {" * 20_000,
    "nested by indentation": "\n".join(" " * n + "a:" for n in range(2000)),
    "an alias bomb": bomb(12),
    "an alias bomb in the spec": f"apiVersion: tuning.dev/v1alpha1\nkind: TuningStudy\nspec:\n  {bomb(12)}".replace(
        "\na", "\n  a"
    ),
    "a list in itself": "&a [*a]",
    "a merge bomb": "a: &a {x: 1}\nb: {<<: [*a, *a]}",
    "a huge number": f"apiVersion: {'9' * 100_000}",
    "a huge hexadecimal number": f"apiVersion: 0x{'f' * 100_000}",
    "a huge number for a budget": f"kind: TuningStudy\nspec: {{budget: {{trials: 0x{'f' * 10_000}}}}}",
    "a huge exponent": "apiVersion: 1e99999999",
    "sexagesimal": "a: 1:1:1:1:1:1:1:1:1:1:1:1",
    "NUL": "a: \x00",
    "half a surrogate pair": "a: \ud800",
    "a tag": "!!python/object/apply:os.system [echo]",
    "a wrong date": "a: 2021-99-99",
    "a wrong time": "a: 2021-01-01T99:99:99Z",
    "a wrong binary": "a: !!binary '*'",
    "a wrong number by tag": "a: !!int x",
    "a wrong set": "!!omap [1, 2]",
    "a list for a key": "{[1]: 2}",
    "an object for a key": "{{a: 1}: 2}",
    "invalid UTF-8": b"a: \xff\xfe\xfa",
    "UTF-16": "a: 1".encode("utf-16"),
    "a directive": "%YAML 9.9\n---\na: 1",
    "10 MB of text": "a: " + "x" * 10_000_000,
    "two documents": "a: 1\n---\nb: 2",
    "a million documents": "---\n" * 1_000_000,
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", CASES.values(), ids=CASES.keys())
def test_what_was_made_to_break_a_reader(text: str | bytes) -> None:
    problems = problems_of(text)
    assert problems
    assert is_told_shortly(problems)
