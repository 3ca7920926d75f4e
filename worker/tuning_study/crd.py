"""The CustomResourceDefinition, from the models: structural schema, bounds, CEL rules, columns and subresources."""

from datetime import timedelta
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from tuning_study.duration import format_duration
from tuning_study.rules import Model, Rule
from tuning_study.spec import GROUP, KIND, PLURAL, STUDY_RULES, VERSION, TuningStudySpec
from tuning_study.status import TuningStudyStatus

_COLUMNS = (
    ("State", "string", ".status.state", 0),
    ("Trials", "string", ".status.trials.summary", 0),
    ("Best", "string", ".status.best.metrics[0].value", 0),
    ("Workers", "integer", ".status.workers.ready", 0),
    ("Round", "integer", ".status.round", 0),
    ("Phase", "string", ".status.phase", 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)


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
                "shortNames": ["tstudy"],
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
                    "schema": {"openAPIV3Schema": _study_schema()},
                }
            ],
        },
    }


def _study_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "Tunes the hyperparameters of one model with parallel workers that share one study.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural_schema(TuningStudySpec),
            "status": structural_schema(TuningStudyStatus),
        },
        "x-kubernetes-validations": _cel(STUDY_RULES),
    }


def structural_schema(model: type[Model]) -> dict[str, Any]:
    """The model as a structural schema: references inlined, null alternatives dropped, rules attached."""
    whole = model.model_json_schema(by_alias=True, mode="validation", schema_generator=_WithRules)
    definitions = whole.pop("$defs", {})
    schema: dict[str, Any] = _structural(whole, definitions)
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
    return [{"rule": rule.cel, "message": rule.message} for rule in rules if rule.cel is not None]


def _structural(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_structural(entry, definitions) for entry in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[1]]
        return _structural({**target, **{key: value for key, value in node.items() if key != "$ref"}}, definitions)
    if "anyOf" in node:  # `X | None`: a field that may be left out
        (given,) = [entry for entry in node["anyOf"] if entry != {"type": "null"}]
        outer = {key: value for key, value in node.items() if key != "anyOf"}
        return _structural({**given, **outer}, definitions)
    schema = {key: _field(key, value, definitions) for key, value in node.items() if _kept(key, value)}
    if "const" in schema:  # a choice of one; Kubernetes knows only enum
        schema["enum"] = [schema.pop("const")]
    if "exclusiveMinimum" in schema:  # OpenAPI 3.0 writes it as a flag
        schema |= {"minimum": schema["exclusiveMinimum"], "exclusiveMinimum": True}
    return schema


def _kept(key: str, value: Any) -> bool:
    if key == "default":  # the schema names only defaults a reader can see at once; None means absent
        return isinstance(value, str | int | float | bool)
    return key not in ("title", "additionalProperties")


def _field(key: str, value: Any, definitions: dict[str, Any]) -> Any:
    if key == "allOf":  # of a rule, and structural already
        return value
    if key == "properties":
        return {name: _structural(field, definitions) for name, field in value.items()}
    return _structural(value, definitions)
