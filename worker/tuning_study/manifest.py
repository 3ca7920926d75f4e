"""Reads a TuningStudy from its manifest, and says what is wrong with it in words its author can act on."""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tuning_study.exceptions import InvalidStudy
from tuning_study.space import check_space
from tuning_study.spec import API_VERSION, KIND, NAME_LENGTH, NAME_PATTERN, TuningStudySpec
from tuning_study.strategy import check_strategy

_LARGEST = 1024 * 1024
_MOST_DOCUMENTS = 100
_LONGEST = 1000  # characters of one problem


def parse_yaml(text: str | bytes) -> dict[str, Any]:
    """One YAML document, read as Kubernetes reads it (YAML 1.2: `1e-3` is a number, `on` is a string)."""
    if len(text) > _LARGEST:
        raise InvalidStudy([f"{len(text)} characters; Kubernetes takes no object beyond {_LARGEST}"])
    try:
        found = list(islice(YAML(typ="safe", pure=True).load_all(text), _MOST_DOCUMENTS))
    except RecursionError as error:
        raise InvalidStudy(["not YAML that can be read: nested too deeply"]) from error
    except (YAMLError, ValueError, TypeError, LookupError) as error:  # a date or a number that is none is no YAMLError
        raise InvalidStudy([f"not YAML: {error}"[:_LONGEST]]) from error
    documents = [document for document in found if document is not None]
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise InvalidStudy([f"expected one {KIND}, found {len(documents)} documents"])
    return documents[0]


def read_study(manifest: Mapping[str, Any]) -> tuple[str, str, TuningStudySpec]:
    """Namespace, name and spec of a manifest that can run. Raises InvalidStudy with every problem found."""
    problems = [
        f"{key}: expected {expected!r}, found {_shown(manifest.get(key))}"
        for key, expected in (("apiVersion", API_VERSION), ("kind", KIND))
        if manifest.get(key) != expected
    ]
    metadata = manifest.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    given = metadata.get("name")
    name = given if isinstance(given, str) else _shown(given) if given is not None else ""
    if not 1 <= len(name) <= NAME_LENGTH:
        problems.append(f"metadata.name: {len(name)} characters; a study's name has 1 to {NAME_LENGTH}")
    elif not re.fullmatch(NAME_PATTERN, name):
        problems.append(f"metadata.name: {name!r}; write lower case letters, digits, `-` and `.` only")
    try:
        spec = read_spec(manifest.get("spec"))
    except InvalidStudy as invalid:
        raise InvalidStudy(problems + invalid.problems) from invalid
    if problems:
        raise InvalidStudy(problems)
    return str(metadata.get("namespace") or "default"), name, spec


def read_spec(document: Any) -> TuningStudySpec:
    """The spec, with everything checked that needs no worker and no store. Raises InvalidStudy."""
    try:
        spec = TuningStudySpec.model_validate(document if document is not None else {})
    except ValidationError as error:
        raise InvalidStudy([_sentence(problem) for problem in error.errors()]) from error
    problems = check_space(spec.parameters)
    if not problems:
        problems = check_strategy(spec)
    if problems:
        raise InvalidStudy([f"spec.{problem}" for problem in problems])
    return spec


def _shown(value: Any) -> str:
    try:
        return repr(value)[:_LONGEST]
    except (ValueError, RecursionError):  # a number of more digits than Python prints, an object in itself
        return f"a {type(value).__name__} too large to show"


def _sentence(problem: Any) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"])
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = "no such field"
    elif problem["type"] == "missing":
        message = "required, and missing"
    return f"spec{place}: {message}"[:_LONGEST]
