"""Reads a TuningStudy from its manifest, and says what is wrong with it in words its author can act on."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from tuning_study.api.resource import (
    API_VERSION,
    KIND,
    METADATA_FIELDS,
    NAME_LENGTH,
    STUDY_NAME_ADVICE,
    STUDY_NAME_PATTERN,
)
from tuning_study.api.rules import AS_MANIFEST
from tuning_study.api.spec import TuningStudySpec
from tuning_study.documents import in_order_of, read_documents
from tuning_study.exceptions import InvalidStudy
from tuning_study.problems import did_you_mean, problems_of, problems_of_search, schema, shown
from tuning_study.production.advice import problems_of_production
from tuning_study.text import nearest

_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
_LABEL = r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?"
_KEY = r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"


def parse_yaml(text: str | bytes) -> dict[str, Any]:
    """The one object that a file holds, read as kubectl reads it."""
    documents = read_documents(text)
    if len(documents) != 1 or not isinstance(documents[0].content, dict):
        raise InvalidStudy([f"expected one {KIND}, found {len(documents)} documents"])
    return documents[0].content


def read_study(manifest: Mapping[str, Any]) -> tuple[str, str, TuningStudySpec]:
    """Namespace, name and spec of a manifest that can run. Raises InvalidStudy with every problem found."""
    problems = [
        f"{key}: expected {expected!r}, found {shown(found)}{_meant(found, expected)}"
        for key, expected in (("apiVersion", API_VERSION), ("kind", KIND))
        if (found := manifest.get(key)) != expected
    ]
    if not is_meant_as_study(manifest.get("kind", KIND)):  # another resource, whose fields are none of a study's
        raise InvalidStudy(problems)
    problems += [f"{key}: {_no_such_part(key)}" for key in manifest if key not in _FIELDS]
    metadata = manifest.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    problems += _check_metadata(metadata)
    try:
        spec = read_spec(manifest.get("spec"))
    except InvalidStudy as invalid:
        raise InvalidStudy(in_order_of(manifest, problems + invalid.problems)) from invalid
    if problems:
        raise InvalidStudy(in_order_of(manifest, problems))
    return str(metadata.get("namespace") or "default"), str(metadata["name"]), spec


def is_meant_as_study(kind: Any) -> bool:
    """Whether it is a study's kind, or that with a slip of the pen."""
    return kind == KIND or bool(_meant(kind, KIND))


def _meant(found: Any, expected: str) -> str:
    return f"; did you mean {expected}?" if isinstance(found, str) and nearest(found, [expected]) else ""


def read_spec(document: Any, *, served: bool = False) -> TuningStudySpec:
    """The spec, with everything checked that needs no worker and no store. Raises InvalidStudy.

    A spec that the API server has `served` fits the CRD that is installed. Its fields that are not known here belong to
    a newer version, which is being rolled out, and are left to that.
    """
    document = _known_fields(document, schema()) if served else document
    document = document if document is not None else {}
    try:
        spec = TuningStudySpec.model_validate(document, **AS_MANIFEST)
    except ValidationError as error:
        raise InvalidStudy(in_order_of({"spec": document}, problems_of(document, error))) from error
    if problems := [*problems_of_search(spec), *problems_of_production(spec)]:
        raise InvalidStudy(problems)
    return spec


def _check_metadata(metadata: Mapping[str, Any]) -> Iterator[str]:
    """What the API server would refuse in the fields that people write."""
    yield from (
        f"metadata.{key}: no such field; {did_you_mean(key, METADATA_FIELDS)}"
        for key in metadata
        if key not in METADATA_FIELDS
    )
    name = metadata.get("name", "")
    if not isinstance(name, str):
        yield f'metadata.name: {shown(name)} is no text: quote it ("{shown(name)}")'
    elif not 1 <= len(name) <= NAME_LENGTH:
        yield f"metadata.name: {len(name)} characters; a study's name has 1 to {NAME_LENGTH}"
    elif not re.fullmatch(STUDY_NAME_PATTERN, name):
        yield f"metadata.name: {name!r}: {STUDY_NAME_ADVICE}"
    namespace = metadata.get("namespace", "default")
    if namespace != "" and not (isinstance(namespace, str) and re.fullmatch(STUDY_NAME_PATTERN, namespace)):
        yield f"metadata.namespace: {shown(namespace)} is none; write lower case letters, digits and `-` only"
    for field, values in (("labels", _LABEL), ("annotations", r"(?s).*")):
        entries = metadata.get(field, {})
        if entries is None:
            continue
        if not isinstance(entries, Mapping):
            yield f"metadata.{field}: expected an object, found {shown(entries)}"
            continue
        for key, value in entries.items():
            if value is None:
                continue
            if not isinstance(value, str):
                yield f'metadata.{field}.{key}: {shown(value)} is no text: quote it ("{shown(value)}")'
            elif not re.fullmatch(_KEY, key) or not re.fullmatch(values, value):
                yield f"metadata.{field}.{key}: letters, digits, `-`, `_` and `.` only, 63 at most"


def _no_such_part(key: str) -> str:
    """What could have been meant by a field of the resource that is none."""
    if key in schema()["properties"]:
        return "no such field here; it belongs in spec"
    return f"no such field; {did_you_mean(key, _FIELDS)}"


def _known_fields(part: Any, node: Mapping[str, Any]) -> Any:
    """The document without fields that `node`, its schema, does not have; what may hold any is left as it is."""
    if isinstance(part, Mapping) and "properties" in node and not node.get("x-kubernetes-preserve-unknown-fields"):
        known = node["properties"]
        return {key: _known_fields(value, known[key]) for key, value in part.items() if key in known}
    if isinstance(part, list) and "items" in node:
        return [_known_fields(entry, node["items"]) for entry in part]
    return part
