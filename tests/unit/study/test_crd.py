"""The generated CRD is bounded everywhere: the API server refuses CEL rules over lists and strings without an end."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft4Validator
from pydantic.alias_generators import to_camel
from ruamel.yaml import YAML

from tuning_study.api.crd import build_crd
from tuning_study.api.options import PRUNERS, SAMPLERS, PrunerOptions, SamplerOptions
from tuning_study.api.spec import STUDY_RULES, TuningStudySpec

VERSION = build_crd()["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
Node = tuple[str, dict[str, Any]]


def nodes(path: str, schema: dict[str, Any]) -> Iterator[Node]:
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(f"{path}.{name}", field)
    if "items" in schema:
        yield from nodes(f"{path}[]", schema["items"])


def properties(path: str, schema: dict[str, Any]) -> Iterator[Node]:
    """Every property under `schema`, by its path."""
    for name, field in schema.get("properties", {}).items():
        yield f"{path}{name}", field
        yield from properties(f"{path}{name}.", field)
    if "items" in schema:
        yield from properties(f"{path.removesuffix('.')}[].", schema["items"])


PROPERTIES = {path: field for path, field in properties("", SCHEMA) if path != "metadata"}
NODES = [node for part in ("spec", "status") for node in nodes(part, SCHEMA["properties"][part])]


def of_type(kind: str) -> list[Any]:
    return [pytest.param(schema, id=path) for path, schema in NODES if schema.get("type") == kind]


def test_the_walk_reaches_the_far_corners() -> None:
    paths = {path for path, _ in NODES}
    assert {"spec.objective.sklearn.steps[].class", "status.rounds[].best.metrics[].value"} <= paths


@pytest.mark.parametrize("schema", of_type("string"))
def test_every_string_has_an_end(schema: dict[str, Any]) -> None:
    assert "maxLength" in schema or "enum" in schema or schema.get("format") == "date-time"


@pytest.mark.parametrize("schema", of_type("array"))
def test_every_list_has_an_end(schema: dict[str, Any]) -> None:
    assert 1 <= schema["maxItems"] <= 256


@pytest.mark.parametrize("schema", of_type("object"))
def test_every_object_is_known_or_says_that_it_is_free(schema: dict[str, Any]) -> None:
    known = "properties" in schema or ("additionalProperties" in schema and 1 <= schema["maxProperties"] <= 16)
    assert known or schema.get("x-kubernetes-preserve-unknown-fields")


def test_nothing_but_structural_schema_is_left_of_the_models() -> None:
    allowed = {
        *("type", "properties", "required", "items", "description", "enum", "default", "format", "pattern", "nullable"),
        *("minimum", "maximum", "exclusiveMinimum", "minLength", "maxLength", "minItems", "maxItems"),
        *("additionalProperties", "minProperties", "maxProperties"),
        *("x-kubernetes-validations", "x-kubernetes-preserve-unknown-fields"),
        *("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-int-or-string", "allOf"),
    }
    assert {key for _, schema in NODES for key in schema} <= allowed


def test_every_rule_that_cel_can_see_is_in_the_schema_with_advice() -> None:
    told = [rule for _, schema in [("", SCHEMA), *NODES] for rule in schema.get("x-kubernetes-validations", ())]
    written = [rule for rule in (*STUDY_RULES, *TuningStudySpec.rules) if rule.cel is not None]
    assert {rule.cel for rule in written} <= {rule["rule"] for rule in told}
    assert all(len(rule["message"]) > 20 for rule in told)


def test_no_default_fills_a_field_whose_absence_means_something() -> None:
    spec = SCHEMA["properties"]["spec"]["properties"]
    assert "default" not in spec["seed"]
    assert "default" not in spec["budget"]["properties"]["trials"]
    assert spec["workers"]["properties"]["replicas"]["default"] == 1


def test_names_that_people_type() -> None:
    names = build_crd()["spec"]["names"]
    assert (names["plural"], names["shortNames"], names["categories"]) == ("tuningstudies", ["tstudy"], ["tuning"])
    columns = [column["name"] for column in VERSION["additionalPrinterColumns"]]
    assert columns == ["State", "Trials", "Best", "Workers", "Round", "Phase", "Age"]


def test_the_scale_subresource_points_at_fields_that_exist() -> None:
    paths = {f".{path}" for path, _ in NODES}
    assert set(VERSION["subresources"]["scale"].values()) <= paths


def test_every_field_has_a_description() -> None:
    assert [path for path, field in PROPERTIES.items() if not field.get("description")] == []


def test_a_description_is_a_few_whole_sentences() -> None:
    told = {path: field.get("description", "") for path, field in PROPERTIES.items()}
    assert {path: text for path, text in told.items() if not text.endswith(".") or "\n" in text or "  " in text} == {}
    assert {path: len(text) for path, text in told.items() if len(text) > 400} == {}
    assert {path: text for path, text in told.items() if len(text.split()) < 3} == {}


def test_a_description_tells_the_default() -> None:
    """kubectl explain does not show `default`."""
    defaults = {
        path: f"Default: {json.dumps(field['default']).strip(chr(34))}."
        for path, field in PROPERTIES.items()
        if path.startswith("spec.") and "default" in field
    }
    assert {path: text for path, text in defaults.items() if text not in PROPERTIES[path]["description"]} == {}


EXAMPLES = {
    path: YAML(typ="safe").load(field["description"].partition("Example: ")[2].removesuffix("."))
    for path, field in PROPERTIES.items()
    if "Example: " in field["description"]
}


@pytest.mark.parametrize("path", EXAMPLES)
def test_an_example_is_one(path: str) -> None:
    assert list(Draft4Validator(PROPERTIES[path]).iter_errors(EXAMPLES[path])) == []


@pytest.mark.parametrize(
    ("part", "options", "table"), [("sampler", SamplerOptions, SAMPLERS), ("pruner", PrunerOptions, PRUNERS)]
)
def test_an_option_says_whose_it_is_and_what_holds_without_it(part: str, options: Any, table: dict[str, Any]) -> None:
    for name in options.model_fields:
        path = f"spec.strategy.{part}.options.{to_camel(name)}"
        owners, _, meaning = PROPERTIES[path]["description"].partition(": ")
        assert set(owners.split(", ")) == {kind for kind, known in table.items() if name in known}, path
        assert "Default: " in meaning or "If left out, " in meaning, path


def test_kubectl_can_apply_the_crd() -> None:
    """Client-side apply keeps the object in an annotation, and all annotations together have 262,144 bytes."""
    assert len(json.dumps(build_crd())) < 200_000
