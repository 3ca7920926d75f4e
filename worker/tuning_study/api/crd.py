"""The CustomResourceDefinition, from the models: structural schema, bounds, CEL rules, columns and subresources."""

from datetime import timedelta
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from tuning_study.api.duration import format_duration
from tuning_study.api.resource import API_VERSION, GROUP, KIND, PLURAL, SHORT_NAME, VERSION
from tuning_study.api.rules import Model, Rule
from tuning_study.api.spec import STUDY_RULES, TuningStudySpec
from tuning_study.api.status import TuningStudyStatus

_COLUMNS = (
    ("State", "string", ".status.state", 0),
    ("Trials", "string", ".status.trials.summary", 0),
    ("Best", "string", ".status.best.summary", 0),
    ("Workers", "integer", ".status.workers.ready", 0),
    ("Round", "integer", ".status.round", 0),
    ("Phase", "string", ".status.phase", 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)

# What a study has for a status until the operator has looked at it: without, kstatus would call it done.
_UNOBSERVED = {
    "conditions": [
        {
            "type": "Reconciling",
            "status": "True",
            "reason": "NotObserved",
            "message": "waits for the operator",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        }
    ]
}


def build_crd() -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": [SHORT_NAME],
                "categories": ["tuning"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.workers.replicas",
                            "statusReplicasPath": ".status.workers.active",
                            "labelSelectorPath": ".status.workers.selector",
                        },
                    },
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind, "jsonPath": path, "priority": priority}
                        for name, kind, path, priority in _COLUMNS
                    ],
                    "schema": {"openAPIV3Schema": study_schema()},
                }
            ],
        },
    }


def study_schema() -> dict[str, Any]:
    """The whole resource as a structural schema; every property but `metadata` has a description."""
    return {
        "type": "object",
        "description": "Tunes the hyperparameters of one model with parallel workers that share one study.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"Group and version: {API_VERSION}."},
            "kind": {"type": "string", "description": f"What it is: {KIND}."},
            "metadata": {"type": "object"},  # the API server describes it, and takes no description here
            "spec": structural_schema(TuningStudySpec),
            "status": {**structural_schema(TuningStudyStatus), "default": _UNOBSERVED},
        },
        "x-kubernetes-validations": _cel(STUDY_RULES),
    }


def structural_schema(model: type[Model]) -> dict[str, Any]:
    """The model as a structural schema, which is what the API server takes."""
    schema: dict[str, Any] = _structural(inlined_schema(model))
    return schema


def inlined_schema(model: type[Model]) -> dict[str, Any]:
    """The model as a JSON schema: references inlined, null alternatives dropped, rules attached.

    A field without a description of its own has its model's docstring.
    """
    whole = model.model_json_schema(by_alias=True, mode="validation", schema_generator=_WithRules)
    definitions = whole.pop("$defs", {})
    schema: dict[str, Any] = _inlined(whole, definitions)
    return schema


class _WithRules(GenerateJsonSchema):
    """Attaches each model's rules to its own schema, and writes defaults as a manifest would."""

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)

    def model_schema(self, schema: Any) -> dict[str, Any]:
        generated = super().model_schema(schema)
        rules: tuple[Rule, ...] = getattr(schema["cls"], "rules", ())
        if told := _cel(rules):
            generated["x-kubernetes-validations"] = told
        if shapes := [rule.schema for rule in rules if rule.schema is not None]:
            generated["allOf"] = shapes
        return generated


def _cel(rules: tuple[Rule, ...]) -> list[dict[str, str]]:
    return [
        {"rule": rule.cel, "message": rule.message} | ({"fieldPath": f".{rule.field}"} if rule.field else {})
        for rule in rules
        if rule.cel is not None
    ]


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(entry, definitions) for entry in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[1]]
        return _inlined({**target, **{key: value for key, value in node.items() if key != "$ref"}}, definitions)
    if "anyOf" in node:  # `X | None`: a field that may be left out
        (given,) = [entry for entry in node["anyOf"] if entry != {"type": "null"}]
        outer = {key: value for key, value in node.items() if key != "anyOf"}
        return _inlined({**given, **outer}, definitions)
    schema = {  # what a rule says of a shape has no references
        key: value if key == "allOf" else _inlined(value, definitions) for key, value in node.items()
    }
    if isinstance(schema.get("description"), str):  # a docstring may have several lines
        schema["description"] = " ".join(schema["description"].split())
    return schema


def _structural(node: Any) -> Any:
    if isinstance(node, list):
        return [_structural(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    schema = {key: _field(key, value) for key, value in node.items() if _kept(key, value)}
    if "const" in schema:  # a choice of one; Kubernetes knows only enum
        schema["enum"] = [schema.pop("const")]
    if "exclusiveMinimum" in schema:  # OpenAPI 3.0 writes it as a flag
        schema |= {"minimum": schema["exclusiveMinimum"], "exclusiveMinimum": True}
    return schema


def _kept(key: str, value: Any) -> bool:
    if key == "default":  # the schema names only defaults a reader can see at once; None means absent
        return isinstance(value, str | int | float | bool)
    if key == "additionalProperties":  # of a map, the schema of its values; of an object, that there are no others
        return isinstance(value, dict)
    return bool(key != "title")


def _field(key: str, value: Any) -> Any:
    if key == "allOf":  # of a rule, and structural as it is written
        return value
    if key == "properties":
        return {name: _structural(field) for name, field in value.items()}
    return _structural(value)
