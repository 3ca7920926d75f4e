"""The manifest as a JSON schema for editors, from the same models as the CRD.

Called by `tuning explain --schema` and `make generate`. It is draft 7, the newest that the YAML language server takes
whole, and refuses what the API server drops or refuses: a field that does not exist, a value of another type.
"""

from typing import Any

from tuning_study.api.crd import inlined_schema
from tuning_study.api.resource import API_VERSION, KIND, METADATA_FIELDS, NAME_LENGTH, STUDY_NAME_PATTERN
from tuning_study.api.spec import TuningStudySpec
from tuning_study.documents import read_documents

_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_MET_IN_MANIFESTS = {
    "name": {
        "type": "string",
        "minLength": 1,
        "maxLength": NAME_LENGTH,
        "pattern": STUDY_NAME_PATTERN,
        "description": "The study's name. Its Job, its pods and its report are named after it.",
        "examples": ["digits"],
    },
    "namespace": {"type": "string", "description": "The namespace on a cluster. If left out, that of the command."},
    "labels": {**_TEXTS, "description": "Labels, such as the Kueue queue, kueue.x-k8s.io/queue-name."},
    "annotations": {**_TEXTS, "description": "Annotations."},
}


def editor_schema() -> dict[str, Any]:
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": KIND,
        "description": "A study: what to tune, and how.",
        "type": "object",
        "additionalProperties": False,
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"enum": [API_VERSION], "description": "Group and version."},
            "kind": {"enum": [KIND], "description": "What it is."},
            "metadata": {
                "type": "object",
                "description": "What every object of Kubernetes has.",
                "additionalProperties": False,
                "required": ["name"],
                "properties": {name: _MET_IN_MANIFESTS.get(name, True) for name in METADATA_FIELDS},
            },
            "spec": _of_editor(inlined_schema(TuningStudySpec)),
            "status": {"type": "object", "description": "What the operator tells of the study. Nobody else writes it."},
        },
    }


def example_of(description: str) -> Any:
    """The value that a description ends with (`Example: {C: 1.0}.`); None where it has no example."""
    _, found, example = description.partition("Example: ")
    return read_documents(f"x: {example.removesuffix('.')}")[0].content["x"] if found else None


def _of_editor(node: dict[str, Any]) -> dict[str, Any]:
    """A node of the models' schema in the words of draft 7."""
    schema = {key: value for key, value in node.items() if _is_told(key, value)}
    if "properties" in node:
        schema["properties"] = {name: _of_editor(field) for name, field in node["properties"].items()}
    if "items" in node:
        schema["items"] = _of_editor(node["items"])
    if (example := example_of(node.get("description", ""))) is not None:
        schema |= {"description": node["description"].partition(" Example: ")[0], "examples": [example]}
    if node.get("x-kubernetes-int-or-string"):
        limits = {key: schema.pop(key) for key in ("minimum", "maximum") if key in schema}
        words = {key: schema.pop(key) for key in ("pattern", "maxLength") if key in schema}
        schema["anyOf"] = [{"type": "integer", **limits}, {"type": "string", **words}]
    return schema


def _is_told(key: str, value: Any) -> bool:
    if key == "default":
        return isinstance(value, str | int | float | bool)
    return key not in ("title", "nullable") and not key.startswith("x-kubernetes-")
