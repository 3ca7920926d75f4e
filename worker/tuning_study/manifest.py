"""Reads a TuningStudy from its manifest, and says what is wrong with it in words its author can act on."""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache, reduce
from operator import getitem
from typing import Any

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from tuning_study.crd import structural_schema
from tuning_study.documents import read_documents
from tuning_study.exceptions import InvalidStudy
from tuning_study.options import PRUNERS, SAMPLERS
from tuning_study.rules import AS_MANIFEST
from tuning_study.space import check_space
from tuning_study.spec import (
    API_VERSION,
    KIND,
    NAME_LENGTH,
    STUDY_NAME_ADVICE,
    STUDY_NAME_PATTERN,
    Pruner,
    Sampler,
    TuningStudySpec,
)
from tuning_study.strategy import check_strategy

_LONGEST = 1000  # characters of one problem
_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
_METADATA = (  # of any object
    *("name", "generateName", "namespace", "labels", "annotations", "finalizers", "ownerReferences", "uid"),
    *("resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"),
    *("managedFields", "selfLink"),
)
_LABEL = r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?"
_KEY = r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
}


def parse_yaml(text: str | bytes) -> dict[str, Any]:
    """The one object that a file holds, read as kubectl reads it."""
    documents = read_documents(text)
    if len(documents) != 1 or not isinstance(documents[0].content, dict):
        raise InvalidStudy([f"expected one {KIND}, found {len(documents)} documents"])
    return documents[0].content


def read_study(manifest: Mapping[str, Any]) -> tuple[str, str, TuningStudySpec]:
    """Namespace, name and spec of a manifest that can run. Raises InvalidStudy with every problem found."""
    problems = [
        f"{key}: expected {expected!r}, found {_shown(manifest.get(key))}"
        for key, expected in (("apiVersion", API_VERSION), ("kind", KIND))
        if manifest.get(key) != expected
    ]
    problems += [f"{key}: no such field; there are {', '.join(_FIELDS)}" for key in manifest if key not in _FIELDS]
    metadata = manifest.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    problems += _check_metadata(metadata)
    try:
        spec = read_spec(manifest.get("spec"))
    except InvalidStudy as invalid:
        raise InvalidStudy(problems + invalid.problems) from invalid
    if problems:
        raise InvalidStudy(problems)
    return str(metadata.get("namespace") or "default"), str(metadata["name"]), spec


def read_spec(document: Any) -> TuningStudySpec:
    """The spec, with everything checked that needs no worker and no store. Raises InvalidStudy."""
    try:
        spec = TuningStudySpec.model_validate(document if document is not None else {}, **AS_MANIFEST)
    except ValidationError as error:
        raise InvalidStudy([_sentence(problem, document) for problem in error.errors()]) from error
    problems = check_space(spec.parameters)
    if not problems:
        problems = check_strategy(spec)
    if problems:
        raise InvalidStudy([f"spec.{problem}" for problem in problems])
    return spec


def _check_metadata(metadata: Mapping[str, Any]) -> Iterator[str]:
    """What the API server would refuse in the fields that people write."""
    yield from (f"metadata.{key}: no such field" for key in metadata if key not in _METADATA)
    name = metadata.get("name", "")
    if not isinstance(name, str):
        yield f'metadata.name: {_shown(name)} is no text: quote it ("{_shown(name)}")'
    elif not 1 <= len(name) <= NAME_LENGTH:
        yield f"metadata.name: {len(name)} characters; a study's name has 1 to {NAME_LENGTH}"
    elif not re.fullmatch(STUDY_NAME_PATTERN, name):
        yield f"metadata.name: {name!r}: {STUDY_NAME_ADVICE}"
    namespace = metadata.get("namespace", "default")
    if namespace != "" and not (isinstance(namespace, str) and re.fullmatch(STUDY_NAME_PATTERN, namespace)):
        yield f"metadata.namespace: {_shown(namespace)} is none; write lower case letters, digits and `-` only"
    for field, values in (("labels", _LABEL), ("annotations", r"(?s).*")):
        entries = metadata.get(field, {})
        if entries is None:
            continue
        if not isinstance(entries, Mapping):
            yield f"metadata.{field}: expected an object, found {_shown(entries)}"
            continue
        for key, value in entries.items():
            if value is None:
                continue
            if not isinstance(value, str):
                yield f'metadata.{field}.{key}: {_shown(value)} is no text: quote it ("{_shown(value)}")'
            elif not re.fullmatch(_KEY, key) or not re.fullmatch(values, value):
                yield f"metadata.{field}.{key}: letters, digits, `-`, `_` and `.` only, 63 at most"


def _shown(value: Any) -> str:
    try:
        return repr(value)[:_LONGEST]
    except (ValueError, RecursionError):  # a number of more digits than Python prints, an object in itself
        return f"a {type(value).__name__} too large to show"


def _sentence(problem: Any, document: Any) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"])
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = _no_such(problem["loc"], document)
    elif problem["type"] == "missing":
        message = "required, and missing"
    elif expected := _EXPECTED.get(problem["type"]):
        message = f"expected {expected}, found {_shown(problem['input'])}"
        if isinstance(problem["input"], str):
            message += _without_quotes(problem["input"], expected)
        elif expected == "text":
            message += ": quote it"
    return f"spec{place}: {message}"[:_LONGEST]


def _without_quotes(given: str, expected: str) -> str:
    """What to write in the place of a text where none is wanted."""
    if expected == "a list":
        return f": write [{', '.join(given.split())}]"
    quoted = re.fullmatch(r"[-+]?[0-9_.]+(e[-+]?[0-9]+)?|true|false", given.strip(), re.IGNORECASE)
    return ": write it without quotes" if quoted and expected != "text" else ""


def _no_such(place: Sequence[str | int], document: Any) -> str:
    """What could have been meant by the last part of `place`, which no field is called."""
    *path, name = place
    fields = _fields(path)
    message = f"no such field; there are {', '.join(fields)}"
    if path and path[-1] == "options":
        part = reduce(getitem, path[:-1], document)
        kind = part.get("type") or (Sampler() if path[-2] == "sampler" else Pruner()).type
        fields = [to_camel(option) for option in {**SAMPLERS, **PRUNERS}.get(str(kind), ())]
        message = f"{kind} has no option {name!r}; it knows {', '.join(fields) or 'none'}"
    elif close := get_close_matches(str(name), fields, n=1):
        message = f"no such field; did you mean {close[0]}?"
    return message


def _fields(path: Sequence[str | int]) -> list[str]:
    """The names that the object at `path` may have."""
    return list(reduce(_inside, path, _schema())["properties"])


def _inside(node: dict[str, Any], part: str | int) -> dict[str, Any]:
    found: dict[str, Any] = node["items"] if isinstance(part, int) else node["properties"][part]
    return found


@cache
def _schema() -> dict[str, Any]:
    return structural_schema(TuningStudySpec)
