"""A manifest as its author meets it: read as Kubernetes reads it, refused with every fault at once."""

from typing import Any

import pytest

from builders import choice, make_manifest_spec, make_study, real
from tuning_study.exceptions import InvalidStudy
from tuning_study.manifest import parse_yaml, read_spec, read_study


def problems(manifest: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidStudy) as refused:
        read_study(manifest)
    return refused.value.problems


@pytest.mark.parametrize(("text", "value"), [("1e-3", 0.001), ("on", "on"), ("true", True), ("~", None), ("07", 7)])
def test_yaml_is_read_as_kubernetes_reads_it(text: str, value: Any) -> None:
    assert parse_yaml(f"x: {text}") == {"x": value}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: [", "not YAML"),
        ("", "found 0 documents"),
        ("a: 1\n---\nb: 2\n", "found 2 documents"),
        ("- 1", "expected one"),
    ],
)
def test_a_file_that_is_not_one_document_is_refused(text: str, fault: str) -> None:
    with pytest.raises(InvalidStudy, match=fault):
        parse_yaml(text)


def test_a_study_has_its_namespace_name_and_spec() -> None:
    manifest = make_study("digits", budget={"trials": 3})
    assert read_study(manifest)[:2] == ("default", "digits")
    manifest["metadata"]["namespace"] = "team"
    namespace, _, spec = read_study(manifest)
    assert (namespace, spec.budget.trials) == ("team", 3)


@pytest.mark.parametrize("document", [{}, {"spec": None}, {"metadata": 5, "spec": 5}])
def test_a_manifest_of_something_else_is_told_what_it_lacks(document: dict[str, Any]) -> None:
    found = "\n".join(problems(document))
    assert "apiVersion: expected 'tuning.dev/v1alpha1'" in found
    assert "kind: expected 'TuningStudy'" in found
    assert "metadata.name: 0 characters" in found
    assert "spec" in found


def test_faults_of_the_head_and_of_the_spec_are_told_together() -> None:
    found = problems(make_study("n" * 53, budget={}))
    assert found == [
        "metadata.name: 53 characters; a study's name has 1 to 52",
        "spec: a budget needs `trials`, `duration` or both",
    ]


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"budget": {"trials": "many"}}, "spec.budget.trials: "),
        ({"parameters": [real(), {"name": "y"}]}, "spec.parameters[1].type: required, and missing"),
        ({"parameters": [real(low=2, high=1)]}, "spec.parameters[0]: min must not be larger"),
        ({"workers": {"replica": 3}}, "spec.workers.replica: no such field"),
        ({"metrics": None}, "spec.metrics: required, and missing"),
    ],
)
def test_a_fault_names_its_place_in_the_manifests_own_words(fields: dict[str, Any], place: str) -> None:
    (found,) = problems(make_study(**fields))
    assert found.startswith(place)


def test_faults_of_the_space_come_before_those_of_the_strategy() -> None:
    wrong = {"sampler": {"type": "TPE", "options": {"nope": 1}}}
    (found,) = problems(make_study(parameters=[choice("k", ["a", "a"])], strategy=wrong))
    assert found.startswith("spec.parameters.k.values: two of the values are equal")


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("kind", ["Float", "Int"])
def test_a_bound_that_is_no_number_is_refused(kind: str, number: float) -> None:
    with pytest.raises(InvalidStudy, match=r"spec\.parameters\[0\]\.max"):
        read_spec(make_manifest_spec(parameters=[real(high=number) | {"type": kind}]))


def test_phases_of_one_name_are_refused() -> None:
    phase = {"name": "explore", "trials": 3}
    (found,) = problems(make_study(strategy={"phases": [phase, phase]}))
    assert "strategy.phases: explore is listed twice" in found


def test_a_study_without_a_strategy_is_one_phase_of_tpe_without_end() -> None:
    (phase,) = read_spec(make_manifest_spec()).phases
    assert (phase.sampler.type, phase.pruner.type, phase.trials) == ("TPE", "None", 1_000_000)


def test_what_was_read_is_written_as_it_was() -> None:
    written = make_manifest_spec(
        parameters=[choice("k", [None, True, 2, "a"]), real("x", 1e-3, 1, scale="Log")],
        budget={"duration": "1h30m"},
        warmStart={"points": [{"k": None, "x": 0.5}]},
    )
    again = read_spec(read_spec(written).manifest())
    assert again == read_spec(written)
    assert again.parameters[0].values == [None, True, 2, "a"]
    assert again.warm_start.points == [{"k": None, "x": 0.5}]
    assert again.manifest()["budget"]["duration"] == "1h30m"
