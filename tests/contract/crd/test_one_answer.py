"""The API server and the models give the same answer to whatever may be written."""

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_manifest_spec, make_study
from tuning_study.exceptions import InvalidStudy
from tuning_study.manifest import parse_yaml, read_study

from .manifests import RIGHT, SKLEARN, Object
from .server import Server

ONLY_CODE_SEES = (
    *("goes in a circle", " are equal: remove one", "is never", "a grid of", "the grid"),
    *("has no option", "is no regular expression", "two entries of columns have one name"),
    "crossValidation.splitter",  # of a string or an object a structural schema says little
)
STRANGE: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, False, 0, -1, 1, 10, 1.5, 0.5, -0.0, 2**31, 2**53 + 1, 10**20, 1e308, 5e-324),
        *("", "10", "y", "true", "1e3", "auto", "0s", "1h", "90", "Log", "Int", "Categorical", "Grid", "Hyperband"),
        *("a.b", "é", "a\n", "A", "x" * 300, [], {}, [1], ["a"], {"a": 1}, [None], [[]]),
    ]
)
HEAD = {"name": "digits", "labels": {"app": "x"}, "annotations": {"note": "y"}}
BASES = [
    make_study() | {"metadata": HEAD, "spec": spec} for spec in (*RIGHT.values(), make_manifest_spec(objective=SKLEARN))
]


def places(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        yield (*at, key)
        yield from places(value, (*at, key))


@st.composite
def nearly_right(draw: st.DrawFn) -> Object:
    """A right manifest in which one to three things are changed, removed, repeated or brought from another."""
    manifest = copy.deepcopy(draw(st.sampled_from(BASES)))
    for _ in range(draw(st.integers(1, 3))):
        root = manifest[draw(st.sampled_from(["spec", "spec", "spec", "metadata"]))]
        *path, last = draw(st.sampled_from([*places(root)] or [("name",)]))
        holder = root
        for key in path:
            holder = holder[key]
        foreign = draw(st.sampled_from([name for base in BASES for *_, name in places(base) if isinstance(name, str)]))
        match draw(st.sampled_from(["change", "change", "remove", "repeat", "bring"])):
            case "remove" if holder:
                del holder[last]
            case "repeat" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[last]))
            case "bring" if isinstance(holder, dict):
                holder[foreign] = copy.deepcopy(draw(STRANGE))
            case _:
                holder[last] = copy.deepcopy(draw(STRANGE))
    return manifest


@settings(max_examples=500)
@given(manifest=nearly_right())
def test_the_server_and_the_models_give_one_answer(server: Server, manifest: Object) -> None:
    text = json.dumps(manifest)
    stored, why = server.create(json.loads(text))
    problems: list[str] = []
    try:
        read_study(parse_yaml(text))
    except InvalidStudy as invalid:
        problems = invalid.problems
    if stored is None:
        assert problems, f"the API server alone refuses it: {why}"
    else:
        unseen = [problem for problem in problems if not any(words in problem for words in ONLY_CODE_SEES)]
        assert unseen == [], "the models alone refuse it"
