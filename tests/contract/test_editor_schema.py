"""The schema for editors: it takes what can run, and underlines what the API server would refuse or drop."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator, Draft7Validator

from builders import make_study
from contract.crd.manifests import BOTH, RIGHT
from tuning_study.api.crd import study_schema
from tuning_study.editor_schema import editor_schema
from tuning_study.manifest import parse_yaml

MANIFESTS = Path(__file__).parents[2] / "manifests"
SAMPLES = sorted((MANIFESTS / "samples").glob("*.yaml"))
SCHEMA = editor_schema()
EDITOR, STRUCTURE = Draft7Validator(SCHEMA), Draft4Validator(study_schema())
SHAPELESS = {name: manifest for name, (manifest, _) in BOTH.items() if any(STRUCTURE.iter_errors(manifest))}
WITHOUT_NULL = {name: spec for name, spec in RIGHT.items() if "null" not in name}  # an empty field is underlined


def found(manifest: Any) -> list[str]:
    return [error.message for error in EDITOR.iter_errors(manifest)]


def test_it_is_draft_7() -> None:
    Draft7Validator.check_schema(SCHEMA)


def test_the_schema_that_is_shipped_is_the_one_of_the_models() -> None:
    assert json.loads((MANIFESTS / "tuningstudy.schema.json").read_text()) == SCHEMA, "run `make generate`"


@pytest.mark.parametrize("path", SAMPLES, ids=[path.name for path in SAMPLES])
def test_a_sample_names_the_schema_and_fits_it(path: Path) -> None:
    modeline, _, schema = path.read_text().splitlines()[0].partition("$schema=")
    assert modeline == "# yaml-language-server: "
    assert (path.parent / schema).resolve() == MANIFESTS / "tuningstudy.schema.json"
    assert found(parse_yaml(path.read_text())) == []


@pytest.mark.parametrize("spec", WITHOUT_NULL.values(), ids=WITHOUT_NULL)
def test_a_right_study_fits(spec: dict[str, Any]) -> None:
    assert found(make_study() | {"spec": spec}) == []


@pytest.mark.parametrize("manifest", SHAPELESS.values(), ids=SHAPELESS)
def test_what_the_api_server_refuses_for_its_shape_does_not_fit(manifest: dict[str, Any]) -> None:
    assert found(manifest) != []


def test_there_are_such_manifests() -> None:
    assert len(SHAPELESS) > 20


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"wokers": {}}, "wokers"),
        ({"budget": {"trials": 1, "trails": 1}}, "trails"),
        ({"parameters": [{"name": "x", "type": "Float", "min": 0, "max": 1, "low": 0}]}, "low"),
        ({"strategy": {"pruner": {"type": "Median", "options": {"warmup": 1}}}}, "warmup"),
        ({"objective": {"comand": {}}}, "comand"),
    ],
)
def test_a_field_that_does_not_exist_does_not_fit(fields: dict[str, Any], name: str) -> None:
    assert any(f"'{name}' was unexpected" in message for message in found(make_study(**fields)))


@pytest.mark.parametrize(
    "head", [{"apiVersion": "v1"}, {"kind": "Study"}, {"metadata": {}}, {"spec": None}, {"specs": {}}]
)
def test_a_wrong_head_does_not_fit(head: dict[str, Any]) -> None:
    assert found(make_study() | head) != []


def test_what_kubectl_prints_fits() -> None:
    printed = make_study() | {"status": {"state": "Running"}}
    printed["metadata"] |= {"uid": "1", "managedFields": [], "creationTimestamp": "2026-01-01T00:00:00Z"}
    assert found(printed) == []


def test_an_editor_shows_meaning_default_and_an_example() -> None:
    spec = SCHEMA["properties"]["spec"]["properties"]
    assert spec["budget"]["properties"]["trials"]["examples"] == [450]
    assert spec["workers"]["properties"]["replicas"]["default"] == 1
    assert spec["metrics"]["description"].startswith("What a trial reports.")
    assert spec["metrics"]["items"]["properties"]["direction"]["enum"] == ["Maximize", "Minimize"]
