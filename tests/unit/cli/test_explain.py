"""`tuning explain`, as a person types it: no cluster, and a wrong path is answered with what may be meant."""

import json
from collections.abc import Iterator

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from tuning_cli import explanation
from tuning_cli.app import app
from tuning_client.exceptions import WrongUse
from tuning_study.api.crd import study_schema
from tuning_study.editor_schema import editor_schema


def explained(*arguments: str) -> str:
    told = CliRunner().invoke(app, ["explain", *arguments], catch_exceptions=False)
    assert told.exit_code == 0
    return told.output


def test_a_field_is_told_with_its_type_default_limits_and_meaning() -> None:
    assert explained("spec.objective.sklearn.crossValidation.folds") == (
        "spec.objective.sklearn.crossValidation.folds\n"
        "  type      integer\n"
        "  required  no\n"
        "  default   5\n"
        "  limits    2 to 100\n"
        "\n"
        "Number of parts that the rows are split into; each is the test set once. For a classifier, all parts\n"
        "have the same mix of classes. Default: 5.\n"
    )


def test_an_object_is_told_with_its_rules_and_a_line_for_each_field_below() -> None:
    told = explained("spec.objective")
    assert "  required  yes\n" in told
    assert "RULES\n  - give exactly one of sklearn, python and command\n" in told
    fields = [line.split()[0] for line in told.partition("\nFIELD ")[2].splitlines()[1:]]
    assert fields == ["sklearn", "python", "command"]


def test_a_list_is_told_with_the_rules_and_fields_of_its_entries() -> None:
    told = explained("parameters")
    assert "  type      list of object\n" in told
    assert "  limits    at most 64 entries, no two of one name\n" in told
    assert "  - min must not be larger than max: swap them\n" in told
    assert "\nname     string, required   " in told


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("budget.duration", "  type      duration"),
        ("strategy.pruner.options.minResource", "  limits    1 to 1000000, a string matches ^auto$"),
        ("parameters.step", "  limits    above 0"),
        ("metrics.direction", "  limits    one of Maximize, Minimize"),
        ("retune.triggers", "  limits    each one of Alert, Degradation, Drift, Schedule, at most 8 entries"),
        ("parameters.values", "  limits    1 to 256 entries"),
        ("status.startTime", "  type      time"),
        ("suspend", "  default   false"),
        ("workers.podTemplate", "  type      object"),
        ("status.best.metrics.value", "  type      any value"),
    ],
)
def test_types_and_limits_are_told_in_words(field: str, line: str) -> None:
    assert line in explained(field).splitlines()


@pytest.mark.parametrize(
    "written",
    [
        "spec.parameters.min",
        "parameters.min",
        "parameters[0].min",
        "spec.parameters[].min",
        "tstudy.spec.parameters.min",
        "TuningStudy.spec.parameters.min",
        ".spec.parameters.min",
    ],
)
def test_a_path_may_be_written_in_several_ways(written: str) -> None:
    assert explained(written).startswith("spec.parameters[].min\n")


def test_without_a_field_the_whole_resource_is_told() -> None:
    told = explained()
    assert told.startswith("TuningStudy\n  type  object\n")
    assert "\nspec         object, required   " in told
    assert "\nstatus       object             " in told


def test_recursive_prints_the_tree_of_names_and_types() -> None:
    assert explained("spec.objective.sklearn.columns.select", "--recursive").splitlines() == [
        "spec.objective.sklearn.columns[].select   object",
        "  dtype   string",
        "  names   list of string",
        "  pattern   string",
    ]
    assert "  csv   object\n    path   string, required" in explained("spec.objective.sklearn.dataset", "--recursive")


def test_json_and_yaml_are_the_schema() -> None:
    schema = study_schema()["properties"]["spec"]["properties"]["budget"]
    assert json.loads(explained("budget", "-o", "json")) == schema
    assert YAML(typ="safe").load(explained("budget", "-o", "yaml")) == schema


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("spec.objective.sklern.steps", "spec.objective has no field sklern; did you mean sklearn?"),
        ("budgt", "spec has no field budgt; did you mean budget?"),
        ("Budget", "spec has no field Budget; did you mean budget?"),
        ("splitter", "spec has no field splitter; did you mean spec.objective.sklearn.crossValidation.splitter?"),
        ("spec.objective.qqq", "spec.objective has no field qqq; it has sklearn, python, command"),
        ("seed.x", "spec.seed has no field x: its type is integer"),
        ("workers.podTemplate.spec", "spec.workers.podTemplate may have any fields; none is described here"),
        ("metadata.name", "metadata may have any fields; none is described here"),
    ],
)
def test_a_wrong_path_says_which_part_is_wrong_and_what_may_be_meant(field: str, message: str) -> None:
    with pytest.raises(WrongUse) as wrong:
        explained(field)
    assert str(wrong.value) == message


def all_below(field: explanation.Field) -> Iterator[explanation.Field]:
    for below in field.fields:
        yield below
        yield from all_below(below)


def test_every_field_can_be_explained_by_its_path() -> None:
    schema = study_schema()
    fields = list(all_below(explanation.find(schema, "")))
    assert len(fields) > 200
    assert [explanation.find(schema, field.path) for field in fields] == fields
    assert all(explanation.text(field).startswith(f"{field.path}\n") for field in fields)


def test_the_schema_for_editors_is_printed_whole() -> None:
    assert json.loads(explained("--schema")) == editor_schema()
    with pytest.raises(WrongUse, match="leave out the field"):
        explained("budget", "--schema")
